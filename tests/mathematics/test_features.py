"""Features: nested columns, made tile by tile, from directions drawn once."""

import numpy as np
import pytest

from hw6.mathematics import streams
from hw6.mathematics.features import FEATURES, PIECE, Directions, NestedFeatures, phi

RNG = np.random.default_rng(0)
X, X_QUERY = RNG.standard_normal((20, 3)), RNG.standard_normal((7, 3))
BY_DEFINITION = {
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "cosine": np.cos,
    "identity": lambda z: z,
}


@pytest.mark.parametrize("name", FEATURES)
def test_activations_are_what_their_names_say(name):
    z = np.array([-30.0, -1.5, -0.0, 0.0, 0.25, 2.0, 40.0])
    np.testing.assert_allclose(phi(name)(z.copy()), BY_DEFINITION[name](z), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("name", FEATURES)
def test_column_j_is_phi_of_row_j_of_g(name):
    g = streams.normal(5, streams.WEIGHTS, 100, 3)
    u, t = NestedFeatures(X, X_QUERY, Directions(5, 3), name).columns(100, 32)
    np.testing.assert_allclose(u, BY_DEFINITION[name](X @ g.T), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(t, BY_DEFINITION[name](X_QUERY @ g.T), rtol=1e-12, atol=1e-14)


def test_columns_of_a_smaller_width_are_the_same_bits():
    features = NestedFeatures(X, X_QUERY, Directions(5, 3), "tanh")
    large, _ = features.columns(97, 32)
    for p in (1, 31, 32, 33, 96):
        np.testing.assert_array_equal(features.columns(p, 32)[0], large[:, :p])


def test_directions_are_the_stream_s_draws_in_order_whatever_is_asked_first():
    stop = 2 * PIECE + 10
    expected = streams.normal(1, streams.WEIGHTS, stop, 2)
    late_first = Directions(1, 2)
    np.testing.assert_array_equal(late_first.rows(PIECE - 5, stop), expected[PIECE - 5 :])
    np.testing.assert_array_equal(late_first.rows(0, 3), expected[:3])
    np.testing.assert_array_equal(Directions(1, 2).rows(0, stop), expected)


def test_dual_weights_are_the_product_with_all_columns():
    features = NestedFeatures(X, X_QUERY, Directions(5, 3), "relu")
    alpha = RNG.standard_normal((2, 20))
    np.testing.assert_allclose(features.weights(alpha, 70, 32), alpha @ features.columns(70, 32)[0], rtol=1e-12)
