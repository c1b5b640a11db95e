"""What an experiment is, and the register of all of them.

An experiment is a function from a batch of cells to their rows. Both sides are plain columns, so that an experiment
needs to know neither Hydra nor the sweep:

    rows(cells) -> columns
        ``cells``    a mapping from each key that the batch's cells have to an array with one entry a cell
        ``columns``  a mapping from each metric to an array with one entry a row; where a cell has other than one
                     row, the entry "cell" holds for each row the position of its cell in the batch

A row must depend on its own cell alone, to the last bit, whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hw6.errors import BadInput
from hw6.schema import Key

Cells = Mapping[str, np.ndarray]
Columns = Mapping[str, np.ndarray]


def no_refusals(cells: Cells) -> list[BadInput]:
    """An experiment whose keys may be combined freely."""
    return []


def unpriced(cells: Cells) -> np.ndarray:
    """An experiment whose cells cost next to nothing."""
    return np.broadcast_to(np.float64(0.0), (len(next(iter(cells.values()))),))


def one_row(cells: Cells) -> np.ndarray:
    """An experiment that gives one row a cell."""
    return np.broadcast_to(np.int64(1), (len(next(iter(cells.values()))),))


@dataclass(frozen=True)
class Panel:
    """One panel of a figure: a column drawn upwards against what was swept.

    Attributes:
        metric: the column.
        label: the text beside its axis; math between dollar signs.
        log: a logarithmic axis or not; None leaves it to the range of the numbers.
        theory: a column with what theory says; drawn as a thin line through the points.
        kind: a column that says what the theory of a row is (exact, an approximation); told below the figure.
        error: a column with the standard error of ``metric``; it makes the band where a point is one row, so that
            there are no repeats to take one from.
        thin: a curve that is constant here is only a reference: a thin line, and no panel at all if every curve is.
        bars: drawn as the outline of bars without gaps, as a histogram is.
    """

    metric: str
    label: str
    log: bool | None = None
    theory: str | None = None
    error: str | None = None
    thin: bool = False
    kind: str | None = None
    bars: bool = False


@dataclass(frozen=True)
class Mark:
    """A place on an axis worth a line: where ``axis`` has the value that column ``at`` has."""

    axis: str
    at: str
    label: str


@dataclass(frozen=True)
class Fill:
    """Rows where column ``when`` is ``equals`` carry key ``key`` in column ``column``: it becomes one axis for all."""

    key: str
    column: str
    when: str
    equals: str


@dataclass(frozen=True)
class Histogram:
    """A metric with counts in equal bins from ``low`` to ``high``, a list in a row; a figure when asked for by name.

    ``label`` is what stands below it. The standard normal density is drawn beside it.
    """

    metric: str
    low: float
    high: float
    label: str


@dataclass(frozen=True)
class Drawing:
    """How an experiment's rows are drawn. What was swept decides the rest; nothing here is code.

    Attributes:
        panels: from top to bottom, with one common horizontal axis. Empty: the objective, or else the first metric.
        x: the columns to draw against, most wanted first, of those that were swept.
        index: metrics that number the rows of a cell (``layer``) and are axes like keys.
        repeats: keys whose values are repetitions of the same thing: one point with a band.
        last: a metric that numbers the rows of a cell: only the last row of each cell is drawn.
        histograms: metrics that hold a histogram.
        fills: axes that some rows carry in a metric.
        lowest_along: axes of a map along which the lowest value is worth a dot.
        marks: lines at places worth seeing.
        labels: axis labels of keys and metrics, where the common ones do not fit.
        names: for a key and one of its values, the name in a legend. ``{some.key}`` stands for that key's value; of
            several names the first is taken whose keys have one value in the curve.
        caption: keys whose value is told below the figure where there is but one.
        best: what a summary calls best: the smallest first metric; the others are told beside it.
    """

    panels: tuple[Panel, ...] = ()
    x: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ("seed",)
    last: str | None = None
    histograms: tuple[Histogram, ...] = ()
    fills: tuple[Fill, ...] = ()
    lowest_along: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    caption: tuple[str, ...] = ()
    best: tuple[str, ...] = ()


def plain_drawing(values: Mapping[str, Sequence[Any]]) -> Drawing:
    """The figure of an experiment that asks for nothing in particular."""
    return Drawing()


@dataclass(frozen=True)
class Experiment:
    """An experiment, as the sweep, the table and the figure see it.

    Attributes:
        name: what ``experiment=`` selects; the column ``experiment``.
        version: part of every cell's id. Raise it when the numbers of any row change.
        keys: the dotted keys that it reads, with their types and ranges. Some may exist only in some choices of a
            config group (``lambda.value`` in ``lambda=fixed``); all others are in every cell.
        metrics: the columns that ``rows`` gives, with a line of explanation each.
        rows: from a batch of cells to their rows (see the head of this module).
        objective: the metric that a job returns to Hydra's optimising sweepers unless the user names another.
        order: keys from the outermost to the innermost: the order in which ``rows`` wants cells side by side.
            A chunk is cut between values of the first ones where that is possible.
        refuse: mistakes that take more than one key to see, for a batch of cells.
        price: estimated seconds of one core for each cell of a batch.
        rows_of: the number of rows of each cell.
        memory: the bytes that each cell needs while it runs, over those of an idle process.
        measured: the metrics that are measured (times, memory): they may differ from run to run.
        defaults: for an experiment outside this package: its keys with their defaults, as they would stand in
            ``conf/experiment/<name>.yaml`` (a "defaults" entry may list config groups).
        drawing: from the distinct values of each key in a table, in order, to the figure as data.
    """

    name: str
    version: int
    keys: Mapping[str, Key]
    metrics: Mapping[str, str]
    rows: Callable[[Cells], Columns]
    objective: str | None = None
    order: Sequence[str] = ()
    refuse: Callable[[Cells], list[BadInput]] = no_refusals
    price: Callable[[Cells], np.ndarray] = unpriced
    rows_of: Callable[[Cells], np.ndarray] = one_row
    memory: Callable[[Cells], np.ndarray] = unpriced
    measured: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] | None = field(default=None)
    drawing: Callable[[Mapping[str, Sequence[Any]]], Drawing] = plain_drawing
