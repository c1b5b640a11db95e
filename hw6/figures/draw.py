"""Draws ``Curves`` with seaborn: colours, lines and sizes; not one number is computed here.

Sizes are those of a paper: one column of text is 3.4 inches wide, a page of two columns 6.8. Colours are taken from
perceptual maps at even steps of luminance, and curves differ in dashes and markers too, so that a grey print and
colour-blind eyes can tell them apart.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis as Side
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from hw6.figures.data import Curve, CurvePanel, Curves, DrawnAxis, MapPanel

COLUMN, PAGE = 3.4, 6.8  # inches
GREY = "0.45"
FEW = 16  # points of a curve that are marked one by one
# For up to eight curves; seaborn's own dotted lines and crosses get lost at this size.
DASHES = ["", (4, 1.5), (5, 1.2, 1.2, 1.2), (2, 1), (8, 2), (3, 1, 1, 1, 1, 1), (1.2, 1.2), (8, 1, 2, 1)]
MARKERS = ["o", "s", "D", "^", "v", "P", "X", "*"]
# On top of seaborn's paper context, which is meant for figures of twice this width. Text in files stays text.
SETTINGS: dict[str, Any] = {
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same figure everywhere
    "lines.markersize": 3.6,
    **{f"{part}.linewidth": 0.6 for part in ("axes", "patch")},
    **{f"{side}tick.{size}.width": 0.6 for side in "xy" for size in ("major", "minor")},
    **{f"{side}tick.major.size": 3.0 for side in "xy"},
    **{f"{side}tick.minor.size": 1.5 for side in "xy"},
    "legend.frameon": False,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "pdf.fonttype": 42,
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
    """seaborn's settings for a paper with ours on top, whatever the user's own are."""
    paper = [sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=0.87)]
    return style.context(["default", *paper, SETTINGS])


def draw(data: Curves) -> PaperFigure:
    """The figure."""
    with settings():
        figure = _draw_curves(data) if data.y is None else _draw_maps(data, data.y)
        text = "; ".join(filter(None, [data.caption, *data.notes]))
        if text:  # what was fixed and what was left out, below everything
            width = int(figure.get_figwidth() * 20)  # characters of 6.7 points
            lines = "\n".join(textwrap.wrap(text, width, break_long_words=False))
            figure.supxlabel(lines, x=0.01, ha="left", fontsize=6.7, color="0.3", linespacing=1.3)
        return figure


def render(figure: Figure, kind: str) -> bytes:
    """The bytes of a file of a figure; ``kind`` is png, pdf or svg. Equal figures give equal bytes."""
    buffer = io.BytesIO()
    with settings():
        figure.savefig(buffer, format=kind, metadata=METADATA[kind])
    return buffer.getvalue()


def _draw_curves(data: Curves) -> PaperFigure:
    panels = [panel for panel in data.panels if isinstance(panel, CurvePanel)]
    heights = [2.2] + [1.05] * (len(panels) - 1)
    figure = PaperFigure(figsize=(COLUMN, sum(heights) + 0.9), layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    names = {curve.style: curve.label for panel in panels for curve in panel.curves}
    shades = sns.color_palette("viridis" if data.ordered else "plasma", as_cmap=True)
    palette = dict(zip(sorted(names), map(tuple, shades(np.linspace(0, 0.73, len(names)))), strict=True))
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, data.x, palette)
        if panel.log:
            axes.set_yscale("log")
        _ticks(axes.yaxis, panel.log)
        axes.set(xlabel="", ylabel=panel.label)
        for curve in panel.curves:
            if curve.zeros is not None:
                bottom = axes.get_xaxis_transform()
                at, color = curve.zeros + _dodge(data.x, curve, palette), palette[curve.style]
                axes.scatter(at, 0 * at, 9, color=color, marker="v", transform=bottom, clip_on=False, zorder=3)
        for place, _ in data.x.marks:
            axes.axvline(place, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    whole = all(np.all(curve.x == np.round(curve.x)) for panel in panels for curve in panel.curves)
    _draw_axis(grid[-1], data.x, whole)
    _name_marks(grid[0], data.x)
    handles, _ = grid[0].get_legend_handles_labels()
    for axes in grid:
        if axes.get_legend():
            axes.get_legend().remove()
    texts = [names[curve] for curve in palette]
    if any(texts):
        columns = max(1, min(len(texts), 58 // (max(map(len, texts)) + 8)))  # 58 characters fill a line
        figure.legend(handles, texts, loc="outside upper left", ncols=columns, columnspacing=1.2, labelspacing=0.25)
    sns.despine(figure)
    figure.align_ylabels()
    return figure


def _draw_panel(axes: Axes, panel: CurvePanel, x: DrawnAxis, palette: dict[int, Any]) -> None:
    """Bands, then lines or dots; or the outlines of bars."""
    if panel.bars:
        for curve in panel.curves:
            color, fill = palette[curve.style], 0.25 if len(palette) == 1 else 0.0
            axes.step(curve.x, curve.centre, color=color, where="mid", linewidth=1.0, label=curve.label)
            axes.fill_between(curve.x, curve.centre, step="mid", color=color, alpha=fill, linewidth=0)
            if curve.theory is not None:
                axes.plot(curve.x, curve.theory, color=GREY, linewidth=0.8, zorder=1.5)
        return
    dotted = bool(x.names) or not x.joined or any(curve.theory is not None for curve in panel.curves)
    span = np.concatenate([curve.x for curve in panel.curves])
    ends = np.array([np.nanmin(span), np.nanmax(span)]) if np.isfinite(span).any() else np.array([0.0, 1.0])
    lines: list[tuple[int, np.ndarray, np.ndarray]] = []
    dots: list[tuple[int, np.ndarray, np.ndarray]] = []
    for curve in panel.curves:
        color, level = palette[curve.style], bool(np.isnan(curve.x[0]))
        at = ends if level else curve.x + _dodge(x, curve, palette)
        centre, low, high = (np.broadcast_to(part, at.shape) for part in (curve.centre, curve.low, curve.high))
        (dots if dotted and not level else lines).append((curve.style, at, centre))
        if curve.theory is not None:
            lines.append((curve.style, at, curve.theory))
        if np.any(low < high) and (len(at) == 1 or (dotted and not level)):
            reach = [(centre - low).tolist(), (high - centre).tolist()]  # of arrays of one entry, old matplotlib warns
            axes.errorbar(at, centre, reach, color=color, fmt="none", elinewidth=1)
        elif np.any(low < high):
            axes.fill_between(at, low, high, color=color, alpha=0.22 if len(palette) < 4 else 0.12, linewidth=0)
    thin = {curve.style for curve in panel.curves if dotted or (panel.thin and curve.constant)}
    widths = {curve: 0.7 if curve in thin else 1.3 for curve in palette}
    few = not dotted and all(len(curve.x) <= FEW and np.isfinite(curve.x[0]) for curve in panel.curves)
    order = list(palette)
    shared: dict[str, Any] = {"x": "x", "y": "y", "hue": "curve", "style": "curve", "hue_order": order, "ax": axes}
    shared |= {"style_order": order, "palette": palette}
    if lines:
        sns.lineplot(
            _long(lines), **shared, size="curve", sizes=widths, size_order=order, dashes=DASHES[: len(order)],
            markers=MARKERS[: len(order)] if few else False, markeredgewidth=0.4, estimator=None, errorbar=None,
            legend=False if dots else "full",
        )  # fmt: skip
    if dots:
        sns.scatterplot(_long(dots), **shared, markers=MARKERS[: len(order)], legend="full", zorder=3)


def _dodge(x: DrawnAxis, curve: Curve, palette: dict[int, Any]) -> float:
    """How far a curve's dots stand aside, so that the bars of one category stand side by side."""
    count = len(palette)
    return (list(palette).index(curve.style) - (count - 1) / 2) * 0.5 / max(count, 2) if x.names else 0.0


