"""The series: the Lorenz system on its attractor."""

import functools

import numpy as np

STEP, SETTLING, LENGTH = 0.01, 1_000, 20_000


def slope(state: np.ndarray) -> np.ndarray:
    """The time derivative at a state (3,), with sigma = 10, rho = 28, beta = 8/3."""
    x, y, z = state
    return np.array([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])


@functools.cache
def trajectory() -> np.ndarray:
    """States (LENGTH, 3) at steps of STEP, by Runge-Kutta of order 4.

    It takes a second. A worker keeps the module, and so the cache: it is computed once a worker, not once a cell.
    All cells share it, so it is read-only.
    """
    states = np.empty((SETTLING + LENGTH, 3))
    states[0] = 1.0, 1.0, 1.0
    for step, state in enumerate(states[:-1]):
        a = slope(state)
        b = slope(state + STEP / 2 * a)
        c = slope(state + STEP / 2 * b)
        d = slope(state + STEP * c)
        states[step + 1] = state + STEP / 6 * (a + 2 * b + 2 * c + d)
    series = states[SETTLING:]
    series.flags.writeable = False
    return series
