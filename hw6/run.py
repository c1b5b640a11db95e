"""The command ``python -m hw6.run``: one cell, or a sweep.

Hydra does the composing and the running; here stand the shorthands, the refusals before anything is written, and the
translation of what Hydra raises into a line a mistake.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hw6 import __version__
from hw6.command import folders
from hw6.command.line import MULTIRUN, CommandLine, expand, split
from hw6.errors import FULL_ERROR, BadInput, FailedCells, Hw6Error, exit_status, nearest
from hw6.words import counted, quoted

if TYPE_CHECKING:
    import pandas as pd

    from hw6.running.outcome import Outcome

SIGNALS_APART = int(signal.SIGTERM) - int(signal.SIGINT)  # a shell adds the signal's number to 128
GARBAGE = 200_000  # objects made before Python looks for garbage, while a command is loaded and runs
SHOWS = (
    "--cfg",
    "-c",
    "--info",
    "-i",
    "--help",
    "-h",
    "--hydra-help",
    "--version",
)  # flags that show something and run nothing
COMPLETION = ("--shell-completion", "-sc")
NAME = ("--config-name", "-cn")
OTHERS = ("--run", "-r", "--resolve", "--package", "-p")
FOLDERS = ("--config-path", "-cp", "--config-dir", "-cd")  # then named configs may stand elsewhere


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status.

    0, 1: cells failed, 2: refused, 130 or 143: stopped by Ctrl-C or SIGTERM, 141: nobody reads the output any more.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    thresholds = gc.get_threshold()
    gc.set_threshold(GARBAGE, *thresholds[1:])  # composing makes many objects and little garbage
    try:
        with _terminable() as stopped:
            return exit_status(lambda: _run(arguments)) + (SIGNALS_APART if stopped else 0)
    finally:
        gc.set_threshold(*thresholds)


def _run(arguments: Sequence[str]) -> int:
    run(arguments)
    return 0


@contextmanager
def _terminable() -> Iterator[list[int]]:
    """SIGTERM stops a command as Ctrl-C does: workers end, what is finished is stored, and the way on is told."""
    stopped: list[int] = []

    def stop(number: int, frame: object) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)


def run_sweep(overrides: Sequence[str], *, directory: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Run a sweep from Python and return its frame.

    Args:
        overrides: as after ``python -m hw6.run -m``, for instance ``["p=5:200", "lambda=tuned"]``.
        directory: the sweep's directory; by default a new one below ``outputs/``.

    Raises:
        BadInput, BadInputs: something is not allowed; nothing was run.
        FailedCells: some cells failed; ``hw6.load`` still gives all rows.
    """
    from hw6.aggregate import load

    line = split(list(overrides))
    flags = [] if line.has(*MULTIRUN) else ["-m"]
    where = [] if directory is None else [f"hydra.sweep.dir={quoted(str(directory))}"]
    outcome = run([*flags, *line.flags, *line.overrides, *where], silent=True)
    assert outcome is not None
    return load(outcome.folder)


def run(arguments: Sequence[str], *, silent: bool = False) -> Outcome | None:
    """Run the command; returns what a sweep came to.

    Raises:
        Hw6Error: refused, or some cells failed.
    """
    began = time.perf_counter()
    from hw6.command.resume import resumed
    from hw6.command.shorthands import shorthands_meant

    typed = split(arguments)
    outputs = Path("outputs")
    meant = resumed(typed, outputs)
    name = meant.value(*NAME) or "config"
    expanded = tuple(expand(typed.overrides, shorthands_meant(meant, name)))
    line = resumed(CommandLine(typed.flags, expanded), outputs)
    _check_flags(line)
    _check_name(line, name)
    if line.has("--version"):
        print(f"hw6 {__version__}")
    if line.has("--hydra-help"):
        line = CommandLine(line.flags, ())
    if line.has(*COMPLETION) and "COMP_LINE" not in os.environ and "query=" in " ".join(line.overrides):
        return None  # asked by hand: there is no line to complete
    if line.has(*SHOWS, *COMPLETION):
        _show(line, name)
        return None
    if _is_dry(line):  # priced as a sweep, however it would be run
        flags = [flag for flag in line.flags if flag not in ("--run", "-r", *MULTIRUN)]
        own = [text for text in line.overrides if not text.startswith("hydra/sweeper=")]
        line = CommandLine((*flags, "-m"), tuple(own))
    if name in folders.sweep_names() and not line.has(*MULTIRUN, "--run", "-r"):
        line = CommandLine((*line.flags, "-m"), line.overrides)
    return _run_or_sweep(line, name, typed, silent, began)


