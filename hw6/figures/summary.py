"""The summary: a frame in a few lines of text: how much there is, what was swept, what is best, what failed and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hw6.contract.experiment import BadExperiment
from hw6.errors import BadInput
from hw6.figures.codes import Column, column, combine, single
from hw6.figures.names import name_of, number, placeholders
from hw6.figures.spread import spread
from hw6.figures.table import Table, lost, table_of
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
    failed, cells = len(lost(frame)), frame["cell_id"].nunique()
    text = f"{name}: {counted(cells, 'cell')}"
    if failed:
        text += f" ({cells - failed:,} done, {failed:,} failed)"
    if cells != len(frame):
        text += f", {counted(len(frame), 'row')}"
    seconds = float(frame["seconds"].sum()) if "seconds" in frame else 0.0
    return text + (f", {seconds:,.{0 if seconds >= 100 else 3}f} s of computing" if seconds >= 0.001 else "")


def _contents(frame: pd.DataFrame) -> Iterator[str]:
    """The axes, and the best cell of each group."""
    try:
        table = table_of(frame)
    except BadInput:
        yield "neither its code nor a record of what its columns are is here, so nothing more is known of them"
        return
    try:
        table = table.finished().filled()
    except BadExperiment as error:
        yield str(error)
        return
    if not len(table.frame):
        return
    for axis in table.axes.values():
        yield f"{axis.key}: {len(axis.values):,} values, {_values(axis)}"
    best = [metric for metric in table.drawing.best if metric in table.drawable] or [
        metric for metric in table.drawable if metric == table.experiment.objective
    ]
    if best and table.axes and np.isfinite(table.numbers(best[0])).any():
        yield from _best(table, best)


def _values(axis: Column) -> str:
    shown = [number(value) for value in axis.values]
    return ", ".join(shown) if len(shown) <= SHOWN else f"{shown[0]} to {shown[-1]}"


def _best(table: Table, metrics: Sequence[str]) -> Iterator[str]:
    """For each combination of choices, the place on the numeric axes with the smallest median of the first metric."""
    values = table.numbers(metrics[0])
    finite = np.isfinite(values)
    free = [axis for axis in table.axes.values() if axis.key not in table.drawing.repeats]
    groups, places = [axis for axis in free if not axis.numeric], [axis for axis in free if axis.numeric]
    members, place_of = combine([axis.codes[finite] for axis in [*groups, *places]], int(finite.sum()))
    medians = spread(values[finite], place_of, len(members), "median", "none")
    kinds, kind_of = combine([members[:, i] for i in range(len(groups))], len(members))
    if not places and len(kinds) < 2:
        return
    repeated = medians.count.max() > 1
    yield f"smallest {metrics[0]}" + (" (medians)" if repeated else "") + ":"
    fillers = table.columns(placeholders(table.drawing))
    order = sorted(range(len(kinds)), key=lambda kind: float(medians.centre[kind_of == kind].min()))
    for kind in order[:SHOWN]:
        inside = np.flatnonzero(kind_of == kind)
        winner = inside[np.argmin(medians.centre[inside])]
        rows = np.flatnonzero(finite)[place_of == winner]
        where = ", ".join(_where([*groups, *places], members[winner], table.drawing, single(fillers, rows)))
        numbers = [f"{metric} {np.median(table.numbers(metric)[rows]):.4g}" for metric in metrics]
        yield f"  {where}: {', '.join(numbers)}"
    if len(order) > SHOWN:
        yield f"  ... and {counted(len(order) - SHOWN, 'more group')}"


def _where(axes: Sequence[Column], codes: np.ndarray, drawing: Drawing, values: Mapping[str, Any]) -> Iterator[str]:
    """The names of a combination of values, each key once."""
    told: set[str] = set()
    for axis, code in zip(axes, codes, strict=True):
        if code >= 0 and axis.key not in told:
            name, keys = name_of(axis.key, axis.values[code], drawing, values)
            told |= keys
            yield name


def _failures(frame: pd.DataFrame) -> Iterator[str]:
    """Failed cells by the kind of error, the most frequent first, with what they said."""
    bad = lost(frame)
    if not len(bad):
        return
    kinds = column(bad["error_type"], "error_type")
    counts = np.bincount(kinds.codes[kinds.codes >= 0], minlength=len(kinds.values))
    yield "failed:"
    for kind in np.argsort(-counts, kind="stable"):
        messages = column(bad["error_message"][kinds.codes == kind], "error_message").values
        text = " ".join(str(messages[0]).split()) if len(messages) else ""
        text = text if len(text) <= LENGTH else text[: LENGTH - 3] + "..."
        more = f" (and {counted(len(messages) - 1, 'other message')})" if len(messages) > 1 else ""
        yield f"  {counts[kind]:,} {kinds.values[kind]}: {text}{more}"
