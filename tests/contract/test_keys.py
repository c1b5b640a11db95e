"""What may stand behind a key: accepted values come back in one type, all others are refused in words."""

from __future__ import annotations

import contextlib
import copy
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw6.contract.keys import RUN_KEYS, UNSET, Choice, Flag, Integer, Integers, Key, OptionalInteger, Real
from hw6.errors import BadInput

WIDTH = Integer(help="width", minimum=1, maximum=500)
ANY = Integer(help="any")
LAMBDA = Real(help="lambda", minimum=0.0, open_below=True, hints={0: "use ridgeless"})
RATE = Real(help="rate", minimum=0.0, maximum=1.0, open_above=True)
NUMBER = Real(help="number")
FLAG = Flag(help="flag")
KIND = Choice(help="kind", choices=("fixed", "tuned"))
SIZES = Integers(help="sizes", minimum=1, shortest=2)
MAYBE = Integers(help="sizes", optional=True)
SHARE = Real(help="share", minimum=-1.0, maximum=1.0)
ABOVE = Real(help="above", minimum=1.0, maximum=2.0, open_below=True, hints={"one": "type 1.5"})
DEPTH = OptionalInteger(help="depth", minimum=2, maximum=9)
DEVICE = Choice(help="device", choices=("cpu", "cuda"), aliases={"auto": "cpu", "gpu": "cuda"})
WORKERS = RUN_KEYS["workers"]

ACCEPTED: list[tuple[Key, Any, Any]] = [
    (WIDTH, 1, 1),
    (WIDTH, 500, 500),
    (WIDTH, "7", 7),
    (WIDTH, "+7", 7),
    (WIDTH, "007", 7),
    (ANY, 2**63 - 1, 2**63 - 1),
    (LAMBDA, 1, 1.0),
    (LAMBDA, "1e-3", 1e-3),
    (LAMBDA, 5e-324, 5e-324),
    (RATE, 0, 0.0),
    (RATE, 0.999, 0.999),
    (NUMBER, -1.5e300, -1.5e300),
    (FLAG, True, True),
    (FLAG, False, False),
    (FLAG, "true", True),
    (FLAG, "False", False),
    (KIND, "fixed", "fixed"),
    (SIZES, [3, 4], (3, 4)),
    (SIZES, (3, 4), (3, 4)),
    (SIZES, ["3", 4], (3, 4)),
    (MAYBE, None, None),
    (MAYBE, [0], (0,)),
    (SHARE, -1, -1.0),
    (SHARE, 1, 1.0),
    (ABOVE, 2, 2.0),
    (DEPTH, None, None),
    (DEPTH, 2, 2),
    (DEPTH, "9", 9),
    (DEVICE, "cuda", "cuda"),
    (DEVICE, "auto", "cpu"),
    (DEVICE, "gpu", "cuda"),
]
REFUSED: list[tuple[Key, Any, str]] = [
    (WIDTH, 0, "from 1 to 500"),
    (WIDTH, 501, "from 1 to 500"),
    (WIDTH, 2.0, "whole number"),
    (WIDTH, "2.0", "whole number"),
    (WIDTH, "", "whole number"),
    (WIDTH, "1_000", "whole number"),
    (WIDTH, " 7", "whole number"),
    (WIDTH, True, "whole number"),
    (WIDTH, None, "whole number"),
    (WIDTH, [1], "whole number"),
    (ANY, 2**63, "2^63 - 1"),
    (ANY, -1, "from 0"),
    (LAMBDA, 0, "above 0 (use ridgeless)"),
    (LAMBDA, -0.0, "above 0 (use ridgeless)"),
    (LAMBDA, math.nan, "finite"),
    (LAMBDA, "nan", "finite"),
    (LAMBDA, math.inf, "finite"),
    (LAMBDA, "1e400", "finite"),
    (LAMBDA, 10**400, "finite"),
    (LAMBDA, True, "finite"),
    (RATE, 1, "below 1"),
    (RATE, -0.1, "at least 0"),
    (NUMBER, "one", "finite"),
    (NUMBER, "", "finite"),
    (NUMBER, None, "finite"),
    (FLAG, 1, "true or false"),
    (FLAG, 0, "true or false"),
    (FLAG, "yes", "true or false"),
    (FLAG, None, "true or false"),
    (KIND, "fixd", "one of fixed, tuned (did you mean fixed?)"),
    (KIND, None, "one of fixed, tuned"),
    (KIND, 3, "one of fixed, tuned"),
    (KIND, ["fixed"], "one of fixed, tuned"),
    (SIZES, [3], "at least 2 whole numbers"),
    (SIZES, [0, 3], "each at least 1"),
    (SIZES, [1.5, 3], "whole numbers"),
    (SIZES, "34", "list"),
    (SIZES, {1: 2, 3: 4}, "list"),
    (SIZES, None, "list"),
    (MAYBE, 3, "or null"),
    (MAYBE, [-1], "each at least 0"),
    (MAYBE, [], "at least 1 whole numbers"),
    (SHARE, math.nextafter(1.0, 2.0), "at most 1"),
    (SHARE, math.nextafter(-1.0, -2.0), "at least -1"),
    (ABOVE, 1.0, "above 1 and at most 2"),
    (ABOVE, "one", "(type 1.5)"),
    (ABOVE, "two", "at most 2"),
    (DEPTH, 1, "from 2 to 9, or null"),
    (DEPTH, "null", "or null"),
    (DEVICE, "tpu", "one of cpu, cuda, auto, gpu"),
    (DEVICE, "cudas", "(did you mean cuda?)"),
    (WORKERS, 0, "auto or a whole number from 1 to 1024"),
    (WORKERS, 1025, "auto or a whole number from 1 to 1024"),
    (WORKERS, None, "auto or"),
]


