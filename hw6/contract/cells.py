"""Columns of cells: numbers, places, distinct values, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hw6.contract.experiment import Cells

MOST_LINES = 10  # of one kind of mistake: a million bad widths are not a million lines


def once(column: np.ndarray) -> np.ndarray:
    """A column, or its one value where it is a broadcast constant: checked once, however many cells there are."""
    return column[:1] if column.strides == (0,) else column


def numbers(cells: Cells, *keys: str) -> list[np.ndarray]:
    """Columns of numbers; nan where a cell has no such key."""
    columns = []
    for key in keys:
        column = once(cells[key]) if key in cells else np.array([np.nan])
        if column.dtype == object:
            column = np.array([np.nan if value is None else value for value in column.tolist()])
        columns.append(column)
    return columns


def where_is(cells: Cells, key: str, value: object) -> np.ndarray:
    """Where a column has this value; all False where no cell has the key."""
    return np.asarray(once(cells[key]) == value) if key in cells else np.array([False])


def distinct(wrong: np.ndarray, *columns: np.ndarray) -> list[tuple[Any, ...]]:
    """The distinct values of these columns where ``wrong``, the first MOST_LINES of them."""
    if not wrong.any():
        return []
    wrong, *spread = np.broadcast_arrays(wrong, *columns)
    return sorted(set(zip(*(column[wrong].tolist() for column in spread), strict=True)))[:MOST_LINES]


def other_than(cells: Cells, key: str, value: str) -> str:
    """The first value of a key that is not this one."""
    return next(str(name) for name in once(cells[key]).tolist() if name != value)


def plain(value: float) -> float | int:
    """1.0 as 1: what the user typed."""
    return int(value) if value == int(value) else value


def codes(cells: Cells, keys: Sequence[str]) -> np.ndarray:
    """For each cell a number, equal for equal values of these keys, rising from 0; shape (1,) if all are constant."""
    code = np.zeros(1, dtype=np.int64)
    for key in keys:
        column = once(cells[key])
        if len(column) > 1:
            values = column if column.dtype != object else np.array([str(value) for value in column.tolist()])
            _, index = np.unique(values, return_inverse=True)
            _, code = np.unique(code * (index.max() + 1) + index, return_inverse=True)
    return code
