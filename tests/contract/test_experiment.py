"""An experiment is right from the moment it is made: every mistake is one line that names it and the field."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recipes import THIRD_PARTY

import hw6
from hw6.command import folders
from hw6.contract.asking import numbers_of, refusals_of
from hw6.contract.cells import codes, distinct, numbers, other_than, plain, where_is
from hw6.contract.drawing import Drawing, Fill, Histogram, Mark, Panel
from hw6.contract.experiment import ROW_COLUMNS, BadExperiment, Cells, Columns, Experiment, flat, nested
from hw6.contract.keys import GROUPS, RESERVED, RUN_KEYS, UNSET, Choice, Flag, Integer, Integers, OptionalInteger, Real
from hw6.contract.metrics import Counts, Text
from hw6.contract.registry import EXPERIMENTS, experiment_named
from hw6.contract.shorthand import Shorthand
from hw6.errors import BadInput


def rows(cells: Cells) -> Columns:
    return {"y": cells["n"] * 1.0}


def made(**changes: Any) -> Experiment:
    """A right experiment with other arguments."""
    given: dict[str, Any] = {
        "name": "mine",
        "version": 1,
        "keys": {"n": Integer(help="a number", default=1), "inner.x": Real(help="another", default=0.5)},
        "metrics": {"y": "a number", "word": Text("a text")},
        "rows": rows,
    }
    return Experiment(**(given | changes))


def test_its_arguments_are_kept() -> None:
    keys = {"n": Integer(help="a number", minimum=1)}
    metrics = {"y": "a number"}
    defaults = {"n": 5}
    mine = Experiment("mine", 3, keys, metrics, rows, defaults=defaults, objective="y", order=("n",))
    assert (mine.name, mine.version, mine.rows, mine.objective, mine.order) == ("mine", 3, rows, "y", ("n",))
    assert mine.keys is keys
    assert mine.metrics is metrics
    assert mine.defaults is defaults


def test_defaults_come_from_the_keys_where_all_have_one() -> None:
    assert made().config == {"n": 1, "inner": {"x": 0.5}}
    assert made().defaults is None, "arguments are kept as they are, so that a changed copy has its own defaults"
    assert replace(made(), keys={"m": Integer(help="a number", default=3)}).config == {"m": 3}
    keys = {"n": Integer(help="a number", default=1), "m": Integer(help="a number")}
    assert made(keys=keys).config is None
    assert made(keys=keys, defaults={"n": 4, "m": 5}).config == {"n": 4, "m": 5}
    assert made(keys=keys, defaults={"m": 5}).config == {"n": 1, "m": 5}, "a key's own default fills what is left out"


NUMBER = Integer(help="a number", default=0)
TAKEN = sorted({*ROW_COLUMNS, *RESERVED})
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"name": "a b"}, "name 'a b' must be"),
    ({"name": 7}, "name 7 must be"),
    ({"version": 0}, "version 0 must be a whole number from 1 up"),
    ({"version": True}, "version True must be"),
    ({"version": "1"}, "version '1' must be"),
    ({"version": 1.0}, "version 1.0 must be"),
    ({"keys": ["n"]}, "keys must map names, not be a list"),
    ({"metrics": "y"}, "metrics must map names, not be a str"),
    ({"rows": 3}, "rows must be a function, not a int"),
    ({"price": 1.0}, "price must be a function"),
    ({"drawing": {"panels": ()}}, "drawing must be a function"),
    ({"order": "n"}, "order must be a list of names, not 'n'"),
    ({"measured": "y"}, "measured must be a list of names, not 'y'"),
    *(({"keys": {name: NUMBER}}, f"key {name} has a name of hw6's own") for name in TAKEN),
    *(({"metrics": {name: "a number"}}, f"metric {name} has a name of hw6's own") for name in TAKEN),
    *(({"keys": {name: NUMBER}}, f"key {name} has the name of a config group") for name in sorted(GROUPS - RESERVED)),
    ({"keys": {"tag.x": NUMBER}}, "key tag.x has a name of hw6's own"),
    ({"keys": {"1n": NUMBER}}, "key '1n' must be names"),
    ({"keys": {"": NUMBER}}, "key '' must be names"),
    ({"keys": {"a..b": NUMBER}}, "key 'a..b' must be names"),
    ({"keys": {3: NUMBER}}, "key 3 must be names"),
    ({"keys": {"n": int}}, "key n must be a Key such as Integer(help=...), not <class 'int'>"),
    ({"keys": {"a": NUMBER, "a.b": NUMBER}}, "key a is a group of keys as well"),
    ({"keys": {"n": NUMBER, "y": NUMBER}}, "key y is a metric too: rename one of them"),
    (
        {"keys": {"n": NUMBER, "y": OptionalInteger(help="a number", default=None, resolves=True)}},
        "key y is a metric too: it may not be listed as a metric",
    ),
    ({"metrics": {"a,b": "a number"}}, "metric 'a,b' must be a name of at most 200 letters"),
    ({"metrics": {" ": "a number"}}, "metric ' ' must be a name"),
    ({"metrics": {"y": None}}, "metric y must have a line of explanation, not None"),
    ({"objective": "z"}, "objective z is no metric: must be one of y, word"),
    ({"metrics": {}, "objective": "y"}, "objective y is no metric: it has none"),
    ({"objective": "word"}, "objective word is no number"),
    ({"metrics": {"h": Counts("counts")}, "objective": "h"}, "objective h is no number"),
    ({"order": ("m",)}, "order names m, which is no key"),
    ({"measured": frozenset({"seconds"})}, "measured names seconds, which is no metric"),
    ({"shorthands": (Shorthand("rule", "fixed", "rule.value", "1"),)}, "shorthands name rule.value, which is no key"),
    ({"defaults": {"n": 1}, "keys": {"n": Integer(help="a"), "m": Integer(help="b")}}, "defaults lack m"),
    ({"defaults": {"n": 1, "inner": {"x": 0.5}, "m": 2}}, "defaults have m, which is no key"),
    ({"defaults": {"n": -1}}, "default n=-1: must be a whole number from 0 to 2^63 - 1"),
    ({"defaults": {"n": None}}, "default n=null: must be a whole number"),
    ({"defaults": [1]}, "defaults must map keys to values, not be [1]"),
    ({"keys": {"n": Integer(help="a", minimum=3, default=1)}}, "default n=1: must be a whole number from 3"),
    ({"drawing": Drawing(panels=(Panel("z", "a label"),))}, "drawing: panels name z, which is no key or metric"),
    ({"drawing": Drawing(panels=(Panel("y", "a", theory="t"),))}, "drawing: panels name t"),
    ({"drawing": Drawing(panels=(Panel("n", "a"),))}, "drawing: panels name n, which is no metric"),
    ({"drawing": Drawing(x=("q",))}, "drawing: x name q"),
    ({"drawing": Drawing(index=("q",))}, "drawing: index name q"),
    ({"drawing": Drawing(repeats=("trial",))}, "drawing: repeats name trial"),
    ({"drawing": Drawing(last="n")}, "drawing: last name n, which is no metric"),
    ({"drawing": Drawing(histograms=(Histogram("h", 0.0, 1.0, "x"),))}, "drawing: histograms name h"),
    ({"drawing": Drawing(fills=(Fill("n", "y", "kind", "path"),))}, "drawing: fills name kind"),
    ({"drawing": Drawing(marks=(Mark("n", "m", "here"),))}, "drawing: marks name m"),
    ({"drawing": Drawing(labels={"q": "a label"})}, "drawing: labels name q"),
    ({"drawing": Drawing(symbols={"q": "Q"})}, "drawing: symbols name q"),
    ({"drawing": Drawing(names={"n": {"1": ("{q} of them",)}})}, "drawing: names name q"),
    ({"drawing": Drawing(caption=("q",))}, "drawing: caption name q"),
    ({"drawing": Drawing(best=("n",))}, "drawing: best name n, which is no metric"),
    ({"drawing": Drawing(lowest_along=("q",))}, "drawing: lowest_along name q"),
    ({"keys": {}}, "keys must name at least one key"),
    ({"name": "null"}, "name null means something else in a config"),
    ({"name": "a\nb"}, "name 'a\\nb' must be letters"),
    ({"order": ("n", "n")}, "order names a key twice: n, n"),
    ({"order": {"n"}}, "order must be a list of names, not {'n'}"),
    ({"metrics": {"\ud800": "a number"}}, "must be a name of at most 200 letters"),
    ({"metrics": {"a\rb": "a number"}}, "must be a name of at most 200 letters"),
    ({"keys": {"n": Integer(help="a", maximum=2**70, default=1)}}, "key n must lie between -2^63 and 2^63 - 1"),
    ({"keys": {"n": Integer(help="a", minimum=5, maximum=3)}}, "its minimum at most its maximum"),
    ({"keys": {"x": Real(help="a", minimum=5.0, maximum=3.0)}}, "key x has a minimum above its maximum"),
    ({"defaults": {"defaults": 5, "n": 1}}, 'its "defaults" must be a list of groups, not 5'),
    ({"drawing": Drawing(panels=None)}, "drawing has a part of another kind"),  # type: ignore[arg-type]
    ({"drawing": lambda values: sys.exit(3)}, "drawing raises SystemExit: 3"),
    ({"drawing": lambda values: 1 / 0}, "drawing raises ZeroDivisionError: division by zero"),
    ({"objective": ["y"]}, "objective must be the name of a metric, not ['y']"),
    ({"order": [["n"]]}, "order must be a list of names, not [['n']]"),
    ({"measured": [["y"]]}, "measured must be a list of names, not [['y']]"),
    ({"shorthands": ("x",)}, "shorthands must be a list of Shorthand, not ('x',)"),
    ({"finite": "no"}, "finite must be True or False, not 'no'"),
    ({"keys": {"n": Integer(help=3, default=1)}}, "key n must have a line of help, not 3"),  # type: ignore[arg-type]
    ({"keys": {"n": Choice(help="a", choices="abc")}}, "key n must have choices such as"),  # type: ignore[arg-type]
    ({"keys": {1: NUMBER}, "order": ["zz"]}, "key 1 must be names"),
    ({"drawing": Drawing(panels=("y",))}, "drawing has a part of another kind"),  # type: ignore[arg-type]
    ({"drawing": lambda values: None}, "drawing must be a Drawing, not a NoneType"),
    ({"drawing": lambda values: {}["a"]}, "drawing raises KeyError: 'a'"),
]


@pytest.mark.parametrize(("changes", "says"), MISTAKES, ids=[says for _, says in MISTAKES])
def test_a_mistake_is_one_line_that_names_experiment_and_field(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadExperiment) as caught:
        made(**changes)
    (line,) = caught.value.lines
    assert line.startswith(f"experiment {' '.join(str(changes.get('name', 'mine')).split())}: ")
    assert says in line
    assert isinstance(caught.value, BadInput)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"keys": ["n"], "objective": "z"}, ["keys must map names, not be a list"]),
        ({"keys": {"n": int}}, ["key n must be a Key such as Integer(help=...), not <class 'int'>"]),
        ({"defaults": 3}, ["defaults must map keys to values, not be 3"]),
        ({"objective": "z", "drawing": lambda values: None}, ["objective z is no metric: must be one of y, word"]),
    ],
)
def test_a_mistake_brings_no_others_that_follow_from_it(changes: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(BadExperiment) as caught:
        made(**changes)
    (line,) = caught.value.lines
    assert line.removeprefix("experiment mine: ").split("; ") == says


def test_of_many_metrics_the_first_are_listed() -> None:
    for count, shown in ((8, "m0, m1, m2, m3, m4, m5, m6, m7"), (9, "m0, m1, m2, m3, m4, m5, m6, m7, ...")):
        with pytest.raises(BadExperiment) as caught:
            made(metrics={f"m{number}": "a number" for number in range(count)}, objective="quite another")
        assert str(caught.value).endswith(f"must be one of {shown}")


def test_defaults_may_name_their_experiment_and_bring_what_the_keys_do_not() -> None:
    keys = {"n": Integer(help="a"), "m": Integer(help="b", default=2)}
    assert made(keys=keys, defaults={"experiment": "mine", "n": 1}).defaults == {"experiment": "mine", "n": 1}
    with pytest.raises(BadExperiment, match="defaults lack n"):
        made(keys=keys, defaults={"m": 1})


def test_a_drawing_may_leave_out_what_it_does_not_want() -> None:
    panel = Panel("y", "a label", theory="y", error="y", kind="word")
    everything = Drawing(
        panels=(panel, Panel("y", "again")),
        repeats=("seed", "n"),
        last="y",
        histograms=(Histogram("y", 0.0, 1.0, "x"),),
        names={"n": {"1": ("{inner.x} and {n}", "one")}},
    )
    assert made(drawing=everything).drawing({}) is everything
    with pytest.raises(BadExperiment, match="drawing: panels name k"):
        made(drawing=Drawing(panels=(Panel("y", "a", kind="k"),)))
    with pytest.raises(BadExperiment, match="drawing: panels name e"):
        made(drawing=Drawing(panels=(Panel("y", "a", error="e"),)))
    with pytest.raises(BadExperiment, match="drawing: fills name k,"):
        made(drawing=Drawing(fills=(Fill("k", "y", "n", "path"),)))
    with pytest.raises(BadExperiment, match="drawing: marks name a,"):
        made(drawing=Drawing(marks=(Mark("a", "n", "here"),)))


def test_an_experiment_that_says_nothing_of_its_cells_has_free_ones_of_one_row() -> None:
    cells = {"n": np.arange(3)}
    mine = made()
    assert mine.refuse(cells) == []
    assert mine.price(cells).tolist() == mine.memory(cells).tolist() == [0.0] * 3
    assert mine.rows_of(cells).tolist() == [1] * 3
    assert mine.finite


def test_an_interruption_while_an_experiment_is_made_is_the_users() -> None:
    def interrupted(values: Mapping[str, Any]) -> Drawing:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(drawing=interrupted)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(BadExperiment) as caught:
        made(objective="z", order=("m",), defaults={"n": -1})
    assert [part in str(caught.value) for part in ("objective z", "order names m", "default n=-1")] == [True] * 3


def test_a_near_miss_has_a_hint() -> None:
    with pytest.raises(BadExperiment, match=r"order names inner\.y, which is no key \(did you mean inner\.x\?\)"):
        made(order=("inner.y",))


def test_a_mistake_travels_between_processes() -> None:
    with pytest.raises(BadExperiment) as caught:
        made(version=0)
    back = pickle.loads(pickle.dumps(caught.value))
    assert type(back) is BadExperiment
    assert str(back) == str(caught.value)


def test_what_is_reserved_is_what_stands_in_every_row_and_every_config() -> None:
    """The register of names: those in use, and those that later work has announced."""
    assert {*RUN_KEYS, "experiment", "objective", "resume", "hydra", "chunk"} <= RESERVED
    assert {"engine", "keep", "order", "tag", "note", "sweep", "cell"} <= RESERVED
    groups = {path.name for path in folders.conf().iterdir() if path.is_dir()} - {"hydra", "experiment"}
    assert groups <= GROUPS


def test_interpolated_and_missing_defaults_are_for_the_config_to_say() -> None:
    mine = made(defaults={"n": "${inner.x}", "inner": {"x": "???"}})
    assert mine.defaults == {"n": "${inner.x}", "inner": {"x": "???"}}


def test_groups_of_defaults_may_bring_keys() -> None:
    mine = made(keys={"n": NUMBER, "a.b": Integer(help="of a group")}, defaults={"defaults": [{"/a": "one"}], "n": 2})
    assert mine.defaults is not None


def test_a_drawing_may_be_a_plain_one() -> None:
    mine = made(drawing=Drawing(panels=(Panel("y", "error"),), x=("n",), names={"n": {"1": ("{inner.x} at one",)}}))
    assert mine.drawing({"n": (1, 2)}).panels[0].metric == "y"


def test_a_drawing_is_tried_with_values_as_a_table_has_them() -> None:
    seen: list[Mapping[str, Any]] = []

    def drawing(values: Mapping[str, Any]) -> Drawing:
        seen.append(values)
        return Drawing()

    keys = {"n": NUMBER, "flag": Flag(help="a", default=True), "sizes": Integers(help="b", optional=True, default=None)}
    made(keys=keys, drawing=drawing)
    assert seen == [{"n": (0.0,), "flag": ("true",)}]


def test_a_drawing_of_keys_without_defaults_is_not_tried_in_vain() -> None:
    keys = {"n": Integer(help="a number")}
    assert made(keys=keys, drawing=lambda values: Drawing(x=(str(values["n"][0]),)), defaults={"n": 1}) is not None


def test_a_changed_copy_is_checked_too() -> None:
    with pytest.raises(BadExperiment, match="version -1"):
        replace(THIRD_PARTY, version=-1)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_ours_are_made_like_any(name: str) -> None:
    ours = experiment_named(name)
    assert replace(ours) == ours
    assert all(key.default is not UNSET or "." in key_name for key_name, key in ours.keys.items())


@pytest.mark.parametrize(
    ("field", "answer", "says"),
    [
        ("price", lambda cells: 1 / 0, "price raises ZeroDivisionError: division by zero"),
        ("price", lambda cells: [1.0], "price gives float64 of shape (1,), not a number for each of 3 cells"),
        ("price", lambda cells: "dear", "price gives <U4 of shape (), not a number"),
        ("memory", lambda cells: np.full(3, np.nan), "memory gives nan for a cell, not a number from 0 up"),
        ("rows_of", lambda cells: -1, "rows_of gives -1 for a cell, not a number from 0 up"),
        ("rows_of", lambda cells: sys.exit(0), "rows_of raises SystemExit: 0"),
    ],
)
def test_what_an_experiment_says_of_its_cells_is_checked_too(field: str, answer: Any, says: str) -> None:
    with pytest.raises(BadExperiment, match="experiment mine: ") as caught:
        numbers_of(made(**{field: answer}), field, {"n": np.arange(3)})
    assert says in str(caught.value)


def test_one_number_for_all_cells_will_do() -> None:
    assert numbers_of(made(price=lambda cells: 0.5), "price", {"n": np.arange(3)}).tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("answer", "says"), [(None, "refuse raises TypeError"), (["no"], "refuse gives 'no', not a list of")]
)
def test_refusals_are_checked_too(answer: Any, says: str) -> None:
    with pytest.raises(BadExperiment) as caught:
        refusals_of(made(refuse=lambda cells: answer), {"n": np.arange(3)})
    assert says in str(caught.value)


def test_defaults_are_handed_to_a_config_in_the_types_of_their_keys() -> None:
    keys = {"x": Real(help="a", default=np.float64(0.5)), "sizes": Integers(help="b", default=(1, 2))}
    config = made(keys=keys, metrics={"y": "a number"}).config
    assert config == {"x": 0.5, "sizes": [1, 2]}
    assert type(config["x"]) is float


@pytest.mark.parametrize("tree", [{}, {"a": 1}, {"a": {"b": 1, "c": {"d": None}}, "e": (1, 2)}])
def test_nested_and_flat_are_inverse(tree: dict[str, Any]) -> None:
    assert nested(flat(tree)) == tree


def test_public_names_are_those_of_the_contract() -> None:
    for name in ("Experiment", "Text", "Counts", "Integer", "Real", "Choice", "Flag", "BadInput", "Drawing", "Panel"):
        assert getattr(hw6, name).__module__.startswith(("hw6.contract", "hw6.errors"))


# --- columns of cells -----------------------------------------------------------------------------------------------


def column_of(values: list[Any]) -> np.ndarray:
    """A column as the sweep makes it: constants take no memory."""
    array = np.array(values) if len({type(value) for value in values}) == 1 else np.empty(len(values), dtype=object)
    array[:] = values
    return np.broadcast_to(array[:1], array.shape) if len(set(values)) == 1 else array


COLUMNS_OF_CELLS = st.integers(1, 12).flatmap(
    lambda count: st.fixed_dictionaries(
        {
            "a": st.lists(st.integers(-2, 2), min_size=count, max_size=count),
            "b": st.lists(st.sampled_from([0.0, 0.5, -1.5]), min_size=count, max_size=count),
            "c": st.lists(st.sampled_from([None, 3, 7]), min_size=count, max_size=count),
        }
    )
)


@given(COLUMNS_OF_CELLS, st.permutations("abc"), st.integers(0, 3))
@example({"a": [0, 2, 1, 1], "b": [0.5, 0.0, 0.5, 0.0], "c": [3, 3, 3, 3]}, ["a", "b", "c"], 2)
def test_codes_are_equal_where_the_values_are(values: dict[str, list[Any]], order: list[str], some: int) -> None:
    keys = order[:some]
    found = codes({key: column_of(column) for key, column in values.items()}, keys)
    cells = list(zip(*(values[key] for key in keys), strict=True)) or [()]
    code = np.broadcast_to(found, (len(cells),)).tolist()
    assert len(set(zip(cells, code, strict=True))) == len(set(cells)) == len(set(code))
    assert sorted(set(code)) == list(range(len(set(cells))))
    assert len(found) == 1 or len(set(cells)) > 1 or len(cells) == 1, "what is constant is coded once"


@given(COLUMNS_OF_CELLS)
def test_numbers_are_the_values_and_nan_where_there_is_none(values: dict[str, list[Any]]) -> None:
    cells = {key: column_of(column) for key, column in values.items()}
    count = len(values["a"])
    for key, column in zip([*"abc", "d"], numbers(cells, *"abc", "d"), strict=True):
        wanted = [np.nan if value is None else float(value) for value in values.get(key, [None] * count)]
        assert np.array_equal(np.broadcast_to(column, (count,)).astype(float), wanted, equal_nan=True)
        assert np.array_equal(np.broadcast_to(where_is(cells, key, 3), (count,)), [value == 3 for value in wanted])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 1)), max_size=60))
@example([(True, number, 0) for number in range(12, 0, -1)])
def test_distinct_values_are_the_first_ten_in_order(rows_of: list[tuple[bool, int, int]]) -> None:
    wrong, a, b = (np.array([row[place] for row in rows_of], dtype=kind) for place, kind in enumerate((bool, int, int)))
    assert distinct(wrong, a, b) == sorted({(one, two) for bad, one, two in rows_of if bad})[:10]
    assert distinct(wrong, a, np.array([5])) == sorted({(one, 5) for bad, one, _ in rows_of if bad})[:10]


def test_a_constant_column_is_looked_at_once() -> None:
    cells = {"n": np.broadcast_to(np.int64(3), (10**12,))}
    assert [column.tolist() for column in numbers(cells, "n")] == [[3]]
    assert where_is(cells, "n", 3).tolist() == [True]
    assert codes(cells, ["n"]).tolist() == [0]


def test_a_number_is_shown_as_it_was_typed() -> None:
    assert [(plain(value), type(plain(value))) for value in (1.0, 0.5, -3.0)] == [(1, int), (0.5, float), (-3, int)]
    key = "features.activation"
    cells = {key: column_of(["relu", "tanh", "erf"])}
    assert (other_than(cells, key, "relu"), other_than(cells, key, "tanh")) == ("tanh", "relu")


# --- in a sweep -----------------------------------------------------------------------------------------------------

ROWS: Mapping[str, Callable[[Cells], Any]] = {"rows": rows}


def test_a_key_that_resolves_shows_its_number_and_keeps_null_in_the_id(command: Any) -> None:
    from hw6.contract.registry import register, unregister

    def resolved(cells: Cells) -> Columns:
        depth = np.array([10 if value is None else value for value in cells["depth"].tolist()])
        return {"depth": depth, "y": depth * 1.0}

    key = OptionalInteger(help="how deep; null: 10", default=None, resolves=True)
    mine = Experiment("deep", 1, {"depth": key}, {"y": "a number"}, resolved)
    register(mine)
    try:
        frame = command.sweep("experiment=deep", "depth=null,3,10")
        assert sorted(frame["depth"]) == [3, 10, 10]
        assert frame["cell_id"].nunique() == 3
        assert "depth" not in mine.metrics
    finally:
        unregister("deep")
