"""The direct route: the limit of minimum norm, its rank rule, small lambda, and the version in two passes."""

import numpy as np
import pytest

from hw6.mathematics import svd
from hw6.mathematics.features import Directions, NestedFeatures
from hw6.mathematics.ridge import RidgeSolver
from hw6.mathematics.svd import factorise, factorise_nested

RIDGELESS = np.zeros(1)


def nested(n, d, activation="relu", seed=0):
    rng = np.random.default_rng(seed)
    x, x_query, y = rng.standard_normal((n, d)), rng.standard_normal((6, d)), rng.standard_normal(n)
    return NestedFeatures(x, x_query, Directions(seed, d), activation), y


def assert_minimum_norm(u, t, y):
    """The fit solves the normal equations, has no part in the null space, and is numpy's least-squares solution."""
    fit = factorise(u, t, y).fit(RIDGELESS)
    psi = fit.psi([0])[0]
    expected, _, rank, s = np.linalg.lstsq(u, y, rcond=max(u.shape) * np.finfo(float).eps)
    scale = 1e-12 * s[0] / s[rank - 1] * (1.0 + np.linalg.norm(expected))
    np.testing.assert_allclose(psi, expected, atol=scale)
    np.testing.assert_allclose(fit.predictions[0], t @ expected, atol=scale * np.linalg.norm(t))
    assert fit.rss[0] == pytest.approx(np.sum((y - u @ expected) ** 2), rel=1e-9, abs=1e-18)
    assert fit.psi_norm2[0] == pytest.approx(expected @ expected, rel=1e-9)
    assert fit.dof[0] == pytest.approx(rank, rel=1e-14)
    return rank


@pytest.mark.parametrize(("n", "p"), [(1, 1), (1, 5), (5, 1), (30, 29), (30, 30), (30, 31), (30, 200)])
def test_full_rank(n, p):
    rng = np.random.default_rng(n + p)
    rank = assert_minimum_norm(rng.standard_normal((n, p)), rng.standard_normal((3, p)), rng.standard_normal(n))
    assert rank == min(n, p)


def test_dead_columns_take_no_part():
    rng = np.random.default_rng(0)
    u, t, y = rng.standard_normal((30, 12)), rng.standard_normal((3, 12)), rng.standard_normal(30)
    u[:, [2, 7]] = 0.0
    assert assert_minimum_norm(u, t, y) == 10
    assert np.abs(factorise(u, t, y).fit(RIDGELESS).psi([0])[0][[2, 7]]).max() < 1e-15


def test_duplicate_rows_with_different_labels():
    rng = np.random.default_rng(1)
    u, t, y = rng.standard_normal((20, 50)), rng.standard_normal((3, 50)), rng.standard_normal(20)
    u[5] = u[11]
    assert assert_minimum_norm(u, t, y) == 19


def test_linear_features_have_the_rank_of_the_data():
    """X G' has exact rank d; what rounding puts beside it must not count."""
    features, y = nested(30, 4, "identity")
    for p in (10, 30, 100):
        assert assert_minimum_norm(*features.columns(p, 32), y) == 4


def test_features_that_are_all_dead_predict_zero():
    fit = factorise(np.zeros((5, 3)), np.ones((2, 3)), np.arange(5.0)).fit(np.array([0.0, 1.0]))
    assert not fit.predictions.any()
    assert fit.rss.tolist() == [30.0, 30.0]
    assert not fit.psi_norm2.any()
    assert not fit.dof.any()


def test_ridgeless_is_the_limit_of_small_lambda():
    features, y = nested(40, 8)
    for p in (10, 40, 90):
        factor = factorise(*features.columns(p, 32), y)
        limit, near = factor.fit(RIDGELESS), factor.fit(np.array([1e-13]))
        np.testing.assert_allclose(near.predictions, limit.predictions, rtol=1e-6)


def test_interpolation_is_exact_beyond_n():
    features, y = nested(30, 8)
    assert factorise(*features.columns(60, 32), y).fit(RIDGELESS).rss.tolist() == [0.0]


@pytest.mark.parametrize("activation", ["relu", "identity", "tanh"])
@pytest.mark.parametrize("p", [101, 700, 4000])
def test_two_passes_equal_one_decomposition(monkeypatch, activation, p):
    features, y = nested(100, 8, activation)
    mu = np.array([0.0, 1e-9, 1e-3]) * p
    whole = factorise_nested(features, p, y, 32).fit(mu)
    monkeypatch.setattr(svd, "LARGEST", 0)
    monkeypatch.setattr(svd, "PIECE", 96)
    passes = factorise_nested(features, p, y, 32).fit(mu)
    condition = 1e-14 * np.linalg.cond(features.columns(p, 32)[0]) if activation != "identity" else 1e-12
    tolerance = max(1e-9, 100 * condition)
    for a, b in zip((*passes[:4], passes.psi([0, 1, 2])), (*whole[:4], whole.psi([0, 1, 2])), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


def test_one_solver_decomposes_each_width_anew():
    """A decomposition is kept for its own width alone."""
    features, y = nested(30, 8)
    solver = RidgeSolver(features, y)
    for p in (10, 12, 50, 10):
        expected = factorise(*features.columns(p, 32), y).fit(RIDGELESS)
        np.testing.assert_allclose(solver.fit(p, RIDGELESS).predictions, expected.predictions, rtol=1e-9)
    assert solver.factor(10) is solver.factor(10)
