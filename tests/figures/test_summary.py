"""The text about a frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
from recipes_frames import SMALL, fail, layers_frame, ridge_frame

from hw6.figures.summary import summarise


def test_counts_axes_and_failures() -> None:
    frame = fail(fail(ridge_frame(**SMALL, seeds=3), [0, 5]), [7], "MemoryError")
    lines = summarise(frame)
    assert lines[0].startswith("ridge_recipe: 24 cells (21 done, 3 failed)")
    assert "  p: 4 values, 5, 10, 20, 30" in lines
    assert "  seed: 3 values, 0, 1, 2" in lines
    assert lines[-3:] == ["  failed:", "    2 LinAlgError: did not converge", "    1 MemoryError: did not converge"]


def test_the_best_width_of_each_rule_is_chosen_by_validation_and_told_with_its_test_error() -> None:
    frame = ridge_frame(**SMALL, seeds=3)
    frame["validation_mse"] = (frame["p"] - 10.0) ** 2 + (frame["lambda.kind"] == "fixed") + frame["seed"]
    frame["test_mse"] = frame["p"] / 4.0
    text = summarise(frame)
    start = text.index("  smallest validation_mse (medians):")
    assert text[start + 1 : start + 3] == [
        "    λ tuned on validation data, p = 10: validation_mse 1, test_mse 2.5",
        "    λ = 0.01 (fixed), p = 10: validation_mse 2, test_mse 2.5",
    ]


def test_a_value_that_is_missing_is_not_told_as_another() -> None:
    frame = ridge_frame(**SMALL)
    frame["lambda.value"] = frame["lambda.value"].where(frame["lambda.kind"] == "tuned", np.nan)
    assert any(line.startswith("    fixed λ, p = ") for line in summarise(frame))


def test_rows_are_counted_apart_from_cells() -> None:
    assert "2 cells, 52 rows" in summarise(ridge_frame(p=(5, 10), n=20, d=4, kinds=["path"]))[0]


def test_each_experiment_in_turn_also_an_unknown_one() -> None:
    frame = pd.concat([ridge_frame(**SMALL), layers_frame().assign(experiment="from_elsewhere")])
    lines = summarise(frame)
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == ["from_elsewhere", "ridge_recipe"]
    assert any("neither its code nor a record" in line for line in lines)


def test_nothing_and_failures_only() -> None:
    assert summarise(ridge_frame(**SMALL).iloc[:0]) == ["no rows"]
    assert "failed" in summarise(fail(ridge_frame(**SMALL, kinds=["fixed"]), range(4)))[0]


def test_a_long_message_is_cut_and_others_are_counted() -> None:
    frame = fail(ridge_frame(**SMALL), [0, 1])
    frame.loc[frame.index[1], "error_message"] = "x" * 500 + "\n" + "y"
    lines = summarise(frame)
    assert "(and 1 other message)" in lines[-1]
    assert all(len(line) < 160 for line in lines)
