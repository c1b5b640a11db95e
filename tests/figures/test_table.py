"""The rows of one experiment, and the steps that each give a new table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from commands import Command
from recipes_frames import LAYERS, SMALL, curves_in, fail, finished, known, layers_frame, ridge_frame

from hw6.contract.drawing import Drawing
from hw6.contract.experiment import Experiment
from hw6.contract.keys import Integer
from hw6.contract.metrics import Counts, Text
from hw6.errors import BadInput, NoResults
from hw6.figures.curves import curves
from hw6.figures.table import Table, table_of

KINDS = Experiment(
    name="kinds_recipe",
    version=1,
    keys={"k": Integer(help="number", default=1)},
    metrics={
        "share": "a number",
        "agrees": "a truth value",
        "verdict": Text("what was found"),
        "counts": Counts("in bins"),
        "unannounced": "texts, as an old release may have written them",
        "absent": "a number that no row has",
    },
    rows=lambda cells: {},
)
KINDS_FRAME = finished(
    pd.DataFrame(
        {
            "cell_id": ["a", "b"],
            "k": [1, 2],
            "share": [0.25, 0.5],
            "agrees": [True, None],
            "verdict": ["1", "2"],
            "counts": ["[1, 2]", "[2, 1]"],
            "unannounced": ["so", "not so"],
            "absent": [np.nan, np.nan],
        }
    ),
    KINDS.name,
)


def rows(table: Table) -> list[str]:
    return table.frame["cell_id"].tolist()


def test_a_step_leaves_the_table_before_it_as_it_was() -> None:
    frame = fail(ridge_frame(**SMALL, kinds=["path"]), [0])
    copy = frame.copy()
    first = table_of(frame)
    second = first.finished()
    third = second.filled()
    assert (len(first.frame), len(second.frame), first.failed) == (len(frame), len(frame) - 1, 0)
    assert second.frame["lambda.value"].isna().all()
    assert third.frame["lambda.value"].tolist() == second.frame["chosen_lambda"].tolist()
    pd.testing.assert_frame_equal(frame, copy)


def test_a_cell_in_two_sweeps_counts_once() -> None:
    for kinds in (["fixed", "tuned"], ["path"]):
        frame = ridge_frame(**SMALL, seeds=3, kinds=kinds)
        twice = pd.concat([frame, frame.iloc[:60]], ignore_index=True)
        assert rows(table_of(twice).finished()) == rows(table_of(frame))
        for a, b in zip(curves_in(curves(frame)), curves_in(curves(twice)), strict=True):
            assert np.array_equal(a.count, b.count)


def test_a_measured_metric_makes_no_other_row_of_a_copy() -> None:
    frame = KINDS_FRAME[["cell_id", "experiment", "status", "k", "share"]]
    both = pd.concat([frame, frame.assign(share=frame["share"] + 1)], ignore_index=True)
    with known(KINDS):
        assert rows(table_of(both).finished()) == ["a", "b", "a", "b"]
    with known(replace(KINDS, measured=frozenset({"share"}))):
        assert rows(table_of(both).finished()) == ["a", "b"]


def test_a_cell_that_failed_in_one_sweep_and_is_done_in_another_is_done() -> None:
    frame = ridge_frame(**SMALL, seeds=3)
    table = table_of(pd.concat([fail(frame, [0]).iloc[:1], frame], ignore_index=True)).finished()
    assert (table.failed, len(table.frame)) == (0, len(frame))


def test_the_drawing_comes_with_finished_rows_alone() -> None:
    table = table_of(fail(ridge_frame(**SMALL, kinds=["fixed"]), range(4))).finished()
    assert (len(table.frame), table.failed, table.drawing) == (0, 4, Drawing())
    assert table_of(ridge_frame(**SMALL)).finished().drawing.x == ("p", "lambda.value")


def test_the_last_row_of_each_cell() -> None:
    table = table_of(layers_frame()).finished()
    assert table.last_rows() is table
    last = replace(table, drawing=replace(table.drawing, last="layer")).last_rows()
    assert last.frame["layer"].tolist() == [4, 8]
    absent = replace(table, drawing=replace(table.drawing, last="nowhere"))
    assert absent.last_rows() is absent


def test_axes_are_the_preferred_columns_then_the_keys() -> None:
    assert list(table_of(layers_frame(seeds=2)).finished().axes) == ["layer", "depth", "seed"]
    assert table_of(layers_frame(depths=[4])).finished().axes.keys() == {"layer"}


def test_metrics_are_drawable_by_what_they_were_announced_as() -> None:
    with known(KINDS):
        table = table_of(KINDS_FRAME).finished()
        assert table.drawable == ("share", "agrees")
        np.testing.assert_array_equal(table.numbers("agrees"), [1.0, np.nan])
        for metric in ("verdict", "counts", "unannounced", "absent"):
            with pytest.raises(BadInput, match="must be one of share, agrees"):
                curves(KINDS_FRAME, metric=metric)


def test_a_metric_that_is_an_axis_is_not_drawable() -> None:
    assert table_of(layers_frame()).finished().drawable == ("variance", "variance_theory", "variance_se")


def test_a_text_is_no_metric(command: Command) -> None:
    frame = command.sweep("experiment=dropout", "q=0.1,0.5", "samples=400")
    with pytest.raises(BadInput, match="theory_reason: must be one of max_difference"):
        curves(frame, metric="theory_reason")


def test_no_rows_are_no_table() -> None:
    with pytest.raises(NoResults, match="there are no rows"):
        table_of(layers_frame().iloc[:0])
    with pytest.raises(BadInput, match="several experiments"):
        table_of(pd.concat([layers_frame(), layers_frame().assign(experiment="ridge_recipe")]))
    with pytest.raises(BadInput, match="experiment=from_elsewhere"):
        table_of(layers_frame().assign(experiment="from_elsewhere"))
    assert table_of(layers_frame()).experiment is LAYERS
