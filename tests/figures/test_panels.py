"""The numbers of curves and maps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from recipes_frames import SMALL, curves_in, large_frame, layers_frame, maps_in, ridge_frame

from hw6.errors import NoResults
from hw6.figures.curves import curves
from hw6.figures.data import CurvePanel, Curves


def is_log(data: Curves) -> bool:
    return data.panels[0].log


def test_the_order_of_rows_decides_nothing() -> None:
    frame = ridge_frame(**SMALL, seeds=3)
    one, other = curves_in(curves(frame)), curves_in(curves(frame.sample(frac=1, random_state=0)))
    for a, b in zip(one, other, strict=True):
        assert a.label == b.label
        assert np.array_equal(a.centre, b.centre)
        assert np.array_equal(a.x, b.x)


def test_a_single_seed_has_no_band() -> None:
    for curve in curves_in(curves(ridge_frame(**SMALL))):
        assert np.array_equal(curve.low, curve.high)


def test_a_map_holds_medians_and_the_lowest_place_of_each_column() -> None:
    frame = ridge_frame(p=range(5, 15), n=10, d=4, seeds=2, kinds=["path"])
    (panel,) = maps_in(curves(frame))
    rows = frame[frame["p"] == 7].groupby("chosen_lambda")["test_mse"].median()
    np.testing.assert_allclose(panel.z[:, 2], rows.to_numpy(), rtol=1e-14)
    assert panel.lowest is not None
    assert panel.lowest[2] == rows.idxmin()


def test_a_curve_without_a_place_on_the_axis_is_a_level() -> None:
    data = curves(ridge_frame(p=[20], n=20, d=4, kinds=["path", "tuned"]))
    assert data.x.key == "lambda.value"
    path, tuned = curves_in(data)
    assert len(path.x) == 26
    assert np.isnan(tuned.x).tolist() == [True]


def test_a_constant_panel_is_left_out_where_it_is_only_a_reference() -> None:
    frame = ridge_frame(p=(5, 10, 20), n=20, d=4, kinds=["fixed"])
    assert [panel.metric for panel in curves(frame).panels] == ["test_mse"]
    data = curves(frame.assign(test_mse=1.0), metric="validation_mse,test_mse")
    assert [panel.metric for panel in data.panels] == ["validation_mse", "test_mse"]


def test_rows_numbered_by_a_metric_have_theory_and_errors() -> None:
    data = curves(layers_frame())
    four, eight = curves_in(data)
    assert (data.x.key, four.label, eight.label) == ("layer", "depth = 4", "depth = 8")
    assert eight.theory is not None
    np.testing.assert_allclose(eight.theory, 3.0 ** -np.arange(1, 9))
    np.testing.assert_allclose(four.high - four.centre, 0.1 / 3.0 ** np.arange(1, 5))


def test_logarithmic_only_where_numbers_span_much() -> None:
    frame = ridge_frame(**SMALL)
    assert not is_log(curves(frame.assign(test_mse=1.0 + frame["p"] / 30)))
    assert is_log(curves(frame.assign(test_mse=10.0 ** (frame["p"] / 10))))
    assert not is_log(curves(frame.assign(test_mse=10.0 ** (frame["p"] / 10) - 10)))  # not all positive


def test_what_is_zero_on_a_logarithmic_axis_is_told_apart() -> None:
    frame = ridge_frame(**SMALL, kinds=["fixed"])
    (curve,) = curves_in(curves(frame.assign(chosen_lambda=frame["p"] - 5.0), metric="chosen_lambda"))
    assert curve.zeros is not None
    assert (curve.zeros.tolist(), curve.x.tolist()) == ([5.0], [10.0, 20.0, 30.0])


def test_infinite_values_are_no_points() -> None:
    frame = ridge_frame(**SMALL, kinds=["fixed"])
    frame.loc[frame["p"] == 10, "test_mse"] = np.inf
    assert curves_in(curves(frame))[0].x.tolist() == [5, 20, 30]


@pytest.mark.parametrize("kinds", [["fixed"], ["path"]])
def test_nothing_finite_is_told(kinds: list[str]) -> None:
    frame = ridge_frame(p=range(5, 13), n=20, d=4, kinds=kinds)
    with pytest.raises(NoResults, match="no finite value of test_mse to draw"):
        curves(frame.assign(test_mse=np.inf), metric="test_mse")


def test_a_large_sweep_keeps_all_points() -> None:
    (panel, _) = curves(large_frame(300, 100)).panels
    assert isinstance(panel, CurvePanel)
    assert [len(curve.x) for curve in panel.curves] == [300, 300]
    assert panel.log


def test_numbers_that_came_back_as_objects_are_drawn_as_numbers() -> None:
    frame = ridge_frame(**SMALL, seeds=2)
    other = frame.astype({"test_mse": object, "chosen_lambda": object})
    other.loc[other.index[:1], "chosen_lambda"] = None
    for a, b in zip(curves_in(curves(frame)), curves_in(curves(other)), strict=True):
        assert np.array_equal(a.centre, b.centre)
    layers = layers_frame()
    assert curves(layers.astype({"layer": object})).x == curves(layers).x


def test_repeats_of_rows_in_one_frame_may_share_an_index() -> None:
    frame = ridge_frame(**SMALL, seeds=1)
    both = pd.concat([frame, frame.assign(seed=1, cell_id=frame["cell_id"] + "-1")])
    assert curves_in(curves(both))[0].count.tolist() == [2, 2, 2, 2]
