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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hw6 import __version__
from hw6.command import folders
from hw6.command.line import MULTIRUN, CommandLine, expand, split
from hw6.contract.files import refuse_while_loading
from hw6.errors import FULL_ERROR, BadInput, FailedCells, Hw6Error, exit_status, nearest
from hw6.words import RUN, counted, quoted

if TYPE_CHECKING:
    import pandas as pd

    from hw6.contract.experiment import Experiment
    from hw6.running.job import Job
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


def main(arguments: Sequence[str] | None = None, *, experiment: Experiment | None = None, program: str = RUN) -> int:
    """Run the command; returns the exit status.

    0, 1: cells failed, 2: refused, 130 or 143: stopped by Ctrl-C or SIGTERM, 141: nobody reads the output any more.

    Args:
        arguments: what was typed; by default the arguments of the process.
        experiment: the one that the command is for, if it is for one alone (``hw6.main``).
        program: what is typed before the arguments.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    thresholds = gc.get_threshold()
    gc.set_threshold(GARBAGE, *thresholds[1:])  # composing makes many objects and little garbage
    try:
        with _terminable() as stopped:
            return exit_status(lambda: _run(arguments, experiment, program)) + (SIGNALS_APART if stopped else 0)
    finally:
        gc.set_threshold(*thresholds)


def _run(arguments: Sequence[str], experiment: Experiment | None, program: str) -> int:
    run(arguments, experiment=experiment, program=program)
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


def run_sweep(
    overrides: Sequence[str],
    *,
    experiment: Experiment | None = None,
    directory: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Run a sweep from Python and return its frame.

    Args:
        overrides: as after ``python -m hw6.run -m``, for instance ``["p=5:200", "lambda=tuned"]``.
        experiment: one of your own (``@hw6.experiment``); by default what ``overrides`` choose.
        directory: the sweep's directory; by default a new one below ``outputs/``.

    Raises:
        BadInput, BadInputs: something is not allowed; nothing was run.
        FailedCells: some cells failed; ``hw6.load`` still gives all rows.
    """
    from hw6.aggregate import load

    refuse_while_loading("hw6.run_sweep")
    line = split(list(overrides))
    flags = [] if line.has(*MULTIRUN) else ["-m"]
    where = [] if directory is None else [f"hydra.sweep.dir={quoted(str(directory))}"]
    outcome = run([*flags, *line.flags, *line.overrides, *where], experiment=experiment, silent=True)
    assert outcome is not None
    return load(outcome.folder)


def run(
    arguments: Sequence[str], *, experiment: Experiment | None = None, program: str = RUN, silent: bool = False
) -> Outcome | None:
    """Run the command; returns what a sweep came to.

    Args:
        arguments: what was typed.
        experiment: the one that the command is for, if it is for one alone.
        program: what is typed before the arguments.
        silent: print nothing.

    Raises:
        Hw6Error: refused, or some cells failed.
    """
    began = time.perf_counter()
    from hw6.command.chosen import chosen
    from hw6.contract.registry import given

    typed = split(arguments)
    choice = chosen(typed, experiment)
    with given(choice.experiments):
        return _planned(choice.line, Run(typed, program, silent, began))


@dataclass(frozen=True)
class Run:
    """What a command was asked for besides its overrides."""

    typed: CommandLine
    program: str
    silent: bool
    began: float


def _planned(typed: CommandLine, asked: Run) -> Outcome | None:
    """Run a command line in which every experiment goes by its name."""
    from hw6.command.resume import resumed
    from hw6.command.shorthands import shorthands_meant

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
        _show(line, name, asked)
        return None
    if _is_dry(line):  # priced as a sweep, however it would be run
        flags = [flag for flag in line.flags if flag not in ("--run", "-r", *MULTIRUN)]
        own = [text for text in line.overrides if not text.startswith("hydra/sweeper=")]
        line = CommandLine((*flags, "-m"), tuple(own))
    if name in folders.sweep_names() and not line.has(*MULTIRUN, "--run", "-r"):
        line = CommandLine((*line.flags, "-m"), line.overrides)
    return _run_or_sweep(line, name, asked)


def _job(line: CommandLine, asked: Run) -> Job:
    """The task function of a command, which knows what was typed and where experiments are found."""
    from hw6.contract.registry import given_here, sources
    from hw6.running.job import Job
    from hw6.store.record import PROMPT, Command

    found = sources()
    program = PROMPT if given_here() - found.keys() else asked.program
    command = Command(asked.typed.arguments, (), program, {name: one.reference for name, one in found.items()})
    expanded = command.with_files(line.arguments)
    return Job(replace(command, expanded=expanded), found, asked.silent, asked.began)


def _run_or_sweep(line: CommandLine, name: str, asked: Run) -> Outcome | None:
    from hw6.command.session import Session
    from hw6.running.failures import Refused
    from hw6.running.outcome import Outcome
    from hw6.running.price import refuse_large_cells
    from hw6.running.sweep import print_where

    session = Session(line, name, line.has(*MULTIRUN))
    with session.opened():
        try:
            if session.other_sweeper or not session.many:
                refuse_large_cells(session.check())
            found = session.run(_job(line, asked))
            if isinstance(found, Refused):
                session.take_back()
                raise found
        except Hw6Error:
            raise
        except Exception as error:
            if os.environ.get(FULL_ERROR) == "1":
                raise
            session.explain(error)
    outcome = found if isinstance(found, Outcome) else None  # other sweepers return what they like
    if outcome is not None and not asked.silent:
        for text in outcome.report:
            print(text)
    if session.folder is not None:  # and say nothing at the end
        outcome = Outcome(session.folder.absolute(), session.cells, session.cells, 0)
        if not asked.silent:
            print_where(counted(session.cells, "cell"), session.folder)
    if outcome is not None and outcome.lines:
        raise FailedCells("\n".join(outcome.lines))
    return outcome


def _is_dry(line: CommandLine) -> bool:
    """Whether a dry run is asked for, however that is written."""
    asked = [text.partition("=")[2] for text in line.overrides if text.partition("=")[0].lstrip("+") == "dry_run"]
    return bool(asked) and asked[-1].strip().strip("'\"").lower() == "true"


def _show(line: CommandLine, name: str, asked: Run) -> None:
    from hw6.command.help import keys_of, script_help
    from hw6.command.session import Session, show
    from hw6.command.shorthands import experiments_meant
    from hw6.contract.registry import experiment_named
    from hw6.running.job import Job

    helps = line.has("--help", "-h")
    if helps and asked.program != RUN:
        print("\n".join(script_help(experiment_named(experiments_meant(line, name)[0]), asked.program)))
        return
    try:
        show(line.arguments if line.has(*COMPLETION) else _without_sweeps(line), line, Job())
        for experiment in experiments_meant(line, name) if helps else ():
            print("\n".join(["", *keys_of(experiment_named(experiment))]))
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