@pytest.mark.parametrize(("key", "given_value", "wanted"), ACCEPTED)
def test_what_is_allowed_comes_back_in_one_type(key: Key, given_value: Any, wanted: Any) -> None:
    found = key.convert("k", given_value)
    assert found == wanted
    assert type(found) is type(wanted)
    assert key.convert("k", found) == found, "converting twice changes nothing"


@pytest.mark.parametrize(("key", "given_value", "words"), REFUSED)
def test_what_is_not_allowed_is_refused_in_words(key: Key, given_value: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        key.convert("some.key", given_value)
    text = str(caught.value)
    assert text.startswith("some.key")
    assert words in text
    assert "\n" not in text


@given(st.integers(-(2**70), 2**70))
def test_integers_in_range_and_no_others(number: int) -> None:
    for form in (number, str(number)):
        try:
            assert ANY.convert("k", form) == number
            accepted = True
        except BadInput:
            accepted = False
        assert accepted == (0 <= number < 2**63)


@given(st.floats())
def test_a_float_is_kept_to_the_bit_or_refused(number: float) -> None:
    try:
        found = RATE.convert("k", number)
    except BadInput:
        assert not 0.0 <= number < 1.0
        return
    assert 0.0 <= number < 1.0
    assert found == number
    assert math.copysign(1.0, found) == 1.0, "-0.0 and 0.0 are one value"


@pytest.mark.parametrize("key", [RATE, NUMBER, SHARE], ids=["rate", "number", "share"])
@pytest.mark.parametrize("zero", [-0.0, "-0.0", "-0", "-1e-400"])
def test_zero_has_no_sign(key: Key, zero: float | str) -> None:
    assert math.copysign(1.0, key.convert("k", zero)) == 1.0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_means_the_same_however_it_is_written(number: float) -> None:
    assert NUMBER.convert("k", repr(number)) == NUMBER.convert("k", number)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
@pytest.mark.parametrize("key", [WIDTH, LAMBDA, FLAG, KIND, SIZES, MAYBE], ids=lambda key: type(key).__name__)
def test_nothing_but_a_refusal_is_raised(key: Key, value: Any) -> None:
    with contextlib.suppress(BadInput):
        found = key.convert("k", value)
        assert key.convert("k", found) == found


@pytest.mark.parametrize(("value", "shown"), [(None, "null"), (False, "false"), (0, "0"), ([1, 2], "[1,2]")])
@pytest.mark.parametrize("key", [WIDTH, KIND], ids=lambda key: type(key).__name__)
def test_a_refusal_shows_what_was_typed(key: Key, value: Any, shown: str) -> None:
    with pytest.raises(BadInput) as caught:
        key.convert("k", value)
    assert str(caught.value).startswith(f"k={shown}: must be ")


def test_processes_are_a_number_or_left_to_the_engine() -> None:
    assert [WORKERS.convert("workers", value) for value in ("auto", 1, "2", 1024)] == [None, 1, 2, 1024]


def test_a_list_may_be_anything_that_is_run_through_and_nothing_else() -> None:
    assert SIZES.accept(iter([3, 4])) == (3, 4)
    with pytest.raises(ValueError):
        SIZES.accept(34)


def test_no_value_at_all_is_one_object_in_every_process() -> None:
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert copy.deepcopy(UNSET) is UNSET
    assert Integer(help="a number").default is UNSET
    assert repr(UNSET) == "UNSET"


def test_how_a_sweep_is_run_where_nobody_says_it() -> None:
    found = {name: key.convert(name, key.default) for name, key in RUN_KEYS.items()}
    assert found == {"workers": None, "dry_run": False, "retry": "failed", "fail_fast": False, "changed": "stop"}


def test_what_is_allowed_is_told_in_words() -> None:
    assert WIDTH.allowed == "a whole number from 1 to 500"
    assert ANY.allowed == "a whole number from 0 to 2^63 - 1"
    assert LAMBDA.allowed == "a finite number above 0"
    assert RATE.allowed == "a finite number at least 0 and below 1"
    assert NUMBER.allowed == "a finite number"
    assert FLAG.allowed == "true or false"
    assert KIND.allowed == "one of fixed, tuned"
    assert SHARE.allowed == "a finite number at least -1 and at most 1"
    assert DEPTH.allowed == "a whole number from 2 to 9, or null"
    assert SIZES.allowed == "a list of at least 2 whole numbers, each at least 1, such as [10,20]"
    assert MAYBE.allowed == "a list of at least 1 whole numbers, each at least 0, such as [10,20], or null"
