"""Rows that are no point of a figure: of the layers of a cell the last alone, of a histogram each bin."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hw6.contract.drawing import Drawing, Histogram, Panel

if TYPE_CHECKING:
    import pandas as pd


def last_rows(frame: pd.DataFrame, drawing: Drawing) -> pd.DataFrame:
    """The last row of each cell, where the drawing wants no other; otherwise the frame as it is."""
    if drawing.last is None or drawing.last not in frame:
        return frame
    return frame[frame[drawing.last] == frame.groupby("cell_id", observed=True)[drawing.last].transform("max")]


def wanted_histogram(drawing: Drawing, metric: str | Sequence[str] | None) -> Histogram | None:
    """The histogram that was asked for, if one was."""
    return next((one for one in drawing.histograms if metric in (one.metric, [one.metric])), None)


def unfolded(frame: pd.DataFrame, drawing: Drawing, histogram: Histogram) -> tuple[pd.DataFrame, Drawing]:
    """A row for each bin of each histogram, and the drawing of these rows.

    The metric's column becomes the density; new columns beside it hold the bin's centre, the mean density of the
    standard normal distribution in the bin, and its name.
    """
    rows = frame[frame[histogram.metric].notna()]
    counts = np.array([json.loads(str(text)) for text in rows[histogram.metric]], dtype=np.float64)  # (rows, bins)
    bins = counts.shape[1] if counts.size else 0
    edges = np.linspace(histogram.low, histogram.high, bins + 1)
    width = (histogram.high - histogram.low) / max(bins, 1)
    below = np.array([math.erfc(-edge / math.sqrt(2)) / 2 for edge in edges])
    below[[0, -1]] = 0.0, 1.0  # the outer bins are open
    axis, normal, kind = (f"{histogram.metric}_{name}" for name in ("at", "normal", "kind"))
    densities = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0) / width
    repeated = rows.loc[rows.index.repeat(bins)].assign(
        **{
            histogram.metric: densities.ravel(),
            axis: np.tile((edges[:-1] + edges[1:]) / 2, len(rows)),
            normal: np.tile(np.diff(below) / width, len(rows)),
            kind: "normal density",
        }
    )
    panel = Panel(histogram.metric, "density", log=False, theory=normal, kind=kind, bars=True)
    labels = {**drawing.labels, axis: histogram.label}
    return repeated, replace(drawing, panels=(panel,), x=(axis,), index=(axis,), labels=labels, last=None)
