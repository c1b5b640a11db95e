"""From a frame to the data of a figure: which axes, which curves, and the numbers in them.

What was swept decides: one numeric axis gives curves; a second one gives a map, or a family of curves where it has
few values; seeds give a band; everything else that varies gives one curve (or one map) each. All numbers of a figure
are in ``Curves``: drawing adds none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hw6.contract.drawing import Drawing, Panel
from hw6.contract.experiment import Experiment
from hw6.errors import BadInput, NoResults, nearest
from hw6.figures.axes import Column, Layout, column, combine, experiment_of, filled, finished, layout, swept, values_of
from hw6.figures.data import Axis, Curve, CurvePanel, Curves, MapPanel
from hw6.figures.histograms import last_rows, unfolded, wanted_histogram
from hw6.figures.names import fixed, label_of, name_of, number, placeholders
from hw6.figures.spread import BANDS, Spread, chosen_band, spread
from hw6.words import counted

if TYPE_CHECKING:
    import pandas as pd

WIDE = 15.0  # a ratio of largest to smallest centre from which an axis is logarithmic


@dataclass(frozen=True, eq=False)
class _Table:
    """The finished rows with all that was decided about them. ``line_of`` (rows,) is the curve or map of each row."""

    frame: pd.DataFrame
    experiment: Experiment
    drawing: Drawing
    layout: Layout
    statistic: str
    band: str
    line_of: np.ndarray
    names: tuple[str, ...]

    def numbers(self, metric: str) -> np.ndarray:
        """A metric (rows,), NaN where a row has none."""
        return self.frame[metric].to_numpy(dtype=np.float64, na_value=np.nan)

    def spread(self, values: np.ndarray, place: Sequence[np.ndarray]) -> tuple[np.ndarray, Spread, np.ndarray]:
        """Finite values by curve and place: members (m, 1 + len(place)), their spread, and the group of each value."""
        finite = np.isfinite(values)
        members, groups = combine([codes[finite] for codes in (self.line_of, *place)], int(finite.sum()))
        return members, spread(values[finite], groups, len(members), self.statistic, self.band), groups


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
    experiment = experiment_of(frame)
    done, failed = finished(frame, experiment)
    if not len(done):
        raise NoResults(f"all {counted(failed, 'cell')} failed: there is nothing to draw")
    drawing = experiment.drawing(values_of(done, experiment))
    done = last_rows(done, drawing)
    if (histogram := wanted_histogram(drawing, metric)) and histogram.metric in done:
        done, drawing = unfolded(done, drawing, histogram)
    panels = _panels(done, experiment, drawing, metric)
    done = filled(done, drawing)
    axes = swept(done, experiment, drawing)
    if not axes:
        shown = ", ".join(f"{panel.metric} = {number(float(done[panel.metric].median()))}" for panel in panels)
        raise NoResults(f"nothing was swept, so there is no axis to draw against ({shown})")
    chosen = layout(axes, drawing, x)
    line_of, names = _lines(done, drawing, chosen)
    table = _Table(done, experiment, drawing, chosen, statistic, band, line_of, names)
    up = chosen.upwards
    if not metric:  # a panel that repeats an axis, or a second set of maps, only when asked for
        axis_metrics = {fill.column for fill in drawing.fills if up or fill.key == chosen.across.key}
        panels = tuple(panel for panel in panels if panel.metric not in axis_metrics)[: 1 if up else None] or panels[:1]
    drawn = _maps(table, panels) if up else _curve_panels(table, panels)
    off = done["cell_id"][(up.codes < 0) | (chosen.across.codes < 0)].nunique() if up else 0
    return Curves(
        name="-".join([experiment.name, *([panel.metric for panel in panels] if metric else [])]),
        x=_axis(table, chosen.across, up),
        y=_axis(table, up, chosen.across) if up else None,
        panels=drawn,
        ordered=len(chosen.lines) == 1 and chosen.lines[0].numeric and len(chosen.lines[0].values) > 2,
        diagonal=next(
            (mark.label for mark in drawing.marks if up and {mark.axis, mark.at} == {chosen.across.key, up.key}), ""
        ),
        caption=_caption(table, panels, drawn),
        notes=((f"{counted(failed, 'failed cell')} left out",) if failed else ())
        + ((f"{counted(off, 'cell')} without a place on the map left out",) if off else ()),
    )


def _panels(
    frame: pd.DataFrame, experiment: Experiment, drawing: Drawing, metric: str | Sequence[str] | None
) -> tuple[Panel, ...]:
    """The panels to draw: the wanted metrics, or the experiment's own."""
    known = [
        name
        for name in experiment.metrics
        if name in frame and frame[name].dtype.kind in "iuf" and name not in drawing.index and frame[name].notna().any()
    ]
    if not known:
        raise NoResults(f"{experiment.name} has no metric to draw")
    own = {panel.metric: panel for panel in drawing.panels}
    if metric is None:
        first = experiment.objective if experiment.objective in known else known[0]
        names = [name for name in own if name in known] or [str(first)]
    else:
        names = metric.split(",") if isinstance(metric, str) else list(metric)
    for name in names:
        if name not in known:
            raise BadInput("metric", name, "must be one of " + ", ".join(known), nearest(name, known))
    return tuple(own.get(name) or Panel(name, label_of(name, experiment, drawing)) for name in names)


