"""Draws ``Curves``: colours, lines and sizes; not one number is computed here.

Sizes are those of a paper: one column of text is 3.4 inches wide, a page of two columns 6.8. Curves differ in colour,
in luminance and in their dashes, so that a grey print and colour-blind eyes can tell them apart.
"""

from __future__ import annotations

import io
import textwrap
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from hw6.figure_data import Axis, Curve, CurvePanel, Curves, MapPanel

COLUMN, PAGE = 3.4, 6.8  # inches
GREY = "0.45"
# Colours with luminances (CIELAB) of 26, 67, 49, 76, 12, 80, 35, 56: neighbours differ by at least 18.
STYLES: tuple[tuple[str, Any, str], ...] = (
    ("#1d3f72", "-", "o"),
    ("#e08a1e", (0, (4.5, 1.6)), "s"),
    ("#2a8c82", (0, (5, 1.5, 1.2, 1.5)), "^"),
    ("#d6a6c8", "-", "D"),
    ("#202020", (0, (1.2, 1.2)), "v"),
    ("#9ccfe8", (0, (7, 2)), "P"),
    ("#8a2f5d", (0, (3, 1.5, 1, 1.5, 1, 1.5)), "X"),
    ("#7d8c3c", (0, (2, 2)), "*"),
)
SETTINGS: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.3,
    "lines.markersize": 3,
    "legend.frameon": False,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "hw6",
    "savefig.dpi": 300,
    "figure.dpi": 150,
}
# No dates and no versions: equal rows give equal files.
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}


class PaperFigure(Figure):
    """A matplotlib figure that notebooks show without pyplot."""

    def _repr_png_(self) -> bytes:
        return render(self, "png")


def settings() -> AbstractContextManager[None]:
    """matplotlib's defaults with ours on top, whatever the user's own settings are."""
    return style.context(["default", SETTINGS])


def draw(data: Curves) -> Figure:
    """The figure."""
    with settings():
        if data.y is None:
            return _draw_curves(data)
        return _draw_maps(data, data.y)


def render(figure: Figure, kind: str) -> bytes:
    """The bytes of a file of a figure; ``kind`` is png, pdf or svg. Equal figures give equal bytes."""
    buffer = io.BytesIO()
    with settings():
        figure.savefig(buffer, format=kind, metadata=METADATA[kind])
    return buffer.getvalue()


