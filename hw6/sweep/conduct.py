"""A sweep from its plan to its rows: what the directory holds, what is missing, chunks, launch, summary."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hw6.errors import FailedCells, Hw6Error, Interrupted
from hw6.sweep import held, store
from hw6.sweep.chunks import Work, cut_work, work_to_do, worker_count
from hw6.sweep.contract import Experiment
from hw6.sweep.lock import locked
from hw6.sweep.plan import Chunk, Plan, ranges_text
from hw6.sweep.plan_text import block_to_json
from hw6.sweep.price import Estimate, calibrated, estimate, refuse_without_room
from hw6.sweep.progress import counted, duration, progress, short, watching
from hw6.sweep.provenance import Command, Commit, append, close, describe, now, versions


@dataclass(frozen=True)
class ChunkResult:
    """What a job says of its chunk.

    Attributes:
        cells: cells that it ran.
        failures: (exception type, message) -> number of rows and the overrides that reproduce one of them.
    """

    cells: int
    failures: Mapping[tuple[str, str], tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a sweep came to.

    Attributes:
        folder: the sweep's directory.
        cells: the cells of its plan.
        ran: those that ran now; the others were done before.
        failed: rows of failed cells among them.
        lines: what failed, a line a cause.
    """

    folder: Path
    cells: int
    ran: int
    failed: int
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How a sweep is run; no part of any cell.

    Attributes:
        folder: the sweep's directory.
        claimed: the user named it; otherwise a new one is made, next to it if it is taken.
        workers: local processes; None lets hw6 choose.
        retry: which cells with rows run again: "failed", "none" or "all".
        changed: what becomes of rows of other code or versions: "stop", "keep" or "rerun".
        fail_fast: stop at the first chunk with a failed cell.
        dry_run: say what would be run, and run nothing.
    """

    folder: Path
    claimed: bool
    workers: int | None = None
    retry: str = "failed"
    changed: str = "stop"
    fail_fast: bool = False
    dry_run: bool = False


Told = Callable[[Any], bool]


@dataclass(frozen=True)
class Launch:
    """How chunks are run: Hydra's launcher behind one function.

    Attributes:
        jobs: (overrides of each job, first job number, sweep directory, workers, told) -> results; ``told`` hears of
            each result as it comes, where the launcher can, and says whether to go on.
        own: whether it is hw6's launcher, which can.
    """

    jobs: Callable[[Sequence[Sequence[str]], int, Path, int, Told], Sequence[Any]]
    own: bool


quiet: ContextVar[bool] = ContextVar("quiet", default=False)
outcomes: ContextVar[list[Outcome] | None] = ContextVar("outcomes", default=None)
commands: ContextVar[Command | None] = ContextVar("commands", default=None)


def conduct(plan: Plan, named: Callable[[str], Experiment], settings: Settings, launch: Launch) -> Outcome | None:
    """Run the cells of a plan that are missing in a sweep directory.

    Args:
        plan: the cells.
        named: the experiments by name.
        settings: where and how.
        launch: how to run chunks.

    Returns:
        what it came to; None for a dry run.

    Raises:
        BadInput: the directory cannot be used, or there is no room.
        FailedCells: some cells failed; everything else is stored.
        Interrupted, StoreFailed: stopped on the way; what was finished is stored.
    """
    started, clock, folder = now(), time.perf_counter(), settings.folder
    there = settings.claimed and held.is_sweep(folder)
    with Commit() as commit, ExitStack() as stack:
        if there and not settings.dry_run:
            stack.enter_context(locked(folder))
        code = held.code_digests(plan, named)
        finished, holds = _finished(plan, settings, code) if there else (held.NO_IDS, 0)
        work = work_to_do(plan, named, finished)
        workers = worker_count(settings.workers, work.seconds, launch.own)
        chunks = cut_work(plan, work, workers)
        cost = estimate(plan, named, work.missing, (work.total, len(chunks)), work.seconds, workers)
        if settings.dry_run:
            _print_dry_run(plan, named, work, cost, folder)
            return None
        refuse_without_room(cost, folder)
        if not there:
            folder = _open(settings)
            stack.enter_context(locked(folder))
        command = commands.get() or Command((), ())
        record = describe(command, [block_to_json(block) for block in plan.blocks], started, commit)
        before = work.total - work.cells
        counts = {"cells": work.total, "before": before, "outside": max(holds - before, 0)}
        append(folder, {**record, "code": code, **counts})
        results = _run(plan, chunks, settings, folder, workers, launch)
        outcome = _close(folder, results, work, clock)
    if (sink := outcomes.get()) is not None:
        sink.append(outcome)
    if outcome.lines:
        raise FailedCells("\n".join(outcome.lines))
    return outcome


def _finished(plan: Plan, settings: Settings, code: Mapping[str, str]) -> tuple[np.ndarray, int]:
    """The ids that an existing sweep need not run again, and how many cells it has rows of."""
    holds = held.read(settings.folder, set_aside=not settings.dry_run)
    held.refuse_other(settings.folder, holds, plan)
    changed = held.changes(holds, code, versions())
    if changed and settings.changed == "stop" and settings.retry != "all":
        held.refuse_changed(settings.folder, changed)
    rerun = settings.retry == "all" or (changed and settings.changed == "rerun")
    return held.finished(holds, "all" if rerun else settings.retry), len(holds.done)


def _open(settings: Settings) -> Path:
    if not settings.claimed:
        return store.claim(settings.folder)
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise store.unwritable(settings.folder, error) from error
    return settings.folder


def _print_dry_run(plan: Plan, named: Callable[[str], Experiment], work: Work, cost: Estimate, folder: Path) -> None:
    seconds = 0.0
    for block, positions, price in zip(plan.blocks, work.missing, work.prices, strict=True):
        if len(positions):
            seconds += calibrated(named(block.experiment), block.cells(positions), price)
    for line in replace(cost, seconds=seconds).lines:
        print(line)
    print("dry run: nothing was run or written")
    refuse_without_room(cost, folder)


def _run(
    plan: Plan, chunks: Sequence[Chunk], settings: Settings, folder: Path, workers: int, launch: Launch
) -> list[Any]:
    """Launch the chunks; a stop on the way is told in one line with the command that goes on."""
    again = _again(settings, folder)
    try:
        results = _launch(plan, chunks, settings, folder, workers, launch)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; what was finished is stored; to go on: {again}") from None
    except OSError as error:
        results = [error]
    for result in results:
        if isinstance(result, (OSError, store.StoreFailed)):
            what = result.strerror or str(result) if isinstance(result, OSError) else str(result)
            raise store.StoreFailed(f"{folder}: {what}; what was finished is stored; to go on: {again}") from None
    return results


def _again(settings: Settings, folder: Path) -> str:
    command = commands.get()
    typed = list(command.expanded) if command is not None else []
    where = [] if settings.claimed else [f"hydra.sweep.dir={short(folder)}"]
    return "python -m hw6.run " + shlex.join([*typed, *where])


def _launch(
    plan: Plan, chunks: Sequence[Chunk], settings: Settings, folder: Path, workers: int, launch: Launch
) -> list[Any]:
    if not chunks:
        return []
    name = store.write_plan([block_to_json(block) for block in plan.blocks], folder)
    jobs = [
        [
            *plan.blocks[chunk.block].overrides,
            f"+chunk.plan={name}",
            f"+chunk.block={chunk.block}",
            f"+chunk.cells='{ranges_text(chunk.positions)}'",
        ]
        for chunk in chunks
    ]
    sizes = [len(chunk.positions) for chunk in chunks]
    first = store.next_number(folder)
    with progress(sum(sizes), quiet=quiet.get()) as report:

        def told(result: Any) -> bool:
            if not isinstance(result, ChunkResult):
                return not isinstance(result, (OSError, store.StoreFailed))
            report(result.cells)
            return not (settings.fail_fast and result.failures)

        with watching(launch.own, folder, first, sizes, report):
            return list(launch.jobs(jobs, first, folder, workers, told))


def _close(folder: Path, results: Sequence[Any], work: Work, clock: float) -> Outcome:
    done = [result for result in results if isinstance(result, ChunkResult)]
    ran = sum(result.cells for result in done)
    failed = sum(count for result in done for count, _ in result.failures.values())
    lines = _failures(results)
    if ran < work.cells:
        lines.append(f"stopped: {counted(work.cells - ran, 'cell')} not run")
    outcome = Outcome(folder, work.total, ran, failed, tuple(lines))
    with suppress(OSError, Hw6Error):  # the rows are stored; that the record of the end is not is no reason to fail
        close(folder, {"ran": ran, "failed": failed})
    if not quiet.get():
        before = work.total - work.cells
        known = f", {before:,} were done before" if before else ""
        print_where(f"{counted(ran, 'cell')} in {duration(time.perf_counter() - clock)}{known}", folder)
    return outcome


def print_where(what: str, folder: Path) -> None:
    """The closing lines of a sweep: what was done, where it is, and what to type next."""
    shown = shlex.quote(short(folder))
    print(f"{what}: {short(folder)}")
    print(f"next: python -m hw6.aggregate {shown}; python -m hw6.plot {shown}")


def _failures(results: Sequence[Any]) -> list[str]:
    """What failed, grouped by cause, with a command that reproduces one cell of each."""
    causes: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], str] = {}
    for result in results:
        if isinstance(result, ChunkResult):
            for cause, (count, overrides) in result.failures.items():
                causes[cause] += count
                example.setdefault(cause, overrides)
    lines = [
        f"{count:,} failed: {kind}: {message} (for example: python -m hw6.run {example[kind, message]})"
        for (kind, message), count in causes.most_common()
    ]
    broken = [result for result in results if not isinstance(result, ChunkResult)]
    return lines + [f"a chunk failed: {type(e).__name__}: {str(e).partition(chr(10))[0]}" for e in broken]
