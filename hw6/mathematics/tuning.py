"""The rules by which a fit finds its lambda: which candidates it tries, and which of them it keeps.

``TUNING_RULES`` is the one table of them: a new rule is one entry here, one file in conf/lambda/, one row of a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import NamedTuple

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


class Candidates(NamedTuple):
    """What the keys ``lambda.*`` of a cell say; what its rule does not need is None."""

    value: float
    minimum: float
    maximum: float
    num: int


class TuningRule(NamedTuple):
    """How a fit finds its lambda.

    Attributes:
        candidates: what the keys say -> the lambdas that are fitted, float64 (m,), rising; 0 is the limit of minimum
            norm.
        choice: (lambdas, validation errors), both (m,) -> the indices of the fits that are kept, a row each.
        rows: the number of rows of a cell with so many candidates.
        needs: the keys without which the rule says nothing: those of its group, and ``data.n_validation`` if it looks
            at validation errors.
        label: its name in a legend, the first of which all keys in braces have one value.
    """

    candidates: Callable[[Candidates], np.ndarray]
    choice: Callable[[np.ndarray, np.ndarray], Sequence[int]]
    rows: Callable[[int], int]
    needs: tuple[str, ...]
    label: tuple[str, ...]


GRID = ("lambda.min", "lambda.max", "lambda.num")


def _grid(given: Candidates) -> np.ndarray:
    return log_grid(given.minimum, given.maximum, given.num)


def _all(lambdas: np.ndarray, errors: np.ndarray) -> Sequence[int]:
    return range(len(lambdas))


TUNING_RULES: dict[str, TuningRule] = {
    "fixed": TuningRule(
        candidates=lambda given: np.array([given.value]),
        choice=_all,
        rows=lambda candidates: 1,
        needs=("lambda.value",),
        label=("λ = {lambda.value} (fixed)", "fixed λ"),
    ),
    "tuned": TuningRule(
        candidates=_grid,
        choice=lambda lambdas, errors: [best_by_validation(lambdas, errors)],
        rows=lambda candidates: 1,
        needs=(*GRID, "data.n_validation"),
        label=("λ tuned on validation data",),
    ),
    "path": TuningRule(
        candidates=_grid,
        choice=_all,
        rows=lambda candidates: candidates,
        needs=GRID,
        label=("each λ of a path",),
    ),
    "ridgeless": TuningRule(
        candidates=lambda given: np.zeros(1),
        choice=_all,
        rows=lambda candidates: 1,
        needs=(),
        label=("ridgeless (λ → 0)",),
    ),
}
