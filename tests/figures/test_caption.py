"""What stands below a figure."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from recipes_frames import EMPTY, SMALL, fail, finished, known, layers_frame, ridge_frame

from hw6.contract.drawing import Drawing
from hw6.contract.keys import Integer
from hw6.figures.curves import curves


def test_what_was_held_fixed_and_what_a_point_is() -> None:
    caption = curves(ridge_frame(**SMALL, seeds=3)).caption
    held = "Gaussian data, n\u00a0=\u00a020, d\u00a0=\u00a04, σ\u00a0=\u00a00.5"
    assert caption == f"{held}, median of 3\u00a0seeds, band:\u00a0quartiles"


def test_a_single_seed_is_not_told() -> None:
    assert "seed" not in curves(ridge_frame(**SMALL)).caption


def test_a_rule_with_one_value_is_told_by_its_name() -> None:
    caption = curves(ridge_frame(**SMALL, sigmas=(0, 0.5, 1), kinds=["fixed"])).caption
    assert "λ\u00a0=\u00a00.01 (fixed)" in caption
    assert "σ" not in caption  # a curve each


def test_what_an_axis_tells_is_not_told_again() -> None:
    data = curves(ridge_frame(p=[20], n=20, d=4, kinds=["fixed"], lambdas=(0.01, 0.1, 1.0)))
    assert data.x.key == "lambda.value"
    assert "λ" not in data.caption


def test_points_of_different_numbers_of_seeds() -> None:
    assert "2 to 3\u00a0seeds" in curves(fail(ridge_frame(**SMALL, seeds=3), [0, 5])).caption


def test_theory_and_standard_errors_are_told() -> None:
    assert curves(layers_frame()).caption == "bars:\u00a0standard\u00a0error, lines: theory"


def test_signs_are_explained_where_they_are_drawn() -> None:
    path = ridge_frame(p=range(5, 13), n=20, d=4, kinds=["path"])
    assert curves(path).caption.endswith("dots:\u00a0lowest of each column")
    zero = path.assign(test_mse=path["test_mse"].where(path["p"] > 5, 0.0))
    assert curves(zero.assign(test_mse=zero["test_mse"] ** 9)).caption.endswith("hatched:\u00a00")
    layers = layers_frame()
    frame = ridge_frame(**SMALL)
    frame["chosen_lambda"] = frame["p"] - 5.0
    assert "triangles at the bottom:\u00a00" in curves(frame, metric="chosen_lambda").caption
    assert "triangles" not in curves(layers).caption


def test_repeats_are_what_the_drawing_says() -> None:
    trials = replace(
        EMPTY,
        name="trials_recipe",
        defaults=None,  # those of its own keys
        keys={"size": Integer(help="size", default=1), "trial": Integer(help="trial", default=0)},
        metrics={"error": "error"},
        drawing=Drawing(repeats=("trial",), symbols={"trial": "draw"}),
    )
    rows = [
        {"cell_id": f"{size}-{trial}", "size": size, "trial": trial, "error": float(size + trial)}
        for size in (1, 2)
        for trial in (0, 1, 2)
    ]
    with known(trials):
        data = curves(finished(pd.DataFrame(rows), trials.name))
    assert data.x.key == "size"
    assert data.caption == "median of 3\u00a0draws, band:\u00a0quartiles"
