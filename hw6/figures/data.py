"""Data: a figure as plain arrays and texts: what ``curves`` computes, what ``draw`` draws, what tests look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DrawnAxis:
    """A horizontal axis, or the vertical one of a map.

    Attributes:
        key: the swept column.
        label: what stands beside it.
        log: logarithmic.
        joined: whether it makes sense to join points by a line: not where the axis is only a number of a repeat.
        names: the texts of a non-numeric axis, at 0, 1, ...; otherwise empty.
        marks: places worth a line, with their text.
    """

    key: str
    label: str
    log: bool = False
    joined: bool = True
    names: tuple[str, ...] = ()
    marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve of a panel: arrays of one length.

    Attributes:
        label: its name in the legend; empty for the only curve.
        style: which colour and line; the same in every panel.
        x: positions, rising; a single NaN for a curve without a place on the axis, to be drawn as a level.
        centre: the median or mean; low and high are the band, equal to the centre where there is none.
        count: the values behind each point.
        theory: what theory says, or None.
        zeros: positions at which the centre is 0 and the axis logarithmic, which has no place for it.
    """

    label: str
    style: int
    x: np.ndarray
    centre: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    theory: np.ndarray | None = None
    zeros: np.ndarray | None = None

    @property
    def constant(self) -> bool:
        """Whether all its values are the same."""
        return bool(np.all(self.low == self.centre[0]) and np.all(self.high == self.centre[0]))


@dataclass(frozen=True)
class CurvePanel:
    """Curves over the common horizontal axis. ``thin``: constant curves are references. ``bars``: outlines of bars."""

    metric: str
    label: str
    log: bool
    curves: tuple[Curve, ...]
    thin: bool = False
    bars: bool = False


@dataclass(frozen=True, eq=False)
class MapPanel:
    """A map: ``z`` and ``count`` (y, x), NaN and 0 where there is no row; ``lowest`` (x,) the y of the smallest z.

    A ``z`` of 0 on a logarithmic scale has no colour and is drawn apart.
    """

    metric: str
    label: str
    log: bool
    title: str
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    count: np.ndarray
    lowest: np.ndarray | None = None


@dataclass(frozen=True)
class Curves:
    """All that a figure shows.

    Attributes:
        name: what its file is called.
        x: the horizontal axis.
        y: the vertical axis of maps; None for curves.
        panels: curves from top to bottom, or maps side by side.
        ordered: the curves are a family in order, and so are their colours.
        diagonal: in a map, the text of the line where x and y are equal; empty for none.
        caption: what was held fixed, and what a point and its band are.
        notes: what was left out.
    """

    name: str
    x: DrawnAxis
    y: DrawnAxis | None
    panels: tuple[CurvePanel, ...] | tuple[MapPanel, ...]
    ordered: bool
    diagonal: str
    caption: str
    notes: tuple[str, ...]
