"""From a frame to all that its figure shows: panels, names, marks, notes, refusals. No drawing here."""

from __future__ import annotations

import pandas as pd
import pytest
from recipes_frames import EMPTY, SMALL, curves_in, fail, finished, layers_frame, ridge_frame

from hw6.errors import BadInput, NoResults
from hw6.figures.curves import curves
from hw6.figures.data import Curves


def labels(data: Curves) -> list[str]:
    return [curve.label for curve in curves_in(data)]


def test_fixed_and_tuned_stand_side_by_side_over_p_with_the_chosen_lambda_below() -> None:
    data = curves(ridge_frame(**SMALL, seeds=3))
    assert (data.x.key, data.x.label, data.x.log) == ("p", "number of features $p$", False)
    assert [panel.metric for panel in data.panels] == ["test_mse", "chosen_lambda"]
    assert labels(data) == ["λ = 0.01 (fixed)", "λ tuned on validation data"]
    assert data.x.marks == ((20.0, "$p = n$ = 20"),)
    assert [curve.constant for curve in curves_in(data, 1)] == [True, False]
    assert data.panels[1].log
    assert data.name == "ridge_recipe"


def test_several_fixed_lambdas_and_tuned_are_named_once_each() -> None:
    data = curves(ridge_frame(**SMALL, lambdas=(0.01, 1.0)))
    assert labels(data) == ["λ = 0.01 (fixed)", "λ = 1 (fixed)", "λ tuned on validation data"]
    assert not data.ordered


def test_several_metrics_are_several_panels_and_part_of_the_name() -> None:
    data = curves(ridge_frame(**SMALL), metric="effective_dof,test_mse")
    assert [panel.metric for panel in data.panels] == ["effective_dof", "test_mse"]
    assert data.name == "ridge_recipe-effective_dof-test_mse"
    assert data.panels[0].label == "effective degrees of freedom"
    assert curves(ridge_frame(**SMALL), metric=["effective_dof", "test_mse"]).name == data.name


def test_the_drawing_follows_from_the_values() -> None:
    assert curves(ridge_frame(**SMALL, data="starter")).panels[0].metric == "test_norm"


def test_sweeps_with_other_columns_go_together() -> None:
    tuned = ridge_frame(**SMALL, kinds=["tuned"]).drop(columns="data.sigma")
    frame = pd.concat([tuned, ridge_frame(**SMALL, kinds=["fixed"])])
    assert labels(curves(frame)) == ["λ = 0.01 (fixed)", "λ tuned on validation data"]


def test_a_line_stands_only_at_places_within_the_axis_and_not_at_many() -> None:
    assert curves(ridge_frame(p=(5, 10), n=20, d=4)).x.marks == ()
    frame = pd.concat([ridge_frame(p=(5, 10, 20), n=n, d=4, kinds=["fixed"]) for n in (6, 8, 10)])
    assert [place for place, _ in curves(frame).x.marks] == [6.0, 8.0, 10.0]
    frame = pd.concat([ridge_frame(p=(5, 10, 20), n=n, d=4, kinds=["fixed"]) for n in (6, 8, 10, 12)])
    assert curves(frame).x.marks == ()


def test_failed_rows_are_left_out_and_told() -> None:
    frame = fail(ridge_frame(**SMALL, seeds=3), [0, 5])
    data = curves(frame)
    assert data.notes == ("2 failed cells left out",)
    assert sum(int(curve.count.sum()) for curve in curves_in(data)) == len(frame) - 2


def test_cells_without_a_place_on_a_map_are_told() -> None:
    data = curves(ridge_frame(p=range(5, 13), n=20, d=4, kinds=["path", "tuned"]))
    assert data.y is not None
    assert data.notes == ("8 cells without a place on the map left out",)


def test_all_failed_is_told_in_one_line() -> None:
    with pytest.raises(NoResults, match="all 4 cells failed"):
        curves(fail(ridge_frame(**SMALL, kinds=["fixed"]), range(4)))


def test_nothing_swept_is_told_with_the_numbers() -> None:
    with pytest.raises(NoResults, match=r"nothing was swept.*test_mse = "):
        curves(ridge_frame(p=[10], n=20, d=4, kinds=["tuned"]))


def test_an_experiment_without_metrics_has_nothing_to_draw() -> None:
    frame = finished(pd.DataFrame({"cell_id": ["a", "b"], "p": [1, 2]}), EMPTY.name)
    with pytest.raises(NoResults, match="empty_recipe has no metric"):
        curves(frame)


def test_two_experiments_are_refused() -> None:
    with pytest.raises(BadInput, match="several experiments"):
        curves(pd.concat([ridge_frame(**SMALL), layers_frame()]))


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
    given = {"metric": None, "statistic": "median", "band": None, "x": None} | arguments
    with pytest.raises(BadInput, match=message):
        curves(
            ridge_frame(**SMALL, seeds=2),
            metric=given["metric"],
            statistic=str(given["statistic"]),
            band=given["band"],
            x=given["x"],
        )
