"""What a function of one cell answers: one row, several rows, or columns; made plain the moment it comes.

    {"error": 0.3}                                one row
    [{"layer": 1, "norm": 0.2}, {"layer": 2, ...}]   several rows; a generator of rows will do
    {"layer": [1, 2], "norm": array}              the same as columns; a single value stands for all rows

Plain means copied: an answer that the function changes afterwards, or gives again for the next cell, is no business of
the row that it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hw6.contract.failure import Failure
from hw6.contract.metrics import Counts

SCALARS = frozenset({int, float, bool, str, type(None), np.float64, np.float32, np.int64, np.int32, np.bool_})
Row = dict[str, Any]


class BadRows(ValueError):
    """What an experiment returned cannot be the rows of its cells; the message says why."""


@dataclass(frozen=True)
class CellAnswers:
    """What ``rows`` may return instead of columns: the answer of each cell by itself.

    It may stop after the first cells, at least one, so that what is finished is stored: the others are asked again.

    Attributes:
        rows: for each of these cells its rows, or why it has none.
        seconds: (cells,) wall time of each.
    """

    rows: Sequence[Sequence[Row] | Failure]
    seconds: np.ndarray


def rows_of_answer(answer: Any, metrics: Mapping[str, str], example: str) -> list[Row]:
    """The rows of one cell.

    Args:
        answer: what its function returned.
        metrics: the experiment's metrics.
        example: what a function should return, for the message.

    Raises:
        BadRows: it is none of the forms above, or lacks a metric.
    """
    if type(answer) is dict and answer.keys() == metrics.keys() and SCALARS.issuperset(map(type, answer.values())):
        return [dict(answer)]
    if hasattr(answer, "keys") and hasattr(answer, "__getitem__"):  # a mapping, or a pandas frame
        if len(set(answer.keys())) < len(answer.keys()):
            raise BadRows("it returned several columns of one name")
        return _unfolded({name: answer[name] for name in answer.keys()}, metrics, example)  # noqa: SIM118 - frames too
    if answer is None or isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
        what = "nothing" if answer is None else f"{type(answer).__name__} {answer!r:.40}"
        raise BadRows(f"it returned {what}: write return {example}")
    rows: list[Row] = []
    for row in answer:
        if not isinstance(row, Mapping):
            raise BadRows(f"it returned a list of {type(row).__name__}, not of rows such as {example}")
        rows.append({name: _plain(value, metrics.get(name, "")) for name, value in row.items()})
        _check_names(rows[-1], metrics, example)
    if not rows:
        raise BadRows("it returned no row")
    return rows


def _unfolded(answer: Mapping[str, Any], metrics: Mapping[str, str], example: str) -> list[Row]:
    """A mapping as rows: several, where a value is a column."""
    _check_names(answer, metrics, example)
    lengths = {name: _length(value, metrics[name]) for name, value in answer.items()}
    columns = {name: length for name, length in lengths.items() if length is not None}
    if not columns:
        return [{name: _plain(value, metrics[name]) for name, value in answer.items()}]
    if len(set(columns.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in columns.items())
        raise BadRows(f"its columns have several lengths: {told}")
    count = next(iter(columns.values()))
    if not count:
        raise BadRows("it returned no row")
    spread = {
        name: [_plain(entry, metrics[name]) for entry in _entries(value)]
        if name in columns
        else [_plain(value, metrics[name])] * count
        for name, value in answer.items()
    }
    return [{name: values[row] for name, values in spread.items()} for row in range(count)]


def _check_names(row: Mapping[str, Any], metrics: Mapping[str, str], example: str) -> None:
    for name in row:
        if name not in metrics:
            listed = ", ".join(metrics) or "there are none"
            raise BadRows(f"{name} is no metric; the metrics are {listed}")
    for name in metrics:
        if name not in row:
            raise BadRows(f"it returned no {name} (None where it does not apply): write return {example}")


def _length(value: Any, kind: str) -> int | None:
    """The number of rows that a value of a mapping stands for, None where it is a single one."""
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__len__") or not hasattr(value, "__getitem__"):
        return None
    if getattr(value, "ndim", 1) == 0:  # an array of no dimension is a number
        return None
    if isinstance(kind, Counts):  # one histogram is a list itself
        first = next(iter(value), None)
        if first is None or not (hasattr(first, "__len__") and getattr(first, "ndim", 1) != 0):
            return None
    return len(value)


def _entries(value: Any) -> list[Any]:
    """The entries of a column as plain values where it can say them itself, copied in any case."""
    return list(value.tolist()) if hasattr(value, "tolist") and not _is_time(value) else list(value)


def _plain(value: Any, kind: str) -> Any:
    """A value of its own: numbers of other libraries (a tensor without dimensions) as Python's."""
    if type(value) in SCALARS:
        return value
    if isinstance(kind, Counts) and value is not None:
        return np.array(value) if isinstance(value, (list, tuple, np.ndarray)) else value
    if isinstance(value, np.ma.MaskedArray) and value.ndim == 0 and np.ma.is_masked(value):
        return None
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and not _is_time(value):
        return value.item()
    return value


def _is_time(value: Any) -> bool:
    """Whether NumPy would say a time as a whole number."""
    return getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M")
