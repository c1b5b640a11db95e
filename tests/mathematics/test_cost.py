"""The cost model follows the rules of the solver and is of the right size."""

import time

import numpy as np
import pytest

from hw6.mathematics.cost import Work, seconds
from hw6.mathematics.features import Directions, NestedFeatures
from hw6.mathematics.ridge import RidgeSolver
from hw6.mathematics.tuning import log_grid


def work(p, group=0, smallest=0.01, risks=0.0):
    p = np.asarray(p)
    parts = (group, p, 35, 300, 90, 25.0, smallest, risks, True)
    return Work(*(np.broadcast_to(part, p.shape) for part in parts))


@pytest.mark.parametrize("widths", [range(5, 200), range(11, 1492, 30)])
def test_within_a_factor_of_five_of_the_clock(widths):
    """The docs claim a factor of 2 on the machine that was measured; other machines and busy ones differ."""
    rng = np.random.default_rng(0)
    x, x_query, y = rng.standard_normal((300, 35)), rng.standard_normal((90, 35)), rng.standard_normal(300)
    lambdas, best = log_grid(1e-2, 1e2, 25), np.inf
    for _ in range(3):
        started = time.perf_counter()
        solver = RidgeSolver(NestedFeatures(x, x_query, Directions(0, 35), "relu"), y)
        for p in widths:
            solver.fit(p, lambdas)
        best = min(best, time.perf_counter() - started)
    assert 0.2 < seconds(work(list(widths))).sum() / best < 5.0


def test_neighbours_share_an_anchor_and_strangers_do_not():
    together, apart = work([500, 501, 502]), work([500, 800, 1100])
    assert seconds(together).sum() < 0.7 * seconds(apart).sum()
    assert seconds(work([500] * 3, group=np.arange(3))).sum() > 2.0 * seconds(work([500] * 3)).sum()


def test_the_order_of_cells_does_not_change_their_price():
    p = np.random.default_rng(0).permutation(np.arange(1, 900, 7))
    by_width = dict(zip(p.tolist(), seconds(work(p)).tolist(), strict=True))
    rising = np.sort(p)
    np.testing.assert_allclose(seconds(work(rising)), [by_width[width] for width in rising.tolist()], rtol=1e-12)


def test_direct_route_and_risk_cost_more():
    assert seconds(work([300], smallest=0.0))[0] > seconds(work([300]))[0]
    assert seconds(work([2000], risks=1.0))[0] > seconds(work([2000]))[0]
