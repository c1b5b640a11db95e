"""Columns as codes: whole numbers that stand for their sorted distinct values, so that rows are grouped by integers.

pandas is not imported here: a column brings its own methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hw6.errors import show

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Column:
    """One column as codes.

    Attributes:
        key: its name.
        numeric: whether its values are numbers; otherwise they are text.
        values: (k,) the distinct values, sorted.
        codes: (rows,) the position of each row's value; -1 where it has none.
    """

    key: str
    numeric: bool
    values: np.ndarray
    codes: np.ndarray

    @property
    def swept(self) -> bool:
        """More than one value."""
        return len(self.values) > 1

    @property
    def log(self) -> bool:
        """Whether the values are spread evenly by ratio rather than by difference: 0.01, 0.1, 1 but not 1, 11, 21."""
        v = self.values
        if not self.numeric or len(v) < 3 or v[0] <= 0 or v[-1] < 20 * v[0]:
            return False
        steps, ratios = np.diff(v), np.diff(np.log(v))
        return bool(np.std(ratios) / np.mean(ratios) < np.std(steps) / np.mean(steps))

    @property
    def positions(self) -> np.ndarray:
        """Where each value stands on an axis, (k,): numbers at themselves, texts at 0, 1, ..."""
        return self.values if self.numeric else np.arange(len(self.values), dtype=np.float64)


def column(series: pd.Series[Any], key: str) -> Column:
    """A column of a frame as codes."""
    if series.dtype.kind in "iuf":
        codes, values = series.factorize(sort=True)
        return Column(key, True, np.asarray(values, dtype=np.float64), np.asarray(codes))
    try:
        codes, values = series.factorize()
    except TypeError:  # lists, as the widths of a network
        codes, values = series.map(_text, na_action="ignore").factorize()
    # Texts that come out the same (true and "true") are one value; sorted, so that row order decides nothing.
    texts, back = np.unique(np.array([_text(value) for value in values], dtype=object).astype(str), return_inverse=True)
    codes = np.asarray(codes)
    return Column(key, False, texts.astype(object), np.where(codes < 0, -1, back[codes] if len(back) else -1))


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ",".join(map(str, value)) + "]"
    return show(bool(value) if isinstance(value, np.bool_) else value)


def combine(codes: Sequence[np.ndarray], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct combinations of codes, and which one each row has.

    Args:
        codes: arrays (rows,) of codes from -1 up.
        rows: the number of rows, needed where ``codes`` is empty.

    Returns:
        members (m, len(codes)), in lexicographic order, and groups (rows,) in range(m).
    """
    groups = np.zeros(rows, dtype=np.int64)
    for part in codes:
        groups = _compressed(groups * (int(part.max(initial=-1)) + 2) + (part + 1))
    first = np.zeros(int(groups.max(initial=-1)) + 1, dtype=np.int64)
    first[groups] = np.arange(rows)
    members = np.stack([part[first] for part in codes], axis=1) if codes else np.empty((len(first), 0), dtype=np.int64)
    return members, groups


def _compressed(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers replaced by their ranks 0, 1, ...; by counting where that is cheaper than sorting."""
    if numbers.max(initial=0) > 8 * len(numbers):
        return np.asarray(np.unique(numbers, return_inverse=True)[1])
    return np.asarray((np.cumsum(np.bincount(numbers) > 0) - 1)[numbers])


def decides(leaders: Sequence[np.ndarray], follower: Column) -> bool:
    """Whether each combination of the leaders' codes goes with one value of another column."""
    rows = len(follower.codes)
    combinations = len(combine(leaders, rows)[0])
    return combinations >= len(follower.values) and len(combine([*leaders, follower.codes], rows)[0]) == combinations


def single(columns: Sequence[Column], rows: np.ndarray) -> dict[str, Any]:
    """The values of the columns that have one value, and no missing one, in some rows (a mask or places)."""
    found = {}
    for one in columns:
        codes = one.codes[rows]
        if len(codes) and codes[0] >= 0 and np.all(codes == codes[0]):
            found[one.key] = one.values[codes[0]]
    return found
