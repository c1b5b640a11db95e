"""A batch of cells -> their rows.

A cell that fails takes no other along: a batch that raises, or returns what cannot be rows, is run again in halves,
down to the cell at fault, whose one row says why. Since a row depends on its cell alone, the others keep their bits.
BLAS runs on one thread here: the cells are small, and parallel work is done by processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from hw6.contract.answers import BadRows, CellAnswers
from hw6.contract.experiment import Cells, Experiment
from hw6.contract.failure import Failure, Failures
from hw6.errors import described
from hw6.running.returned import checked, checked_answers, odd_ones
from hw6.running.surroundings import in_place, one_thread, printed_to_log
from hw6.store.columns import arrow_column, categories, constant_category, mask_of


@dataclass(frozen=True)
class Part:
    """The rows of some cells of a batch, or the failure of one.

    Attributes:
        cell: for each row, the position of its cell in the batch.
        columns: what ``rows`` gave, an entry a row.
        seconds: (rows,) wall time; cells that ran together share theirs.
        failure: why, where the part is the one row of a failed cell.
    """

    cell: np.ndarray
    columns: Mapping[str, np.ndarray]
    seconds: np.ndarray
    failure: Failure | None = None


@dataclass(frozen=True)
class Rows:
    """The rows of a batch of cells.

    Attributes:
        columns: identity, status, keys, metrics; an entry a row.
        cells: how many cells of the batch have run, from the first one on.
        failures: why cells failed, by the place of the cell in the batch.
    """

    columns: Mapping[str, pa.Array]
    cells: int
    failures: Mapping[int, Failure] = field(default_factory=dict)


def run_cells(experiment: Experiment, cells: Cells, ids: np.ndarray, *, shown: bool = False) -> Rows:
    """The rows of a batch of cells as Arrow columns; where cells take long, those of the first ones.

    Args:
        experiment: what to run.
        cells: a column a key, an entry a cell.
        ids: the cells' ids.
        shown: what cells print is shown as well, not only logged.

    Raises:
        KeyboardInterrupt: the only thing that an experiment can raise which is not a failed row.
    """
    with one_thread(), in_place(), printed_to_log(experiment.name, shown=shown):
        parts, count = _parts(experiment, cells, np.arange(len(ids)), Failures())
    some = {key: values[:count] for key, values in cells.items()}
    return _rows(experiment, some, ids[:count], _finite(experiment, _one_kind(parts)))


def failed_cells(experiment: Experiment, cells: Cells, ids: np.ndarray, error: BaseException) -> Rows:
    """The rows of cells that failed without being run here."""
    failure = Failure(*described(error))
    return _rows(experiment, cells, ids, [Part(np.array([i]), {}, np.zeros(1), failure) for i in range(len(ids))])


def _batch(cells: Cells, positions: np.ndarray) -> dict[str, np.ndarray]:
    """The cells at these positions for an experiment alone: nothing that it does to them reaches the keys of rows."""
    whole = len(positions) == len(next(iter(cells.values())))
    batch = {}
    for key, values in cells.items():
        if values.strides == (0,):  # a constant: one value, however many cells
            batch[key] = np.broadcast_to(values[:1].copy(), positions.shape)
        else:
            batch[key] = values.copy() if whole else values[positions]
            batch[key].flags.writeable = False
    return batch


def _parts(experiment: Experiment, cells: Cells, positions: np.ndarray, failures: Failures) -> tuple[list[Part], int]:
    """The parts of the cells at these positions, and how many of them have run."""
    started = time.perf_counter()
    try:
        returned = experiment.rows(_batch(cells, positions))
        if isinstance(returned, CellAnswers):
            count = min(max(len(returned.rows), 1), len(positions))
            return list(_answered(experiment, returned, positions[:count])), count
        cell, columns = checked(experiment, returned, len(positions))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a cell raises, SystemExit too, is its own row's failure
        if len(positions) == 1:
            return [Part(positions, {}, np.array([time.perf_counter() - started]), failures.of(error))], 1
        middle = len(positions) // 2
        halves = [_all_parts(experiment, cells, half, failures) for half in (positions[:middle], positions[middle:])]
        return [part for parts in halves for part in parts], len(positions)
    rows = positions if cell is None else positions[cell]
    each = (time.perf_counter() - started) / len(positions)
    seconds = np.full(len(rows), each) if cell is None else each / np.bincount(cell)[cell]
    return [Part(rows, columns, seconds)], len(positions)


def _all_parts(experiment: Experiment, cells: Cells, positions: np.ndarray, failures: Failures) -> list[Part]:
    parts: list[Part] = []
    while len(positions):
        some, count = _parts(experiment, cells, positions, failures)
        parts, positions = parts + some, positions[count:]
    return parts


def _answered(experiment: Experiment, answers: CellAnswers, positions: np.ndarray) -> Iterator[Part]:
    """The parts of cells that answered one by one."""
    for places, cell, found in checked_answers(experiment, answers, len(positions)):
        own = answers.seconds[places]
        if isinstance(found, Failure):
            yield Part(positions[places], {}, own, found)
        else:
            yield Part(positions[places][cell], found, (own / np.bincount(cell))[cell])


def _one_kind(parts: Sequence[Part]) -> list[Part]:
    """Parts in which no metric is a truth value here and a number there: the rarer kind is a failure."""
    if len(parts) == 1:
        return list(parts)
    names = dict.fromkeys(name for part in parts for name in part.columns)
    found = list(parts)
    for name in names:
        odd = odd_ones((_kind(part, name), len(part.cell)) for part in parts if _kind(part, name))
        if odd is not None:
            text = f"{name} is {_KINDS[odd]} here and {_KINDS['nb'.replace(odd, '')]} in most other cells"
            found = [
                failure
                for part in found
                for failure in ([part] if _kind(part, name) != odd else _failed(part, Failure(BadRows.__name__, text)))
            ]
    return found


_KINDS = {"n": "a number", "b": "a truth value"}


def _kind(part: Part, name: str) -> str:
    values = part.columns.get(name)
    return "" if values is None or values.dtype.kind == "O" else "b" if values.dtype.kind == "b" else "n"


def _failed(part: Part, failure: Failure) -> list[Part]:
    return [Part(np.array([cell]), {}, np.array([seconds]), failure) for cell, seconds in _seconds(part).items()]


def _seconds(part: Part) -> dict[int, float]:
    """The wall time of each cell of a part."""
    cells, index = np.unique(part.cell, return_inverse=True)
    return dict(zip(cells.tolist(), np.bincount(index, weights=part.seconds).tolist(), strict=True))


def _finite(experiment: Experiment, parts: Sequence[Part]) -> list[Part]:
    """Parts in which every number is finite; a cell with another one has failed, whatever its other rows hold."""
    return list(parts) if not experiment.finite else [one for part in parts for one in _without_infinite(part)]


def _without_infinite(part: Part) -> Iterator[Part]:
    causes: dict[int, Failure] = {}
    for name, values in part.columns.items():
        if values.dtype.kind == "f":
            mask = mask_of(values)
            bad = ~np.isfinite(values if mask is None else np.ma.getdata(values))
            bad = bad if mask is None else bad & ~mask
            for row in np.flatnonzero(bad).tolist():
                causes.setdefault(int(part.cell[row]), Failure("NonFiniteResult", f"{name} is {values[row]}"))
    if not causes:
        yield part
        return
    seconds = _seconds(part)
    keep = ~np.isin(part.cell, list(causes))
    if keep.any():
        columns = {name: values[keep] for name, values in part.columns.items()}
        yield replace(part, cell=part.cell[keep], columns=columns, seconds=part.seconds[keep])
    for cell, failure in causes.items():
        yield Part(np.array([cell]), {}, np.array([seconds[cell]]), failure)


def _rows(experiment: Experiment, cells: Cells, ids: np.ndarray, parts: Sequence[Part]) -> Rows:
    cell = np.concatenate([part.cell for part in parts])
    order = np.argsort(cell, kind="stable")
    given = _joined_columns(experiment, parts, order)
    seconds = np.concatenate([part.seconds for part in parts])[order]
    cell = cell[order]
    rows: dict[str, pa.Array] = {
        "cell_id": arrow_column(ids[cell]),
        "experiment": constant_category(experiment.name, len(cell)),
        **_status(parts, order),
        "seconds": arrow_column(seconds),
    }
    whole = len(cell) == len(ids) and np.array_equal(cell, np.arange(len(ids)))
    for key, values in cells.items():
        resolved = given.pop(key, None)
        rows[key] = (
            _key_column(values, None if whole else cell, len(cell)) if resolved is None else arrow_column(resolved)
        )
    failures = {int(part.cell[0]): part.failure for part in parts if part.failure is not None}
    return Rows(rows | {name: arrow_column(values) for name, values in given.items()}, len(ids), failures)


def _key_column(values: np.ndarray, cell: np.ndarray | None, count: int) -> pa.Array:
    if values.dtype == object and values.strides == (0,) and (values[0] is None or isinstance(values[0], str)):
        return constant_category(values[0], count)
    return arrow_column(values if cell is None else values[cell])


def _joined_columns(experiment: Experiment, parts: Sequence[Part], order: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of all parts in the order of the cells; masked where a part has none."""
    names = dict.fromkeys([*experiment.metrics, *(name for part in parts for name in part.columns)])
    columns: dict[str, np.ndarray] = {}
    for name in names:
        like = next((part.columns[name] for part in parts if name in part.columns), None)
        if like is None:
            continue
        pieces = [part.columns[name] if name in part.columns else _absent(len(part.cell), like.dtype) for part in parts]
        joined = pieces[0] if len(pieces) == 1 else _joined(pieces)
        columns[name] = joined if len(parts) == 1 and np.array_equal(order, np.arange(len(order))) else joined[order]
    return columns


def _absent(count: int, dtype: np.dtype[Any]) -> np.ndarray:
    if dtype.kind == "O":
        return np.full(count, None, dtype=object)
    return np.ma.MaskedArray(np.zeros(count, dtype=dtype), mask=np.ones(count, dtype=bool))


def _joined(pieces: Sequence[np.ndarray]) -> np.ndarray:
    data = np.concatenate([np.ma.getdata(piece) for piece in pieces])
    return np.ma.MaskedArray(data, mask=np.concatenate([np.ma.getmaskarray(piece) for piece in pieces]))


def _status(parts: Sequence[Part], order: np.ndarray) -> dict[str, pa.Array]:
    errors: list[Failure | None] = []
    if any(part.failure is not None for part in parts):
        unordered = [part.failure for part in parts for _ in range(len(part.cell))]
        errors = [unordered[row] for row in order.tolist()]
    if not errors:
        return {
            "status": constant_category("done", len(order)),
            "error_type": constant_category(None, len(order)),
            "error_message": constant_category(None, len(order)),
        }
    return {
        "status": categories("done" if error is None else "failed" for error in errors),
        "error_type": categories(None if error is None else error.kind for error in errors),
        "error_message": categories(None if error is None else error.message for error in errors),
    }
