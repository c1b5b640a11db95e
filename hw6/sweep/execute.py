"""One chunk of cells -> its rows.

A cell that fails takes no other along: a batch that raises is run again in halves, down to the cell at fault, whose row
says why. Since a row depends on its cell alone, the others keep their bits. BLAS runs on one thread here: the cells are
small, and parallel work is done by processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from hw6.sweep.contract import Cells, Experiment
from hw6.sweep.store import arrow_column, categories, constant_category, mask_of


@dataclass(frozen=True)
class Part:
    """The rows of some cells of a batch, or the failure of one.

    Attributes:
        cell: for each row, the position of its cell in the batch.
        columns: metrics, an entry a row.
        seconds: wall time of the part.
        error: the exception, where the part is one failed cell.
    """

    cell: np.ndarray
    columns: Mapping[str, np.ndarray]
    seconds: float
    error: BaseException | None = None


def run_cells(experiment: Experiment, cells: Cells, ids: np.ndarray) -> dict[str, pa.Array]:
    """The rows of a batch of cells as Arrow columns: identity, status, keys, metrics.

    Args:
        experiment: what to run.
        cells: a column a key, an entry a cell.
        ids: the cells' ids.
    """
    with threadpool_limits(limits=1):
        parts = list(_parts(experiment, cells, np.arange(len(ids))))
    return _columns(experiment, cells, ids, parts)


def failed_cells(experiment: Experiment, cells: Cells, ids: np.ndarray, error: BaseException) -> dict[str, pa.Array]:
    """The rows of cells that failed without being run here."""
    return _columns(experiment, cells, ids, [Part(np.array([i]), {}, 0.0, error) for i in range(len(ids))])


def _columns(experiment: Experiment, cells: Cells, ids: np.ndarray, parts: Sequence[Part]) -> dict[str, pa.Array]:
    cell = np.concatenate([part.cell for part in parts])
    order = np.argsort(cell, kind="stable")
    metrics = _metrics(experiment, parts, order)
    errors = _errors(parts, metrics, order)
    seconds = np.concatenate([np.full(len(p.cell), p.seconds / max(len(p.cell), 1)) for p in parts])[order]
    cell = cell[order]
    rows: dict[str, pa.Array] = {
        "cell_id": arrow_column(ids[cell]),
        "experiment": constant_category(experiment.name, len(cell)),
        **_status(errors, len(cell)),
        "seconds": arrow_column(metrics.pop("seconds", seconds)),
    }
    whole = len(cell) == len(ids) and np.array_equal(cell, np.arange(len(ids)))
    for key, values in cells.items():
        if key not in rows and key not in experiment.metrics:  # a switch for a metric has the metric's name
            rows[key] = _key_column(values, None if whole else cell, len(cell))
    return rows | {name: arrow_column(values) for name, values in metrics.items()}


def _key_column(values: np.ndarray, cell: np.ndarray | None, count: int) -> pa.Array:
    if values.dtype == object and values.strides == (0,) and (values[0] is None or isinstance(values[0], str)):
        return constant_category(values[0], count)
    return arrow_column(values if cell is None else values[cell])


def _parts(experiment: Experiment, cells: Cells, positions: np.ndarray) -> Iterator[Part]:
    started = time.perf_counter()
    batch = {key: values[positions] if len(positions) < len(values) else values for key, values in cells.items()}
    try:
        columns = dict(experiment.rows(batch))
        cell = columns.pop("cell", None)
        rows = positions if cell is None else positions[cell]
        for name, values in columns.items():
            if len(values) != len(rows):
                raise ValueError(f"{experiment.name} gives {len(values)} entries of {name} for {len(rows)} rows")
    except Exception as error:  # whatever a cell raises is its own row's failure
        if len(positions) == 1:
            yield Part(positions, {}, time.perf_counter() - started, error)
            return
        middle = len(positions) // 2
        yield from _parts(experiment, cells, positions[:middle])
        yield from _parts(experiment, cells, positions[middle:])
        return
    yield Part(rows, columns, time.perf_counter() - started)


def _metrics(experiment: Experiment, parts: Sequence[Part], order: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of all parts in the order of the cells; masked where a part has none."""
    names = list(dict.fromkeys([*experiment.metrics, *(name for part in parts for name in part.columns)]))
    metrics: dict[str, np.ndarray] = {}
    for name in names:
        if all(name not in part.columns for part in parts):
            continue
        like = next(part.columns[name] for part in parts if name in part.columns)
        pieces = [part.columns[name] if name in part.columns else _absent(len(part.cell), like.dtype) for part in parts]
        joined = pieces[0] if len(pieces) == 1 else _joined(pieces)
        metrics[name] = joined if len(parts) == 1 and _rising(order) else joined[order]
    return metrics


def _absent(count: int, dtype: np.dtype[Any]) -> np.ndarray:
    return np.ma.MaskedArray(np.zeros(count, dtype=dtype), mask=np.ones(count, dtype=bool))


def _joined(pieces: Sequence[np.ndarray]) -> np.ndarray:
    data = np.concatenate([np.ma.getdata(piece) for piece in pieces])
    return np.ma.MaskedArray(data, mask=np.concatenate([np.ma.getmaskarray(piece) for piece in pieces]))


def _rising(order: np.ndarray) -> bool:
    return bool(np.array_equal(order, np.arange(len(order))))


def _errors(parts: Sequence[Part], metrics: Mapping[str, np.ndarray], order: np.ndarray) -> dict[int, tuple[str, str]]:
    """Row -> (type, message) of what failed: the cell raised, or one of its numbers is not finite."""
    errors: dict[int, tuple[str, str]] = {}
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    row = 0
    for part in parts:
        if part.error is not None:
            text = str(part.error).strip() or "no message"
            errors[int(place[row])] = (type(part.error).__name__, text.splitlines()[0])
        row += len(part.cell)
    for name, values in metrics.items():
        if values.dtype.kind == "f":
            mask = mask_of(values)
            bad = ~np.isfinite(values if mask is None else np.ma.getdata(values))
            bad = bad if mask is None else bad & ~mask
            for index in np.flatnonzero(bad).tolist():
                errors.setdefault(index, ("NonFiniteResult", f"{name} is {values[index]}"))
    return errors


def _status(errors: Mapping[int, tuple[str, str]], count: int) -> dict[str, pa.Array]:
    if not errors:
        return {
            "status": constant_category("done", count),
            "error_type": constant_category(None, count),
            "error_message": constant_category(None, count),
        }
    rows = range(count)
    return {
        "status": categories("failed" if row in errors else "done" for row in rows),
        "error_type": categories(errors[row][0] if row in errors else None for row in rows),
        "error_message": categories(errors[row][1] if row in errors else None for row in rows),
    }