def _lines(frame: pd.DataFrame, drawing: Drawing, chosen: Layout) -> tuple[np.ndarray, tuple[str, ...]]:
    """The curve of each row (rows,), and the name of each curve."""
    members, line_of = combine([line.codes for line in chosen.lines], len(frame))
    fillers = [column(frame, key) for key in placeholders(drawing) if key in frame]
    names = []
    for line, codes in enumerate(members):
        single = _single(fillers, line_of == line)
        parts, told = [], set[str]()
        for axis, code in zip(chosen.lines, codes, strict=True):
            if code >= 0 and axis.key not in told:
                name, keys = name_of(axis.key, axis.values[code], drawing, single)
                parts.append(name)
                told |= keys
        names.append(", ".join(parts))
    return line_of, tuple(names)


def _single(columns: Sequence[Column], rows: np.ndarray) -> dict[str, Any]:
    """The values of the columns that have one value, and no missing one, in some rows."""
    found = {}
    for one in columns:
        codes = one.codes[rows]
        if len(codes) and codes[0] >= 0 and np.all(codes == codes[0]):
            found[one.key] = one.values[codes[0]]
    return found


def _curve_panels(table: _Table, panels: Sequence[Panel]) -> tuple[CurvePanel, ...]:
    """Curves over one horizontal axis. A panel in which nothing varies is left out where it is only a reference."""
    drawn = []
    for panel in panels:
        values = table.numbers(panel.metric)
        members, band, groups = table.spread(values, [table.layout.across.codes])
        low, high, theory = band.low, band.high, None
        if len(members) == len(groups) and panel.error in table.frame:  # each point is one row
            error = np.zeros(len(members))
            error[groups] = table.numbers(str(panel.error))[np.isfinite(values)]
            low, high = band.centre - error, band.centre + error
        if panel.theory in table.frame:
            theory = np.full(len(members), np.nan)
            theory[groups] = table.numbers(str(panel.theory))[np.isfinite(values)]
        log = is_wide(band.centre) if panel.log is None else panel.log
        shown = band.centre > 0 if log else np.ones(len(members), dtype=bool)
        if log:  # a band that reaches zero ends at the lowest point there is
            low = np.where(low > 0, low, band.centre[shown].min(initial=np.inf))
        found = []
        for line, name in enumerate(table.names):
            here = shown & (members[:, 0] == line)
            placed = here & (members[:, 1] >= 0)
            at = _positions(table.layout.across)[members[placed, 1]] if placed.any() else np.array([np.nan])
            here = placed if placed.any() else here
            if here.any():
                near = None if theory is None else theory[here]
                none = (members[:, 0] == line) & (members[:, 1] >= 0) & (band.centre == 0) & ~shown
                zeros = _positions(table.layout.across)[members[none, 1]] if none.any() else None
                parts = (band.centre[here], low[here], high[here], band.count[here], near, zeros)
                found.append(Curve(name, line, at, *parts))
        if found and not (panel.thin and len(panels) > 1 and all(curve.constant for curve in found)):
            drawn.append(CurvePanel(panel.metric, panel.label, log, tuple(found), panel.thin, panel.bars))
    if not drawn:
        raise NoResults(f"no finite value of {', '.join(panel.metric for panel in panels)} to draw")
    return tuple(drawn)


def _maps(table: _Table, panels: Sequence[Panel]) -> tuple[MapPanel, ...]:
    """A map for each metric and each combination of what is on no axis."""
    across, upwards = table.layout.across, table.layout.upwards
    assert upwards is not None
    drawn = []
    for panel in panels:
        members, band, _ = table.spread(table.numbers(panel.metric), [upwards.codes, across.codes])
        some = band.centre[band.centre > 0]
        log = (
            bool(band.centre.min(initial=0) >= 0 and is_wide(some))
            if panel.log is None
            else panel.log and len(some) > 0
        )
        placed = np.all(members >= 0, axis=1) & ((band.centre >= 0) | (not log))
        for line, name in enumerate(table.names):
            here = placed & (members[:, 0] == line)
            z = np.full((len(upwards.values), len(across.values)), np.nan)
            count = np.zeros(z.shape, dtype=np.int64)
            z[members[here, 1], members[here, 2]] = band.centre[here]
            count[members[here, 1], members[here, 2]] = band.count[here]
            lowest = None
            if upwards.key in table.drawing.lowest_along:
                filled_in = np.isfinite(z).any(axis=0)
                at = np.argmin(np.where(np.isfinite(z), z, np.inf), axis=0)
                lowest = np.where(filled_in, _positions(upwards)[at], np.nan)
            if here.any():
                grid = (across.values, _positions(upwards), z, count)
                drawn.append(MapPanel(panel.metric, panel.label, log, name, *grid, lowest))
    if not drawn:
        raise NoResults(f"no finite value of {', '.join(panel.metric for panel in panels)} to draw")
    return tuple(drawn)


