"""A sweep from its overrides to its rows: plan, what is missing, chunks, launch, summary."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hw6.errors import BadInput, FailedCells, Interrupted
from hw6.sweep import store
from hw6.sweep.contract import Experiment
from hw6.sweep.plan import Chunk, Plan, cut, distinct, may_overlap, ranges_text
from hw6.sweep.plan_text import block_to_json
from hw6.sweep.progress import Report, counted, duration, progress
from hw6.sweep.provenance import Command, Commit, append, close, describe, now

WORTH_WORKERS = 4.0  # estimated seconds: below that, starting processes costs more than it saves
WATCH_EVERY = 1.0  # seconds between looks at the directory, where the launcher tells nothing
SHORTEST_CHUNK, LONGEST_CHUNK = 1.0, 8.0  # estimated seconds; the longest bounds what an interruption costs


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
class Launch:
    """How chunks are run: Hydra's launcher behind one function.

    Attributes:
        jobs: (overrides of each job, first job number, sweep directory, workers, report) -> results in order; calls
            ``report`` with the cells of each chunk as it ends, where the launcher can.
        processes: whether ``workers`` means anything to it.
    """

    jobs: Callable[[Sequence[Sequence[str]], int, Path, int, Report], Sequence[Any]]
    own: bool


quiet: ContextVar[bool] = ContextVar("quiet", default=False)
outcomes: ContextVar[list[Outcome] | None] = ContextVar("outcomes", default=None)
commands: ContextVar[Command | None] = ContextVar("commands", default=None)


def conduct(
    plan: Plan,
    experiment_named: Callable[[str], Experiment],
    folder: Path,
    claimed: bool,
    workers: int | None,
    launch: Launch,
) -> Outcome:
    """Run the cells of a plan that are missing in a sweep directory.

    Args:
        plan: the cells.
        experiment_named: the experiments by name.
        folder: the sweep directory.
        claimed: the user named it; otherwise a new one is made, next to it if it is taken.
        workers: local processes; None lets hw6 choose.
        launch: how to run chunks.

    Raises:
        BadInput: the directory cannot be used.
        FailedCells: some cells failed; everything else is stored.
    """
    started, clock = now(), time.perf_counter()
    with Commit() as commit:
        done = _done(folder) if claimed else np.empty(0, dtype="S20")
        missing, total = _missing(plan, experiment_named, done)
        prices = [experiment_named(b.experiment).price(b.cells(p)) for b, p in zip(plan.blocks, missing, strict=True)]
        seconds = float(sum(price.sum() for price in prices))
        count = _workers(workers, seconds, launch.own)
        chunks = _chunks(plan, missing, prices, seconds, count)
        folder = _open(folder, claimed)
        command = commands.get() or Command((), ())
        append(folder, describe(command, [block_to_json(block) for block in plan.blocks], started, commit))
    try:
        results = _launch(plan, chunks, folder, count, launch)
    except KeyboardInterrupt:
        again = shlex.join([*command.expanded, *([] if claimed else [f"hydra.sweep.dir={short(folder)}"])])
        raise Interrupted(f"interrupted; finished chunks are stored; to go on: python -m hw6.run {again}") from None
    outcome = _close(folder, results, total, clock)
    if (sink := outcomes.get()) is not None:
        sink.append(outcome)
    if outcome.lines:
        raise FailedCells("\n".join(outcome.lines))
    return outcome


def _done(folder: Path) -> np.ndarray:
    """The ids that a directory holds already; refuses a directory that is not a sweep's."""
    if not folder.exists():
        return np.empty(0, dtype="S20")
    if not folder.is_dir():
        raise BadInput("hydra.sweep.dir", folder, "is not a directory", "choose another directory")
    if not (folder / store.PROVENANCE).exists() and any(folder.iterdir()):
        raise BadInput(
            "hydra.sweep.dir", folder, "holds files that are no hw6 sweep", "choose an empty or a new directory"
        )
    ids, damaged = store.finished_ids(folder)
    for error in damaged:
        print(f"hw6: {error}", file=sys.stderr)
    return ids


