"""How rows are drawn, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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

    It may be called with the values of a table, as a function that makes a drawing is, and then is itself.

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
        labels: axis labels of keys and metrics; a key without one goes by its help if that is short, or by its name.
        symbols: what keys are called in legends and captions ("n" for ``data.n_train``); otherwise by their name.
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
    symbols: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    caption: tuple[str, ...] = ()
    best: tuple[str, ...] = ()

    def __call__(self, values: Mapping[str, Sequence[Any]]) -> Drawing:
        """This drawing, whatever was swept."""
        return self


PLACEHOLDER = re.compile(r"{([^{}]+)}")


def names_in(drawing: Drawing) -> Iterator[tuple[str, str]]:
    """Every column that a drawing names, with the part of it that does.

    The repetitions of an experiment that has no seed are none: that default is not counted.
    """
    for panel in drawing.panels:
        for name in (panel.metric, panel.theory, panel.error, panel.kind):
            if name is not None:
                yield "panels", name
    for part in ("x", "index", "lowest_along", "labels", "symbols", "names", "caption", "best"):
        for name in getattr(drawing, part):
            yield part, name
    yield from (("repeats", name) for name in drawing.repeats if name != "seed")
    yield from (("last", name) for name in [drawing.last] if name is not None)
    yield from (("histograms", one.metric) for one in drawing.histograms)
    yield from (("fills", name) for one in drawing.fills for name in (one.key, one.column, one.when))
    yield from (("marks", name) for one in drawing.marks for name in (one.axis, one.at))
    for texts in drawing.names.values():
        for templates in texts.values():
            yield from (("names", name) for text in templates for name in PLACEHOLDER.findall(text))
