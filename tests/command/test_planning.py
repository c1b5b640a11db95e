"""Overrides become blocks: each axis evaluated once, in the experiment's order, from Hydra's own composing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import hydra
import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw6.command import folders
from hw6.command.block import nearest_key
from hw6.command.line import split
from hw6.command.planning import Composer, make_plan
from hw6.command.session import Session
from hw6.errors import BadInput, BadInputs
from hw6.experiments.double_descent_keys import KEYS
from hw6.plan.plan import Plan


@pytest.fixture(scope="module")
def composer() -> Iterator[Composer]:
    composed: dict[tuple[str, ...], Any] = {}

    def compose(overrides: list[str]) -> Any:
        key = tuple(overrides)
        if key not in composed:
            composed[key] = hydra.compose("config", overrides, return_hydra_config=True)
        return composed[key].copy()

    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(folders.conf()), job_name="test"):
        loader = GlobalHydra.instance().config_loader()
        yield Composer(compose, loader.get_group_options, loader)
    GlobalHydra.instance().clear()


def cells(plan: Plan) -> list[dict[str, Any]]:
    found = []
    for block in plan.blocks:
        columns = block.cells(np.arange(block.size))
        found += [{key: column[i] for key, column in columns.items()} for i in range(block.size)]
    return found


def test_the_order_is_the_experiments(composer: Composer) -> None:
    plan = make_plan([], ["experiment=noop", "p=3,1,2", "seed=1,0"], composer)
    (block,) = plan.blocks
    assert [axis.key for axis in block.axes] == ["seed", "p"]
    assert [list(axis.values) for axis in block.axes] == [[0, 1], [1, 2, 3]]


def test_an_axis_is_evaluated_once(composer: Composer) -> None:
    plan = make_plan([], ["experiment=noop", "p=shuffle(range(1,21))"], composer)
    assert sorted(cell["p"] for cell in cells(plan)) == list(range(1, 21))


def test_choices_of_groups_are_blocks_and_values_are_axes(composer: Composer) -> None:
    plan = make_plan([], ["lambda=fixed,tuned", "p=3,4", "lambda.value=0.1,1"], composer)
    assert [block.size for block in plan.blocks] == [4, 2]
    assert [block.constants["lambda.kind"] for block in plan.blocks] == ["fixed", "tuned"]
    assert all("lambda.value" not in block.constants for block in plan.blocks)
    assert all(f"lambda={block.constants['lambda.kind']}" in block.overrides for block in plan.blocks)


def test_values_have_the_type_of_their_key(composer: Composer) -> None:
    (cell,) = cells(make_plan([], ["p='3'", "lambda.value=1", "data.sigma=0", "exact_risk=TRUE"], composer))
    assert type(cell["p"].item()) is int
    assert (type(cell["lambda.value"].item()), cell["lambda.value"]) == (float, 1.0)
    assert type(cell["data.sigma"].item()) is float
    assert cell["exact_risk"].item() is True


def test_what_is_typed_wins_over_a_named_sweep(composer: Composer) -> None:
    named = ["p=range(10,20)", "seed=0,1", "lambda=fixed,tuned"]
    plan = make_plan(named, ["p=3", "lambda=ridgeless"], composer)
    assert {(int(cell["p"]), str(cell["lambda.kind"])) for cell in cells(plan)} == {(3, "ridgeless")}
    assert plan.size == 2


def test_a_named_sweep_may_carry_settings_for_choices_that_were_replaced(composer: Composer) -> None:
    plan = make_plan(["lambda=fixed,tuned", "lambda.num=12"], ["lambda=ridgeless"], composer)
    assert plan.size == 1
    with pytest.raises(BadInput, match=r"lambda\.num=12"):
        make_plan([], ["lambda=ridgeless", "lambda.num=12"], composer)


def test_of_two_overrides_of_one_key_the_later_wins(composer: Composer) -> None:
    plan = make_plan([], ["experiment=noop", "p=1,2,3", "p=7"], composer)
    assert [int(cell["p"]) for cell in cells(plan)] == [7]


def test_a_million_cells_are_planned_at_once(composer: Composer) -> None:
    began = time.process_time()
    plan = make_plan([], ["experiment=noop", "p=range(1,2001)", "seed=range(0,500)"], composer)
    assert plan.size == 1_000_000
    assert time.process_time() - began < 5.0


def test_a_single_run_is_no_sweep(composer: Composer) -> None:
    with pytest.raises(BadInput, match="add -m"):
        make_plan([], ["p=1,2"], composer, single=True)
    assert make_plan([], ["p=1"], composer, single=True).size == 1


def test_all_mistakes_of_all_blocks_once(composer: Composer) -> None:
    with pytest.raises(BadInputs) as caught:
        make_plan([], ["p=0,abc", "lambda=fixed,tuned", "seed=-1"], composer)
    assert len(caught.value.lines) == len(caught.value.mistakes) == 3 or len(caught.value.lines) == 3
    assert {mistake.key for mistake in caught.value.mistakes} == {"p", "seed"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=6),
    st.lists(st.integers(0, 9), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_plan_is_the_product_of_its_axes(composer: Composer, p: list[int], seeds: list[int], turned: bool) -> None:
    axes = ["p=" + ",".join(map(str, p)), "seed=" + ",".join(map(str, seeds))]
    plan = make_plan([], ["experiment=noop", *(reversed(axes) if turned else axes)], composer)
    found = [(int(cell["seed"]), int(cell["p"])) for cell in cells(plan)]
    assert found == sorted({(seed, width) for seed in seeds for width in p})


# --- what only a mutated program showed -----------------------------------------------------------------------------


def axes_of(plan: Plan) -> dict[str, list[Any]]:
    """The values of each axis of a plan of one block."""
    (block,) = plan.blocks
    return {axis.key: list(axis.values) for axis in block.axes}


@pytest.mark.parametrize("typed", ["p=range(10,1,-3)", "p=7,10,4", "p=shuffle(range(4,11,3))", "p=4,7,10,7"])
def test_numbers_rise_however_they_are_typed(composer: Composer, typed: str) -> None:
    assert axes_of(make_plan([], ["experiment=noop", typed], composer)) == {"p": [4, 7, 10]}


def test_one_value_typed_twice_is_one_cell(composer: Composer) -> None:
    assert axes_of(make_plan([], ["experiment=noop", "p=3,3"], composer)) == {"p": [3]}


def test_numbers_far_apart_are_not_counted_through(composer: Composer) -> None:
    far = 10**12  # evenly spaced from its first two, this would be a million million numbers
    assert axes_of(make_plan([], ["experiment=noop", f"seed=0,1,{far}"], composer)) == {"seed": [0, 1, far]}


def test_an_axis_may_mix_numbers_and_null(composer: Composer) -> None:
    plan = make_plan([], ["experiment=initialization", "width=3,null,2"], composer)
    assert set(axes_of(plan)["width"]) == {2, 3, None}
    assert plan.size == 3


def test_a_relative_reference_means_its_own_group(composer: Composer) -> None:
    plan = make_plan([], ["data.n_test=${.n_validation}", "data.n_validation=3,5"], composer)
    found = [(int(cell["data.n_validation"]), int(cell["data.n_test"])) for cell in cells(plan)]
    assert found == [(3, 3), (5, 5)]


def test_a_reference_is_followed_through_another(composer: Composer) -> None:
    plan = make_plan([], ["data.n_test=${data.n_validation}", "data.n_validation=${p}", "p=3,4"], composer)
    found = [(int(cell["p"]), int(cell["data.n_validation"]), int(cell["data.n_test"])) for cell in cells(plan)]
    assert found == [(3, 3, 3), (4, 4, 4)]


def test_a_reference_may_be_one_of_the_values_of_an_axis(composer: Composer) -> None:
    plan = make_plan([], ["experiment=noop", "p=3,4", "seed=10,${p}"], composer)
    assert sorted((int(cell["p"]), int(cell["seed"])) for cell in cells(plan)) == [(3, 3), (3, 10), (4, 4), (4, 10)]


def test_what_a_key_follows_is_in_alphabetical_order(composer: Composer) -> None:
    """So that the text of a plan, and the name of its file, is the same in every process."""
    names = ["data.d", "data.n_test", "data.n_train", "data.n_validation", "p"]
    swept = [f"{name}=1,2" for name in reversed(names)]
    follows = "seed=" + "".join(f"${{{name}}}" for name in names[2:] + names[:2])
    (block,) = make_plan([], [*swept, follows], composer).blocks
    assert [(one.key, one.axes) for one in block.derived] == [("seed", tuple(names))]
    for cell in cells(make_plan([], [*swept, follows], composer)):
        assert str(cell["seed"]) == "".join(str(cell[name]) for name in names[2:] + names[:2])


def test_a_value_that_nobody_reads_is_told_as_it_was_typed(composer: Composer) -> None:
    with pytest.raises(BadInput, match=r"^widht=null: double_descent does not read it"):
        make_plan([], ["+widht=null"], composer)


def test_a_known_key_is_refused_for_the_choice_and_an_unknown_one_altogether(composer: Composer) -> None:
    with pytest.raises(BadInput, match=r"^lambda\.num=3: double_descent does not read it as configured; it reads"):
        make_plan([], ["lambda=fixed", "lambda.num=3"], composer)
    with pytest.raises(BadInput, match=r"^widht=3: double_descent does not read it; it reads"):
        make_plan([], ["widht=3"], composer)


def test_an_added_key_is_refused_beside_another_that_does_not_apply(composer: Composer) -> None:
    with pytest.raises(BadInputs) as caught:
        make_plan([], ["lambda=tuned", "lambda.value=1", "+widht=3"], composer)
    assert sorted(line.partition("=")[0] for line in caught.value.lines) == ["+widht", "lambda.value"]


def test_an_objective_is_refused_with_the_metrics_that_there_are(composer: Composer) -> None:
    with pytest.raises(BadInput, match="a metric of double_descent: chosen_lambda, train_mse"):
        make_plan([], ["objective=nonsense"], composer)
    with pytest.raises(BadInput, match="a metric of noop: it has none"):
        make_plan([], ["experiment=noop", "objective=nonsense"], composer)


def test_syntax_that_hydra_cannot_read_is_told_in_hydras_words(composer: Composer) -> None:
    with pytest.raises(BadInput, match=r"^p=\]x\[: cannot be read: \S"):
        make_plan([], ["p=]x["], composer)


@pytest.mark.parametrize("error", [RuntimeError("x"), OSError(5, "Input/output error"), KeyError("x")])
def test_an_error_that_no_command_caused_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        Session(split(["p=3"]), "config", many=False).explain(error)
    assert caught.value is error


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("lamda", "did you mean lambda?"),
        ("data.n_tain", "did you mean data.n_train?"),
        ("n_train", "did you mean data.n_train?"),
        ("sede", "did you mean seed?"),
        ("worker", "did you mean workers?"),
        ("widht", "did you mean p?"),
        ("seed", ""),
        ("qqqqqq", ""),
    ],
)
def test_a_mistyped_key_is_told_the_one_that_was_meant(word: str, hint: str) -> None:
    assert nearest_key(word, KEYS) == hint


def test_a_key_that_was_renamed_is_told_its_new_name(composer: Composer) -> None:
    with pytest.raises(BadInput, match=r"^population_risk=true: .*it is called exact_risk now"):
        make_plan([], ["population_risk=true"], composer)
