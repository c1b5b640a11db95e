"""A frame in a few lines of text: how much there is, what was swept, what is best, what failed and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from hw6.errors import BadInput
from hw6.figures.axes import Column, column, combine, experiment_of, filled, finished, swept, values_of
from hw6.figures.names import name_of, number, placeholders
from hw6.figures.spread import spread
from hw6.words import counted

if TYPE_CHECKING:
    import pandas as pd

    from hw6.contract.drawing import Drawing

SHOWN = 6  # values of an axis, groups of a best cell, messages of one kind of failure
LENGTH = 100  # characters of a message


def summarise(frame: pd.DataFrame) -> list[str]:
    """What a frame holds, as lines of text; each experiment in turn.

    Args:
        frame: rows as ``hw6.load`` gives them.
    """
    if not len(frame):
        return ["no rows"]
    lines = []
    for name in sorted(map(str, frame["experiment"].unique())):
        part = frame[(frame["experiment"] == name).to_numpy(dtype=bool)]
        lines += [_amount(part, name), *_indented(_contents(part)), *_indented(_failures(part))]
    return lines


def _indented(lines: Iterator[str]) -> list[str]:
    return ["  " + line for line in lines]


def _amount(frame: pd.DataFrame, name: str) -> str:
    """How many cells and rows, and how long they took."""
    failed, cells = len(_lost(frame)), frame["cell_id"].nunique()
    text = f"{name}: {counted(cells, 'cell')}"
    if failed:
        text += f" ({cells - failed:,} done, {failed:,} failed)"
    if cells != len(frame):
        text += f", {counted(len(frame), 'row')}"
    seconds = float(frame["seconds"].sum()) if "seconds" in frame else 0.0
    return text + (f", {seconds:,.{0 if seconds >= 100 else 3}f} s of computing" if seconds >= 0.001 else "")


def _lost(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell that failed and was finished nowhere else."""
    done = (frame["status"] == "done").to_numpy(dtype=bool)
    bad = frame[~done].drop_duplicates("cell_id")
    return bad[~bad["cell_id"].isin(frame["cell_id"][done])] if len(bad) else bad


def _contents(frame: pd.DataFrame) -> Iterator[str]:
    """The axes, and the best cell of each group."""
    try:
        experiment = experiment_of(frame)
    except BadInput:
        yield "this experiment is not installed here, so nothing more is known of its columns"
        return
    frame, _ = finished(frame, experiment)
    if not len(frame):
        return
    drawing = experiment.drawing(values_of(frame, experiment))
    frame = filled(frame, drawing)
    axes = swept(frame, experiment, drawing)
    for axis in axes.values():
        yield f"{axis.key}: {len(axis.values):,} values, {_values(axis)}"
    best = [metric for metric in drawing.best if metric in frame] or [
        metric for metric in [experiment.objective] if metric is not None and metric in frame
    ]
    if best and axes and np.isfinite(frame[best[0]].to_numpy(dtype=np.float64, na_value=np.nan)).any():
        yield from _best(frame, drawing, axes, best)


def _values(axis: Column) -> str:
    shown = [number(value) for value in axis.values]
    return ", ".join(shown) if len(shown) <= SHOWN else f"{shown[0]} to {shown[-1]}"


def _best(frame: pd.DataFrame, drawing: Drawing, axes: dict[str, Column], metrics: list[str]) -> Iterator[str]:
    """For each combination of choices, the place on the numeric axes with the smallest median of the first metric."""
    values = frame[metrics[0]].to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(values)
    free = [axis for axis in axes.values() if axis.key not in drawing.repeats]
    groups, places = [axis for axis in free if not axis.numeric], [axis for axis in free if axis.numeric]
    members, place_of = combine([axis.codes[finite] for axis in [*groups, *places]], int(finite.sum()))
    medians = spread(values[finite], place_of, len(members), "median", "none")
    fillers = {key: column(frame, key) for key in placeholders(drawing) if key in frame}
    kinds, kind_of = combine([members[:, i] for i in range(len(groups))], len(members))
    if not places and len(kinds) < 2:
        return
    repeated = medians.count.max() > 1
    yield f"smallest {metrics[0]}" + (" (medians)" if repeated else "") + ":"
    order = sorted(range(len(kinds)), key=lambda kind: float(medians.centre[kind_of == kind].min()))
    for kind in order[:SHOWN]:
        inside = np.flatnonzero(kind_of == kind)
        winner = inside[np.argmin(medians.centre[inside])]
        rows = np.flatnonzero(finite)[place_of == winner]
        single = {key: one.values[one.codes[rows[0]]] for key, one in fillers.items() if np.ptp(one.codes[rows]) == 0}
        where = ", ".join(_where(groups, places, members[winner], drawing, single))
        numbers = [f"{metric} {_median(frame, metric, rows)}" for metric in metrics]
        yield f"  {where}: {', '.join(numbers)}"
    if len(order) > SHOWN:
        yield f"  ... and {counted(len(order) - SHOWN, 'more group')}"


def _where(
    groups: list[Column], places: list[Column], codes: np.ndarray, drawing: Drawing, single: dict[str, Any]
) -> Iterator[str]:
    """The names of a combination of values, each key once."""
    told: set[str] = set()
    for axis, code in zip([*groups, *places], codes, strict=True):
        if code >= 0 and axis.key not in told:
            name, keys = name_of(
                axis.key, axis.values[code], drawing, {k: v for k, v in single.items() if v is not None}
            )
            told |= keys
            yield name


def _median(frame: pd.DataFrame, metric: str, rows: np.ndarray) -> str:
    numbers = frame[metric].to_numpy(dtype=np.float64, na_value=np.nan)[rows]
    return f"{np.median(numbers):.4g}"


def _failures(frame: pd.DataFrame) -> Iterator[str]:
    """Failed cells by the kind of error, the most frequent first, with what they said."""
    bad = _lost(frame)
    if not len(bad):
        return
    kinds = column(bad, "error_type")
    counts = np.bincount(kinds.codes[kinds.codes >= 0], minlength=len(kinds.values))
    yield "failed:"
    for kind in np.argsort(-counts, kind="stable"):
        messages = column(bad[kinds.codes == kind], "error_message").values
        text = " ".join(str(messages[0]).split()) if len(messages) else ""
        text = text if len(text) <= LENGTH else text[: LENGTH - 3] + "..."
        more = f" (and {counted(len(messages) - 1, 'other message')})" if len(messages) > 1 else ""
        yield f"  {counts[kind]:,} {kinds.values[kind]}: {text}{more}"
