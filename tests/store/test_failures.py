"""Why cells failed, in full: what is kept in a sweep's folder, what is told of it, and what a reader believes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Command, Process

from hw6.contract.failure import LONGEST_TRACE, Failure, Failures
from hw6.store import failures
from hw6.store.failures import PREFIX, SUFFIX, FailedCells

FILE = """
import hw6

@hw6.experiment(metrics={"y": "a number"})
def fragile(k: int = 5, seed: int = 0):
    print("at", k)
    if k % 5 == 0:
        helper(k)
    return {"y": 1.0} if k % 7 else None

def helper(k):
    raise ZeroDivisionError(f"{k} is a multiple")

if __name__ == "__main__":
    hw6.main(fragile)
"""


def caught(depth: int, message: str = "deep") -> BaseException:
    try:
        if depth:
            raise RuntimeError(message)
        raise ValueError(message)
    except Exception as error:
        return error


def test_one_traceback_is_kept_for_each_place() -> None:
    kept = Failures()
    first, second, third = (kept.of(caught(*arguments)) for arguments in ((0, "a"), (0, "b"), (1, "c")))
    assert (first.message, second.message) == ("a", "b")
    assert first.trace is second.trace
    assert third.trace != first.trace
    assert len(kept.traces) == 2
    assert first.trace.splitlines()[-1] == "ValueError: a"


def test_a_traceback_has_an_end() -> None:
    trace = Failures().of(caught(0, "x" * 100_000)).trace
    assert len(trace) < LONGEST_TRACE + 100
    assert trace.startswith("Traceback")


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("will not say")


def test_an_exception_that_cannot_be_told_is_a_failure_all_the_same() -> None:
    with pytest.raises(Silent) as error:
        raise Silent
    assert Failures().of(error.value).kind == "Silent"


def entry(kind: str, trace: str, *cells: str) -> FailedCells:
    return FailedCells(Failure(kind, "why", trace), len(cells), {cell: ["experiment=x", f"k={cell}"] for cell in cells})


def test_what_is_written_is_read_and_joined_by_place(tmp_path: Path) -> None:
    for number, entries in {
        "0": [entry("A", "t", "a", "b"), entry("B", "", "c")],
        "1": [entry("A", "t", "d"), entry("C", "u", "b")],
    }.items():
        (tmp_path / number).mkdir()
        failures.write(tmp_path / number, entries)
    found = failures.read(tmp_path, {"a", "b", "c", "d", "e"})
    told = {(one.failure.kind, one.failure.trace): (one.count, set(one.cells)) for one in found}
    assert told == {("A", "t"): (2, {"a", "d"}), ("B", ""): (1, {"c"}), ("C", "u"): (1, {"b"})}, "the latest counts"
    assert found[0].failure.kind == "A", "the most frequent first"
    assert found[0].cells["a"] == ["experiment=x", "k=a"]
    assert failures.read(tmp_path, {"e"}) == []


@pytest.mark.parametrize(
    "content",
    [
        "[[[[",
        "{}",
        "[3]",
        '[{"cells": []}]',
        json.dumps([{"error_type": 3, "error_message": "", "traceback": "", "count": 1, "cells": {"a": []}}]),
        json.dumps([{"error_type": "", "error_message": "", "traceback": "", "count": 1, "cells": {"a": [3]}}]),
        json.dumps([{"error_type": "", "error_message": "", "traceback": "", "count": 1, "cells": {"a": "rm"}}]),
    ],
)
def test_a_file_that_is_something_else_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / f"{PREFIX}0{SUFFIX}").write_text(content)
    failures.write(tmp_path / "0", [entry("A", "t", "a")])
    assert [one.failure.kind for one in failures.read(tmp_path, {"a"})] == ["A"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside, sweep = tmp_path / "outside", tmp_path / "sweep"
    outside.mkdir()
    (sweep / "0").mkdir(parents=True)
    failures.write(outside, [entry("A", "t", "a")])
    (sweep / "0" / f"{PREFIX}1{SUFFIX}").symlink_to(next(outside.iterdir()))
    (sweep / "1").symlink_to(outside)
    assert failures.read(sweep, {"a"}) == []


# --- as a user sees it ----------------------------------------------------------------------------------------------


@pytest.fixture
def swept(command: Command) -> Command:
    (command.folder / "fragile.py").write_text(FILE)
    ran = command("-m", "experiment=fragile.py:fragile", "k=4:11", "hydra.sweep.dir=s")
    assert ran.status == 1
    assert "next: python -m hw6.status --failures s; python -m hw6.aggregate s" in ran.out
    assert "at 4" not in ran.out + ran.err
    return command


def test_what_a_cell_prints_is_in_its_jobs_log(swept: Command) -> None:
    log = (swept.folder / "s" / "0" / "fragile.log").read_text()
    assert all(f"at {k}" in log for k in range(4, 11))


def test_what_a_cell_warns_of_is_in_its_jobs_log(process: Process) -> None:
    text = FILE.replace('print("at", k)', 'import warnings; warnings.warn(f"near {k}")')
    (process.folder / "fragile.py").write_text(text)
    ran = process("-m", "experiment=fragile.py:fragile", "k=4:6", "hydra.sweep.dir=s")
    assert "near" not in ran.out + ran.err
    log = (process.folder / "s" / "0" / "fragile.log").read_text()
    assert "UserWarning: near 4" in log
    assert "UserWarning: near 5" in log


def test_status_tells_tracebacks_and_how_to_run_one_cell_alone(swept: Command) -> None:
    told = swept("s", "--failures", module="hw6.status")
    assert told.status == 0
    assert told.out.startswith("s: 3 failed cells\n")
    assert "2 failed: ZeroDivisionError: 5 is a multiple" in told.out
    assert '    raise ZeroDivisionError(f"{k} is a multiple")' in told.out
    assert "1 failed: BadRows: it returned nothing" in told.out
    commands = [line.strip() for line in told.out.splitlines() if line.startswith("  python -m hw6.run ")]
    assert len(commands) == 2
    words = commands[0].split()[3:]
    assert words[-1] == "k=5"
    alone = swept(*words)
    assert alone.status == 1
    assert "ZeroDivisionError: 5 is a multiple" in alone.err


def test_what_was_mended_is_told_no_more(swept: Command) -> None:
    (swept.folder / "fragile.py").write_text(FILE.replace("k % 5 == 0", "k == 10"))
    words = ("experiment=fragile.py:fragile", "k=4:11", "hydra.sweep.dir=s", "changed=keep")
    assert swept("-m", *words).status == 1
    told = swept("s", "--failures", module="hw6.status").out
    assert told.startswith("s: 2 failed cells\n")
    assert "10 is a multiple" in told
    assert "5 is a multiple\n  Traceback" not in told


def test_a_single_run_says_where_its_traceback_is(swept: Command) -> None:
    ran = swept("experiment=fragile.py:fragile", "k=5", "hydra.run.dir=one")
    assert ran.status == 1
    assert ran.out.splitlines()[-1] == "next: python -m hw6.status --failures one"
    assert "at 5" in ran.out, "a single run shows what its cell prints"
    assert "ZeroDivisionError" in swept("one", "--failures", module="hw6.status").out


def test_somebody_elses_text_cannot_steer_a_terminal(swept: Command) -> None:
    path = next((swept.folder / "s" / "0").glob(f"{PREFIX}*"))
    content: list[Any] = json.loads(path.read_text())
    content[0]["traceback"] = "\x1b[2J\x1b[Hgone"
    path.write_text(json.dumps(content))
    told = swept("s", "--failures", module="hw6.status").out
    assert "\x1b" not in told
    assert "\\x1b[2J" in told


@pytest.mark.slow
def test_workers_and_launchers_keep_tracebacks_too(process: Process) -> None:
    (process.folder / "fragile.py").write_text(FILE)
    for name, more in {
        "workers": ("workers=2",),
        "joblib": ("engine=joblib",),
        "basic": ("hydra/sweeper=basic",),
    }.items():
        words = ("-m", "experiment=fragile.py:fragile", "k=4:11", f"hydra.sweep.dir={name}", *more)
        assert process(*words).status == 1
        told = process(name, "--failures", module="hw6.status").out
        assert "2 failed: ZeroDivisionError: " in told
        logs = "".join(path.read_text() for path in (process.folder / name).glob("*/fragile.log"))
        assert all(f"at {k}" in logs for k in range(4, 11))
