"""Panels: from rows that have their places in a figure to the numbers of its curves and maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hw6.contract.drawing import Panel
from hw6.errors import NoResults
from hw6.figures.axes import Layout
from hw6.figures.codes import Column, combine
from hw6.figures.data import Curve, CurvePanel, MapPanel
from hw6.figures.spread import Spread, spread
from hw6.figures.table import Table

WIDE = 15.0  # a ratio of largest to smallest centre from which an axis is logarithmic


@dataclass(frozen=True, eq=False)
class Placed:
    """A table whose rows have their places in a figure.

    Attributes:
        table: the rows.
        layout: which column goes where.
        statistic, band: what is drawn of repeats (``hw6.figures.spread``).
        line_of: (rows,) the curve or map of each row.
        names: what each curve or map is called.
    """

    table: Table
    layout: Layout
    statistic: str
    band: str
    line_of: np.ndarray
    names: tuple[str, ...]

    def spread(self, values: np.ndarray, *axes: Column) -> tuple[np.ndarray, Spread, np.ndarray]:
        """Finite values by curve and place: members (m, 1 + len(axes)), their spread, and the group of each value."""
        finite = np.isfinite(values)
        codes = [self.line_of, *(axis.codes for axis in axes)]
        members, groups = combine([part[finite] for part in codes], int(finite.sum()))
        return members, spread(values[finite], groups, len(members), self.statistic, self.band), groups


def curve_panels(placed: Placed, panels: Sequence[Panel]) -> tuple[CurvePanel, ...]:
    """Curves over one horizontal axis. A panel in which nothing varies is left out where it is only a reference.

    Raises:
        NoResults: nothing finite to draw.
    """
    drawn = []
    for panel in panels:
        log, found = _curves(placed, panel)
        if found and not (panel.thin and len(panels) > 1 and all(curve.constant for curve in found)):
            drawn.append(CurvePanel(panel.metric, panel.label, log, tuple(found), panel.thin, panel.bars))
    return tuple(drawn) or _nothing(panels)


def _curves(placed: Placed, panel: Panel) -> tuple[bool, list[Curve]]:
    """Whether the vertical axis of a panel is logarithmic, and its curves."""
    values, axis = placed.table.numbers(panel.metric), placed.layout.across
    members, band, groups = placed.spread(values, axis)
    low, high = band.low, band.high
    error, theory = (_beside(placed.table, name, values, groups, len(members)) for name in (panel.error, panel.theory))
    if error is not None and len(members) == len(groups):  # each point is one row
        low, high = band.centre - error, band.centre + error
    log = is_wide(band.centre) if panel.log is None else panel.log
    shown = band.centre > 0 if log else np.ones(len(members), dtype=bool)
    if log:  # a band that reaches zero ends at the lowest point there is
        low = np.where(low > 0, low, band.centre[shown].min(initial=np.inf))
    found = []
    for line, name in enumerate(placed.names):
        mine, on_axis = members[:, 0] == line, members[:, 1] >= 0
        placed_here = shown & mine & on_axis
        here = placed_here if placed_here.any() else shown & mine
        if not here.any():
            continue
        at = axis.positions[members[placed_here, 1]] if placed_here.any() else np.array([np.nan])
        none = mine & on_axis & (band.centre == 0) & ~shown
        zeros = axis.positions[members[none, 1]] if none.any() else None
        near = None if theory is None else theory[here]
        found.append(Curve(name, line, at, band.centre[here], low[here], high[here], band.count[here], near, zeros))
    return log, found


def _beside(table: Table, name: str | None, values: np.ndarray, groups: np.ndarray, size: int) -> np.ndarray | None:
    """What a column beside a metric says of each group (size,), None where there is no such column."""
    if name is None or name not in table.frame:
        return None
    found = np.zeros(size)
    found[groups] = table.numbers(name)[np.isfinite(values)]
    return found


def map_panels(placed: Placed, panels: Sequence[Panel], upwards: Column) -> tuple[MapPanel, ...]:
    """A map for each metric and each combination of what is on no axis.

    Raises:
        NoResults: nothing finite to draw.
    """
    across, drawn = placed.layout.across, []
    for panel in panels:
        members, band, _ = placed.spread(placed.table.numbers(panel.metric), upwards, across)
        log = _map_is_log(panel, band.centre)
        shown = np.all(members >= 0, axis=1) & ((band.centre >= 0) | (not log))
        for line, name in enumerate(placed.names):
            here = shown & (members[:, 0] == line)
            if not here.any():
                continue
            z = np.full((len(upwards.values), len(across.values)), np.nan)
            count = np.zeros(z.shape, dtype=np.int64)
            z[members[here, 1], members[here, 2]] = band.centre[here]
            count[members[here, 1], members[here, 2]] = band.count[here]
            lowest = _lowest(z, upwards) if upwards.key in placed.table.drawing.lowest_along else None
            grid = (across.values, upwards.positions, z, count)
            drawn.append(MapPanel(panel.metric, panel.label, log, name, *grid, lowest))
    return tuple(drawn) or _nothing(panels)


def _map_is_log(panel: Panel, centres: np.ndarray) -> bool:
    """Whether the colours of a map are logarithmic: never without a positive number."""
    some = centres[centres > 0]
    if panel.log is None:
        return bool(centres.min(initial=0) >= 0 and is_wide(some))
    return panel.log and len(some) > 0


def _lowest(z: np.ndarray, upwards: Column) -> np.ndarray:
    """Where each column of a map is lowest, (x,); NaN where it is empty."""
    at = np.argmin(np.where(np.isfinite(z), z, np.inf), axis=0)
    return np.where(np.isfinite(z).any(axis=0), upwards.positions[at], np.nan)


def _nothing(panels: Sequence[Panel]) -> tuple[()]:
    raise NoResults(f"no finite value of {', '.join(panel.metric for panel in panels)} to draw")


def is_wide(centres: np.ndarray) -> bool:
    """Whether positive numbers span so much that a linear axis would hide the small ones."""
    return bool(len(centres) and centres.min() > 0 and centres.max() > WIDE * centres.min())
