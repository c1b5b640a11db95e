"""What surrounds cells: one thread of arithmetic whatever was loaded when, and a log for what they print."""

from __future__ import annotations

import io
import logging
import os
import sys

import numpy as np
import pytest
from commands import Process
from threadpoolctl import ThreadpoolController

from hw6.running.surroundings import VARIABLES, one_thread, printed_to_log


def threads() -> set[int]:
    return {library["num_threads"] for library in ThreadpoolController().info()}


def test_arithmetic_has_one_thread_within_and_as_many_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert np.ones(2) @ np.ones(2) == 2.0
    with ThreadpoolController().limit(limits=2):
        with one_thread():
            assert threads() == {1}
            assert all(os.environ[name] == "1" for name in VARIABLES)
        assert threads() == {2}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_all_is_as_before_when_a_cell_raises() -> None:
    before, environment = threads(), dict(os.environ)
    with pytest.raises(ValueError, match="within"), one_thread():
        raise ValueError("within")
    assert threads() == before
    assert dict(os.environ) == environment


def test_torchs_own_threads_are_one_within() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


LAZY = """
from hw6.running.surroundings import one_thread, cores
with one_thread():
    import {package}
    from threadpoolctl import threadpool_info
    within = {{one["num_threads"] for one in threadpool_info()}}
    {within}
after = {{one["num_threads"] for one in threadpool_info()}}
print(within, after == {{cores()}})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "within"), [("torch", "within.add(torch.get_num_threads())"), ("scipy.linalg", "pass")]
)
def test_what_is_loaded_within_has_one_thread_too_and_is_released(process: Process, package: str, within: str) -> None:
    """An import inside a function: its first cell must round as all others do."""
    ran = process.code(LAZY.format(package=package, within=within))
    assert ran.out.split("\n")[0] == "{1} True", ran.err


@pytest.fixture
def log() -> io.StringIO:
    """What the logger of an experiment is told."""
    stream = io.StringIO()
    logger = logging.getLogger("some_experiment")
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return stream


def test_lines_of_both_streams_are_logged_and_not_shown(log: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    with printed_to_log("some_experiment"):
        print("one")
        print("two", end="")
        print(" halves\nand", file=sys.stderr)
        sys.stderr.write("progress 1\rprogress 2\n")
        assert not sys.stdout.isatty()
    print("after")
    assert log.getvalue().splitlines() == ["one", " halves", "and", "progress 2", "two"]
    assert capsys.readouterr() == ("after\n", "")


def test_a_single_run_shows_them_as_well(log: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    with printed_to_log("some_experiment", shown=True):
        print("one")
        print("two", file=sys.stderr)
    assert log.getvalue().splitlines() == ["one", "two"]
    assert capsys.readouterr() == ("one\n", "two\n")


def test_a_log_that_writes_to_the_stream_that_is_logged_ends(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """What ``logging.basicConfig()`` inside a function does: each line once, and no line without end."""
    logger = logging.getLogger("another_experiment")
    logger.setLevel(logging.INFO)
    with printed_to_log("another_experiment"):
        handler = logging.StreamHandler(sys.stderr)
        logger.addHandler(handler)
        try:
            print("one")
            logger.info("two")
        finally:
            logger.removeHandler(handler)
    assert capsys.readouterr().err.splitlines() == ["one", "two"]
