"""The anchor solver against an independent singular value decomposition; its bits; its limits."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from hw6.mathematics.anchors import NARROW, WIDE, anchor_of, reach
from hw6.mathematics.features import FEATURES, Directions, NestedFeatures
from hw6.mathematics.ridge import FEW_ROWS, SMALL_LAMBDA, RidgeSolver, fit_features, is_direct
from hw6.mathematics.tuning import log_grid

EPS = np.finfo(float).eps


def problem(n, d, queries=9, activation="relu", seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    x, x_query, b = rng.standard_normal((n, d)), rng.standard_normal((queries, d)), rng.standard_normal(d)
    y = x @ b / np.linalg.norm(b) + noise * rng.standard_normal(n)
    return NestedFeatures(x, x_query, Directions(seed, d), activation), y


def dense(u, t, y, mu):
    """Predictions, rss, |psi|^2, dof and psi from scipy's other SVD driver, and the condition of Gram + mu I."""
    left, s, right = scipy.linalg.svd(u, full_matrices=False, lapack_driver="gesvd")
    c = left.T @ y
    gain = s / (s * s + mu[:, None])
    psi = (gain * c) @ right
    outside = y - left @ c if len(s) < len(y) else np.zeros(1)
    lost = mu[:, None] / (s * s + mu[:, None]) * c
    rss = (lost**2).sum(axis=1) + outside @ outside
    condition = (s[0] ** 2 + mu) / (s[-1] ** 2 + mu)
    return psi @ t.T, rss, (psi * psi).sum(axis=1), (s * gain).sum(axis=1), psi, condition


def assert_fits(fit, expected, y, floor=1e-9):
    """Relative errors within max(floor, 100 eps cond); zeros of dead features are compared with |Y|."""
    *quantities, psi, condition = expected
    tolerance = np.maximum(floor, 100 * EPS * condition)
    got = (fit.predictions, fit.rss, fit.psi_norm2, fit.dof, fit.psi(list(range(len(condition)))))
    for name, a, b in zip(("predictions", "rss", "psi_norm2", "dof", "psi"), got, (*quantities, psi), strict=True):
        a, b = np.atleast_2d(a.T).T, np.atleast_2d(b.T).T
        error, size = np.linalg.norm(a - b, axis=1), np.linalg.norm(b, axis=1)
        assert (error <= tolerance * size + 1e-24 * (y @ y)).all(), (name, (error / size).max())


@settings(derandomize=True, deadline=None, max_examples=500)
@given(
    n=st.one_of(st.integers(1, 5), st.integers(FEW_ROWS - 2, 200)),
    d=st.integers(1, 40),
    p=st.one_of(st.integers(1, 400), st.integers(-40, 70)),
    activation=st.sampled_from(sorted(FEATURES)),
    low=st.floats(-5, 6),
    span=st.floats(0, 6),
    num=st.integers(1, 6),
    seed=st.integers(0, 10**6),
)
@pytest.mark.slow
def test_any_shape_agrees_with_the_dense_solution(n, d, p, activation, low, span, num, seed):
    p = p if p > 0 else max(n - p - 40, 1)  # the second range of p lies around n
    features, y = problem(n, d, activation=activation, seed=seed)
    mu = p * log_grid(10.0**low, 10.0 ** (low + span), num)
    fit = RidgeSolver(features, y).fit(p, mu / p)
    assert_fits(fit, dense(*features.columns(p, 32), y, mu), y)


@pytest.mark.parametrize("n", [65, 97, 130])
def test_every_width_around_n_and_its_anchors(n):
    features, y = problem(n, 20)
    solver, lambdas = RidgeSolver(features, y), np.array([1e-5, 1e-3, 1e-2, 1.0, 1e3, 1e8])
    for p in range(1, n + 5 * WIDE, 1 if n == 97 else 3):
        assert_fits(solver.fit(p, lambdas), dense(*features.columns(p, 32), y, p * lambdas), y)


def test_homework_size_to_1e_9_at_lambda_above_a_hundredth():
    features, y = problem(300, 35, queries=90)
    solver, lambdas = RidgeSolver(features, y), log_grid(1e-2, 1e2, 9)
    for p in (1, 15, 16, 17, 47, 48, 49, 271, 272, 299, 300, 301, 351, 352, 353, 383, 416, 801, 1500):
        expected = dense(*features.columns(p, 32), y, p * lambdas)
        assert_fits(solver.fit(p, lambdas), (*expected[:5], np.zeros(len(lambdas))), y)


@pytest.mark.parametrize("lambda_", [1e-5, 1e-4])
@pytest.mark.parametrize("seed", range(3))
def test_small_lambda_at_the_threshold_itself(lambda_, seed):
    features, y = problem(120, 30, seed=seed)
    solver, lambdas = RidgeSolver(features, y), np.array([lambda_])
    for p in range(100, 180, 3):
        assert_fits(solver.fit(p, lambdas), dense(*features.columns(p, 32), y, p * lambdas), y)


def test_tiny_rss_is_not_lost_in_a_difference():
    """Labels in the span of the features: the residual is 1e-7 of Y, |Y|^2 - g - mu |psi|^2 has no digit of it.

    Residuals that are formed still carry the rounding of Y: eps |Y| / |residual|, relative.
    """
    features, _ = problem(100, 10)
    y = features.columns(40, 32)[0].sum(axis=1)
    mu = 40 * np.array([1e-5, 1e-4])
    fit, expected = RidgeSolver(features, y).fit(40, mu / 40), dense(*features.columns(40, 32), y, mu)
    assert (expected[1] < 1e-11 * (y @ y)).all()
    np.testing.assert_array_less(abs(fit.rss / expected[1] - 1), 100 * EPS * np.sqrt(y @ y / expected[1]))


