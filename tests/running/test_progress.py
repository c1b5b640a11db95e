"""What is said while a sweep runs: little, and true."""

from __future__ import annotations

import re
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hw6.engines.contract import Piece
from hw6.plan.plan import Chunk
from hw6.running.progress import FIRST_LINE, LINE_EVERY, progress, watching
from hw6.store import columns, shards
from hw6.words import counted, duration


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_short_sweep_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(1000) as report:
        for _ in range(10):
            clock.now += FIRST_LINE / 20
            report(100)
    assert capsys.readouterr() == ("", "")


def test_a_long_sweep_says_how_far_it_is_at_intervals(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(10_000) as report:
        for _ in range(100):
            clock.now += 1.0
            report(100)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1 + (100 - FIRST_LINE) // LINE_EVERY
    assert lines[0] == "500 of 10,000 cells, 100 cells/s, 2 min left"
    done = [int(re.match(r"([\d,]+) of", line)[1].replace(",", "")) for line in lines]  # type: ignore[index]
    assert done == sorted(set(done))
    assert done[-1] < 10_000


def test_the_last_cell_needs_no_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(5) as report:
        clock.now += 3600.0
        report(5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("total", "quiet"), [(0, False), (7, True)])
def test_nothing_to_tell(clock: Clock, capsys: pytest.CaptureFixture[str], total: int, quiet: bool) -> None:
    with progress(total, quiet=quiet) as report:
        clock.now += 3600.0
        report(1)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress(200) as report:
        report(50)
        report(150)
    err = capsys.readouterr().err
    assert "200" in err
    assert "cells" in err
    assert err.endswith("\r"), "the line is cleared"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (0.25, "0.2 s"),
        (3.21, "3.2 s"),
        (12.6, "13 s"),
        (59.4, "59 s"),
        (120.0, "2 min"),
        (3599.0, "60 min"),
        (5400.0, "1.5 h"),
    ],
)
def test_a_time_span_as_a_person_says_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("seconds", [59.4, 59.5, 59.9, 59.999])
def test_nobody_says_sixty_seconds(seconds: float) -> None:
    assert duration(seconds) != "60 s"


def test_numbers_of_things() -> None:
    assert [counted(n, "cell") for n in (0, 1, 2, 2400)] == ["0 cells", "1 cell", "2 cells", "2,400 cells"]


# --- engines that do not tell of ends -------------------------------------------------------------------------------


def job(folder: Path) -> None:
    """A job that has finished: a folder with a shard in it."""
    folder.mkdir()
    shards.write_shard(folder, {"cell_id": columns.arrow_column(np.array([b"0" * 20]))})


def test_a_piece_is_done_when_its_shard_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.running.progress.WATCH_EVERY", 0.001)
    heard: list[int] = []
    both = threading.Event()

    def report(cells: int) -> None:
        heard.append(cells)
        if len(heard) == 2:
            both.set()

    pieces = [Piece(number, Chunk(0, np.arange(size))) for number, size in ((4, 10), (5, 20), (6, 40))]
    job(tmp_path / "3")
    (tmp_path / "5").mkdir()
    before = set(threading.enumerate())
    with watching(False, tmp_path, pieces, report):
        (watcher,) = set(threading.enumerate()) - before
        assert watcher.daemon, "it keeps no process alive"
        job(tmp_path / "6")
        job(tmp_path / "4")
        assert both.wait(30.0)
    assert not watcher.is_alive(), "nobody is told anything after the end"
    assert sorted(heard) == [10, 40]


def test_where_ends_are_told_nobody_watches(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with watching(True, tmp_path, [Piece(1, Chunk(0, np.arange(3)))], lambda cells: None):
        assert set(threading.enumerate()) == before


def test_watching_ends_with_the_last_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.running.progress.WATCH_EVERY", 0.001)
    heard: list[int] = []
    job(tmp_path / "1")
    before = set(threading.enumerate())
    with watching(False, tmp_path, [Piece(1, Chunk(0, np.arange(3)))], heard.append):
        for watcher in set(threading.enumerate()) - before:
            watcher.join(30.0)
            assert not watcher.is_alive()
    assert heard == [3]
