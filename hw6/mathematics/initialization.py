"""Signals and gradients of a multi-layer perceptron at its initialization: moments by layer.

    h_l = A_l y_{l-1} + b_l,   y_l = s(h_l) for l < L,   y_L = h_L,   y_0 = x,   n_L = 1

A and b are drawn independently, symmetric about 0; the entries of x are independent, with mean 0 and variance 1. Hence
E h_l = 0 for every activation. With n inputs, q = E y_j^2, m4 = E y_j^4, m22 = E y_j^2 y_k^2 and weights and biases of
variance a and c and of kurtosis k (9/5 uniform, 3 normal),

    v' = E h_i^2       = a n q + c
    E h_i^2 h_k^2      = a^2 E + 2 a c n q + c^2,                    E = E |y|^4 = n m4 + n (n - 1) m22
    E h_i^4            = 3 E h_i^2 h_k^2 + (k - 3) (a^2 n m4 + c^2)

and for orthogonal A with N = max(n, n'): A y is |y| times a uniform direction of R^N, of which n' coordinates are kept:

    v' = n q / N,   E h_i^2 h_k^2 = E / (N (N + 2)),   E h_i^4 = 3 E / (N (N + 2)).

An activation of two slopes (identity, ReLU, leaky ReLU) keeps this exact: the signs of h_l are fair coins independent
of |h_l|, since flipping a row of (A, b) changes no probability. All other activations are mean-field: h_l is taken to
be normal. docs/mathematics/initialization.md derives every line, and the one for gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from hw6.mathematics.activations import ACTIVATIONS, NUMPY, Activation

INPUT_KURTOSIS = {"normal": 3.0, "uniform": 1.8, "rademacher": 1.0}  # E x^4 at unit variance
WEIGHT_KURTOSIS = {"uniform": 1.8, "normal": 3.0}
EDGE, BINS = 5.0, 40  # the histogram of y_L: equal bins on +-EDGE standard deviations, the outer ones open
NO_SPREAD = 1e-10  # a relative variance below this is rounding: every network has the same mean square


@dataclass(frozen=True)
class Init:
    """A rule by which a linear layer is initialized.

    Attributes:
        law: ``uniform``, ``normal`` (independent entries) or ``orthogonal`` (orthonormal rows, or columns if fewer).
        weight: (fan_in, fan_out) -> variance of an entry of A.
        bias: fan_in -> variance of an entry of b; biases have the law of the weights.
    """

    law: str
    weight: Callable[[int, int], float]
    bias: Callable[[int], float] = lambda fan_in: 0.0

    @property
    def has_bias(self) -> bool:
        """Whether biases are drawn; otherwise they are 0."""
        return self.bias(1) > 0


def _xavier(fan_in: int, fan_out: int) -> float:
    return 2.0 / (fan_in + fan_out)


def _kaiming(fan_in: int, fan_out: int) -> float:
    return 2.0 / fan_in  # gain sqrt 2


INITS: dict[str, Init] = {
    # U(-r, r) has variance r^2 / 3, and torch.nn.Linear has r = 1 / sqrt(fan_in) for weights and biases.
    "pytorch": Init("uniform", lambda fan_in, fan_out: 1 / (3 * fan_in), lambda fan_in: 1 / (3 * fan_in)),
    "xavier_uniform": Init("uniform", _xavier),
    "xavier_normal": Init("normal", _xavier),
    "kaiming_uniform": Init("uniform", _kaiming),
    "kaiming_normal": Init("normal", _kaiming),
    "lecun_normal": Init("normal", lambda fan_in, fan_out: 1 / fan_in),
    "orthogonal": Init("orthogonal", lambda fan_in, fan_out: 1 / max(fan_in, fan_out)),
}


@dataclass(frozen=True)
class NetworkLaw:
    """A multi-layer perceptron, as a law of random functions.

    Attributes:
        widths: (n_0, ..., n_L), L >= 1. The homework has n_L = 1.
        init: a key of ``INITS``.
        activation: a name of ``activations.INITIALIZATION``; of the hidden layers.
        input_law: a key of ``INPUT_KURTOSIS``.
    """

    widths: tuple[int, ...]
    init: str = "pytorch"
    activation: str = "identity"
    input_law: str = "normal"

    @property
    def depth(self) -> int:
        """L."""
        return len(self.widths) - 1


@dataclass(frozen=True, eq=False)
class Moments:
    """What theory says, by layer; entry l - 1 of an array (L,) is layer l.

    Attributes:
        variance: (L,) of an entry of h_l (y_L for the last layer).
        second_moment: (L,) of an entry of y_l.
        kurtosis, pair: (L,) E h_i^4 / v^2 and E h_i^2 h_k^2 / v^2; NaN where only mean-field theory holds.
        gradient: (L + 1,) E (dy_L / dy_l)^2 for an entry of y_l, l = 0 ... L.
        exact: (L,) whether ``variance`` is exact.
        gradient_exact: (L + 1,) whether ``gradient`` is.
    """

    variance: np.ndarray
    second_moment: np.ndarray
    kurtosis: np.ndarray
    pair: np.ndarray
    gradient: np.ndarray
    exact: np.ndarray
    gradient_exact: np.ndarray

    def spread(self, widths: tuple[int, ...]) -> np.ndarray:
        """(L,) the variance of |h_l|^2 / n_l of one network, relative to v_l^2; NaN where it is not known."""
        n = np.array(widths[1:], dtype=np.float64)
        relative = (self.kurtosis + (n - 1) * self.pair) / n - 1
        return np.where(relative < NO_SPREAD, 0.0, relative)  # NaN stays: it compares false


def moments(network: NetworkLaw) -> Moments:
    """The moments of every layer, in O(depth).

    Variances are floats: they overflow to inf, or vanish, where the signal does so by more than 300 decades.
    """
    widths, init, activation = network.widths, INITS[network.init], ACTIVATIONS[network.activation]
    depth, homogeneous = network.depth, activation.slopes is not None
    variance, second, kurtosis, pair = np.empty((4, depth))
    q, fourth, both = 1.0, INPUT_KURTOSIS[network.input_law], 1.0  # E y^2; E y_j^4 and E y_j^2 y_k^2 over q^2
    for index, (n, out) in enumerate(pairwise(widths)):
        signal, constant = n * init.weight(n, out) * q, init.bias(n)
        v = signal + constant
        variance[index] = v
        share = signal / v if v > 0 else 1.0
        square = share * share * (fourth + (n - 1) * both) / n
        if init.law == "orthogonal":
            size = max(n, out)
            pair[index] = size / (size + 2) * square
            kurtosis[index] = 3 * pair[index]
        else:
            pair[index] = square + 2 * share * (1 - share) + (1 - share) ** 2
            excess = (WEIGHT_KURTOSIS[init.law] - 3) * (share * share * fourth / n + (1 - share) ** 2)
            kurtosis[index] = 3 * pair[index] + excess
        last = index == depth - 1
        q, fourth, both = _activated(activation, v, kurtosis[index], pair[index], last)
        second[index] = q
    layers = np.arange(1, depth + 1)
    return Moments(
        variance,
        second,
        kurtosis,
        pair,
        _gradients(network, variance),
        homogeneous | (layers == 1),
        homogeneous | (np.arange(depth + 1) >= depth - 1),
    )


def _activated(
    activation: Activation, v: float, kurtosis: float, pair: float, last: bool
) -> tuple[float, float, float]:
    """q, m4 / q^2 and m22 / q^2 of y = s(h) from those of h."""
    if last:  # linear
        return v, kurtosis, pair
    if activation.slopes is None:
        return gaussian_mean(lambda h: activation.value(NUMPY, h) ** 2, v), math.nan, math.nan
    above, below = activation.slopes
    half = (above**2 + below**2) / 2
    return half * v, (above**4 + below**4) / 2 / half**2 * kurtosis, pair


def _gradients(network: NetworkLaw, variance: np.ndarray) -> np.ndarray:
    """E (dy_{L,1} / dy_{l,j})^2 for l = 0 ... L, from g_l = A_{l+1}' D_{l+1} g_{l+1}, D = diag s'(h), D_L = 1.

    Given y_l, the later layers have E g g' = c I, whatever y_l is: flipping the sign of a row of (A_{l+1}, b_{l+1})
    exchanges the two slopes and changes no product of two weights of that row. The one exception: with zero biases,
    once a layer of ReLUs is dead (y = 0), all later h are 0 and so are the slopes there.
    """
    widths, init, activation = network.widths, INITS[network.init], ACTIVATIONS[network.activation]
    depth = network.depth
    gradient = np.empty(depth + 1)
    gradient[depth] = 1.0
    for layer in range(depth - 1, -1, -1):
        n, out = widths[layer : layer + 2]
        if layer == depth - 1:
            gradient[layer] = init.weight(n, out)  # one entry of y_L, however many there are
        else:
            slope = mean_square_slope(activation, float(variance[layer]))
            gradient[layer] = gradient[layer + 1] * slope * init.weight(n, out) * out
    if activation.slopes is not None and activation.slopes[1] == 0 and not init.has_bias:
        alive = np.cumprod(np.append(1.0, -np.expm1(-math.log(2) * np.array(widths[1:-1], dtype=np.float64))))
        gradient[: depth - 1] *= alive[: depth - 1]
    return gradient


def mean_square_slope(activation: Activation, v: float) -> float:
    """E s'(h)^2 for h of variance v: exact for two slopes, by quadrature for normal h otherwise."""
    if activation.slopes is not None:
        return (activation.slopes[0] ** 2 + activation.slopes[1] ** 2) / 2
    return gaussian_mean(lambda h: activation.slope(NUMPY, h) ** 2, v)


@lru_cache(maxsize=1)
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for E f(Z), Z ~ N(0, 1): Gauss-Legendre on pieces that halve towards 0 from either side.

    A corner at 0, and a step as narrow as 1e-7, are thus no harder than a polynomial. Beyond 14 there is 1e-44.
    """
    x, w = np.polynomial.legendre.leggauss(16)
    ends = np.concatenate(([0.0], 14.0 * 2.0 ** np.arange(-26.0, -2.0), np.arange(4.0, 15.0)))
    low, high = ends[:-1, None], ends[1:, None]
    z = ((high + low) / 2 + (high - low) / 2 * x).ravel()
    weight = ((high - low) / 2 * w).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return np.concatenate((-z[::-1], z)), np.concatenate((weight[::-1], weight))


def gaussian_mean(function: Callable[[np.ndarray], np.ndarray], v: float) -> float:
    """E f(sqrt(v) Z) for a standard normal Z; relative error about 1e-13 for the activations here."""
    z, weight = _nodes()
    return float(weight @ function(math.sqrt(v) * z))
