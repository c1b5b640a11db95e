"""The caption of a figure: what was held fixed, and what a point, its band and its marks are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hw6.contract.drawing import Panel
from hw6.figures.data import CurvePanel, MapPanel
from hw6.figures.names import fixed, placeholders, symbol_of
from hw6.figures.panels import Placed
from hw6.figures.spread import BANDS
from hw6.words import counted

HARD = "\u00a0"  # a blank at which no line is broken


def caption(placed: Placed, panels: Sequence[Panel], drawn: Sequence[CurvePanel | MapPanel]) -> str:
    """The text below a figure.

    Args:
        placed: the rows.
        panels: what was to be drawn.
        drawn: what is.
    """
    parts = [*_held(placed), *_points(placed, panels, drawn), *_theory(placed, panels), *_signs(drawn)]
    return ", ".join(parts)


def _held(placed: Placed) -> Iterator[str]:
    """The keys with one value."""
    drawing, chosen = placed.table.drawing, placed.layout
    keys = dict.fromkeys([*drawing.names, *drawing.caption, *placeholders(drawing)])
    single = {one.key: one.values[0] for one in placed.table.columns(keys) if len(one.values) == 1}
    used = {axis.key for axis in (chosen.across, chosen.upwards, *chosen.lines) if axis}
    used |= {fill.when for fill in drawing.fills if single.get(fill.when) == fill.equals}  # told by the axis
    for part in fixed(drawing, single, used):
        yield part.replace(" = ", f"{HARD}={HARD}")


def _points(placed: Placed, panels: Sequence[Panel], drawn: Sequence[CurvePanel | MapPanel]) -> Iterator[str]:
    """What a point is, and what its band."""
    table, chosen = placed.table, placed.layout
    counts = [one.count for panel in drawn for one in (panel.curves if isinstance(panel, CurvePanel) else [panel])]
    count = np.concatenate([np.ravel(one) for one in counts])
    count = count[count > 0]
    shape = "band" if chosen.across.numeric and not _has_theory(placed, panels) else "bars"
    if count.max() > 1:
        noun = symbol_of(chosen.repeats[0].key, table.drawing) if len(chosen.repeats) == 1 else "row"
        some = "" if count.min() == count.max() else f"{count.min():,} to "
        yield f"{placed.statistic} of {some}" + counted(int(count.max()), noun).replace(" ", HARD)
        if BANDS[placed.statistic][placed.band] and isinstance(drawn[0], CurvePanel):
            yield f"{shape}: {BANDS[placed.statistic][placed.band]}".replace(" ", HARD)
    elif any(panel.error in table.frame for panel in panels) and not chosen.upwards:
        yield f"{shape}: standard error".replace(" ", HARD)


def _has_theory(placed: Placed, panels: Sequence[Panel]) -> bool:
    return any(panel.theory in placed.table.frame for panel in panels)


def _theory(placed: Placed, panels: Sequence[Panel]) -> Iterator[str]:
    """What the thin lines through the points are."""
    if _has_theory(placed, panels) and not placed.layout.upwards:
        names = dict.fromkeys(panel.kind for panel in panels if panel.kind is not None)
        kinds = sorted({str(kind) for one in placed.table.columns(names) for kind in one.values})
        yield "lines: theory" + (f" ({', '.join(kinds)})".replace("-", "\u2011") if kinds else "")


def _signs(drawn: Sequence[CurvePanel | MapPanel]) -> Iterator[str]:
    """What dots, hatching and triangles are."""
    maps = [panel for panel in drawn if isinstance(panel, MapPanel)]
    if any(panel.lowest is not None for panel in maps):
        yield f"dots:{HARD}lowest of each column"
    if any(panel.log and np.any(panel.z == 0) for panel in maps):
        yield f"hatched:{HARD}0"
    if any(curve.zeros is not None for panel in drawn if isinstance(panel, CurvePanel) for curve in panel.curves):
        yield f"triangles at the bottom:{HARD}0"
