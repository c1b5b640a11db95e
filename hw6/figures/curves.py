"""Curves: from a frame to all that its figure shows.

What was swept decides: one numeric axis gives curves; a second one gives a map, or a family of curves where it has
few values; repeats give a band; everything else that varies gives one curve (or one map) each. All numbers of a figure
are in ``Curves``: drawing adds none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw6.contract.drawing import Panel
from hw6.errors import BadInput, NoResults, nearest
from hw6.figures.axes import Layout, layout
from hw6.figures.caption import caption
from hw6.figures.codes import Column, combine, single
from hw6.figures.data import Curves, DrawnAxis
from hw6.figures.histograms import unfolded, wanted_histogram
from hw6.figures.names import label_of, name_of, number, placeholders
from hw6.figures.panels import Placed, curve_panels, map_panels
from hw6.figures.spread import chosen_band
from hw6.figures.table import Table, table_of
from hw6.words import counted

if TYPE_CHECKING:
    import pandas as pd

MOST_MARKS = 3  # on an axis: where a mark's column has more values, lines at all of them would hide the curves


def curves(
    frame: pd.DataFrame,
    *,
    metric: str | Sequence[str] | None = None,
    statistic: str = "median",
    band: str | None = None,
    x: str | None = None,
) -> Curves:
    """The data of the figure of one experiment's rows.

    Args:
        frame: rows as ``hw6.load`` gives them; rows of failed cells are left out, with a note.
        metric: the columns to draw, from top to bottom: a name, or several in a list or with commas. None: what the
            experiment draws.
        statistic: ``median`` or ``mean`` over the repeats.
        band: see ``hw6.figures.spread``. None: quartiles for the median, a 95 % interval for the mean.
        x: the swept key to draw against. None: what was swept decides.

    Raises:
        NoResults: nothing to draw: no rows, no finished row, no metric, nothing swept.
        BadInput: an argument that does not fit the rows, or more curves than one figure can show.
    """
    band = chosen_band(statistic, band)
    table = _prepared(frame, metric)
    panels = _panels(table, metric)
    if not table.axes:
        shown = ", ".join(f"{panel.metric} = {_typical(table, panel.metric)}" for panel in panels)
        raise NoResults(f"nothing was swept, so there is no axis to draw against ({shown})")
    chosen = layout(table.axes, table.drawing, x)
    up = chosen.upwards
    placed = Placed(table, chosen, statistic, band, *_lines(table, chosen))
    if not metric:  # a panel that repeats an axis, or a second set of maps, only when asked for
        axis_metrics = {fill.column for fill in table.drawing.fills if up or fill.key == chosen.across.key}
        panels = tuple(panel for panel in panels if panel.metric not in axis_metrics)[: 1 if up else None] or panels[:1]
    drawn = map_panels(placed, panels, up) if up else curve_panels(placed, panels)
    return Curves(
        name="-".join([table.experiment.name, *([panel.metric for panel in panels] if metric else [])]),
        x=_axis(table, chosen.across, up),
        y=_axis(table, up, chosen.across) if up else None,
        panels=drawn,
        ordered=len(chosen.lines) == 1 and chosen.lines[0].numeric and len(chosen.lines[0].values) > 2,
        diagonal=_diagonal(table, chosen),
        caption=caption(placed, panels, drawn),
        notes=tuple(_left_out(table, chosen)),
    )


def _prepared(frame: pd.DataFrame, metric: str | Sequence[str] | None) -> Table:
    """The rows that are points of the figure."""
    table = table_of(frame).finished()
    if not len(table.frame):
        raise NoResults(f"all {counted(table.failed, 'cell')} failed: there is nothing to draw")
    table = table.last_rows()
    histogram = wanted_histogram(table, metric)
    return (unfolded(table, histogram) if histogram else table).filled()


def _panels(table: Table, metric: str | Sequence[str] | None) -> tuple[Panel, ...]:
    """The panels to draw: the wanted metrics, or the experiment's own."""
    known, experiment = table.drawable, table.experiment
    if not known:
        raise NoResults(f"{experiment.name} has no metric to draw")
    own = {panel.metric: panel for panel in table.drawing.panels}
    if metric is None:
        first = experiment.objective if experiment.objective in known else known[0]
        names = [name for name in own if name in known] or [str(first)]
    else:
        names = metric.split(",") if isinstance(metric, str) else list(metric)
    for name in names:
        if name not in known:
            raise BadInput("metric", name, "must be one of " + ", ".join(known), nearest(name, known))
    return tuple(own.get(name) or Panel(name, label_of(name, experiment, table.drawing)) for name in names)


def _typical(table: Table, metric: str) -> str:
    return number(float(np.nanmedian(table.numbers(metric))))


def _lines(table: Table, chosen: Layout) -> tuple[np.ndarray, tuple[str, ...]]:
    """The curve of each row (rows,), and the name of each curve."""
    members, line_of = combine([line.codes for line in chosen.lines], len(table.frame))
    fillers = table.columns(placeholders(table.drawing))
    names = []
    for line, codes in enumerate(members):
        values = single(fillers, line_of == line)
        parts, told = [], set[str]()
        for axis, code in zip(chosen.lines, codes, strict=True):
            if code >= 0 and axis.key not in told:
                name, keys = name_of(axis.key, axis.values[code], table.drawing, values)
                parts.append(name)
                told |= keys
        names.append(", ".join(parts))
    return line_of, tuple(names)


def _axis(table: Table, axis: Column, other: Column | None) -> DrawnAxis:
    """An axis with the marks that lie within it."""
    marks: list[tuple[float, str]] = []
    for mark in table.drawing.marks:
        if mark.axis == axis.key and mark.at in table.frame and (other is None or mark.at != other.key):
            places = table.column(mark.at).values
            inside = [place for place in places if axis.values[0] <= place <= axis.values[-1]]
            if len(places) <= MOST_MARKS:
                marks += [(float(place), f"{mark.label} = {number(place)}") for place in inside]
    names: tuple[str, ...] = ()
    if not axis.numeric:
        fillers = table.columns(placeholders(table.drawing))
        names = tuple(
            name_of(axis.key, value, table.drawing, single(fillers, axis.codes == code))[0]
            for code, value in enumerate(axis.values)
        )
    label, joined = label_of(axis.key, table.experiment, table.drawing), axis.key not in table.drawing.repeats
    return DrawnAxis(axis.key, label, axis.log, joined, names, tuple(marks))


def _diagonal(table: Table, chosen: Layout) -> str:
    """The text of a mark whose two columns are the axes of a map."""
    axes = {chosen.across.key, chosen.upwards.key} if chosen.upwards else set()
    return next((mark.label for mark in table.drawing.marks if {mark.axis, mark.at} == axes), "")


def _left_out(table: Table, chosen: Layout) -> list[str]:
    """Notes on the cells that are not in the figure."""
    notes = [f"{counted(table.failed, 'failed cell')} left out"] if table.failed else []
    if chosen.upwards:
        nowhere = (chosen.upwards.codes < 0) | (chosen.across.codes < 0)
        cells = int(table.frame["cell_id"][nowhere].nunique())
        notes += [f"{counted(cells, 'cell')} without a place on the map left out"] if cells else []
    return notes
