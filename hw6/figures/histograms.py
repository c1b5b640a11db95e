"""Histograms: a row that holds the counts of all bins becomes a row for each bin."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hw6.contract.drawing import Histogram, Panel
from hw6.figures.table import Table


def wanted_histogram(table: Table, metric: str | Sequence[str] | None) -> Histogram | None:
    """The histogram that was asked for, if one was and the table has it."""
    for one in table.drawing.histograms:
        if metric in (one.metric, [one.metric]) and one.metric in table.frame:
            return one
    return None


def unfolded(table: Table, histogram: Histogram) -> Table:
    """A row for each bin of each histogram, and the drawing of these rows.

    The metric's column becomes the density; new columns beside it hold the bin's centre, the mean density of the
    standard normal distribution in the bin, and its name.
    """
    rows = table.frame[table.frame[histogram.metric].notna()]
    counts = np.array([json.loads(str(text)) for text in rows[histogram.metric]], dtype=np.float64)  # (rows, bins)
    bins = counts.shape[1] if counts.size else 0
    edges = np.linspace(histogram.low, histogram.high, bins + 1)
    width = (histogram.high - histogram.low) / max(bins, 1)
    below = np.array([math.erfc(-edge / math.sqrt(2)) / 2 for edge in edges])
    below[[0, -1]] = 0.0, 1.0  # the outer bins are open
    axis, normal, kind = (f"{histogram.metric}_{name}" for name in ("at", "normal", "kind"))
    densities = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0) / width
    repeated = rows.iloc[np.repeat(np.arange(len(rows)), bins)].assign(
        **{
            histogram.metric: densities.ravel(),
            axis: np.tile((edges[:-1] + edges[1:]) / 2, len(rows)),
            normal: np.tile(np.diff(below) / width, len(rows)),
            kind: "normal density",
        }
    )
    panel = Panel(histogram.metric, "density", log=False, theory=normal, kind=kind, bars=True)
    labels = {**table.drawing.labels, axis: histogram.label}
    drawing = replace(table.drawing, panels=(panel,), x=(axis,), index=(axis,), labels=labels, last=None)
    return replace(table, frame=repeated, drawing=drawing, metrics={**table.metrics, histogram.metric: "density"})
