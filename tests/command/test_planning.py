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
from hw6.command.planning import Composer, make_plan
from hw6.errors import BadInput, BadInputs
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
    began = time.perf_counter()
    plan = make_plan([], ["experiment=noop", "p=range(1,2001)", "seed=range(0,500)"], composer)
    assert plan.size == 1_000_000
    assert time.perf_counter() - began < 5.0


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
