"""Activation functions of a multi-layer perceptron with their slopes, on arrays of any float type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEAK = 0.01  # the slope of leaky_relu below 0: torch.nn.LeakyReLU's default

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """An element-wise function s.

    Attributes:
        value: h -> s(h), in the type of h.
        slope: h -> s'(h); where s has a corner at 0, the slope below it, as torch has it.
        slopes: (above, below) where s(h) = above h for h > 0 and below h for h <= 0; None for any other function.
    """

    value: Function
    slope: Function
    slopes: tuple[float, float] | None = None


def two_slopes(above: float, below: float) -> Activation:
    """s(h) = above h for h > 0, below h for h <= 0."""

    def value(h: np.ndarray) -> np.ndarray:
        kind = h.dtype.type
        return np.asarray(kind(above) * np.maximum(h, kind(0)) + kind(below) * np.minimum(h, kind(0)))

    def slope(h: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(h > 0, h.dtype.type(above), h.dtype.type(below)))

    return Activation(value, slope, (above, below))


def sigmoid(h: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-h)), as (1 + tanh(h / 2)) / 2: no overflow for any h."""
    return np.asarray((np.tanh(h / 2) + 1) / 2)


def _sigmoid_slope(h: np.ndarray) -> np.ndarray:
    s = sigmoid(h)
    return np.asarray(s * (1 - s))


def _tanh_slope(h: np.ndarray) -> np.ndarray:
    t = np.tanh(h)
    return np.asarray((1 - t) * (1 + t))


def _elu(h: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(h > 0, h, np.expm1(np.minimum(h, 0))))


def _elu_slope(h: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(np.minimum(h, 0)))


def _softplus(h: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(h, 0) + np.log1p(np.exp(-np.abs(h))))


def _silu(h: np.ndarray) -> np.ndarray:
    return np.asarray(h * sigmoid(h))


def _silu_slope(h: np.ndarray) -> np.ndarray:
    s = sigmoid(h)
    return np.asarray(s * (1 + h * (1 - s)))


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda h: h, np.ones_like, (1.0, 1.0)),
    "relu": two_slopes(1.0, 0.0),
    "leaky_relu": two_slopes(1.0, LEAK),
    "elu": Activation(_elu, _elu_slope),
    "tanh": Activation(np.tanh, _tanh_slope),
    "sigmoid": Activation(sigmoid, _sigmoid_slope),
    "silu": Activation(_silu, _silu_slope),
    "softplus": Activation(_softplus, sigmoid),
}
