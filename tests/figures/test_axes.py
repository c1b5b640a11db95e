"""Which columns were swept, and where in a figure each of them goes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from commands import Command
from recipes_frames import SMALL, curves_in, maps_in, repeated, ridge_frame

from hw6.errors import BadInput
from hw6.figures.curves import curves
from hw6.figures.table import table_of


def labels(frame: pd.DataFrame) -> list[str]:
    return [curve.label for curve in curves_in(curves(frame))]


def test_few_p_of_a_path_are_a_family_of_curves_over_lambda() -> None:
    frame = ridge_frame(p=(5, 10, 20), n=20, d=4, kinds=["path"])
    data = curves(frame)
    assert (data.x.key, data.x.log, data.y) == ("lambda.value", True, None)
    assert labels(frame) == ["p = 5", "p = 10", "p = 20"]
    assert data.ordered
    assert len(data.panels) == 1  # the chosen lambda is the axis


def test_many_p_of_a_path_are_a_map() -> None:
    data = curves(ridge_frame(p=range(5, 15), n=10, d=4, seeds=2, kinds=["path"]))
    assert data.y is not None
    assert (data.x.key, data.y.key, data.y.log) == ("p", "lambda.value", True)
    assert [panel.z.shape for panel in maps_in(data)] == [(26, 10)]


def test_a_second_axis_with_many_values_is_a_map_for_each_group() -> None:
    data = curves(ridge_frame(p=(5, 10, 20, 30, 40, 50, 60), n=20, d=4, sigmas=np.linspace(0, 1, 7).tolist()))
    assert [panel.title for panel in maps_in(data)] == ["λ = 0.01 (fixed)", "λ tuned on validation data"]
    assert data.y is not None
    assert data.y.key == "data.sigma"


def test_a_second_axis_with_few_values_is_a_family() -> None:
    frame = ridge_frame(**SMALL, sigmas=(0, 0.5, 1), kinds=["fixed"])
    assert labels(frame) == ["σ = 0", "σ = 0.5", "σ = 1"]
    assert curves(frame).ordered


def test_of_short_axes_the_one_that_the_experiment_prefers_is_horizontal() -> None:
    frame = ridge_frame(p=(5, 10), n=20, d=4, kinds=["fixed"], sigmas=[0.1, 0.2, 0.3])
    assert curves(frame).x.key == "p"
    assert curves(frame, x="data.sigma").x.key == "data.sigma"


def test_categories_alone_are_a_named_axis() -> None:
    data = curves(ridge_frame(p=[10], n=20, d=4, seeds=3))
    assert data.x.names == ("λ = 0.01 (fixed)", "λ tuned on validation data")
    assert curves_in(data)[0].x.tolist() == [0.0, 1.0]


def test_repeats_alone_are_an_axis_that_is_not_joined() -> None:
    data = curves(ridge_frame(p=[10], n=20, d=4, seeds=3, kinds=["tuned"]))
    assert (data.x.key, data.x.joined) == ("seed", False)


def test_a_key_that_follows_another_is_no_axis() -> None:
    frame = ridge_frame(p=range(5, 15), n=20, d=4)
    frame["data.n_test"] = frame["p"] + 3
    data = curves(frame)
    assert (data.x.key, data.y) == ("p", None)
    assert list(table_of(frame).finished().axes) == ["lambda.kind", "p"]


def test_too_many_curves_are_refused_with_a_way_out() -> None:
    frame = repeated(ridge_frame(**SMALL), "features.activation", [f"a{i}" for i in range(5)])
    with pytest.raises(BadInput, match=r"10 curves are more than the 8.*one value of lambda.kind or of features"):
        curves(frame)


def test_a_mark_at_the_other_axis_is_no_line() -> None:
    parts = [ridge_frame(p=range(5, 15), n=n, d=4, kinds=["fixed"]) for n in (6, 8, 10)]
    data = curves(repeated(pd.concat(parts, ignore_index=True), "features.activation", ["relu", "tanh", "erf"]))
    assert data.y is not None
    assert data.y.key == "data.n_train"
    assert data.x.marks == ()
    assert data.diagonal == "$p = n$"


@pytest.mark.parametrize("metric", ["population_risk", None])
def test_a_sweep_with_the_exact_risk_pools_seeds_over_p(command: Command, metric: str | None) -> None:
    """The switch that asks for a metric is neither that metric nor an axis."""
    sizes = ("data.n_train=20", "data.n_validation=5", "data.n_test=5")
    frame = command.sweep("p=5,10,30", "seed=0:3", "lambda=0.1", "exact_risk=true", *sizes)
    data = curves(frame, metric=metric)
    (curve,) = curves_in(data)
    assert (data.x.key, data.y) == ("p", None)
    assert (curve.x.tolist(), curve.count.tolist()) == ([5.0, 10.0, 30.0], [3, 3, 3])
    assert "median of 3\u00a0seeds" in data.caption
    assert curve.centre[0] == frame.loc[frame["p"] == 5, metric or "test_mse"].median()
