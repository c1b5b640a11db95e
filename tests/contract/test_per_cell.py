"""A function of one cell as an experiment: its keys, its rows, its failures, and what is refused when it is made."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytest
from commands import Command

import hw6
from hw6.contract.answers import BadRows, CellAnswers, rows_of_answer
from hw6.contract.experiment import BadExperiment, Experiment
from hw6.contract.failure import Failure
from hw6.contract.keys import Choice, Flag, Integer, Integers, Key, Real
from hw6.contract.values import Listed, Nullable, Number, String


class Colour(Enum):
    RED = "r"
    BLUE = "b"


METRICS = {"y": "a number"}
Made = Callable[..., Any]


def decorated(function: Made, **about: Any) -> Experiment:
    return hw6.experiment(**{"metrics": METRICS, **about})(function)


@hw6.experiment(
    metrics={"y": "a number", "letters": hw6.Text("a text"), "bins": hw6.Counts("a histogram")}, objective="y"
)
def everything(
    k: Annotated[int, hw6.Integer(help="neighbours", minimum=1)] = 5,
    n: int = -3,
    x: float = 0.5,
    flag: bool = False,
    word: str = "plain text",
    kind: Literal["a", "b"] = "b",
    size: Literal[1, 2, 4] = 2,
    sizes: list[int] = [3, 4],  # noqa: B006 - a default is data, and copied
    rates: tuple[float, ...] = (0.1,),
    colour: Colour = Colour.BLUE,
    colours: list[Colour] = [Colour.RED],  # noqa: B006
    depth: int | None = None,
    told: Annotated[float, "how warm it is"] = 1.0,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """One line of documentation."""
    assert (type(k), type(n), type(x), type(flag), type(told)) == (int, int, float, bool, float)
    assert isinstance(colour, Colour)
    assert all(isinstance(one, Colour) for one in colours)
    assert isinstance(sizes, list)
    assert isinstance(rates, tuple)
    assert kind in ("a", "b")
    assert size in (1, 2, 4)
    total = k + n + x + sum(sizes) + sum(rates) + (depth or 0) + seed
    return {"y": total, "letters": word.upper(), "bins": [k, 2]}


# --- keys -----------------------------------------------------------------------------------------------------------


def simple(k: int = 5, seed: int = 0) -> dict[str, float]:
    """The double of k."""
    return {"y": 2.0 * k + seed}


def test_a_parameter_is_a_key_of_its_annotation_with_the_default_of_the_signature() -> None:
    def function(
        k: Annotated[int, hw6.Integer(help="neighbours", minimum=1)] = 5,
        n: int = -3,
        x: float = 1,
        flag: bool = False,
        word: str = "a b",
        kind: Literal["a", "b"] = "b",
        size: Literal[1, 2, 4] = 2,
        sizes: list[int] = [3, 4],  # noqa: B006
        colour: Colour = Colour.BLUE,
        depth: int | None = None,
        told: Annotated[float, "how warm it is"] = 1.0,
        many: Annotated[list[int], Integers(help="sizes", minimum=1)] = [7],  # noqa: B006
    ) -> dict[str, float]:
        return {"y": 1.0}

    made = decorated(function)
    wanted: dict[str, Key] = {
        "k": Integer(help="neighbours", minimum=1, default=5),
        "n": Integer(help="n", minimum=-(2**63), default=-3),
        "x": Real(help="x", default=1.0),
        "flag": Flag(help="flag", default=False),
        "word": String(help="word", default="a b"),
        "kind": Choice(help="kind", choices=("a", "b"), default="b"),
        "size": Number(help="size", numbers=(1, 2, 4), default=2),
        "sizes": Listed(help="sizes", entry=Integer(help="sizes", minimum=-(2**63)), default=(3, 4)),
        "colour": Choice(help="colour", choices=("RED", "BLUE"), default="BLUE"),
        "depth": Nullable(help="depth", entry=Integer(help="depth", minimum=-(2**63)), default=None),
        "told": Real(help="how warm it is", default=1.0),
        "many": Integers(help="sizes", minimum=1, default=(7,)),
    }
    assert made.keys == wanted
    assert type(made.keys["x"].default) is float
    assert made.config is not None
    assert made.config["sizes"] == [3, 4]


def test_what_is_said_of_the_experiment_is_kept() -> None:
    drawing = hw6.Drawing(x=("k",))
    made = decorated(simple, version=4, objective="y", name="other", measured=["y"], drawing=drawing, finite=False)
    assert (made.name, made.version, made.objective) == ("other", 4, "y")
    assert (made.measured, made.drawing, made.finite) == (frozenset({"y"}), drawing, False)
    assert decorated(simple).version == 1, "left out, the code alone decides about resuming"


def test_it_stays_a_function() -> None:
    made: Any = decorated(simple)
    assert made(3) == made(k=3) == {"y": 6.0}
    assert made(3, seed=1) == {"y": 7.0}
    assert inspect.signature(made) == inspect.signature(simple)
    assert (made.__name__, made.__doc__, made.__module__) == ("simple", simple.__doc__, __name__)


@pytest.mark.parametrize("way", ["defaults", "typed"])
def test_the_function_gets_every_value_as_its_annotation_says(command: Command, way: str) -> None:
    made = everything
    typed = {
        "defaults": [],
        "typed": ["k=2", "n=-7", "x=3", "flag=true", "word='3'", "kind=a", "size=4", "sizes=[1,2]", "rates=[1,0.5]",
                  "colour=RED", "colours=[BLUE,RED]", "depth=9", "told=2", "seed=5"],
    }[way]  # fmt: skip
    with registered(made):
        frame = command.sweep(f"experiment={made.name}", "seed=5,6", *typed[:-1])
        assert frame["status"].tolist() == ["done"] * 2, frame["error_message"].tolist()
        expected = 5 - 3 + 0.5 + 7 + 0.1 if way == "defaults" else 2 - 7 + 3 + 3 + 1.5 + 9
        assert frame["y"].tolist() == pytest.approx([expected + 5, expected + 6])
        assert frame["letters"].tolist() == ["PLAIN TEXT" if way == "defaults" else "3"] * 2
        assert frame["colour"].tolist() == ["BLUE" if way == "defaults" else "RED"] * 2


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("k=0", "k=0: must be a whole number from 1 to 2^63 - 1"),
        ("n=1.5", "n=1.5: must be a whole number"),
        ("size=3", "size=3: must be one of 1, 2, 4"),
        ("kind=c", "kind=c: must be one of a, b"),
        ("colour=GREEN", "colour=GREEN: must be one of RED, BLUE"),
        ("word=3", "word=3: must be a text"),
        ("sizes=[1,x]", "sizes=[1,x]: must be a list"),
        ("sizes=3", "sizes=3: must be a list"),
        ("depth=no", "depth=no: must be a whole number, or null"),
        ("q=3", "q=3: everything does not read it"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_before_anything_runs(command: Command, typed: str, told: str) -> None:
    with registered(everything):
        ran = command("-m", "experiment=everything", "seed=0:3", typed)
        assert (ran.status, ran.files) == (2, [])
        assert ran.lines[0].startswith(told), ran.err


def registered(made: Experiment) -> Any:
    from hw6.contract.registry import given

    return given([made])


# --- what is no experiment ------------------------------------------------------------------------------------------


def star(*values: int) -> dict[str, float]:
    return {"y": 1.0}


def stars(k: int = 1, **values: int) -> dict[str, float]:
    return {"y": 1.0}


def no_default(k: int) -> dict[str, float]:
    return {"y": 1.0}


def no_type(k=5) -> dict[str, float]:  # type: ignore[no-untyped-def]
    return {"y": 1.0}


def odd_type(k: dict[str, int] = {}) -> dict[str, float]:  # noqa: B006
    return {"y": 1.0}


def bare_list(k: list = [1]) -> dict[str, float]:  # type: ignore[type-arg] # noqa: B006
    return {"y": 1.0}


def nested_list(k: list[list[int]] = [[1]]) -> dict[str, float]:  # noqa: B006
    return {"y": 1.0}


def two_types(k: int | str = 3) -> dict[str, float]:
    return {"y": 1.0}


def mixed_choices(k: Literal["a", 3] = 3) -> dict[str, float]:
    return {"y": 1.0}


def null_default(k: int = None) -> dict[str, float]:  # type: ignore[assignment] # noqa: RUF013
    return {"y": 1.0}


def wrong_default(k: Annotated[int, hw6.Integer(help="k", minimum=3)] = 2) -> dict[str, float]:
    return {"y": 1.0}


def two_defaults(k: Annotated[int, hw6.Integer(help="k", default=2)] = 2) -> dict[str, float]:
    return {"y": 1.0}


def other_key(k: Annotated[int, hw6.Real(help="k")] = 2) -> dict[str, float]:
    return {"y": 1.0}


def run_key(workers: int = 2) -> dict[str, float]:
    return {"y": 1.0}


def group_key(device: str = "cpu") -> dict[str, float]:
    return {"y": 1.0}


def metric_key(y: float = 2.0) -> dict[str, float]:
    return {"y": 1.0}


def unknown_name(k: Nowhere = 2) -> dict[str, float]:  # type: ignore[name-defined] # noqa: F821
    return {"y": 1.0}


def nothing(k: int = 2) -> None:
    k + 1


def nothing_twice(k: int = 2) -> None:
    if k:
        return
    return


def no_parameter() -> dict[str, float]:
    return {"y": 1.0}


async def awaited(k: int = 2) -> dict[str, float]:
    return {"y": 1.0}


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (star, "*values names no keys: write each as a parameter of its own, such as seed: int = 0"),
        (stars, "**values names no keys: write each as a parameter of its own"),
        (no_default, "parameter k has no default: write k: int = VALUE"),
        (no_type, "parameter k has no type: write k: int = 5"),
        (odd_type, "parameter k: dict[str, int] is no type of a key; there are int, float, bool, str"),
        (bare_list, "parameter k: list is no type of a key"),
        (nested_list, "parameter k: list[list[int]] holds lists; a key holds one list of plain values"),
        (two_types, "parameter k: int | str is no type of a key"),
        (mixed_choices, "parameter k: the choices a, 3 must be texts, or whole numbers"),
        (null_default, "parameter k is null by default: write k: ... | None = None"),
        (wrong_default, "default k=2: must be a whole number from 3"),
        (two_defaults, "parameter k: its default stands in the signature; leave out default= in its key"),
        (other_key, "parameter k: Real is no key for int"),
        (run_key, "key workers has a name of hw6's own: rename it"),
        (group_key, "key device has the name of a config group of hw6: rename it"),
        (metric_key, "key y is a metric too: rename one of them"),
        (unknown_name, "an annotation cannot be read (NameError: name 'Nowhere' is not defined)"),
        (nothing, "it returns nothing: end it with return {METRIC: value}"),
        (nothing_twice, "it returns nothing: end it with return {METRIC: value}"),
        (no_parameter, "it has no parameter: a cell is told from another by its parameters"),
        (awaited, "it is async: write def, not async def"),
        (int, "a type stands below @hw6.experiment, not a function"),
    ],
)
def test_a_function_that_is_no_experiment_is_refused_in_a_line_that_says_what_to_write(
    function: Made, told: str
) -> None:
    with pytest.raises(BadExperiment) as caught:
        decorated(function)
    (line,) = caught.value.lines
    assert line.startswith(f"experiment {function.__name__}: ")
    assert told in line


def test_all_mistakes_of_a_function_are_told_at_once() -> None:
    def function(a, b: int, *c: int) -> None:  # type: ignore[no-untyped-def]
        pass

    with pytest.raises(BadExperiment) as caught:
        decorated(function)
    assert all(text in str(caught.value) for text in ("parameter a", "parameter b", "*c", "returns nothing"))


def test_without_parentheses_it_says_what_to_write() -> None:
    with pytest.raises(BadExperiment, match=r"write @hw6\.experiment\(metrics="):
        hw6.experiment(simple)
    with pytest.raises(BadExperiment, match=r"write @hw6\.experiment\(metrics="):
        hw6.experiment({"y": "a number"})
    with pytest.raises(BadExperiment, match=r"write @hw6\.experiment\(metrics="):
        hw6.experiment()(simple)


def test_a_function_that_always_raises_and_a_generator_return_something() -> None:
    def raises(k: int = 1) -> dict[str, float]:
        raise ValueError

    def yields(k: int = 1) -> Iterator[dict[str, float]]:
        yield {"y": 1.0}

    def sometimes(k: int = 1) -> dict[str, float] | None:
        return {"y": 1.0} if k else None

    def within(k: int = 1) -> dict[str, float]:
        with pytest.raises(ValueError):
            return {"y": float(k)}
        return {"y": 1.0}

    assert [decorated(one).name for one in (sometimes, within)] == ["sometimes", "within"]
    assert decorated(raises).name == "raises"
    assert decorated(yields).name == "yields"


# --- what it answers ------------------------------------------------------------------------------------------------


class Scalar:
    """A number of another library, as a tensor without dimensions is."""

    ndim = 0

    def item(self) -> float:
        return 2.5


MANY = {"layer": "which", "norm": "how long"}
TWO = [{"layer": 1, "norm": 0.5}, {"layer": 2, "norm": 0.25}]
ANSWERS: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "a row": (dict(TWO[0]), TWO[:1]),
    "rows": ([TWO[0], {"norm": 0.25, "layer": 2}], TWO),
    "a generator of rows": ((dict(row) for row in TWO), TWO),
    "columns": ({"layer": [1, 2], "norm": np.array([0.5, 0.25])}, TWO),
    "columns and a value for all": (
        {"layer": range(2), "norm": 3.0},
        [{"layer": 0, "norm": 3.0}, {"layer": 1, "norm": 3.0}],
    ),
    "a frame": (pd.DataFrame(TWO), TWO),
    "a number of another library": ({"layer": np.array(3), "norm": Scalar()}, [{"layer": 3, "norm": 2.5}]),
    "what does not apply": ({"layer": 1, "norm": None}, [{"layer": 1, "norm": None}]),
}


@pytest.mark.parametrize("form", list(ANSWERS))
def test_an_answer_is_a_row_or_rows_or_columns(form: str) -> None:
    answer, wanted = ANSWERS[form]
    assert rows_of_answer(answer, MANY, "{...}") == wanted


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "it returned nothing: write return {...}"),
        (3.5, "it returned float 3.5: write return {...}"),
        ("text", "it returned str 'text': write return {...}"),
        ([], "it returned no row"),
        ({"layer": [], "norm": []}, "it returned no row"),
        ([1, 2], "it returned a list of int, not of rows such as {...}"),
        ({"layer": 1}, "it returned no norm (None where it does not apply): write return {...}"),
        ({"layer": 1, "norm": 1, "nrom": 2}, "nrom is no metric; the metrics are layer, norm"),
        ([{"layer": 1}], "it returned no norm"),
        ({"layer": [1, 2], "norm": [1, 2, 3]}, "its columns have several lengths: layer 2, norm 3"),
    ],
)
def test_what_is_no_answer_says_what_to_write(answer: Any, told: str) -> None:
    with pytest.raises(BadRows) as caught:
        rows_of_answer(answer, MANY, "{...}")
    assert str(caught.value).startswith(told)


def test_a_histogram_is_one_value_and_a_list_of_them_a_column() -> None:
    metrics = {"bins": hw6.Counts("a histogram")}
    (one,) = rows_of_answer({"bins": [1, 2, 3]}, metrics, "")
    assert list(one["bins"]) == [1, 2, 3]
    found = rows_of_answer({"bins": np.array([[1, 2], [3, 4]])}, metrics, "")
    assert [list(row["bins"]) for row in found] == [[1, 2], [3, 4]]


def test_an_answer_that_is_used_again_is_the_row_that_it_was() -> None:
    """One dictionary, one array for all cells: each row has its own numbers."""
    answer: dict[str, Any] = {"y": 0.0, "bins": np.zeros(2, dtype=int)}

    def function(k: int = 1) -> dict[str, Any]:
        answer["y"] = float(k)
        answer["bins"][:] = k
        return answer

    made = decorated(function, metrics={"y": "a number", "bins": hw6.Counts("a histogram")})
    answers = made.rows({"k": np.arange(3)})
    assert isinstance(answers, CellAnswers)
    assert [rows[0]["y"] for rows in answers.rows if not isinstance(rows, Failure)] == [0.0, 1.0, 2.0]
    assert [list(rows[0]["bins"]) for rows in answers.rows if not isinstance(rows, Failure)] == [[0, 0], [1, 1], [2, 2]]


def test_a_list_that_the_function_changes_is_its_own() -> None:
    def function(sizes: list[int] = [1, 2]) -> dict[str, float]:  # noqa: B006
        sizes.append(9)
        return {"y": float(sum(sizes))}

    column = np.empty(2, dtype=object)
    column[:] = [(1, 2), (1, 2)]
    answers = decorated(function).rows({"sizes": column})
    assert [rows for rows in answers.rows] == [[{"y": 12.0}]] * 2  # type: ignore[union-attr] # noqa: C416


def test_a_cell_that_takes_long_is_handed_over_before_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("hw6.contract.per_cell.time.perf_counter", lambda: float(next(clock)))
    answers = decorated(simple).rows({"k": np.arange(10), "seed": np.zeros(10, dtype=int)})
    assert isinstance(answers, CellAnswers)
    assert len(answers.rows) == 3, "two seconds have passed with the third"
    assert answers.seconds.tolist() == [1.0] * 3


def test_what_a_cell_raises_is_its_own_failure_and_holds_none_of_its_frames() -> None:
    def function(k: int = 1) -> dict[str, float]:
        if k == 2:
            raise ValueError(f"no {k}\nsecond line")
        if k == 3:
            raise SystemExit(3)
        if k == 4:
            raise hw6.BadInput("k", k, "must not be 4")
        return {"y": 1.0}

    answers = decorated(function).rows({"k": np.arange(1, 6)})
    assert isinstance(answers, CellAnswers)
    first, second, third, fourth, fifth = answers.rows
    assert first == fifth == [{"y": 1.0}]
    assert isinstance(second, Failure)
    assert (second.kind, second.message, second.refused) == ("ValueError", "no 2", False)
    assert second.trace.startswith("Traceback")
    assert 'raise ValueError(f"no {k}\\nsecond line")' in second.trace
    assert "per_cell" not in second.trace.replace("test_per_cell", ""), "an author is told of his own frames"
    assert isinstance(third, Failure)
    assert (third.kind, third.refused) == ("SystemExit", False)
    assert isinstance(fourth, Failure)
    assert (fourth.message, fourth.refused) == ("k=4: must not be 4", True)


def test_an_interruption_goes_through() -> None:
    def function(k: int = 1) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decorated(function).rows({"k": np.arange(3)})


# --- what is said of cells ------------------------------------------------------------------------------------------

CELLS = {"k": np.array([1, 2, 2]), "seed": np.array([0, 0, 1])}


def test_a_price_is_a_number_or_a_function_of_some_parameters_or_of_columns() -> None:
    for price, wanted in (
        (0.5, [0.5] * 3),
        (lambda seed, k: k + 10.0 * seed, [1.0, 2.0, 12.0]),
        (lambda k: float(k), [1.0, 2.0, 2.0]),
        (lambda cells: cells["k"] * 2.0, [2.0, 4.0, 4.0]),
    ):
        made = decorated(simple, price=price, memory=price, rows_of=price)
        for field in (made.price, made.memory, made.rows_of):
            assert np.asarray(field(CELLS)).tolist() == wanted


def test_a_refusal_is_given_or_raised_once_for_each_kind_of_cell() -> None:
    asked = []

    def refuse(k: int) -> hw6.BadInput | None:
        asked.append(k)
        return hw6.BadInput("k", k, "is no good") if k == 2 else None

    def raising(k: int) -> None:
        if k == 2:
            raise hw6.BadInput("k", k, "is no good")

    for one in (refuse, raising, lambda k: [hw6.BadInput("k", k, "is no good")] if k == 2 else []):
        assert [str(mistake) for mistake in decorated(simple, refuse=one).refuse(CELLS)] == ["k=2: is no good"]
    assert asked == [1, 2]
    with pytest.raises(TypeError, match="it gives False, not a BadInput, a list of them, or None"):
        decorated(simple, refuse=lambda k: k > 9).refuse(CELLS)


def test_a_member_of_an_enum_is_what_is_said_of_too() -> None:
    def function(colour: Colour = Colour.RED) -> dict[str, float]:
        return {"y": 1.0}

    made = decorated(function, price=lambda colour: {Colour.RED: 1.0, Colour.BLUE: 2.0}[colour])
    assert made.price({"colour": np.array(["BLUE", "RED"], dtype=object)}).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"price": lambda q: 1.0}, "price names q, which is no parameter; the parameters are k, seed"),
        ({"price": lambda k, q: 1.0}, "price names q, which is no parameter; the parameters are k, seed"),
        ({"memory": lambda: 1.0}, "memory has no argument; the parameters are k, seed"),
        ({"price": "much"}, "price must be a function, not a str"),
        ({"refuse": 3}, "refuse must be a function, not a int"),
        ({"version": 0}, "version 0 must be a whole number from 1 up"),
        ({"objective": "z"}, "objective z is no metric"),
        ({"metrics": ["y"]}, "metrics must map names"),
        ({"measured": "y"}, "measured must be a list of names"),
    ],
)
def test_what_is_said_wrong_is_told(about: dict[str, Any], told: str) -> None:
    with pytest.raises(BadExperiment) as caught:
        decorated(simple, **about)
    assert told in str(caught.value)


# --- what an attack has found ----------------------------------------------------------------------------------------


class Word(StrEnum):
    SHORT = "s"
    LONG = "l"


def test_an_enum_of_texts_is_an_enum(command: Command) -> None:
    @hw6.experiment(metrics={"y": "a number"})
    def worded(word: Word = Word.SHORT) -> dict[str, float]:
        assert isinstance(word, Word)
        return {"y": float(len(word.name))}

    with registered(worded):
        assert command.sweep("experiment=worded", "word=SHORT,LONG")["y"].tolist() == [5.0, 4.0]


def test_choices_that_look_like_numbers_are_typed_as_they_look(command: Command) -> None:
    @hw6.experiment(metrics={"y": "a number"})
    def chosen(k: Literal["1", "true", "null"] = "1") -> dict[str, float]:
        assert isinstance(k, str)
        return {"y": float(len(k))}

    with registered(chosen):
        assert sorted(command.sweep("experiment=chosen", "k=1,true,null")["y"]) == [1.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.timedelta64(5, "ns"), "times"),
        (np.datetime64("2020-01-01", "ns"), "times"),
        (np.array([5], "timedelta64[ns]"), "times"),
        ({1, 2}, "a set"),
        (1j, "complex"),
        (2**70, "64 bits"),
    ],
)
def test_what_is_no_number_is_a_failure_and_no_number(command: Command, value: Any, message: str) -> None:
    @hw6.experiment(metrics={"y": "a number"})
    def odd(k: int = 1) -> dict[str, Any]:
        return {"y": value}

    with registered(odd):
        ran = command("-m", "experiment=odd", "k=1,2", "hydra.sweep.dir=s")
    assert ran.status == 1
    assert message in ran.lines[0]


@pytest.mark.parametrize(
    "value", [np.ma.masked, np.ma.array([1.0, 2.0], mask=[1, 1]).mean(), np.ma.array(5.0, mask=True)]
)
def test_a_masked_number_is_missing(value: Any) -> None:
    assert rows_of_answer({"y": value}, METRICS, "") == [{"y": None}]


def test_a_frame_with_two_columns_of_one_name_is_refused() -> None:
    frame = pd.DataFrame([[1.0, 2.0]], columns=["y", "y"])
    with pytest.raises(BadRows, match="several columns of one name"):
        rows_of_answer(frame, METRICS, "")


def wrapped(function: Made, named: bool) -> Made:
    @functools.wraps(function)
    def by_place(*values: Any) -> Any:
        return function(*values)

    @functools.wraps(function)
    def by_name(**values: Any) -> Any:
        return function(**values)

    return by_name if named else by_place


@pytest.mark.parametrize("named", [True, False])
def test_a_decorated_function_is_an_experiment_too(named: bool) -> None:
    def nothing_itself(k: int = 1, seed: int = 0) -> None:
        pass

    @functools.wraps(nothing_itself)
    def timed(*values: Any, **names: Any) -> dict[str, float]:
        nothing_itself(*values, **names)
        return {"y": 1.0}

    for function in (wrapped(simple, named), timed):
        answers = decorated(function).rows({"k": np.array([3]), "seed": np.array([1])})
        assert isinstance(answers, CellAnswers)
        assert answers.rows in ([[{"y": 7.0}]], [[{"y": 1.0}]])


def test_defaults_of_numpys_own_types_are_plain_and_a_set_has_no_order() -> None:
    def plain(k: int = np.int64(3), x: float = np.float64(0.5), flag: bool = np.bool_(True)) -> dict[str, float]:  # type: ignore[assignment]
        return {"y": 1.0}

    assert [(key.default, type(key.default)) for key in decorated(plain).keys.values()] == [
        (3, int), (0.5, float), (True, bool),
    ]  # fmt: skip

    def ordered(names: list[str] = {"a", "b"}) -> dict[str, float]:  # type: ignore[assignment] # noqa: B006
        return {"y": 1.0}

    with pytest.raises(BadExperiment, match="default names="):
        decorated(ordered)


def test_a_key_of_ones_own_may_be_null() -> None:
    def optional(k: Annotated[int, hw6.Integer(help="h")] | None = None) -> dict[str, float]:
        return {"y": 1.0}

    assert decorated(optional).keys["k"] == Nullable(help="h", entry=Integer(help="h"), default=None)


@pytest.mark.parametrize(
    ("about", "name", "told"),
    [({"metrics": {}}, "simple", "metrics names none"), ({}, "reserved", "key defaults has a name of hw6's own")],
)
def test_more_that_is_no_experiment(about: dict[str, Any], name: str, told: str) -> None:
    def reserved(defaults: int = 1) -> dict[str, float]:
        return {"y": 1.0}

    with pytest.raises(BadExperiment) as caught:
        decorated({"simple": simple, "reserved": reserved}[name], **about)
    assert told in str(caught.value)


def test_what_a_cell_does_to_its_surroundings_ends_with_its_batch(command: Command) -> None:
    @hw6.experiment(metrics={"y": "a number"})
    def rude(k: int = 1) -> dict[str, float]:
        os.chdir("/")
        sys.stdout.buffer.write(b"\xff bytes\n")
        return {"y": 1.0}

    with registered(rude):
        ran = command("-m", "experiment=rude", "k=1,2", "hydra.sweep.dir=s")
    assert ran.status == 0, ran.err
    assert "next: python -m hw6.aggregate s;" in ran.out
    assert "\\xff bytes" in (command.folder / "s" / "0" / "rude.log").read_text()