def test_extreme_lambda_keeps_relative_digits():
    features, y = problem(100, 10)
    for p in (10, 90, 40, 105, 150, 230):
        lambdas = np.array([1e12, 1e60, 1e200])
        fit, expected = RidgeSolver(features, y).fit(p, lambdas), dense(*features.columns(p, 32), y, p * lambdas)
        np.testing.assert_allclose(fit.dof, expected[3], rtol=1e-12)
        np.testing.assert_allclose(fit.predictions, expected[0], rtol=1e-9)
        np.testing.assert_allclose(fit.rss, expected[1], rtol=1e-12)


@pytest.mark.parametrize("n", [70, 300])
def test_bits_do_not_depend_on_what_was_solved_before(n):
    features, y = problem(n, 12)
    lambdas = log_grid(1e-2, 1e2, 7)
    widths = [1, 16, 17, 40, n - 1, n, n + 1, n + 60, n + 61, n + 200]
    alone = {p: RidgeSolver(problem(n, 12)[0], y).fit(p, lambdas) for p in widths}
    for order in (widths, widths[::-1], np.random.default_rng(0).permutation(widths * 2).tolist()):
        solver = RidgeSolver(features, y)
        for p in order:
            fit = solver.fit(int(p), lambdas)
            for a, b in zip(fit[:4], alone[p][:4], strict=True):
                np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(fit.psi([2]), alone[p].psi([2]))


def test_an_anchor_lies_on_p_s_own_side_and_reaches_p():
    for n in (FEW_ROWS + 1, 96, 100, 128, 300):
        for p in range(1, n + 300):
            a, narrow = anchor_of(p, n), p <= n
            below, above = reach(a, n, narrow)
            assert a % (2 * (NARROW if narrow else WIDE)) == 0
            assert a <= n if narrow else a > n
            assert -below <= p - a <= above


def test_which_anchor_and_which_route_serve_a_cell_is_fixed():
    """They decide bits: multiples of 32 up to n, of 64 above it; 64 rows or fewer, or a small lambda, go directly."""
    assert [anchor_of(p, 300) for p in (1, 15, 16, 100, 290, 300)] == [0, 0, 32, 96, 288, 288]
    assert [anchor_of(p, 300) for p in (301, 351, 352, 1000)] == [320, 320, 384, 1024]
    assert [reach(a, 300, True) for a in (0, 96, 288)] == [(0, 16), (16, 16), (16, 12)]
    assert [reach(a, 300, False) for a in (320, 384, 1024)] == [(19, 32), (32, 32), (32, 32)]
    assert [is_direct(n, 1.0) for n in (1, 64, 65, 1000)] == [True, True, False, False]
    assert [is_direct(1000, small) for small in (0.0, 0.99e-5, 1e-5)] == [True, True, False]


def test_later_fits_leave_a_fit_as_it_was():
    """A fit stays what it was when the next one is made."""
    features, y = problem(100, 5)
    solver = RidgeSolver(features, y)
    first = solver.fit(20, np.array([0.1]))
    kept = [np.copy(part) for part in first[:4]] + [first.psi([0])]
    for p in (21, 40, 99, 200, 21):
        solver.fit(p, np.array([0.1, 1.0]))
    for a, b in zip([*first[:4], first.psi([0])], kept, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("n", "p"), [(100, 30), (100, 100), (100, 150), (20, 7), (20, 90)])
@pytest.mark.parametrize("lambda_", [1e-9, 1e-2, 10.0])
def test_features_of_their_own(n, p, lambda_):
    """Features that are no part of a nested family (the homework's own weights)."""
    rng = np.random.default_rng(p)
    u, t, y = rng.standard_normal((n, p)), rng.standard_normal((4, p)), rng.standard_normal(n)
    mu = np.array([lambda_, 2 * lambda_])
    assert_fits(fit_features(u, t, y, mu), dense(u, t, y, mu), y)


@pytest.mark.parametrize(("n", "p"), [(100, 10), (100, 30), (100, 300), (100, 1000)])
def test_features_of_their_own_take_the_smaller_gram_matrix(n, p):
    """The larger one has eigenvalues 0, whose 1 / mu must cancel again: with mu = 1e-4 that costs six digits."""
    rng = np.random.default_rng(p)
    u, t, y = rng.standard_normal((n, p)), rng.standard_normal((4, p)), rng.standard_normal(n)
    mu = np.array([1e-4, 2e-4])
    *expected, condition = dense(u, t, y, mu)
    assert condition.max() < 50
    assert_fits(fit_features(u, t, y, mu), (*expected, condition), y, floor=100 * EPS * 50)


def test_the_direct_route_is_taken_below_the_threshold_alone():
    features, y = problem(100, 5)
    solver = RidgeSolver(features, y)
    solver.fit(20, np.array([SMALL_LAMBDA, 1.0]))
    assert solver._svd is None
    solver.fit(20, np.array([SMALL_LAMBDA * 0.99, 1.0]))
    assert solver._svd is not None


def test_labels_that_overflow_give_nothing_finite_and_raise_nothing():
    features, y = problem(100, 5)
    with np.errstate(all="ignore"):
        for p in (20, 40, 99, 150, 200):
            for lambdas in (np.array([0.1, 1.0]), np.zeros(1)):
                assert not np.isfinite(RidgeSolver(features, y * 1e308).fit(p, lambdas).psi_norm2).any()
