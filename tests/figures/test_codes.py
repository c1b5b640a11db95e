"""Columns as codes, and their combinations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hw6.figures.codes import Column, column, combine, decides, single


def coded(*values: object) -> Column:
    return column(pd.Series(list(values)), "k")


def test_codes_hold_what_the_column_held() -> None:
    numbers = coded(3.0, np.nan, 1.0, 3.0)
    assert (numbers.numeric, numbers.values.tolist(), numbers.codes.tolist()) == (True, [1.0, 3.0], [1, -1, 0, 1])
    flags = coded(True, False, True, None)
    assert (flags.numeric, flags.values.tolist(), flags.codes.tolist()) == (False, ["false", "true"], [1, 0, 1, -1])
    lists = coded([1, 2], [1], [1, 2], [1])
    assert (lists.values.tolist(), lists.codes.tolist()) == (["[1,2]", "[1]"], [0, 1, 0, 1])
    assert coded(None, None).values.tolist() == []


def test_texts_that_come_out_the_same_are_one_value() -> None:
    mixed = coded(True, "true", "false", False)
    assert (mixed.values.tolist(), mixed.codes.tolist()) == (["false", "true"], [1, 1, 0, 0])


def test_combinations_are_those_of_unique_rows() -> None:
    rng = np.random.default_rng(0)
    codes = [rng.integers(-1, high, 200) for high in (3, 50, 2)] + [rng.integers(0, 10**6, 200)]
    members, groups = combine(codes, 200)
    expected, back = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    assert np.array_equal(members, expected)
    assert np.array_equal(groups, back.ravel())


def test_no_codes_are_one_combination() -> None:
    members, groups = combine([], 3)
    assert (members.shape, groups.tolist()) == ((1, 0), [0, 0, 0])


def test_a_column_that_follows_another_is_decided_by_it() -> None:
    leader, follower, free = coded(1.0, 2.0, 2.0, 3.0), coded(5.0, 6.0, 6.0, 7.0), coded(1.0, 1.0, 2.0, 2.0)
    assert decides([leader.codes], follower)
    assert not decides([leader.codes], free)
    assert decides([leader.codes, free.codes], coded(1.0, 2.0, 3.0, 4.0))


def test_single_values_are_those_of_some_rows_without_missing_ones() -> None:
    columns = [
        column(pd.Series(values), key) for key, values in {"a": [1.0, 1.0, 2.0], "b": [np.nan, np.nan, 3.0]}.items()
    ]
    assert single(columns, np.array([True, True, False])) == {"a": 1.0}
    assert single(columns, np.array([2])) == {"a": 2.0, "b": 3.0}
    assert single(columns, np.array([False, False, False])) == {}


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([0.01, 0.1, 1.0], True),
        ([1.0, 11.0, 21.0], False),
        ([1.0, 100.0], False),
        ([0.0, 0.1, 10.0], False),
        (["a", "b", "c"], False),
    ],
)
def test_an_axis_is_logarithmic_where_its_values_are_spread_by_ratio(values: list[object], log: bool) -> None:
    assert coded(*values).log == log


def test_numbers_stand_at_themselves_and_texts_side_by_side() -> None:
    assert coded(3.0, 1.0).positions.tolist() == [1.0, 3.0]
    assert coded("b", "a").positions.tolist() == [0.0, 1.0]