def _draw_curves(data: Curves) -> Figure:
    panels = [panel for panel in data.panels if isinstance(panel, CurvePanel)]
    heights = [2.1] + [1.05] * (len(panels) - 1)
    figure = PaperFigure(figsize=(COLUMN, sum(heights) + 0.9), layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    styles = {curve.style for panel in panels for curve in panel.curves}
    names: dict[str, Any] = {}
    for axes, panel in zip(grid, panels, strict=True):
        for curve in panel.curves:
            names.setdefault(curve.label, _draw_curve(axes, curve, panel, data, len(styles)))
        if panel.log:
            axes.set_yscale("log")
        _ticks(axes, "y", panel.log)
        axes.set_ylabel(panel.label)
    _draw_axis(grid[-1], data.x)
    for axes in grid:
        for place, _ in data.x.marks:
            axes.axvline(place, color=GREY, linewidth=0.6, linestyle=(0, (1, 1.5)), zorder=0)
    for place, text in data.x.marks:
        grid[0].annotate(
            text, (place, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize=7, color=GREY,
        )  # fmt: skip
    names.pop("", None)
    if names:
        columns = 1 if max(map(len, names)) > 22 else 2 if len(names) < 5 or max(map(len, names)) > 10 else 3
        figure.legend(
            list(names.values()), list(names), loc="outside upper left", ncols=columns,
            handlelength=2.6, columnspacing=1.2, borderaxespad=0.2, labelspacing=0.25,
        )  # fmt: skip
    _draw_caption(figure, data)
    figure.align_ylabels()
    return figure


def _draw_curve(axes: Axes, curve: Curve, panel: CurvePanel, data: Curves, count: int) -> Any:
    """Draw one curve; the handle for the legend is returned."""
    color: Any
    handle: Any
    color, dashes, marker = STYLES[curve.style % len(STYLES)]
    if data.ordered:
        color = colormaps["viridis"](0.8 * curve.style / max(count - 1, 1))
    if panel.thin and curve.constant and not data.x.names:
        return axes.plot(curve.x, curve.centre, color=color, linestyle=dashes, linewidth=0.7)[0]
    if np.isnan(curve.x[0]):  # a level
        axes.axhspan(curve.low[0], curve.high[0], color=color, alpha=0.12, linewidth=0)
        return axes.axhline(curve.centre[0], color=color, linestyle=dashes)
    banded = bool(np.any(curve.low < curve.high))
    if data.x.names or len(curve.x) == 1 or curve.theory is not None:
        dodge = 0.5 / max(count, 2) if data.x.names else 0.0  # so that the bars of one place stand side by side
        x = curve.x + (curve.style - (count - 1) / 2) * dodge
        errors = np.stack([curve.centre - curve.low, curve.high - curve.centre]) if banded else None
        handle = axes.errorbar(x, curve.centre, errors, color=color, marker=marker, linestyle="none", linewidth=1)
    else:
        if banded:
            axes.fill_between(
                curve.x, curve.low, curve.high, color=color, alpha=0.22 if count < 4 else 0.12, linewidth=0
            )
        few = len(curve.x) <= 16
        line = dashes if data.x.joined else "none"
        few = few or not data.x.joined
        handle = axes.plot(curve.x, curve.centre, color=color, linestyle=line, marker=marker if few else "")[0]
    if curve.theory is not None:
        axes.plot(curve.x, curve.theory, color=color, linestyle=dashes, linewidth=0.8, zorder=1.5)
    return handle


def _draw_maps(data: Curves, y: Axis) -> Figure:
    panels = [panel for panel in data.panels if isinstance(panel, MapPanel)]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = PaperFigure(figsize=(COLUMN if columns == 1 else PAGE, 2.2 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    metrics = list(dict.fromkeys(panel.metric for panel in panels))
    for metric in metrics:
        mine = [(axes, panel) for axes, panel in zip(grid.flat, panels, strict=False) if panel.metric == metric]
        z = np.concatenate([panel.z[np.isfinite(panel.z)] for _, panel in mine])
        top = z.max() if z.max() > z.min() else z.min() + 0.01 * (abs(z.min()) or 1.0)
        norm = (LogNorm if mine[0][1].log else Normalize)(z.min(), top)
        for axes, panel in mine:
            image = _draw_map(axes, panel, data, y, norm)
            title = ", ".join(filter(None, [panel.title, panel.label if len(metrics) > 1 else ""]))
            axes.set_title(title, loc="left", fontsize=7.5, pad=14 if data.x.marks else 4)
        bar = figure.colorbar(
            image,
            ax=[axes for axes, _ in mine],
            label="" if len(metrics) > 1 else mine[0][1].label,
            aspect=25,
            pad=0.02,
        )
        bar.outline.set_visible(False)
        _ticks(bar.ax, "y", mine[0][1].log)
    for place, axes in enumerate(grid.flat[: len(panels)]):
        if place + columns >= len(panels):  # nothing is drawn below it
            _draw_axis(axes, data.x)
            axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel(y.label)
    _draw_caption(figure, data)
    return figure


def _draw_map(axes: Axes, panel: MapPanel, data: Curves, y: Axis, norm: Normalize) -> Any:
    axes.set_facecolor("0.85")  # where there is no row
    edges = (_edges(panel.x, data.x.log), _edges(panel.y, y.log))
    image = axes.pcolormesh(*edges, panel.z, norm=norm, cmap="viridis", rasterized=panel.z.size > 2000)
    if y.log:
        axes.set_yscale("log")
    _ticks(axes, "y", y.log)
    if panel.lowest is not None:
        axes.plot(
            panel.x, panel.lowest, "o", markersize=1.8, color="white", markeredgecolor="black", markeredgewidth=0.3
        )
    if data.diagonal:
        low, high = max(edges[0][0], edges[1][0]), min(edges[0][-1], edges[1][-1])
        line = np.linspace(low, high, 50)
        axes.plot(line, line, color="white", linewidth=0.8, linestyle=(0, (3, 2)))
        axes.annotate(
            data.diagonal, (line[25], line[25]), (-3, 3), textcoords="offset points", ha="right", color="white"
        )
    for place, text in data.x.marks:
        axes.axvline(place, color="white", linewidth=0.7, linestyle=(0, (1, 1.5)))
        axes.annotate(
            text, (place, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize=7, color=GREY,
        )  # fmt: skip
    return image


def _edges(centres: np.ndarray, log: bool) -> np.ndarray:
    """The borders of the fields around centres, halfway between them."""
    c = np.log(centres) if log else centres
    steps = np.diff(c) if len(c) > 1 else np.ones(1)
    edges = np.concatenate([[c[0] - steps[0] / 2], (c[1:] + c[:-1]) / 2, [c[-1] + steps[-1] / 2]])
    return np.exp(edges) if log else edges


def _draw_axis(axes: Axes, x: Axis) -> None:
    axes.set_xlabel(x.label)
    if x.log:
        axes.set_xscale("log")
    if x.names:
        names = ["\n".join(textwrap.wrap(name, max(8, 44 // len(x.names)))) for name in x.names]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(x.names) - 0.5)
    else:
        _ticks(axes, "x", x.log)


def _ticks(axes: Axes, which: str, log: bool) -> None:
    """Few round numbers; on a logarithmic axis powers of ten, or 1, 2, 5 and so on below two decades."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    if not log:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    elif low > 0 and high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_minor_formatter(NullFormatter())


def _draw_caption(figure: Figure, data: Curves) -> None:
    """What was fixed and what was left out, below everything."""
    text = "; ".join(filter(None, [data.caption, *data.notes]))
    if text:
        width = int(figure.get_figwidth() * 20.5)  # characters of 6.5 points
        lines = "\n".join(textwrap.wrap(text, width, break_long_words=False))
        figure.supxlabel(lines, x=0.01, ha="left", fontsize=6.5, color="0.3", linespacing=1.3)
