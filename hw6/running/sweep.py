"""A plan and a directory -> an outcome: what is missing, its chunks, the engine, the summary."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hw6.contract.registry import is_of_this_process
from hw6.engines.contract import Engine, Orders, Piece, Stop, WorkerDied
from hw6.errors import BadInput, Hw6Error, Interrupted
from hw6.plan.chunks import Missing, cut_chunks, missing_cells
from hw6.plan.plan import Chunk, Plan
from hw6.plan.text import block_to_json
from hw6.running.job import ChunkResult
from hw6.running.outcome import Outcome
from hw6.running.price import Estimate, available_memory, calibrated, estimate, refuse_large_cells, refuse_without_room
from hw6.running.progress import progress, watching
from hw6.running.retry import instead
from hw6.store import contents, directory
from hw6.store.code import Code, code_of
from hw6.store.history import Now, changes, made_now
from hw6.store.lock import locked
from hw6.store.record import NOTHING, Command, Commit, append, close, describe, now, versions
from hw6.words import counted, duration, pasted, short

MOST_CAUSES = 20  # of failure that are told one by one


@dataclass(frozen=True)
class Options:
    """How a sweep is run; no part of any cell.

    Attributes:
        folder: the sweep's directory.
        named: the user named it; otherwise a new one is made, next to it if it is taken.
        workers: local processes; None lets the engine choose.
        retry: which cells with rows run again: "failed", "none" or "all".
        changed: what becomes of rows of other code or versions: "stop", "keep" or "rerun".
        fail_fast: stop at the first chunk with a failed cell.
        dry_run: say what would be run, and run nothing.
        quiet: print nothing.
        command: what was typed, for the record and for the way on.
        began: when the command began, on the clock of ``time.perf_counter``.
    """

    folder: Path
    named: bool
    workers: int | None = None
    retry: str = "failed"
    changed: str = "stop"
    fail_fast: bool = False
    dry_run: bool = False
    quiet: bool = False
    command: Command = NOTHING
    began: float = field(default_factory=time.perf_counter)

    @property
    def way_on(self) -> str:
        """The command that goes on with the sweep."""
        where = [] if self.named else [f"hydra.sweep.dir={short(self.folder)}"]
        return self.command.pasted([*self.command.expanded, *where])


def sweep(plan: Plan, options: Options, engine: Engine) -> Outcome | None:
    """Run the cells of a plan that are missing in a sweep directory.

    Args:
        plan: the cells.
        options: where and how.
        engine: where chunks run.

    Returns:
        what it came to, failures included; None for a dry run.

    Raises:
        BadInput: the directory cannot be used, or there is no room.
        Interrupted, StoreFailed: stopped on the way; what was finished is stored.
    """
    started, folder = now(), options.folder
    there = options.named and contents.is_sweep(folder)
    workers = _workers(plan, options, engine)
    with Commit() as commit, ExitStack() as stack:
        if there and not options.dry_run:
            stack.enter_context(locked(folder))
        codes = {block.experiment.name: code_of(block.experiment) for block in plan.blocks}
        finished, done = _finished(plan, options, codes) if there else (contents.NO_IDS, contents.NO_IDS)
        missing = missing_cells(plan, finished)
        slots = engine.slots(workers, missing.seconds)
        chunks = cut_chunks(plan, missing, slots)
        cost = estimate(plan, missing, chunks, slots)
        if cost.memory > available_memory():  # one cell may be the reason, and is then named
            refuse_large_cells(plan, missing.positions)
        if options.dry_run:
            _print_dry_run(plan, missing, replace(cost, starting=time.perf_counter() - options.began), folder)
            return None
        refuse_without_room(cost, folder)
        if not there:
            folder = _open(options)
            options = replace(options, folder=folder)
            stack.enter_context(locked(folder))
        record = describe(options.command, plan.blocks, codes, started, commit)
        counts: dict[str, Any] = {"first": directory.next_number(folder), "changed": options.changed}
        inside = missing if len(done) == len(finished) else missing_cells(plan, done)
        counts |= {"cells": missing.total, "before": missing.finished, "outside": len(done) - inside.finished}
        append(folder, {**record, **counts})
        results = _run(plan, chunks, options, slots, engine, record["code"])
        return _close(options, results, missing)


def _workers(plan: Plan, options: Options, engine: Engine) -> int | None:
    """The processes that were asked for; one, where other processes cannot know an experiment.

    Raises:
        BadInput: more than this process are needed for what only this process knows.
    """
    names = sorted({block.experiment.name for block in plan.blocks})
    local = [name for name in names if is_of_this_process(name)]
    if not local:
        return options.workers
    if not engine.abilities.knows_this_process or options.workers not in (None, 1):
        allowed = f"experiment {local[0]} is registered in this process alone"
        hint = 'workers=1, or put it into a file that runs hw6 below if __name__ == "__main__": alone'
        raise BadInput("workers", options.workers or "auto", allowed, hint)
    return 1


def _finished(plan: Plan, options: Options, codes: Mapping[str, Code]) -> tuple[np.ndarray, np.ndarray]:
    """The ids that an existing sweep need not run again, and those that are done in it, by whatever code."""
    there = contents.read(options.folder, set_aside=not options.dry_run)
    contents.refuse_other(options.folder, there, [block.experiment.name for block in plan.blocks])
    now = Now(codes, versions(codes), options.command.files)
    changed = changes(there.runs, now) if len(there.done) else []
    if changed and options.changed == "stop" and options.retry != "all":
        contents.refuse_changed(options.folder, changed)
    mine = there
    if options.changed == "rerun" and not all(not now.differences(run) for run in there.runs):
        mine = contents.only_of(options.folder, there, made_now(there.runs, now))
    return contents.finished(mine, options.retry), there.done


def _open(options: Options) -> Path:
    if not options.named:
        return directory.claim(options.folder)
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise directory.unwritable(options.folder, error) from error
    return options.folder


def _print_dry_run(plan: Plan, missing: Missing, cost: Estimate, folder: Path) -> None:
    seconds, loading = 0.0, 0.0
    for block, positions, price in zip(plan.blocks, missing.positions, missing.prices, strict=True):
        if len(positions):
            found = calibrated(block.experiment, block.cells(positions), price)
            seconds, loading = seconds + found.seconds, loading + found.loading
    for line in replace(cost, seconds=seconds, starting=cost.starting + loading).lines:
        print(line)
    print("dry run: nothing was run or written")
    refuse_without_room(cost, folder)


def _run(
    plan: Plan, chunks: Sequence[Chunk], options: Options, slots: int, engine: Engine, code: Mapping[str, str]
) -> list[Any]:
    """Hand the chunks to the engine; a stop on the way is told in one line with the command that goes on."""
    try:
        results = _hand_over(plan, chunks, options, slots, engine, code)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; what was finished is stored; to go on: {options.way_on}") from None
    except OSError as error:
        results = [error]
    for result in results:
        if isinstance(result, (OSError, directory.StoreFailed)):
            what = result.strerror or str(result) if isinstance(result, OSError) else str(result)
            text = f"{options.folder}: {what}; what was finished is stored; to go on: {options.way_on}"
            raise directory.StoreFailed(text) from None
    return results


def _hand_over(
    plan: Plan, chunks: Sequence[Chunk], options: Options, slots: int, engine: Engine, code: Mapping[str, str]
) -> list[Any]:
    if not chunks:
        return []
    folder = options.folder
    plan_file = directory.write_plan([block_to_json(block) for block in plan.blocks], folder)
    numbers = itertools.count(directory.next_number(folder))
    pieces = [Piece(next(numbers), chunk) for chunk in chunks]
    results: list[Any] = []
    with progress(sum(map(len, chunks)), quiet=options.quiet) as report:

        def ended(piece: Piece, result: Any) -> list[Piece]:
            if isinstance(result, WorkerDied) and (others := instead(piece, result, numbers)):
                return others
            results.append(result)
            if isinstance(result, ChunkResult) and engine.abilities.tells_of_ends:
                report(result.cells)
            if isinstance(result, (OSError, directory.StoreFailed)) or (
                options.fail_fast and isinstance(result, ChunkResult) and result.failures
            ):
                raise Stop
            return []

        with watching(engine.abilities.tells_of_ends, folder, pieces, report), suppress(Stop):
            engine.run(pieces, Orders(folder, plan, plan_file, slots, options.fail_fast, code), ended)
    return results


def _close(options: Options, results: Sequence[Any], missing: Missing) -> Outcome:
    done = [result for result in results if isinstance(result, ChunkResult)]
    ran = sum(result.cells for result in done)
    failed = sum(count for result in done for count, _ in result.failures.values())
    lines = _failures(results, options)
    if ran < missing.cells:
        lines.append(f"stopped: {counted(missing.cells - ran, 'cell')} not run")
    outcome = Outcome(options.folder, missing.total, ran, failed, tuple(lines))
    with suppress(OSError, Hw6Error):  # the rows are stored; that the record of the end is not is no reason to fail
        close(options.folder, {"ran": ran, "failed": failed})
    if not options.quiet:
        known = f", {missing.finished:,} were done before" if missing.finished else ""
        print_where(
            f"{counted(ran, 'cell')} in {duration(time.perf_counter() - options.began)}{known}",
            options.folder,
            failed=failed > 0,
        )
    return outcome


def print_where(what: str, folder: Path, *, failed: bool = False) -> None:
    """The closing lines of a sweep: what was done, where it is, and what to type next."""
    shown = pasted(folder)
    print(f"{what}: {short(folder)}")
    look = f"python -m hw6.status --failures {shown}; " if failed else ""
    print(f"next: {look}python -m hw6.aggregate {shown}; python -m hw6.plot {shown}")


def _failures(results: Sequence[Any], options: Options) -> list[str]:
    """What failed, grouped by cause, with a command that reproduces one cell of each."""
    causes: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], Sequence[str]] = {}
    for result in results:
        if isinstance(result, ChunkResult):
            for cause, (count, overrides) in result.failures.items():
                causes[cause] += count
                example.setdefault(cause, overrides)
    lines = [
        f"{count:,} failed: {kind}: {message} (for example: {options.command.pasted(example[kind, message])})"
        for (kind, message), count in causes.most_common(MOST_CAUSES)
    ]
    if len(causes) > MOST_CAUSES:
        rest = sum(count for _, count in causes.most_common()[MOST_CAUSES:])
        lines.append(f"and {rest:,} failed of {counted(len(causes) - MOST_CAUSES, 'more cause')}: see the table")
    broken = [result for result in results if not isinstance(result, ChunkResult)]
    told = [f"a chunk failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}" for error in broken]
    return [*lines, *dict.fromkeys(told)]
