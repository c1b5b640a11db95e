"""What a Hydra job of hw6 does: a chunk of a sweep, or the one cell of its config.

It stands in a module of its own so that every engine can find it by name in another process.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Mapping
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
from hw6.contract.registry import experiment_named
from hw6.engines.contract import WorkerDied
from hw6.errors import FailedCells, show
from hw6.plan.plan import Block
from hw6.plan.text import block_from_json, block_to_json, positions_of
from hw6.running.cells import failed_cells, run_cells
from hw6.running.outcome import Outcome
from hw6.store import directory, record, shards
from hw6.words import pasted, quoted, short

FIRST_BATCH, FASTEST_GROWTH = 64, 1000  # cells of an experiment without a price; how much more the next batch may be
BATCH_SECONDS = 5.0  # of a batch of such cells
ALONE = np.zeros(1, dtype=np.int64)  # the position of the one cell of a single block

Causes = Mapping[tuple[str, str], tuple[int, str]]


@dataclass(frozen=True)
class ChunkResult:
    """What a job says of its chunk.

    Attributes:
        cells: cells that it ran.
        failures: (exception type, message) -> number of cells and the overrides that reproduce one of them.
    """

    cells: int
    failures: Causes = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """The task function of a command: it travels with every job, and carries what was typed.

    Attributes:
        command: what was typed, for the record.
        quiet: print nothing.
        began: when the command began, on the clock of ``time.perf_counter``.
    """

    command: record.Command = record.NOTHING
    quiet: bool = False
    began: float = field(default_factory=time.perf_counter)

    def __call__(self, config: DictConfig) -> ChunkResult | Outcome | float | None:
        """Run what the config asks for and store its rows in the job's output directory.

        Returns:
            for a chunk, what became of it; for a command of a single cell, its outcome; for a job of another sweeper,
            the number named by ``objective`` (over several rows, such as those of ``lambda=path``, the smallest), as
            Hydra's optimising sweepers expect.

        Raises:
            FailedCells: the single cell of another sweeper's job failed; its row is stored and says why.
        """
        hydra = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir)
        chunk = config.get("chunk")
        if chunk is None:
            return self._single(config, folder, hydra)
        content = directory.read_json(Path(hydra.sweep.dir) / chunk.plan)[chunk.block]
        block = block_from_json(content, experiment_named(str(content["experiment"])))
        return run_chunk(block, positions_of(str(chunk.cells)), folder, chunk.get("failure"))

    def _single(self, config: DictConfig, folder: Path, hydra: Any) -> Outcome | float | None:
        started = record.now()
        block = single_block(config, tuple(hydra.overrides.task), experiment_named(str(config.experiment)))
        rows = run_cells(block.experiment, block.cells(ALONE), block.ids(ALONE))
        shards.write_shard(folder, rows)
        alone = hydra.mode == RunMode.RUN
        if alone or hydra.job.num == 0:  # a sweep of Hydra's own sweepers keeps one record, that of its first job
            with record.Commit() as commit:
                run = record.describe(self.command, [block_to_json(block)], started, commit)
            record.append(folder if alone else Path(hydra.sweep.dir), run)
            if alone:
                record.close(folder, {"cells": 1, "ran": 1, "failed": int(rows["error_type"].null_count == 0)})
        lines = tuple(f"the cell failed: {kind}: {text}" for kind, text in _failures(rows, block, ALONE))
        if alone:
            return Outcome(folder, 1, 1, len(lines), lines, tuple(_report(rows, folder)))
        if lines:
            raise FailedCells("; ".join(lines))
        return objective(config, block, rows)


def run_chunk(block: Block, positions: np.ndarray, folder: Path, failure: str | None = None) -> ChunkResult:
    """Run the cells at these positions of a block and write their rows into an existing directory.

    A chunk is one batch and one shard. Cells of an experiment that has no price are run in batches that grow with the
    measured speed, a shard each, so that an interruption costs seconds and not the chunk.

    Args:
        block: where the cells are.
        positions: which of them.
        folder: the job's directory.
        failure: what killed the processes that tried this chunk of one cell: its row says so, the cell is not run.

    Raises:
        StoreFailed: the rows cannot be written.
    """
    failures: dict[tuple[str, str], tuple[int, str]] = {}
    size = len(positions)
    if failure is None and not np.any(numbers_of(block.experiment, "price", block.cells(positions))):
        size = FIRST_BATCH
    start = 0
    while start < len(positions):
        began = time.perf_counter()
        batch = positions[start : start + size]
        cells, ids = block.cells(batch), block.ids(batch)
        rows = (
            run_cells(block.experiment, cells, ids)
            if failure is None
            else failed_cells(block.experiment, cells, ids, WorkerDied(failure))
        )
        try:
            shards.write_shard(folder, rows)
        except OSError as error:
            raise directory.StoreFailed(f"rows cannot be written ({error.strerror})") from error
        for cause, (count, example) in _failures(rows, block, batch).items():
            before, first = failures.get(cause, (0, example))
            failures[cause] = (before + count, first)
        start += len(batch)
        speed = len(batch) / max(time.perf_counter() - began, 1e-9)
        size = max(1, int(min(speed * BATCH_SECONDS, size * FASTEST_GROWTH)))
    return ChunkResult(len(positions), failures)


def stored_result(folder: Path, block: Block, positions: np.ndarray) -> ChunkResult | None:
    """What a job that did not report came to, from its directory; None where rows of its cells are missing.

    Args:
        folder: the job's directory.
        block, positions: its cells.
    """
    wanted: set[bytes] = set(block.ids(positions).tolist())
    failures: dict[tuple[str, str], tuple[int, str]] = {}
    for path in shards.shards_in(folder):
        with suppress(directory.BadRecord, shards.DamagedShard):
            table = shards.read_shard(path, ["cell_id", "error_type", "error_message"])
            wanted -= set(shards.text_array(table["cell_id"]).tolist())
            rows = {name: table[name].combine_chunks() for name in table.column_names}
            failures.update(_failures(rows, block, positions))
    return None if wanted else ChunkResult(len(positions), failures)


def _failures(rows: dict[str, pa.Array], block: Block, positions: np.ndarray) -> Causes:
    """The failed cells among rows by their cause; ``positions`` are those of the cells, and maybe of others."""
    kinds, messages = rows["error_type"], rows["error_message"]
    if kinds.null_count == len(kinds):
        return {}
    found: dict[tuple[str, str], tuple[int, str]] = {}
    places = dict(zip(block.ids(positions).astype(str).tolist(), positions.tolist(), strict=True))
    columns = (kinds.to_pylist(), messages.to_pylist(), rows["cell_id"].to_pylist())
    for kind, message, cell in zip(*columns, strict=True):
        if kind is not None:
            count, example = found.get((kind, message), (0, ""))
            found[kind, message] = (count + 1, example or _overrides(block, places[cell]))
    return found


def _overrides(block: Block, position: int) -> str:
    """The overrides that run one cell alone, ready for the shell."""
    cells = block.cells(np.array([position]))
    swept = [axis.key for axis in block.axes]
    chosen = [text for text in block.overrides if text.startswith("experiment=")]
    own = [] if chosen else [f"experiment={block.experiment.name}"]
    return shlex.join([*own, *block.overrides, *(f"{key}={_grammar(cells[key][0])}" for key in swept)])


def _grammar(value: object) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        return quoted(value)
    return show(value.item() if isinstance(value, np.generic) else value)


def objective(config: DictConfig, block: Block, rows: dict[str, pa.Array]) -> float | None:
    """The number that a job returns; None for an experiment without metrics."""
    name = str(config.get("objective", "auto"))
    name = (block.experiment.objective or "") if name == "auto" else name
    values = [value for value in rows[name].to_pylist() if value is not None] if name in rows else []
    return min(values) if values else None


def _report(rows: dict[str, pa.Array], folder: Path) -> Iterator[str]:
    """The rows of a single run, a column a line, and where they are."""
    count = len(rows["cell_id"])
    width = max(len(name) for name in rows)
    for name, values in rows.items():
        if values.null_count < count:
            cells = values.to_pylist()
            text = "  ".join(_text(value) for value in cells[:6]) + (f"  ... {count} rows" if count > 6 else "")
            yield f"{name:<{width}}  {text}"
    yield f"1 cell: {short(folder)}"
    yield f"next: python -m hw6.aggregate {pasted(folder)}"


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
