"""The grid of lambdas has the numbers that a person expects; a choice has its ties decided."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw6.mathematics.tuning import best_by_validation, log_grid

POSITIVE = st.floats(1e-300, 1e300)


def test_powers_of_two_come_out_exactly():
    assert log_grid(2.0**-6, 2.0**5, 12).tolist() == [2.0**k for k in range(-6, 6)]


def test_decades_come_out_exactly():
    grid = log_grid(1e-2, 1e2, 25).tolist()
    assert [grid[index] for index in (0, 6, 12, 18, 24)] == [0.01, 0.1, 1.0, 10.0, 100.0]
    assert log_grid(1e-300, 1e300, 601).tolist() == [float(f"1e{k}") for k in range(-300, 301)]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(POSITIVE, POSITIVE, st.integers(2, 60))
def test_the_grid_rises_evenly_between_its_exact_ends(one, other, num):
    low, high = min(one, other), max(one, other)
    grid = log_grid(low, high, num)
    assert (grid[0], grid[-1], len(grid)) == (low, high, num)
    assert np.isfinite(grid).all()
    even = np.linspace(np.log(low), np.log(high), num)
    np.testing.assert_allclose(np.log(grid), even, rtol=1e-12, atol=1e-12)


def test_a_grid_is_kept_for_the_next_who_asks_and_cannot_be_written_to():
    grid = log_grid(0.01, 1.0, 3)
    assert log_grid(0.01, 1.0, 3) is grid
    with pytest.raises(ValueError, match="read-only"):
        grid[1] = 5.0


def test_one_point_is_the_minimum():
    assert log_grid(0.5, 8.0, 1).tolist() == [0.5]


@pytest.mark.parametrize("arguments", [(0.0, 1.0, 3), (2.0, 1.0, 3), (1.0, 2.0, 0), (1.0, np.inf, 3), (np.nan, 1.0, 2)])
def test_a_grid_that_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError):
        log_grid(*arguments)


def test_the_smallest_error_wins_and_a_tie_goes_to_the_larger_lambda():
    lambdas = np.array([0.1, 1.0, 10.0, 100.0])
    assert best_by_validation(lambdas, np.array([3.0, 1.0, 2.0, 4.0])) == 1
    assert best_by_validation(lambdas, np.array([3.0, 1.0, 1.0, 4.0])) == 2
    assert best_by_validation(lambdas, np.full(4, 5.0)) == 3
