"""An experiment stays a function: a test calls it with any of its parameters."""

import pytest
from lorenz.forecast import ORDERS, lorenz


@pytest.mark.parametrize("distance", ORDERS)
def test_the_near_future_is_known(distance: str) -> None:
    assert lorenz(horizon=5, distance=distance)["error"] < 0.1


def test_the_far_future_is_not() -> None:
    assert lorenz(horizon=1_000)["error"] > 0.9