def _long(parts: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Curves one below another, as seaborn reads them."""
    curve, x, y = zip(*parts, strict=True)
    return pd.DataFrame({"curve": np.repeat(curve, list(map(len, x))), "x": np.concatenate(x), "y": np.concatenate(y)})


def _draw_maps(data: Curves, y: DrawnAxis) -> PaperFigure:
    panels = [panel for panel in data.panels if isinstance(panel, MapPanel)]
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = -(-len(panels) // columns)
    height = max(2.2, 0.15 * len(y.names))
    figure = PaperFigure(figsize=(COLUMN if columns == 1 else PAGE, height * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    sns.despine(figure)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    metrics = list(dict.fromkeys(panel.metric for panel in panels))
    for metric in metrics:
        mine = [(axes, panel) for axes, panel in zip(grid.flat, panels, strict=False) if panel.metric == metric]
        z = np.concatenate([panel.z[np.isfinite(panel.z) & ((panel.z > 0) | (not panel.log))] for _, panel in mine])
        top = z.max() if z.max() > z.min() else z.min() + 0.01 * (abs(z.min()) or 1.0)
        norm = (LogNorm if mine[0][1].log else Normalize)(z.min(), top)
        for axes, panel in mine:
            image = _draw_map(axes, panel, data, y, norm)
            title = ", ".join(filter(None, [panel.title, panel.label if len(metrics) > 1 else ""]))
            axes.set_title(title, loc="left", pad=14 if data.x.marks else 4)
        label = "" if len(metrics) > 1 else mine[0][1].label
        bar = figure.colorbar(image, ax=[axes for axes, _ in mine], label=label, aspect=25, pad=0.02)
        bar.outline.set_visible(False)
        _ticks(bar.ax.yaxis, mine[0][1].log)
    for place, axes in enumerate(grid.flat[: len(panels)]):
        if place + columns >= len(panels):  # nothing is drawn below it
            _draw_axis(axes, data.x, bool(np.all(panels[0].x == np.round(panels[0].x))))
            axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel(y.label)
    return figure


def _draw_map(axes: Axes, panel: MapPanel, data: Curves, y: DrawnAxis, norm: Normalize) -> Any:
    axes.set_facecolor("0.85")  # where there is no row
    edges = (_edges(panel.x, data.x.log), _edges(panel.y, y.log))
    # Not sns.heatmap: its cells are numbered, so an uneven or logarithmic axis and lines at p = n would have no place.
    zero = panel.log & (panel.z == 0)
    z = np.ma.masked_where(zero, panel.z)
    image = axes.pcolormesh(*edges, z, norm=norm, cmap="viridis", rasterized=panel.z.size > 2000)
    if zero.any():
        apart = np.ma.masked_where(~zero, panel.z)
        axes.pcolor(*edges, apart, cmap=ListedColormap(["white"]), hatch="/////", edgecolor="0.6", linewidth=0)
    if y.log:
        axes.set_yscale("log")
    if y.names:
        axes.set_yticks(range(len(y.names)), y.names)
        axes.set_ylim(len(y.names) - 0.5, -0.5)
    else:
        _ticks(axes.yaxis, y.log, bool(np.all(panel.y == np.round(panel.y))))
    outline = [withStroke(linewidth=1.6, foreground="0.25")]  # white is seen on bright fields too
    if panel.lowest is not None:
        axes.plot(panel.x, panel.lowest, "o", markersize=2, color="white", markeredgecolor="0.1", markeredgewidth=0.4)
    if data.diagonal:
        low, high = max(edges[0][0], edges[1][0]), min(edges[0][-1], edges[1][-1])
        line = np.linspace(low, high, 50)
        axes.plot(line, line, color="white", linewidth=0.8, linestyle="--", path_effects=outline)
        axes.annotate(
            data.diagonal, (line[25], line[25]), (-3, 3), textcoords="offset points", ha="right", color="white",
            path_effects=outline,
        )  # fmt: skip
    for place, _ in data.x.marks:
        axes.axvline(place, color="white", linewidth=0.8, linestyle="--", path_effects=outline, zorder=1.5)
    _name_marks(axes, data.x)
    return image


def _name_marks(axes: Axes, x: DrawnAxis) -> None:
    for place, text in x.marks:
        axes.annotate(
            text, (place, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize="small", color=GREY,
        )  # fmt: skip


def _edges(centres: np.ndarray, log: bool) -> np.ndarray:
    """The borders of the fields around centres, halfway between them."""
    c = np.log(centres) if log else centres
    steps = np.diff(c) if len(c) > 1 else np.ones(1)
    edges = np.concatenate([[c[0] - steps[0] / 2], (c[1:] + c[:-1]) / 2, [c[-1] + steps[-1] / 2]])
    return np.exp(edges) if log else edges


def _draw_axis(axes: Axes, x: DrawnAxis, whole: bool) -> None:
    axes.set_xlabel(x.label)
    if x.log:
        axes.set_xscale("log")
    if x.names:
        whole_words = [re.sub(r"\([^)]*\)| = ", lambda part: part[0].replace(" ", "\u00a0"), name) for name in x.names]
        names = ["\n".join(textwrap.wrap(name, max(8, 44 // len(x.names)))) for name in whole_words]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(x.names) - 0.5)
    else:
        _ticks(axes.xaxis, x.log, whole)


def _ticks(side: Side, log: bool, whole: bool = False) -> None:
    """Few round numbers; on a logarithmic axis powers of ten, or 1, 2, 5 and so on below two decades."""
    low, high = sorted(side.get_view_interval())
    if not log or 0 < low < high < 4 * low:
        side.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=whole))
    elif low > 0 and high < 100 * low:
        side.set_major_locator(LogLocator(subs=(1, 2, 5)))
    if log and low > 0 and high < 100 * low:
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        side.set_minor_locator(NullLocator())
    elif log:
        side.set_minor_formatter(NullFormatter())
