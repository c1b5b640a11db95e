"""What a Hydra job of hw6 does: a chunk of a sweep, or the one cell of its config.

It stands in a module of its own so that every engine can find it by name in another process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from hw6.command.block import single_block
from hw6.contract.asking import numbers_of
from hw6.contract.experiment import Experiment
from hw6.contract.files import Source
from hw6.contract.registry import experiment_named
from hw6.engines.contract import WorkerDied
from hw6.errors import FailedCells, Hw6Error
from hw6.plan.plan import Block
from hw6.plan.text import block_from_json, positions_of
from hw6.running.cells import failed_cells, run_cells
from hw6.running.failures import Causes, Refused, kept, stored_causes
from hw6.running.outcome import Outcome
from hw6.store import directory, record, shards
from hw6.store.code import code_of
from hw6.words import pasted, short

FIRST_BATCH, FASTEST_GROWTH = 64, 1000  # cells of an experiment without a price; how much more the next batch may be
BATCH_SECONDS = 5.0  # of a batch of such cells
ALONE = np.zeros(1, dtype=np.int64)  # the position of the one cell of a single block


@dataclass(frozen=True)
class ChunkResult:
    """What a job says of its chunk.

    Attributes:
        cells: cells that it ran.
        failures: (exception type, message) -> number of cells, and the arguments that run one of them alone.
    """

    cells: int
    failures: Causes = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """The task function of a command: it travels with every job, and carries what was typed.

    Attributes:
        command: what was typed, for the record.
        sources: where other processes find the experiments that only this one knows.
        quiet: print nothing.
        began: when the command began, on the clock of ``time.perf_counter``.
        process: that of the command.
    """

    command: record.Command = record.NOTHING
    sources: Mapping[str, Source] = field(default_factory=dict)
    quiet: bool = False
    began: float = field(default_factory=time.perf_counter)
    process: int = field(default_factory=os.getpid)

    def __call__(self, config: DictConfig) -> ChunkResult | Outcome | Refused | float | None:
        """Run what the config asks for and store its rows in the job's output directory.

        Returns:
            for a chunk, what became of it; for a command of a single cell, its outcome, or the refusal that the cell
            raised (nothing is to be written); for a job of another sweeper, the number named by ``objective`` (over
            several rows, such as those of ``lambda=path``, the smallest), as Hydra's optimising sweepers expect.

        Raises:
            FailedCells: the single cell of another sweeper's job failed; its row is stored and says why.
        """
        hydra = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir)
        chunk = config.get("chunk")
        if chunk is None:
            return self._single(config, folder, hydra)
        content = directory.read_json(Path(hydra.sweep.dir) / chunk.plan)[chunk.block]
        experiment = experiment_named(str(content["experiment"]), self.sources)
        if os.getpid() != self.process and experiment.name in self.sources:
            _refuse_changed(experiment, chunk.get("code"))
        block = block_from_json(content, experiment)
        return run_chunk(block, positions_of(str(chunk.cells)), folder, chunk.get("failure"), self.command)

    def _single(self, config: DictConfig, folder: Path, hydra: Any) -> Outcome | Refused | float | None:
        started = record.now()
        experiment, alone = experiment_named(str(config.experiment), self.sources), hydra.mode == RunMode.RUN
        block = single_block(config, tuple(hydra.overrides.task), experiment)
        ran = run_cells(experiment, block.cells(ALONE), block.ids(ALONE), shown=True)
        if alone and any(failure.refused for failure in ran.failures.values()):
            return Refused(ran.failures[0].message)
        rows = ran.columns
        causes = kept(ran, block, ALONE, folder, self.command)
        shards.write_shard(folder, rows)
        if alone or hydra.job.num == 0:  # a sweep of Hydra's own sweepers keeps one record, that of its first job
            with record.Commit() as commit:
                codes = {experiment.name: code_of(experiment)}
                run = record.describe(self.command, [block], codes, started, commit)
            record.append(folder if alone else Path(hydra.sweep.dir), run)
            if alone:
                record.close(folder, {"cells": 1, "ran": 1, "failed": int(rows["error_type"].null_count == 0)})
        lines = tuple(f"the cell failed: {kind}: {text}" for kind, text in causes)
        if alone:
            return Outcome(folder, 1, 1, len(lines), lines, tuple(_report(rows, folder, failed=bool(lines))))
        if lines:
            raise FailedCells("; ".join(lines))
        return objective(config, block, rows)


_own_code: dict[int, str | None] = {}  # what this process has loaded, by the experiment's identity


def _refuse_changed(experiment: Experiment, code: str | None) -> None:
    """Refuse to run other code than the command has seen: a file was edited before this process loaded it.

    Raises:
        Hw6Error: what to do.
    """
    if id(experiment) not in _own_code:
        _own_code[id(experiment)] = code_of(experiment).digest
    if code is not None and _own_code[id(experiment)] != code:
        raise Hw6Error(f"the code of {experiment.name} has changed since the sweep began; run the sweep again")


def run_chunk(
    block: Block,
    positions: np.ndarray,
    folder: Path,
    failure: str | None = None,
    command: record.Command = record.NOTHING,
) -> ChunkResult:
    """Run the cells at these positions of a block and write their rows into an existing directory.

    A chunk is one batch and one shard. Cells of an experiment that has no price are run in batches that grow with the
    measured speed, a shard each, so that an interruption costs seconds and not the chunk.

    Args:
        block: where the cells are.
        positions: which of them.
        folder: the job's directory.
        failure: what killed the processes that tried this chunk of one cell: its row says so, the cell is not run.
        command: what was typed, for how a cell that fails is run alone.

    Raises:
        StoreFailed: the rows cannot be written.
    """
    failures: dict[tuple[str, str], tuple[int, Sequence[str]]] = {}
    size = len(positions)
    if failure is None and not np.any(numbers_of(block.experiment, "price", block.cells(positions))):
        size = FIRST_BATCH
    start = 0
    while start < len(positions):
        began = time.perf_counter()
        batch = positions[start : start + size]
        cells, ids = block.cells(batch), block.ids(batch)
        ran = (
            run_cells(block.experiment, cells, ids)
            if failure is None
            else failed_cells(block.experiment, cells, ids, WorkerDied(failure))
        )
        batch = batch[: ran.cells]
        try:
            causes = kept(ran, block, batch, folder, command)
            shards.write_shard(folder, ran.columns)
        except OSError as error:
            raise directory.StoreFailed(f"rows cannot be written ({error.strerror})") from error
        for cause, (count, example) in causes.items():
            before, first = failures.get(cause, (0, example))
            failures[cause] = (before + count, first)
        start += len(batch)
        speed = len(batch) / max(time.perf_counter() - began, 1e-9)
        size = max(1, int(min(speed * BATCH_SECONDS, size * FASTEST_GROWTH)))
    return ChunkResult(len(positions), failures)


def stored_result(
    folder: Path, block: Block, positions: np.ndarray, command: record.Command = record.NOTHING
) -> ChunkResult | None:
    """What a job that did not report came to, from its directory; None where rows of its cells are missing.

    Args:
        folder: the job's directory.
        block, positions: its cells.
        command: what was typed.
    """
    wanted: set[bytes] = set(block.ids(positions).tolist())
    failures: dict[tuple[str, str], tuple[int, Sequence[str]]] = {}
    for path in shards.shards_in(folder):
        with suppress(directory.BadRecord, shards.DamagedShard):
            table = shards.read_shard(path, ["cell_id", "error_type", "error_message"])
            wanted -= set(shards.text_array(table["cell_id"]).tolist())
            rows = {name: table[name].combine_chunks() for name in table.column_names}
            failures.update(stored_causes(rows, block, positions, command))
    return None if wanted else ChunkResult(len(positions), failures)


def objective(config: DictConfig, block: Block, rows: Mapping[str, pa.Array]) -> float | None:
    """The number that a job returns; None for an experiment without metrics."""
    name = str(config.get("objective", "auto"))
    name = (block.experiment.objective or "") if name == "auto" else name
    values = [value for value in rows[name].to_pylist() if value is not None] if name in rows else []
    return min(values) if values else None


def _report(rows: Mapping[str, pa.Array], folder: Path, *, failed: bool) -> Iterator[str]:
    """The rows of a single run, a column a line, and where they are."""
    count = len(rows["cell_id"])
    width = max(len(name) for name in rows)
    for name, values in rows.items():
        if values.null_count < count:
            cells = values.to_pylist()
            text = "  ".join(_text(value) for value in cells[:6]) + (f"  ... {count} rows" if count > 6 else "")
            yield f"{name:<{width}}  {text}"
    yield f"1 cell: {short(folder)}"
    yield f"next: python -m hw6.{'status --failures' if failed else 'aggregate'} {pasted(folder)}"


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