def _missing(
    plan: Plan, experiment_named: Callable[[str], Experiment], done: np.ndarray
) -> tuple[list[np.ndarray], int]:
    """For each block the positions without a result, and the number of cells of the plan."""
    missing, total = [], 0
    for index, block in enumerate(plan.blocks):
        experiment = experiment_named(block.experiment)
        positions = distinct(block, experiment)
        earlier = [other for other in plan.blocks[:index] if may_overlap(block, other)]
        if not earlier and not len(done):
            total += len(positions)
            missing.append(positions)
            continue
        ids = block.ids(positions, experiment.keys, experiment.version)
        for other in earlier:
            fresh = ~np.isin(ids, other.ids(np.arange(other.size), experiment.keys, experiment.version))
            positions, ids = positions[fresh], ids[fresh]
        total += len(positions)
        missing.append(positions[~np.isin(ids, done)])
    return missing, total


def _workers(asked: int | None, seconds: float, own: bool) -> int:
    if asked is not None and own:
        return asked
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if seconds >= WORTH_WORKERS or not own else 1


def _chunks(
    plan: Plan, missing: Sequence[np.ndarray], prices: Sequence[np.ndarray], seconds: float, workers: int
) -> list[Chunk]:
    target = float(np.clip(seconds / (4 * workers), SHORTEST_CHUNK, LONGEST_CHUNK))
    if workers == 1 and seconds < LONGEST_CHUNK:
        target = np.inf
    elif seconds < SHORTEST_CHUNK * workers:  # the user asked for workers: each gets something, even if nothing costs
        prices = [price if seconds else np.ones(len(price)) for price in prices]
        target = sum(float(price.sum()) for price in prices) / workers
    return [
        Chunk(index, part)
        for index, (positions, price) in enumerate(zip(missing, prices, strict=True))
        for part in cut(plan.blocks[index], positions, price, target)
    ]


def _open(folder: Path, claimed: bool) -> Path:
    if not claimed:
        return store.claim(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise store.unwritable(folder, error) from error
    return folder


def _launch(plan: Plan, chunks: Sequence[Chunk], folder: Path, workers: int, launch: Launch) -> list[Any]:
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
    with progress(sum(sizes), quiet=quiet.get()) as report, _watching(launch.own, folder, first, sizes, report):
        return list(launch.jobs(jobs, first, folder, workers, report))


@contextmanager
def _watching(own: bool, folder: Path, first: int, sizes: Sequence[int], report: Report) -> Iterator[None]:
    """Tell the progress of a launcher that does not tell its own: a chunk is done when its shard is there."""
    if own:
        yield
        return
    stop = threading.Event()

    def watch() -> None:
        left = dict(enumerate(sizes, first))
        while left and not stop.wait(WATCH_EVERY):
            for number in [number for number in left if any(store.shards_in(folder / str(number)))]:
                report(left.pop(number))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _close(folder: Path, results: Sequence[Any], total: int, clock: float) -> Outcome:
    done = [result for result in results if isinstance(result, ChunkResult)]
    ran = sum(result.cells for result in done)
    failed = sum(count for result in done for count, _ in result.failures.values())
    outcome = Outcome(folder, total, ran, failed, tuple(_failures(results)))
    close(folder, {"cells": total, "ran": ran, "failed": failed})
    if not quiet.get():
        before = total - ran if ran < total else 0
        known = f", {before:,} were done before" if before else ""
        shown = shlex.quote(short(folder))
        print(f"{counted(ran, 'cell')} in {duration(time.perf_counter() - clock)}{known}: {short(folder)}")
        print(f"next: python -m hw6.aggregate {shown}; python -m hw6.plot {shown}")
    return outcome


def short(folder: Path) -> str:
    """A path as the user would type it here."""
    relative = os.path.relpath(folder)
    return str(folder) if relative.startswith("..") else relative


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
