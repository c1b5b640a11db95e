"""An experiment is right from the moment it is made: every mistake is one line that names it and the field."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from recipes import THIRD_PARTY

import hw6
from hw6.command import folders
from hw6.contract.drawing import Drawing, Fill, Histogram, Mark, Panel
from hw6.contract.experiment import ROW_COLUMNS, BadExperiment, Cells, Columns, Experiment, flat, nested
from hw6.contract.keys import GROUPS, RESERVED, RUN_KEYS, UNSET, Integer, OptionalInteger, Real
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
    ({"metrics": {"a,b": "a number"}}, "metric 'a,b' must be a name without commas"),
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
    ({"drawing": lambda values: None}, "drawing must be a Drawing, not a NoneType"),
    ({"drawing": lambda values: {}["a"]}, "drawing raises KeyError: 'a'"),
]


@pytest.mark.parametrize(("changes", "says"), MISTAKES, ids=[says for _, says in MISTAKES])
def test_a_mistake_is_one_line_that_names_experiment_and_field(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadExperiment) as caught:
        made(**changes)
    (line,) = caught.value.lines
    assert line.startswith(f"experiment {changes.get('name', 'mine')}: ")
    assert says in line
    assert isinstance(caught.value, BadInput)
    assert isinstance(caught.value, ValueError)


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


def test_a_changed_copy_is_checked_too() -> None:
    with pytest.raises(BadExperiment, match="version -1"):
        replace(THIRD_PARTY, version=-1)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_ours_are_made_like_any(name: str) -> None:
    ours = experiment_named(name)
    assert replace(ours) == ours
    assert all(key.default is not UNSET or "." in key_name for key_name, key in ours.keys.items())


@pytest.mark.parametrize("tree", [{}, {"a": 1}, {"a": {"b": 1, "c": {"d": None}}, "e": (1, 2)}])
def test_nested_and_flat_are_inverse(tree: dict[str, Any]) -> None:
    assert nested(flat(tree)) == tree


def test_public_names_are_those_of_the_contract() -> None:
    for name in ("Experiment", "Text", "Counts", "Integer", "Real", "Choice", "Flag", "BadInput", "Drawing", "Panel"):
        assert getattr(hw6, name).__module__.startswith(("hw6.contract", "hw6.errors"))


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
