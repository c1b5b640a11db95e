"""From a frame to what was swept in it: which columns have more than one value, and how they are called.

Columns are held as codes into their sorted distinct values, so that a million rows are grouped by integers. pandas is
not imported here: a frame brings its own methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hw6.contract.drawing import Drawing
from hw6.contract.experiment import Experiment
from hw6.errors import BadInput, NoResults, nearest, show

if TYPE_CHECKING:
    import pandas as pd

FEW = 6  # values of a second numeric axis that can still be told apart as curves
MOST_CURVES = 8  # that a reader can follow, and that have a style of their own
MOST_MAPS = 6


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


def column(frame: pd.DataFrame, key: str) -> Column:
    """A column of the frame as codes."""
    series = frame[key]
    numeric = series.dtype.kind in "iuf"
    if numeric:
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


def experiment_of(frame: pd.DataFrame) -> Experiment:
    """The experiment whose rows these are.

    Raises:
        NoResults: there are no rows.
        BadInput: rows of several experiments, or of one that is not known.
    """
    from hw6.contract.registry import experiment_named

    names = [str(name) for name in frame["experiment"].unique()] if len(frame) else []
    if not names:
        raise NoResults("there are no rows")
    if len(names) > 1:
        raise BadInput("experiment", ",".join(sorted(names)), "one table holds several experiments: take one at a time")
    return experiment_named(names[0])


def finished(frame: pd.DataFrame, experiment: Experiment) -> tuple[pd.DataFrame, int]:
    """The rows of finished cells, each once, and the number of cells that failed and were finished nowhere else.

    Two sweeps may hold the same cell. Its rows are equal, and one that counted twice would weigh like two seeds.
    """
    done = (frame["status"] == "done").to_numpy(dtype=bool)
    rows, failed = frame[done], frame["cell_id"][~done]
    lost = int((~failed.drop_duplicates().isin(rows["cell_id"])).sum()) if len(failed) else 0
    again = rows["cell_id"].duplicated(keep=False).to_numpy(dtype=bool)
    if again.any():  # several rows of one cell differ in a metric; copies of a row in none
        told = ["cell_id", *(name for name in experiment.metrics if name in rows and name not in experiment.measured)]
        copies = np.zeros(len(rows), dtype=bool)
        copies[again] = rows.loc[again, told].duplicated().to_numpy(dtype=bool)
        rows = rows[~copies] if copies.any() else rows
    return rows, lost


def values_of(frame: pd.DataFrame, experiment: Experiment) -> dict[str, list[Any]]:
    """The distinct values of each key of the experiment that the frame has."""
    return {key: column(frame, key).values.tolist() for key in experiment.keys if key in frame}


def filled(frame: pd.DataFrame, drawing: Drawing) -> pd.DataFrame:
    """The frame with the axes that some rows carry in a metric moved into their key's column."""
    for fill in drawing.fills:
        if {fill.when, fill.column} <= set(frame.columns):
            here = (frame[fill.when] == fill.equals).to_numpy(dtype=bool)
            if here.any():
                old = frame[fill.key].to_numpy(dtype=np.float64) if fill.key in frame else np.full(len(frame), np.nan)
                new = np.where(here, frame[fill.column].to_numpy(dtype=np.float64), old)
                frame = frame.assign(**{fill.key: new})
    return frame


def swept(frame: pd.DataFrame, experiment: Experiment, drawing: Drawing) -> dict[str, Column]:
    """The columns with more than one value, most wanted first, without those that only follow another one.

    A key that interpolates a swept key (``data.n_test=${p}``) has as many values and is no axis of its own. Repeats
    are among the result.
    """
    keys = dict.fromkeys([*drawing.x, *drawing.index, *(fill.key for fill in drawing.fills), *experiment.keys])
    columns = [candidate for candidate in (column(frame, key) for key in keys if key in frame) if candidate.swept]
    groups = [candidate for candidate in columns if not candidate.numeric]
    found = {group.key: group for group in groups}
    for candidate in columns:
        leaders = [[other.codes] for other in found.values() if other.key not in drawing.repeats]
        leaders += [[group.codes for group in groups]] if groups else []
        if candidate.numeric and not any(_decides(leader, candidate) for leader in leaders):
            found[candidate.key] = candidate
    return found


def _decides(codes: Sequence[np.ndarray], follower: Column) -> bool:
    """Whether each combination of codes goes with one value of another column."""
    rows = len(follower.codes)
    combinations = len(combine(codes, rows)[0])
    return combinations >= len(follower.values) and len(combine([*codes, follower.codes], rows)[0]) == combinations


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each swept column goes: across, upwards (in a map; otherwise None), a curve or map each, repeats."""

    across: Column
    upwards: Column | None
    lines: tuple[Column, ...]
    repeats: tuple[Column, ...]


def layout(axes: Mapping[str, Column], drawing: Drawing, wanted: str | None) -> Layout:
    """Which swept column goes where.

    Args:
        axes: what ``swept`` found; at least one.
        drawing: what the experiment prefers.
        wanted: the key to draw against, or None.

    Raises:
        BadInput: ``wanted`` was not swept, or there are more curves than one figure can show.
    """
    if wanted is not None and wanted not in axes:
        raise BadInput("x", wanted, "must be a swept key: " + ", ".join(axes), nearest(wanted, axes))
    rows = len(next(iter(axes.values())).codes)
    free = [axis for axis in axes.values() if axis.key not in drawing.repeats or axis.key == wanted]
    free = free or list(axes.values())  # only seeds were swept
    across = axes[wanted] if wanted else _across(free, drawing)
    lines = tuple(axis for axis in free if axis is not across)
    numbers = sorted((axis for axis in lines if axis.numeric), key=lambda axis: -len(axis.values))
    count, most, upwards = len(combine([axis.codes for axis in lines], rows)[0]), MOST_CURVES, None
    if numbers and across.numeric and (len(numbers[0].values) > FEW or count > MOST_CURVES):
        upwards = numbers[0]
    elif across.numeric and (many := [axis for axis in lines if len(axis.values) > MOST_CURVES]):
        upwards = max(many, key=lambda axis: len(axis.values))  # a list of names that is too long for a legend
    if upwards is not None:
        lines = tuple(axis for axis in lines if axis is not upwards)
        count, most = len(combine([axis.codes for axis in lines], rows)[0]), MOST_MAPS
    if count > most:
        what = f"{count} {'maps' if upwards else 'curves'} are more than the {most} that one figure can show"
        part = "take a part of the rows, such as one value of " + " or of ".join(axis.key for axis in lines)
        raise BadInput("axes", None, f"{what}: {part}")
    repeats = tuple(axes[key] for key in drawing.repeats if key in axes and key != across.key)
    return Layout(across, upwards, lines, repeats)


def _across(free: Sequence[Column], drawing: Drawing) -> Column:
    """The horizontal axis: what the experiment prefers among the axes with many values, then the longest one."""
    numbers = [axis for axis in free if axis.numeric]
    liked = [axis for axis in numbers or free if axis.key in (*drawing.x, *drawing.index)]
    many = [axis for axis in liked if len(axis.values) > FEW]
    longest = max(numbers or free, key=lambda axis: len(axis.values))
    if many or not liked or (numbers and len(longest.values) > FEW):
        return (many or [longest])[0]
    return liked[0]
