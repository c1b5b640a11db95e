"""The grid of lambdas and the choice among them."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache

import numpy as np

CONTEXT = Context(prec=34)


@lru_cache(maxsize=256)
def log_grid(minimum: float, maximum: float, num: int) -> np.ndarray:
    """``num`` rising numbers from minimum to maximum, equal steps in the logarithm; float64 (num,), read-only.

    Point i is minimum (maximum / minimum)^(i / (num - 1)), rounded to 15 significant digits, the end points as given.
    The power is taken in decimal arithmetic (binary loses the 15th digit once the range is large), so that decades and
    powers of two come out as themselves: (0.01, 100, 25) has exactly 0.1, 1 and 10, (2^-6, 2^5, 12) all twelve powers.
    One point is the minimum.

    Args:
        minimum: above 0.
        maximum: at least minimum.
        num: at least 1.
    """
    if not 0.0 < minimum <= maximum < np.inf or num < 1:
        raise ValueError(f"no grid of {num} points from {minimum} to {maximum}")
    low, high = Decimal(repr(float(minimum))), Decimal(repr(float(maximum)))  # the numbers as a person types them
    step = CONTEXT.divide(CONTEXT.subtract(CONTEXT.ln(high), CONTEXT.ln(low)), Decimal(max(num - 1, 1)))
    points = [CONTEXT.multiply(low, CONTEXT.exp(CONTEXT.multiply(step, Decimal(i)))) for i in range(num)]
    grid = np.array([float(f"{point:.14e}") for point in points])
    if num > 1:
        grid[-1] = maximum
    grid[0] = minimum
    grid.flags.writeable = False
    return grid


def best_by_validation(lambdas: np.ndarray, errors: np.ndarray) -> int:
    """The index of the smallest validation error; of equal errors, the one with the largest lambda.

    A tie says that the data do not tell the candidates apart; the larger lambda is then the simpler fit.

    Args:
        lambdas: shape (m,), rising.
        errors: validation errors, shape (m,). Where any is nan, the last nan wins, so that the row shows it.
    """
    return len(errors) - 1 - int(np.argmin(errors[::-1]))
