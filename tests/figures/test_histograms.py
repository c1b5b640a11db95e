"""Histograms: a row for each bin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from recipes_frames import curves_in, finished, known

from hw6.contract.drawing import Drawing, Histogram
from hw6.contract.experiment import Experiment
from hw6.contract.keys import Choice
from hw6.contract.metrics import Counts
from hw6.figures.curves import curves
from hw6.figures.data import CurvePanel
from hw6.figures.histograms import unfolded, wanted_histogram
from hw6.figures.table import table_of

BINS = Experiment(
    name="bins_recipe",
    version=1,
    keys={"law": Choice(help="law", choices=("one", "two"), default="one")},
    metrics={"counts": Counts("in four bins"), "mean": "mean"},
    rows=lambda cells: {},
    drawing=Drawing(histograms=(Histogram("counts", -2.0, 2.0, "in deviations"),)),
)
FRAME = finished(
    pd.DataFrame(
        {
            "cell_id": ["a", "b", "c"],
            "law": ["one", "two", "two"],
            "counts": ["[1, 2, 2, 0]", "[0, 0, 3, 1]", None],
            "mean": [0.0, 1.0, 2.0],
        }
    ),
    BINS.name,
)


@pytest.fixture(autouse=True)
def _bins_known() -> Iterator[None]:
    with known(BINS):
        yield


def test_only_a_histogram_that_was_asked_for_is_unfolded() -> None:
    table = table_of(FRAME).finished()
    (histogram,) = table.drawing.histograms
    assert wanted_histogram(table, "counts") == wanted_histogram(table, ["counts"]) == histogram
    assert wanted_histogram(table, None) is wanted_histogram(table, "mean") is None
    assert wanted_histogram(table_of(FRAME.drop(columns="counts")).finished(), "counts") is None
    assert table.drawable == ("mean",)


def test_each_bin_is_a_row_with_its_density() -> None:
    table = table_of(FRAME).finished()
    found = unfolded(table, table.drawing.histograms[0])
    assert found.frame["counts_at"].tolist() == [-1.5, -0.5, 0.5, 1.5] * 2
    np.testing.assert_allclose(found.numbers("counts"), [0.2, 0.4, 0.4, 0.0, 0.0, 0.0, 0.75, 0.25], rtol=1e-15)
    assert found.frame["counts_normal"].iloc[:4].sum() == pytest.approx(1.0, rel=1e-15)  # the outer bins are open
    assert found.drawable == ("counts", "mean")


def test_rows_that_share_an_index_are_unfolded_once_each() -> None:
    frame = pd.concat([FRAME.iloc[:1], FRAME.iloc[:1].assign(cell_id="d")])
    table = table_of(frame).finished()
    assert len(unfolded(table, table.drawing.histograms[0]).frame) == 8


def test_the_figure_has_bars_beside_the_normal_density() -> None:
    data = curves(FRAME, metric="counts")
    assert (data.name, data.x.label) == ("bins_recipe-counts", "in deviations")
    assert [curve.label for curve in curves_in(data)] == ["one", "two"]
    assert all(isinstance(panel, CurvePanel) and panel.bars for panel in data.panels)
    assert data.caption == "lines: theory (normal density)"
