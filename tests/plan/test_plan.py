"""The arithmetic of a sweep: positions, texts, cuts and ids, against plain Python."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from recipes import FROZEN_IDS, THIRD_PARTY, documented_id

from hw6.contract.experiment import Experiment
from hw6.contract.keys import Integer, Key, Real
from hw6.contract.registry import EXPERIMENTS, experiment_named
from hw6.errors import Hw6Error
from hw6.experiments.noop import EXPERIMENT as NOOP
from hw6.plan.chunks import MOST_CELLS, MOST_RANGES, cut, cut_chunks, missing_cells
from hw6.plan.ids import cell_id
from hw6.plan.plan import Axis, Block, Derived, Plan
from hw6.plan.text import block_from_json, block_to_json, positions_of, ranges_text

ANY_INTEGER = Integer(help="any", minimum=-(2**63))
KEYS: dict[str, Key] = dict.fromkeys("abcd", ANY_INTEGER) | {"x.y": Real(help="any"), "word": ANY_INTEGER}


def mine(version: int = 7, keys: Mapping[str, Key] = KEYS) -> Experiment:
    """An experiment with keys that take anything."""
    return Experiment("mine", version, keys, {}, lambda cells: {})


MINE = mine()

scalars = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(max_size=6),
    st.none(),
    st.lists(st.integers(0, 9), max_size=3).map(tuple),
)


axis_values = st.one_of(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=5, unique=True).map(tuple),
    st.lists(st.floats(-1e9, 1e9).map(lambda v: v + 0.0), min_size=1, max_size=4, unique=True).map(tuple),
    st.lists(st.text(max_size=4), min_size=1, max_size=4, unique=True).map(tuple),
    st.tuples(st.integers(-5, 5), st.integers(1, 4), st.integers(1, 9)).map(
        lambda t: range(t[0], t[0] + t[1] * t[2], t[2])
    ),
    st.lists(st.lists(st.integers(0, 9), max_size=3).map(tuple), min_size=1, max_size=3, unique=True).map(tuple),
    st.just((True, False)),
    st.just((None, 3)),
)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    names = draw(st.lists(st.sampled_from("abcd"), max_size=3, unique=True))
    axes = tuple(Axis(name, draw(axis_values)) for name in names)
    constants = {"x.y": draw(st.floats(-1e9, 1e9)), "word": draw(scalars)}
    return Block(MINE, ("p=3",), constants, axes)


def _expected_cells(block: Block) -> list[dict[str, Any]]:
    """The cells by itertools: the last axis is the fastest."""
    product = itertools.product(*(list(axis.values) for axis in block.axes))
    names = [axis.key for axis in block.axes]
    return [dict(block.constants) | dict(zip(names, values, strict=True)) for values in product]


@given(blocks())
def test_a_position_is_a_place_in_the_product_of_the_axes(block: Block) -> None:
    wanted = _expected_cells(block)
    assert block.size == len(wanted)
    columns = block.cells(np.arange(block.size))
    assert list(columns) == sorted(columns)
    for key, values in columns.items():
        assert values.tolist() == [cell[key] for cell in wanted]


@given(blocks(), st.randoms())
def test_ids_are_those_of_the_documented_sentence(block: Block, random: Any) -> None:
    wanted = [documented_id("mine", 7, cell) for cell in _expected_cells(block)]
    positions = np.array(sorted(random.sample(range(block.size), random.randint(1, block.size))), dtype=np.int64)
    assert block.ids(positions).dtype == "S20"
    ids = [digest.decode() for digest in block.ids(positions)]
    assert ids == [wanted[position] for position in positions]
    one = _expected_cells(block)[positions[0]]
    assert cell_id("mine", 7, one, KEYS) == ids[0]


@given(blocks())
def test_distinct_cells_have_distinct_ids(block: Block) -> None:
    everything = np.arange(block.size)
    ids = block.ids(everything)
    assert len(set(ids.tolist())) == block.size
    assert block.distinct().tolist() == everything.tolist()


def test_an_id_names_experiment_version_key_and_type() -> None:
    base = cell_id("e", 1, {"a": 1}, KEYS)
    others = [
        cell_id("f", 1, {"a": 1}, KEYS),
        cell_id("e", 2, {"a": 1}, KEYS),
        cell_id("e", 1, {"b": 1}, KEYS),
        cell_id("e", 1, {"a": 2}, KEYS),
        cell_id("e", 1, {"a": 1.0}, KEYS),
        cell_id("e", 1, {"a": "1"}, KEYS),
        cell_id("e", 1, {"a": True}, KEYS),
        cell_id("e", 1, {"a": None}, KEYS),
        cell_id("e", 1, {"a": (1,)}, KEYS),
        cell_id("e", 1, {"a": 1, "b": 1}, KEYS),
        cell_id("e", 1, {}, KEYS),
    ]
    assert len({base, *others}) == len(others) + 1
    assert cell_id("e", 1, {"b": 2, "a": 1}, KEYS) == cell_id("e", 1, {"a": 1, "b": 2}, KEYS)


def test_a_key_added_later_leaves_old_ids_as_they_are() -> None:
    later = KEYS | {"new": Integer(help="any", omitted_at=0)}
    old = cell_id("mine", 1, {"a": 1}, KEYS)
    assert cell_id("mine", 1, {"a": 1, "new": 0}, later) == old
    assert cell_id("mine", 1, {"a": 1, "new": 1}, later) != old
    block = Block(mine(1, later), (), {"a": 1}, (Axis("new", (0, 1)),))
    assert block.ids(np.arange(2)).astype(str).tolist()[0] == old


def test_a_key_added_later_may_be_swept_over_a_range() -> None:
    later = KEYS | {"new": Integer(help="any", omitted_at=2)}
    block = Block(mine(1, later), (), {"a": 1}, (Axis("new", range(4)),))
    ids = block.ids(np.arange(4)).astype(str).tolist()
    assert ids == [cell_id("mine", 1, {"a": 1, "new": new}, later) for new in range(4)]
    assert ids[2] == cell_id("mine", 1, {"a": 1}, KEYS)


def test_the_largest_numbers_of_a_range_are_kept() -> None:
    """The end of such a range is beyond 64 bits, its numbers are not."""
    block = Block(MINE, (), {}, (Axis("a", range(2**63 - 2, 2**63)),))
    assert block.cells(np.arange(2))["a"].tolist() == [2**63 - 2, 2**63 - 1]


def test_a_key_that_was_renamed_keeps_its_first_name_in_the_sentence() -> None:
    """Also where the new name would sort elsewhere: the sentence is that of the old name."""
    before = {"a": Integer(help="any"), "b": Integer(help="any"), "m": Integer(help="any")}
    after = {"a": Integer(help="any"), "z": Integer(help="any", formerly="b"), "m": Integer(help="any")}
    old = cell_id("mine", 1, {"a": 1, "b": 2, "m": 3}, before)
    assert cell_id("mine", 1, {"a": 1, "z": 2, "m": 3}, after) == old
    assert cell_id("mine", 1, {"a": 1, "z": 4, "m": 3}, after) != old
    blocks = [
        Block(mine(1, after), (), {"z": 2, "m": 3}, (Axis("a", (1,)),)),
        Block(mine(1, after), (), {"a": 1, "m": 3}, (Axis("z", range(2, 4)),)),
        Block(mine(1, after), (), {"a": 1, "m": 3}, (Axis("z", (2, 5)),)),
    ]
    assert [block.ids(np.arange(1)).astype(str).tolist() for block in blocks] == [[old]] * 3


# --- frozen examples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(FROZEN_IDS))
def test_ids_of_released_experiments_never_change(name: str) -> None:
    values, literal = FROZEN_IDS[name]
    experiment = THIRD_PARTY if name == "third_party" else experiment_named(name)
    assert documented_id(name, experiment.version, values) == literal
    assert cell_id(name, experiment.version, values, experiment.keys) == literal


def test_every_experiment_has_a_frozen_id() -> None:
    missing = set(EXPERIMENTS) - set(FROZEN_IDS)
    assert not missing, f"add the id of the default cell of {missing} to FROZEN_IDS"


# --- texts of positions ---------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 200)))
def test_positions_survive_being_written(chosen: set[int]) -> None:
    positions = np.array(sorted(chosen), dtype=np.int64)
    text = ranges_text(positions)
    back = positions_of(text)
    assert back.dtype == np.int64
    assert back.tolist() == positions.tolist()
    runs = sum(1 for n in chosen if n - 1 not in chosen)
    assert text.count(":") == runs, "one range for each unbroken run"


def test_positions_as_people_read_them() -> None:
    assert ranges_text(np.array([0, 1, 2, 7, 9, 10])) == "0:3,7:8,9:11"
    assert ranges_text(np.empty(0, dtype=np.int64)) == ""
    assert positions_of("").tolist() == []


# --- cutting --------------------------------------------------------------------------------------------------------

SHAPES = st.lists(st.integers(1, 7), min_size=1, max_size=3)


@given(
    SHAPES,
    st.data(),
    st.one_of(st.just(0.0), st.floats(0.0, 1e12), st.just(float("inf"))),
    st.integers(1, 40),
)
def test_a_cut_covers_every_position_once_and_in_order(shape: list[int], data: Any, target: float, most: int) -> None:
    block = Block(MINE, (), {}, tuple(Axis("abc"[i], range(n)) for i, n in enumerate(shape)))
    chosen = data.draw(st.sets(st.integers(0, block.size - 1)))
    positions = np.array(sorted(chosen), dtype=np.int64)
    prices = data.draw(
        hnp.arrays(np.float64, len(positions), elements=st.sampled_from([0.0, 1e-12, 1e-3, 1.0, 17.0, 1e9, 1e15]))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hw6.plan.chunks.MOST_CELLS", most)
        chunks = list(cut(block, positions, prices, target))
    assert [n for chunk in chunks for n in chunk.tolist()] == positions.tolist()
    assert all(1 <= len(chunk) <= most for chunk in chunks)


def test_a_cut_is_near_its_target_and_between_outer_values() -> None:
    block = Block(MINE, (), {}, (Axis("a", range(10)), Axis("b", range(7))))
    positions, prices = np.arange(70), np.full(70, 1.0)
    chunks = list(cut(block, positions, prices, 24.0))
    assert all(chunk[0] % 7 == 0 for chunk in chunks), "cells that share the outer axis stay together"
    assert all(12 <= len(chunk) <= 24 for chunk in chunks[:-1])


def test_a_cell_that_costs_more_than_the_target_stands_alone() -> None:
    block = Block(MINE, (), {}, (Axis("a", range(5)),))
    prices = np.array([1.0, 100.0, 1.0, 1.0, 100.0])
    assert [chunk.tolist() for chunk in cut(block, np.arange(5), prices, 3.0)] == [[0], [1], [2, 3], [4]]


def test_cells_that_cost_nothing_are_bounded_by_their_number() -> None:
    block = Block(MINE, (), {}, (Axis("a", range(2 * MOST_CELLS + 1)),))
    positions = np.arange(block.size)
    lengths = [len(chunk) for chunk in cut(block, positions, np.zeros(block.size), float("inf"))]
    assert sum(lengths) == block.size
    assert max(lengths) <= MOST_CELLS


def _outermost_change(block: Block, one: int, other: int) -> int:
    """The outermost axis on which two positions differ."""
    places = [np.unravel_index(position, block.shape) for position in (one, other)]
    return next(axis for axis, (here, there) in enumerate(zip(*places, strict=True)) if here != there)


def _parts_in_plain_python(
    block: Block, positions: list[int], prices: list[int], target: float, cells: int, ranges: int
) -> list[list[int]]:
    """What is asked of a cut, one cell after the other: as many as fit, moved back to where outer axes change."""
    parts, start = [], 0
    while start < len(positions):
        stop, broken = start + 1, 0
        while stop < len(positions) and stop - start < cells and sum(prices[start : stop + 1]) <= target:
            broken += positions[stop] != positions[stop - 1] + 1
            if broken == ranges:
                break
            stop += 1
        half = start + (stop - start + 1) / 2  # what is moved back gives away less than half of the part
        if stop < len(positions):
            places = [place for place in range(start + 1, stop + 1) if place > int(half)]
            outer = {place: _outermost_change(block, positions[place - 1], positions[place]) for place in places}
            stop = min(places, key=lambda place: (outer[place], -place), default=stop)
        parts.append(positions[start:stop])
        start = stop
    return parts


@given(
    st.lists(st.integers(2, 7), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.1, 0.6]),
    st.randoms(use_true_random=False),
    st.integers(0, 60),
    st.integers(1, 40),
    st.integers(1, 12),
)
@settings(max_examples=200)
@pytest.mark.slow
def test_a_cut_is_what_plain_python_makes_of_it(
    shape: list[int], holes: float, random: Any, target: int, cells: int, ranges: int
) -> None:
    """Prices are whole numbers here, so that sums are exact in any order."""
    block = Block(MINE, (), {}, tuple(Axis("abcd"[i], range(n)) for i, n in enumerate(shape)))
    chosen = [position for position in range(min(block.size, 200)) if random.random() >= holes]
    prices = [random.randint(0, 3) for _ in chosen]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hw6.plan.chunks.MOST_CELLS", cells)
        patch.setattr("hw6.plan.chunks.MOST_RANGES", ranges)
        parts = list(cut(block, np.array(chosen, dtype=np.int64), np.array(prices, dtype=np.float64), float(target)))
    assert [part.tolist() for part in parts] == _parts_in_plain_python(block, chosen, prices, target, cells, ranges)


def test_a_chunk_is_a_text_that_is_quickly_read() -> None:
    """Hydra reads the ranges of a chunk letter by letter: of every other cell there are many."""
    block = Block(MINE, (), {}, (Axis("a", range(10 * MOST_RANGES)),))
    positions = np.arange(0, block.size, 2)
    parts = list(cut(block, positions, np.zeros(len(positions)), float("inf")))
    assert np.concatenate(parts).tolist() == positions.tolist()
    assert max(ranges_text(part).count(":") for part in parts) <= 2_000
    assert len(parts) <= 10, "and no more chunks than that takes"


def priced(price: float) -> Experiment:
    return replace(MINE, price=lambda cells: np.full(len(next(iter(cells.values()))), price))


def lengths_of(cells: int, price: float, slots: int) -> list[int]:
    """The lengths of the chunks of a plan of cells of one price."""
    plan = Plan((Block(priced(price), (), {}, (Axis("a", range(cells)),)),))
    missing = missing_cells(plan, np.empty(0, dtype="S20"))
    chunks = cut_chunks(plan, missing, slots)
    assert [chunk.block for chunk in chunks] == [0] * len(chunks)
    assert np.concatenate([chunk.positions for chunk in chunks]).tolist() == list(range(cells))
    return [len(chunk) for chunk in chunks]


@pytest.mark.parametrize("cells", [1, 2, 7, 63])
@pytest.mark.parametrize("price", [0.0, 1e-9, 1 / 64, 1 / 36])
def test_one_process_runs_less_than_two_seconds_in_one_go(cells: int, price: float) -> None:
    assert lengths_of(cells, price, 1) == [cells]


@pytest.mark.parametrize(("cells", "price"), [(256, 1 / 128), (16, 1 / 8), (320, 1 / 128)])
def test_from_two_seconds_on_an_interruption_costs_about_one(cells: int, price: float) -> None:
    lengths = lengths_of(cells, price, 1)
    assert all(0.5 <= length * price <= 1.0 for length in lengths[:-1])


@pytest.mark.parametrize(
    ("seconds", "slots", "target"),
    [(64.0, 4, 4.0), (64.0, 2, 8.0), (1024.0, 1, 8.0), (1024.0, 4, 8.0), (6.0, 4, 1.0), (16.0, 1, 4.0), (24.0, 2, 3.0)],
)
def test_a_chunk_is_a_quarter_of_a_processs_share_between_one_second_and_eight(
    seconds: float, slots: int, target: float
) -> None:
    cells = 1024
    found = [length * seconds / cells for length in lengths_of(cells, seconds / cells, slots)]
    assert all(target / 2 <= chunk <= target for chunk in found[:-1])
    assert max(found) > 0.75 * target


@given(st.integers(1, 40), st.sampled_from([0.0, 1e-6, 1 / 64]), st.integers(2, 12))
def test_every_slot_that_was_asked_for_gets_a_part_of_little_work(cells: int, price: float, slots: int) -> None:
    lengths = lengths_of(cells, price, slots)
    assert len(lengths) >= min(slots, cells)
    assert max(lengths) <= max(1, cells / slots * (1 + 1e-9)), "and none more than its share"


# --- what is missing ------------------------------------------------------------------------------------------------

KNOWN_PRICE = replace(MINE, price=lambda cells: cells["a"] * 1.0)
OTHER = replace(KNOWN_PRICE, name="other")


@st.composite
def overlapping_blocks(draw: st.DrawFn) -> Block:
    """Blocks of two experiments that often share cells, within one block too."""
    experiment = draw(st.sampled_from([KNOWN_PRICE, KNOWN_PRICE, OTHER]))
    a = Axis("a", range(low := draw(st.integers(0, 3)), low + draw(st.integers(1, 4))))
    b = draw(st.sampled_from([0, 1, None]))
    if b is not None:
        return Block(experiment, (), {"b": b}, (a,))
    if draw(st.booleans()):
        return Block(experiment, (), {}, (Axis("b", (0, 1)), a))
    follows = Derived(
        "b", ("b", "a"), tuple(draw(st.lists(st.integers(0, 1), min_size=2 * len(a), max_size=2 * len(a))))
    )
    return Block(experiment, (), {}, (Axis("b", range(2), hidden=True), a), (follows,))


@given(st.lists(overlapping_blocks(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_what_is_missing_is_a_difference_of_sets(blocks_of: list[Block], random: Any) -> None:
    plan = Plan(tuple(blocks_of))
    met: dict[str, tuple[int, int, float]] = {}  # the first place of every cell, and its price
    for number, block in enumerate(plan.blocks):
        columns = block.cells(np.arange(block.size))
        for position, (a, b) in enumerate(zip(columns["a"].tolist(), columns["b"].tolist(), strict=True)):
            met.setdefault(documented_id(block.experiment.name, 7, {"a": a, "b": b}), (number, position, float(a)))
    done = sorted(random.sample(sorted(met), random.randint(0, len(met))))
    strangers = ["f" * 20]
    missing = missing_cells(plan, np.array(sorted([*done, *strangers] if done else []), dtype="S20"))
    left = sorted(place for cell, place in met.items() if cell not in done)
    found = [
        (number, position, price)
        for number, (positions, prices) in enumerate(zip(missing.positions, missing.prices, strict=True))
        for position, price in zip(positions.tolist(), prices.tolist(), strict=True)
    ]
    assert found == left
    assert (missing.total, missing.cells, missing.finished) == (len(met), len(left), len(done))
    assert missing.seconds == sum(price for *_, price in left)


# --- keys that follow others ----------------------------------------------------------------------------------------


def test_a_derived_key_has_a_value_for_each_combination_of_what_it_follows() -> None:
    axes = (Axis("a", (1, 2)), Axis("b", (10, 20, 30)), Axis("c", ("x", "y")))
    follows = Derived("d", ("c", "a"), tuple(f"{c}{a}" for c in "xy" for a in (1, 2)))
    block = Block(MINE, (), {}, axes, (follows,))
    columns = block.cells(np.arange(block.size))
    assert columns["d"].tolist() == [f"{c}{a}" for a, c in zip(columns["a"], columns["c"], strict=True)]


def test_equal_cells_of_a_derived_key_are_one_cell() -> None:
    """seed=3,${p} with p=3,4: (3,3) comes up twice."""
    hidden = Axis("seed", range(2), hidden=True)
    seed = Derived("seed", ("seed", "p"), (3, 3, 3, 4))
    block = Block(NOOP, (), {}, (hidden, Axis("p", (3, 4))), (seed,))
    cells = block.cells(block.distinct())
    assert sorted(zip(cells["p"].tolist(), cells["seed"].tolist(), strict=True)) == [(3, 3), (4, 3), (4, 4)]


# --- as JSON --------------------------------------------------------------------------------------------------------


@given(blocks())
def test_a_block_survives_being_written(block: Block) -> None:
    text = json.dumps(block_to_json(block))
    back = block_from_json(json.loads(text), MINE)
    positions = np.arange(block.size)
    assert (back.experiment, back.overrides, dict(back.constants)) == (
        block.experiment,
        block.overrides,
        dict(block.constants),
    )
    assert back.ids(positions).tolist() == block.ids(positions).tolist()
    assert json.dumps(block_to_json(back)) == text


def test_a_block_with_derived_keys_survives_being_written() -> None:
    derived = Derived("b", ("b", "a"), (1, (2, 3), None, "x"))
    axes = (Axis("b", range(2), hidden=True), Axis("a", (1, 5)))
    block = Block(MINE, ("x=1",), {"c": (1, 2)}, axes, (derived,))
    assert block_from_json(json.loads(json.dumps(block_to_json(block))), MINE) == block


@pytest.mark.parametrize(
    "content",
    [{}, [], None, {"experiment": "mine"}, {"experiment": "mine", "overrides": [], "axes": 3}, {"experiment": "other"}],
)
def test_what_is_no_block_is_refused(content: Any) -> None:
    with pytest.raises(Hw6Error):
        block_from_json(content, MINE)


def test_a_whole_block_of_another_experiment_is_refused() -> None:
    content = block_to_json(Block(NOOP, (), {"seed": 0}, (Axis("p", (3, 4)),)))
    with pytest.raises(Hw6Error, match="no plan of mine, but of noop"):
        block_from_json(content, MINE)


def test_a_plan_is_as_large_as_its_blocks() -> None:
    one = Block(MINE, (), {"a": 1})
    two = Block(MINE, (), {}, (Axis("a", range(3)), Axis("b", range(4))))
    assert (one.size, two.size, Plan((one, two)).size) == (1, 12, 13)
