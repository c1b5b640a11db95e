"""The data of figures: which axes, which curves, which numbers. No drawing here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from recipes_frames import EMPTY, EXPERIMENTS, fail, finished, large_frame, layers_frame, ridge_frame

from hw6.contract import registry
from hw6.errors import BadInput, NoResults
from hw6.figures.axes import column, combine
from hw6.figures.curves import curves
from hw6.figures.data import CurvePanel, Curves, MapPanel
from hw6.figures.spread import spread


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, experiment in EXPERIMENTS.items():
        monkeypatch.setitem(registry._registered, name, experiment)


def labels(data: Curves, panel: int = 0) -> list[str]:
    shown = data.panels[panel]
    return [curve.label for curve in shown.curves] if isinstance(shown, CurvePanel) else [shown.title]


SMALL = {"p": (5, 10, 20, 30), "n": 20, "d": 4}


def test_fixed_and_tuned_stand_side_by_side_over_p_with_the_chosen_lambda_below() -> None:
    data = curves(ridge_frame(**SMALL, seeds=3))
    assert (data.x.key, data.x.label, data.x.log) == ("p", "number of features $p$", False)
    assert [panel.metric for panel in data.panels] == ["test_mse", "chosen_lambda"]
    assert labels(data) == ["λ = 0.01 (fixed)", "λ tuned on validation data"]
    assert data.x.marks == ((20.0, "$p = n$ = 20"),)
    assert [curve.constant for curve in data.panels[1].curves] == [True, False]
    assert data.panels[1].log
    assert "n\u00a0=\u00a020" in data.caption
    assert "median of 3\u00a0seeds" in data.caption
    assert "quartiles" in data.caption


def test_centre_and_band_are_the_median_and_quartiles_over_seeds() -> None:
    frame = ridge_frame(**SMALL, seeds=6)
    curve = curves(frame).panels[0].curves[1]
    for place, p in enumerate((5, 10, 20, 30)):
        values = frame.loc[(frame["p"] == p) & (frame["lambda.kind"] == "tuned"), "test_mse"]
        expected = np.quantile(values, [0.25, 0.5, 0.75])
        np.testing.assert_allclose([curve.low[place], curve.centre[place], curve.high[place]], expected, rtol=1e-14)
    assert curve.count.tolist() == [6, 6, 6, 6]


@pytest.mark.parametrize(("band", "factor"), [("95", 2.5706), ("se", 1.0), ("none", 0.0)])
def test_the_mean_has_the_band_that_was_asked_for(band: str, factor: float) -> None:
    frame = ridge_frame(**SMALL, seeds=6, kinds=["tuned"])
    curve = curves(frame, statistic="mean", band=band).panels[0].curves[0]
    values = frame.loc[frame["p"] == 5, "test_mse"]
    np.testing.assert_allclose(curve.centre[0], values.mean(), rtol=1e-13)
    np.testing.assert_allclose(curve.high[0] - curve.centre[0], factor * values.sem(), rtol=1e-4)
    np.testing.assert_allclose(curve.centre[0] - curve.low[0], factor * values.sem(), rtol=1e-4)


def test_the_interval_of_the_mean_follows_students_t() -> None:
    stats = pytest.importorskip("scipy.stats")
    for freedom in (1, 2, 5, 10, 11, 19, 99):
        values = np.random.default_rng(freedom).standard_normal(freedom + 1)
        result = spread(values, np.zeros(freedom + 1, dtype=int), 1, "mean", "95")
        half = stats.t.ppf(0.975, freedom) * values.std(ddof=1) / np.sqrt(freedom + 1)
        np.testing.assert_allclose(result.high - result.centre, half, rtol=3e-4)


def test_the_order_of_rows_decides_nothing() -> None:
    frame = ridge_frame(**SMALL, seeds=3)
    one, other = curves(frame), curves(frame.sample(frac=1, random_state=0))
    assert labels(one) == labels(other)
    for a, b in zip(one.panels[0].curves, other.panels[0].curves, strict=True):
        assert np.array_equal(a.centre, b.centre)
        assert np.array_equal(a.x, b.x)


def test_a_single_seed_has_no_band() -> None:
    data = curves(ridge_frame(**SMALL))
    for curve in data.panels[0].curves:
        assert np.array_equal(curve.low, curve.high)
    assert "seed" not in data.caption


def test_failed_rows_are_left_out_and_told() -> None:
    frame = fail(ridge_frame(**SMALL, seeds=3), [0, 5])
    data = curves(frame)
    assert data.notes == ("2 failed cells left out",)
    assert sum(curve.count.sum() for curve in data.panels[0].curves) == len(frame) - 2
    assert "2 to 3\u00a0seeds" in data.caption


def test_a_cell_in_two_sweeps_counts_once() -> None:
    for kinds in (["fixed", "tuned"], ["path"]):
        frame = ridge_frame(**SMALL, seeds=3, kinds=kinds)
        once, twice = curves(frame), curves(pd.concat([frame, frame.iloc[:60]], ignore_index=True))
        assert twice.caption == once.caption
        for a, b in zip(once.panels[0].curves, twice.panels[0].curves, strict=True):
            assert np.array_equal(a.count, b.count)


def test_a_cell_that_failed_in_one_sweep_and_is_done_in_another_is_done() -> None:
    frame = ridge_frame(**SMALL, seeds=3)
    data = curves(pd.concat([fail(frame, [0]).iloc[:1], frame], ignore_index=True))
    assert data.notes == ()


def test_all_failed_is_told_in_one_line() -> None:
    with pytest.raises(NoResults, match="all 4 cells failed"):
        curves(fail(ridge_frame(**SMALL, kinds=["fixed"]), range(4)))


def test_few_p_of_a_path_are_a_family_of_curves_over_lambda() -> None:
    data = curves(ridge_frame(p=(5, 10, 20), n=20, d=4, kinds=["path"]))
    assert (data.x.key, data.x.log, data.y) == ("lambda.value", True, None)
    assert labels(data) == ["p = 5", "p = 10", "p = 20"]
    assert data.ordered
    assert len(data.panels) == 1  # the chosen lambda is the axis


def test_many_p_of_a_path_are_a_map() -> None:
    frame = ridge_frame(p=range(5, 15), n=10, d=4, seeds=2, kinds=["path"])
    data = curves(frame)
    panel = data.panels[0]
    assert isinstance(panel, MapPanel)
    assert data.y is not None
    assert (data.x.key, data.y.key, data.y.log) == ("p", "lambda.value", True)
    assert panel.z.shape == (26, 10)
    assert panel.lowest is not None
    rows = frame[(frame["p"] == 7)].groupby("chosen_lambda")["test_mse"].median()
    np.testing.assert_allclose(panel.z[:, 2], rows.to_numpy(), rtol=1e-14)
    assert panel.lowest[2] == rows.idxmin()


def test_tuned_beside_a_path_of_one_p_is_a_level() -> None:
    data = curves(ridge_frame(p=[20], n=20, d=4, kinds=["path", "tuned"]))
    assert data.x.key == "lambda.value"
    path, tuned = data.panels[0].curves
    assert len(path.x) == 26
    assert np.isnan(tuned.x).tolist() == [True]


def test_a_second_axis_with_many_values_is_a_map_for_each_group() -> None:
    data = curves(ridge_frame(p=(5, 10, 20, 30, 40, 50, 60), n=20, d=4, sigmas=np.linspace(0, 1, 7)))
    assert [panel.title for panel in data.panels] == ["λ = 0.01 (fixed)", "λ tuned on validation data"]
    assert data.y is not None
    assert data.y.key == "data.sigma"


def test_a_second_axis_with_few_values_is_a_family() -> None:
    data = curves(ridge_frame(**SMALL, sigmas=(0, 0.5, 1), kinds=["fixed"]))
    assert labels(data) == ["σ = 0", "σ = 0.5", "σ = 1"]
    assert data.ordered
    assert "λ\u00a0=\u00a00.01" in data.caption


def test_several_fixed_lambdas_and_tuned_are_named_once_each() -> None:
    data = curves(ridge_frame(**SMALL, lambdas=(0.01, 1.0)))
    assert labels(data) == ["λ = 0.01 (fixed)", "λ = 1 (fixed)", "λ tuned on validation data"]
    assert not data.ordered


def test_the_caption_does_not_tell_what_an_axis_tells() -> None:
    data = curves(ridge_frame(p=[20], n=20, d=4, kinds=["fixed"], lambdas=(0.01, 0.1, 1.0)))
    assert data.x.key == "lambda.value"
    assert "λ" not in data.caption


def test_starter_data_are_drawn_as_norms() -> None:
    assert curves(ridge_frame(**SMALL, data="starter")).panels[0].metric == "test_norm"


def test_categories_alone_are_dots_on_a_named_axis() -> None:
    data = curves(ridge_frame(p=[10], n=20, d=4, seeds=3))
    assert data.x.names == ("λ = 0.01 (fixed)", "λ tuned on validation data")
    assert data.panels[0].curves[0].x.tolist() == [0.0, 1.0]


def test_seeds_alone_are_an_axis_that_is_not_joined() -> None:
    data = curves(ridge_frame(p=[10], n=20, d=4, seeds=3, kinds=["tuned"]))
    assert (data.x.key, data.x.joined) == ("seed", False)


def test_nothing_swept_is_told_with_the_numbers() -> None:
    with pytest.raises(NoResults, match=r"nothing was swept.*test_mse = "):
        curves(ridge_frame(p=[10], n=20, d=4, kinds=["tuned"]))


def test_a_key_that_follows_another_is_no_axis() -> None:
    frame = ridge_frame(p=range(5, 15), n=20, d=4)
    frame["data.n_test"] = frame["p"] + 3
    data = curves(frame)
    assert (data.x.key, data.y) == ("p", None)


def test_an_experiment_without_metrics_has_nothing_to_draw() -> None:
    frame = finished(pd.DataFrame({"cell_id": ["a", "b"], "p": [1, 2]}), EMPTY.name)
    with pytest.raises(NoResults, match="empty_recipe has no metric"):
        curves(frame)


def test_rows_numbered_by_a_metric_have_theory_and_errors() -> None:
    data = curves(layers_frame())
    four, eight = data.panels[0].curves
    assert (data.x.key, labels(data)) == ("layer", ["depth = 4", "depth = 8"])
    assert eight.theory is not None
    np.testing.assert_allclose(eight.theory, 3.0 ** -np.arange(1, 9))
    np.testing.assert_allclose(four.high - four.centre, 0.1 / 3.0 ** np.arange(1, 5))
    assert "standard\u00a0error" in data.caption


def test_logarithmic_only_where_numbers_span_much() -> None:
    frame = ridge_frame(**SMALL)
    assert not curves(frame.assign(test_mse=1.0 + frame["p"] / 30)).panels[0].log
    assert curves(frame.assign(test_mse=10.0 ** (frame["p"] / 10))).panels[0].log
    assert not curves(frame.assign(test_mse=10.0 ** (frame["p"] / 10) - 10)).panels[0].log  # not all positive


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "test_mze"}, r"metric=test_mze: must be one of .*did you mean test_mse"),
        ({"x": "seeed"}, r"x=seeed: must be a swept key: .*did you mean seed"),
        ({"statistic": "mode"}, "statistic=mode: must be one of median, mean"),
        ({"band": "se"}, "band=se: must be one of quartiles, none for the median"),
    ],
)
def test_wrong_arguments_are_refused_with_what_is_allowed(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        curves(ridge_frame(**SMALL, seeds=2), **arguments)


def test_several_metrics_are_several_panels_and_part_of_the_name() -> None:
    data = curves(ridge_frame(**SMALL), metric="effective_dof,test_mse")
    assert [panel.metric for panel in data.panels] == ["effective_dof", "test_mse"]
    assert data.name == "ridge_recipe-effective_dof-test_mse"
    assert data.panels[0].label == "effective degrees of freedom"


def test_too_many_curves_are_refused_with_a_way_out() -> None:
    one = ridge_frame(**SMALL)
    parts = [one.assign(**{"features.activation": f"a{i}", "cell_id": one["cell_id"] + f"-{i}"}) for i in range(5)]
    frame = pd.concat(parts, ignore_index=True)
    with pytest.raises(BadInput, match=r"10 curves are more than the 8.*one value of lambda.kind or of features"):
        curves(frame)


def test_two_experiments_are_refused() -> None:
    frame = pd.concat([ridge_frame(**SMALL), layers_frame()])
    with pytest.raises(BadInput, match="several experiments"):
        curves(frame)


def test_sweeps_with_other_columns_go_together() -> None:
    frame = pd.concat(
        [ridge_frame(**SMALL, kinds=["tuned"]).drop(columns="data.sigma"), ridge_frame(**SMALL, kinds=["fixed"])]
    )
    assert labels(curves(frame)) == ["λ = 0.01 (fixed)", "λ tuned on validation data"]


def test_infinite_values_are_no_points() -> None:
    frame = ridge_frame(**SMALL, kinds=["fixed"])
    frame.loc[frame["p"] == 10, "test_mse"] = np.inf
    assert curves(frame).panels[0].curves[0].x.tolist() == [5, 20, 30]


def test_codes_hold_what_the_column_held() -> None:
    frame = pd.DataFrame(
        {"a": [3.0, np.nan, 1.0, 3.0], "b": [True, False, True, None], "c": [[1, 2], [1], [1, 2], [1]]}
    )
    a, b, c = (column(frame, key) for key in "abc")
    assert (a.values.tolist(), a.codes.tolist()) == ([1.0, 3.0], [1, -1, 0, 1])
    assert (b.values.tolist(), b.codes.tolist()) == (["false", "true"], [1, 0, 1, -1])
    assert (c.values.tolist(), c.codes.tolist()) == (["[1,2]", "[1]"], [0, 1, 0, 1])


def test_combinations_are_those_of_unique_rows() -> None:
    rng = np.random.default_rng(0)
    codes = [rng.integers(-1, high, 200) for high in (3, 50, 2)] + [rng.integers(0, 10**6, 200)]
    members, groups = combine(codes, 200)
    expected, back = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    assert np.array_equal(members, expected)
    assert np.array_equal(groups, back.ravel())


def test_a_large_sweep_keeps_all_points() -> None:
    data = curves(large_frame(300, 100))
    assert [len(curve.x) for curve in data.panels[0].curves] == [300, 300]
    assert data.panels[0].log