def _run_or_sweep(line: CommandLine, name: str, typed: CommandLine, silent: bool, began: float) -> Outcome | None:
    from hw6.command.session import Session
    from hw6.running.job import Job
    from hw6.running.outcome import Outcome
    from hw6.running.price import refuse_large_cells
    from hw6.running.sweep import print_where
    from hw6.store.record import Command

    session = Session(line, name, line.has(*MULTIRUN))
    with session.opened():
        try:
            if session.other_sweeper or not session.many:
                refuse_large_cells(session.check())
            found = session.run(Job(Command(typed.arguments, line.arguments), silent, began))
        except Hw6Error:
            raise
        except Exception as error:
            if os.environ.get(FULL_ERROR) == "1":
                raise
            session.explain(error)
    outcome = found if isinstance(found, Outcome) else None  # other sweepers return what they like
    if outcome is not None and not silent:
        for text in outcome.report:
            print(text)
    if session.folder is not None:  # and say nothing at the end
        outcome = Outcome(session.folder.absolute(), session.cells, session.cells, 0)
        if not silent:
            print_where(counted(session.cells, "cell"), session.folder)
    if outcome is not None and outcome.lines:
        raise FailedCells("\n".join(outcome.lines))
    return outcome


def _is_dry(line: CommandLine) -> bool:
    """Whether a dry run is asked for, however that is written."""
    asked = [text.partition("=")[2] for text in line.overrides if text.partition("=")[0].lstrip("+") == "dry_run"]
    return bool(asked) and asked[-1].strip().strip("'\"").lower() == "true"


def _show(line: CommandLine, name: str) -> None:
    from hw6.command.session import Session, show
    from hw6.running.job import Job

    try:
        show(line.arguments if line.has(*COMPLETION) else _without_sweeps(line), line, Job())
    except Hw6Error:
        raise
    except Exception as error:
        if os.environ.get(FULL_ERROR) == "1":
            raise
        shown = split(_without_sweeps(line))
        session = Session(CommandLine((), shown.overrides), name, many=False)
        with session.opened():
            session.explain(error)


def _check_flags(line: CommandLine) -> None:
    known = (*MULTIRUN, *SHOWS, *COMPLETION, *NAME, *FOLDERS, *OTHERS)
    if line.has("--resolve", "--package", "-p") and not line.has(*SHOWS):
        raise BadInput("--resolve or --package", None, "goes with --cfg job")
    for flag in line.flags:
        head = flag.partition("=")[0]
        if head.startswith("-") and head not in known:
            raise BadInput(head, None, "no such flag", nearest(head, known) or "see --help and --hydra-help")


def _check_name(line: CommandLine, name: str) -> None:
    if line.has(*FOLDERS) or name in folders.sweep_names() or name == "config":
        return
    names = folders.sweep_names()
    raise BadInput("--config-name", name, "must be a named sweep: " + ", ".join(names), nearest(name, names))


def _without_sweeps(line: CommandLine) -> list[str]:
    """What shows a config cannot show a sweep: its axes are left out, and so is -m."""
    from hw6.command.overrides import parse_overrides

    plain = [text for text in line.overrides if not text.startswith("~")]
    swept = {one.override.input_line for one in parse_overrides((), plain, None) if one.swept}
    flags = [flag for flag in line.flags if flag not in MULTIRUN]
    return [*flags, *(text for text in line.overrides if text not in swept)]


if __name__ == "__main__":
    sys.exit(main())
