"""The grid of lambdas and the choice among them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=256)
def log_grid(minimum: float, maximum: float, num: int) -> np.ndarray:
    """``num`` rising numbers from minimum to maximum, equal steps in the logarithm; float64 (num,), read-only.

    Point i is minimum (maximum / minimum)^(i / (num - 1)), rounded to 15 significant digits, the end points as given.
    The rounding takes away the last-bit error of the power, so that decades and powers of two come out as themselves:
    (0.01, 100, 25) has exactly 0.1, 1 and 10, (2^-6, 2^5, 12) all twelve powers. One point is the minimum.

    Args:
        minimum: above 0.
        maximum: at least minimum.
        num: at least 1.
    """
    if not 0.0 < minimum <= maximum < np.inf or num < 1:
        raise ValueError(f"no grid of {num} points from {minimum} to {maximum}")
    ratio = maximum / minimum
    if np.isinf(ratio):  # from 1e-300 to 1e300, say: the ratio of the roots is finite
        root = np.sqrt(maximum) / np.sqrt(minimum)
        points = [minimum * root ** (i / (num - 1)) * root ** (i / (num - 1)) for i in range(num)]
    else:
        points = [minimum * ratio ** (i / max(num - 1, 1)) for i in range(num)]
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