def is_wide(centres: np.ndarray) -> bool:
    """Whether positive numbers span so much that a linear axis would hide the small ones."""
    return bool(len(centres) and centres.min() > 0 and centres.max() > WIDE * centres.min())


def _positions(axis: Column) -> np.ndarray:
    return axis.values if axis.numeric else np.arange(len(axis.values), dtype=np.float64)


def _axis(table: _Table, axis: Column, other: Column | None) -> Axis:
    """An axis with the marks that lie within it."""
    marks = []
    for mark in table.drawing.marks:
        if mark.axis == axis.key and mark.at in table.frame and (other is None or mark.at != other.key):
            places = column(table.frame, mark.at).values
            inside = [place for place in places if axis.values[0] <= place <= axis.values[-1]]
            marks += [(float(place), f"{mark.label} = {number(place)}") for place in inside if len(places) <= 3]
    joined = axis.key not in table.drawing.repeats
    names: tuple[str, ...] = ()
    if not axis.numeric:
        fillers = [column(table.frame, key) for key in placeholders(table.drawing) if key in table.frame]
        names = tuple(
            name_of(axis.key, value, table.drawing, _single(fillers, axis.codes == code))[0]
            for code, value in enumerate(axis.values)
        )
    label = label_of(axis.key, table.experiment, table.drawing)
    return Axis(axis.key, label, axis.log, joined, names, tuple(marks))


def _caption(table: _Table, panels: Sequence[Panel], drawn: Sequence[CurvePanel | MapPanel]) -> str:
    """What was held fixed, and what a point and its band are."""
    chosen, drawing = table.layout, table.drawing
    keys = dict.fromkeys([*drawing.names, *drawing.caption, *placeholders(drawing)])
    columns = {key: column(table.frame, key).values for key in keys if key in table.frame}
    single = {key: values[0] for key, values in columns.items() if len(values) == 1}
    used = {axis.key for axis in (chosen.across, chosen.upwards, *chosen.lines) if axis}
    used |= {fill.when for fill in drawing.fills if single.get(fill.when) == fill.equals}  # told by the axis
    parts = [part.replace(" = ", "\u00a0=\u00a0") for part in fixed(drawing, single, used)]
    count = np.concatenate(
        [np.ravel(one.count) for panel in drawn for one in (panel.curves if isinstance(panel, CurvePanel) else [panel])]
    )
    count = count[count > 0]
    theory = any(panel.theory in table.frame for panel in panels)
    shape = "band" if chosen.across.numeric and not theory else "bars"
    if count.max() > 1:
        noun = chosen.repeats[0].key if len(chosen.repeats) == 1 else "row"
        some = "" if count.min() == count.max() else f"{count.min():,} to "
        parts.append(f"{table.statistic} of {some}" + counted(int(count.max()), noun).replace(" ", "\u00a0"))
        if BANDS[table.statistic][table.band] and isinstance(drawn[0], CurvePanel):
            parts.append(f"{shape}: {BANDS[table.statistic][table.band]}".replace(" ", "\u00a0"))
    elif any(panel.error in table.frame for panel in panels) and not chosen.upwards:
        parts.append(f"{shape}:\u00a0standard\u00a0error")
    if theory and not chosen.upwards:
        names = [panel.kind for panel in panels if panel.kind and panel.kind in table.frame]
        kinds = sorted({str(kind) for name in names for kind in column(table.frame, name).values})
        parts.append("lines: theory" + (f" ({', '.join(kinds)})".replace("-", "\u2011") if kinds else ""))
    maps = [panel for panel in drawn if isinstance(panel, MapPanel)]
    if any(panel.lowest is not None for panel in maps):
        parts.append("dots:\u00a0lowest of each column")
    if any(panel.log and np.any(panel.z == 0) for panel in maps):
        parts.append("hatched:\u00a00")
    if any(curve.zeros is not None for panel in drawn if isinstance(panel, CurvePanel) for curve in panel.curves):
        parts.append("triangles at the bottom:\u00a00")
    return ", ".join(parts)
