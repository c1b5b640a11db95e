"""What a Hydra job of hw6 does: a chunk of a sweep, or the one cell of its config.

It stands in a module of its own so that every launcher can find it by name in another process.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from hw6.errors import FailedCells, show
from hw6.experiments.registry import experiment_named
from hw6.sweep import provenance, store
from hw6.sweep.blocks import single_block
from hw6.sweep.conduct import ChunkResult, Outcome, commands, outcomes, quiet
from hw6.sweep.execute import failed_cells, run_cells
from hw6.sweep.grammar import quoted
from hw6.sweep.plan import Block, positions_of
from hw6.sweep.plan_text import block_from_json, block_to_json
from hw6.sweep.progress import short
from hw6.sweep.workers import WorkerDied

FIRST_BATCH, FASTEST_GROWTH = 64, 1000  # cells of an experiment without a price; how much more the next batch may be
BATCH_SECONDS = 5.0  # of a batch of such cells


def job(config: DictConfig) -> ChunkResult | float | None:
    """Run what the config asks for and store its rows in the job's output directory.

    Returns:
        for a chunk, what became of it; for a single cell, the number named by ``objective`` (over several rows, such
        as those of ``lambda=path``, the smallest), as Hydra's optimising sweepers expect.

    Raises:
        FailedCells: the single cell failed; its row is stored and says why.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    chunk = config.get("chunk")
    if chunk is not None:
        plan = store.read_json(Path(hydra.sweep.dir) / chunk.plan)
        block = block_from_json(plan[chunk.block])
        return run_chunk(block, positions_of(str(chunk.cells)), folder, chunk.get("failure"))
    return _run_single(config, folder, hydra)


def run_chunk(block: Block, positions: np.ndarray, folder: Path, failure: str | None = None) -> ChunkResult:
    """Run the cells at these positions of a block and write their rows into an existing directory.

    A chunk is one batch and one shard. Cells of an experiment that has no price are run in batches that grow with the
    measured speed, a shard each, so that an interruption costs seconds and not the chunk.

    Args:
        block: where the cells are.
        positions: which of them.
        folder: the job's directory.
        failure: what killed the workers that tried this chunk of one cell: its row says so and the cell is not run.

    Raises:
        StoreFailed: the rows cannot be written.
    """
    experiment = experiment_named(block.experiment)
    failures: dict[tuple[str, str], tuple[int, str]] = {}
    size = len(positions)
    if failure is None and not np.any(experiment.price(block.cells(positions))):
        size = FIRST_BATCH
    start = 0
    while start < len(positions):
        began = time.perf_counter()
        batch = positions[start : start + size]
        rows = _rows(block, batch) if failure is None else _failed_rows(block, batch, failure)
        try:
            store.write_shard(folder, rows)
        except OSError as error:
            raise store.StoreFailed(f"rows cannot be written ({error.strerror})") from error
        for cause, (count, example) in _failures(rows, block, batch).items():
            before, first = failures.get(cause, (0, example))
            failures[cause] = (before + count, first)
        start += len(batch)
        speed = len(batch) / max(time.perf_counter() - began, 1e-9)
        size = max(1, int(min(speed * BATCH_SECONDS, size * FASTEST_GROWTH)))
    return ChunkResult(len(positions), failures)


def _failed_rows(block: Block, positions: np.ndarray, failure: str) -> dict[str, pa.Array]:
    experiment = experiment_named(block.experiment)
    ids = block.ids(positions, experiment.keys, experiment.version)
    return failed_cells(experiment, block.cells(positions), ids, WorkerDied(failure))


def _rows(block: Block, positions: np.ndarray) -> dict[str, pa.Array]:
    experiment = experiment_named(block.experiment)
    ids = block.ids(positions, experiment.keys, experiment.version)
    return run_cells(experiment, block.cells(positions), ids)


def _failures(rows: dict[str, pa.Array], block: Block, positions: np.ndarray) -> dict[tuple[str, str], tuple[int, str]]:
    kinds, messages = rows["error_type"], rows["error_message"]
    if kinds.null_count == len(kinds):
        return {}
    found: dict[tuple[str, str], tuple[int, str]] = {}
    ids = rows["cell_id"].to_pylist()
    cells: Sequence[str] = list(dict.fromkeys(ids))
    for kind, message, cell in zip(kinds.to_pylist(), messages.to_pylist(), ids, strict=True):
        if kind is not None:
            count, example = found.get((kind, message), (0, ""))
            example = example or _overrides(block, int(positions[cells.index(cell)]))
            found[kind, message] = (count + 1, example)
    return found


def _overrides(block: Block, position: int) -> str:
    """The overrides that run one cell alone, ready for the shell."""
    cells = block.cells(np.array([position]))
    swept = [axis.key.lstrip("#") for axis in block.axes]
    values = {key: cells[key][0] for key in swept}
    return shlex.join([*block.overrides, *(f"{key}={_grammar(value)}" for key, value in values.items())])


def _grammar(value: object) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        return quoted(value)
    return show(value.item() if isinstance(value, np.generic) else value)


def _run_single(config: DictConfig, folder: Path, hydra: Any) -> float | None:
    started = provenance.now()
    block = single_block(config, tuple(hydra.overrides.task), experiment_named)
    rows = _rows(block, np.zeros(1, dtype=np.int64))
    store.write_shard(folder, rows)
    alone = hydra.mode == RunMode.RUN
    if alone or hydra.job.num == 0:  # a sweep of Hydra's own sweepers keeps one record, that of its first job
        command = commands.get() or provenance.Command((), ())
        with provenance.Commit() as commit:
            record = provenance.describe(command, [block_to_json(block)], started, commit)
        provenance.append(folder if alone else Path(hydra.sweep.dir), record)
        if alone:
            provenance.close(folder, {"cells": 1, "ran": 1, "failed": int(rows["error_type"].null_count == 0)})
    failures = _failures(rows, block, np.zeros(1, dtype=np.int64))
    if alone and not quiet.get():
        print_rows(rows, folder)
    lines = [f"the cell failed: {kind}: {message}" for kind, message in failures]
    if alone and (sink := outcomes.get()) is not None:  # Hydra would print lines of its own around an exception
        sink.append(Outcome(folder, 1, 1, len(failures), tuple(lines)))
    elif lines:
        raise FailedCells("; ".join(lines))
    return objective(config, rows)


def objective(config: DictConfig, rows: dict[str, pa.Array]) -> float | None:
    """The number that a job returns; None for an experiment without metrics."""
    name = str(config.get("objective", "auto"))
    name = (experiment_named(str(config.experiment)).objective or "") if name == "auto" else name
    values = [value for value in rows[name].to_pylist() if value is not None] if name in rows else []
    return min(values) if values else None


def print_rows(rows: dict[str, pa.Array], folder: Path) -> None:
    """Print the rows of a single run, a column a line, and where they are."""
    count = len(rows["cell_id"])
    width = max(len(name) for name in rows)
    for name, values in rows.items():
        if values.null_count < count:
            cells = values.to_pylist()
            text = "  ".join(_text(value) for value in cells[:6]) + (f"  ... {count} rows" if count > 6 else "")
            print(f"{name:<{width}}  {text}")
    print(f"1 cell: {short(folder)}")
    print(f"next: python -m hw6.aggregate {shlex.quote(short(folder))}")


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
