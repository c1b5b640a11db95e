"""Activation functions with their slopes: one table, for random features and for perceptrons of NumPy and of torch.

A formula is written once, over ``Functions``: NUMPY, IN_PLACE (NumPy too) or ``torch_functions()``. Those three differ
where the libraries do. Their elementary functions are not the same to the bit (of 200,000 normal z, tanh z differs in
21 %, expm1 z in 9 %, sin z in 0.1 %, by one last place), and rows are promised to the bit, so that each experiment
keeps the library it began with. Two functions are not elementary in both libraries and are given for each:

    sigmoid     torch has its own, right to relative rounding. NumPy has none: (1 + tanh(z / 2)) / 2 overflows for no z
                and is right to absolute rounding (at z = -40 it is 0, and torch's 4e-18); 54 % of its values differ.
    softplus    torch.logaddexp(z, 0) and max(z, 0) + log1p(exp(-|z|)) differ in 3 % of the values, in torch itself.

torch is imported by ``torch_functions`` and ``torch_reference`` alone, when they are called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

LEAK = 0.01  # the slope of leaky_relu below 0: torch.nn.LeakyReLU's default

# What each experiment offers, in the order in which it tells.
FEATURES = ("relu", "leaky_relu", "tanh", "sigmoid", "cosine", "identity")
INITIALIZATION = ("identity", "relu", "leaky_relu", "elu", "tanh", "sigmoid", "silu", "softplus")
RESIDUAL = (*("identity", "relu", "leaky_relu", "tanh", "sigmoid", "softplus", "silu", "gelu", "elu", "sin"),)

Array = Any  # of NumPy or of torch, of any float type; a formula keeps the type
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Functions:
    """The functions that formulas are made of, for the arrays of one library; entry by entry.

    Attributes:
        at_least, at_most: (z, bound) -> max(z, bound), min(z, bound); the bound is a number or an array.
        where: (condition, a, b) -> a where the condition holds, else b; arrays.
        sides: (z, above, below) -> the number ``above`` where z > 0, else ``below``, in the type of z.
        normal_cdf: of the standard normal distribution; None where the library has none.
    """

    at_least: Callable[[Array, Any], Array]
    at_most: Callable[[Array, Any], Array]
    where: Callable[[Array, Array, Array], Array]
    sides: Callable[[Array, float, float], Array]
    exp: Function
    expm1: Function
    sin: Function
    cos: Function
    tanh: Function
    sigmoid: Function
    softplus: Function
    normal_cdf: Function | None = None


def _sigmoid(z: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    half: np.ndarray = np.multiply(z, 0.5, out=out)
    np.tanh(half, out=half)
    half += 1.0
    half *= 0.5
    return half


def _sides(z: np.ndarray, above: float, below: float) -> np.ndarray:
    return np.asarray(np.where(z > 0, z.dtype.type(above), z.dtype.type(below)))


def _softplus(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))


NUMPY = Functions(
    at_least=np.maximum,
    at_most=np.minimum,
    where=np.where,
    sides=_sides,
    exp=np.exp,
    expm1=np.expm1,
    sin=np.sin,
    cos=np.cos,
    tanh=np.tanh,
    sigmoid=_sigmoid,
    softplus=_softplus,
)
# The same bits, written over z, which halves the time of a large array. Only for the values of FEATURES: their formulas
# end with the one function that is given z.
IN_PLACE = replace(
    NUMPY,
    at_least=lambda z, bound: np.maximum(z, bound, out=z),
    cos=lambda z: np.cos(z, out=z),
    tanh=lambda z: np.tanh(z, out=z),
    sigmoid=lambda z: _sigmoid(z, out=z),
)


@lru_cache(maxsize=1)
def torch_functions() -> Functions:
    """For tensors."""
    import torch

    return Functions(
        at_least=lambda z, bound: torch.clamp(z, min=bound),
        at_most=lambda z, bound: torch.clamp(z, max=bound),
        where=torch.where,
        sides=lambda z, above, below: torch.full_like(z, below).masked_fill_(z > 0.0, above),
        exp=torch.exp,
        expm1=torch.expm1,
        sin=torch.sin,
        cos=torch.cos,
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        softplus=lambda z: torch.logaddexp(z, torch.zeros_like(z)),
        normal_cdf=torch.special.ndtr,
    )


@dataclass(frozen=True)
class Activation:
    """An element-wise function s.

    Attributes:
        value: functions, z -> s(z).
        slope: functions, z -> s'(z); where s has a corner at 0, the slope below it, as torch has it.
        slopes: (above, below) where s(z) = above z for z > 0 and below z for z <= 0; None for any other function.
        torch: the name in ``torch`` of torch's own function, which autograd differentiates as a check; where torch has
            none it differentiates ``value``. (torch.nn.Softplus is linear from 20 on.)
    """

    value: Callable[[Functions, Array], Array]
    slope: Callable[[Functions, Array], Array]
    slopes: tuple[float, float] | None = None
    torch: str | None = None


def torch_reference(name: str) -> Callable[[Tensor], Tensor]:
    """The activation as torch computes it, to be differentiated by autograd."""
    import torch

    activation, functions = ACTIVATIONS[name], torch_functions()
    if activation.torch is None:
        return lambda z: activation.value(functions, z)
    found: Any = torch
    for part in activation.torch.split("."):
        found = getattr(found, part)
    return lambda z: found(z)


def _two_slopes(above: float, below: float) -> Callable[[Functions, Array], Array]:
    return lambda f, z: f.sides(z, above, below)


def _tanh_slope(f: Functions, z: Array) -> Array:
    t = f.tanh(z)
    return (1.0 - t) * (1.0 + t)  # 1 - t^2 with t^2 rounded would lose half its digits at z = 9


def _sigmoid_slope(f: Functions, z: Array) -> Array:
    s = f.sigmoid(z)
    return s * (1.0 - s)


def _silu_slope(f: Functions, z: Array) -> Array:
    s = f.sigmoid(z)
    return s * (1.0 + z * (1.0 - s))


def _normal_cdf(f: Functions, z: Array) -> Array:
    assert f.normal_cdf is not None  # gelu is offered where torch computes
    return f.normal_cdf(z)


def _gelu_slope(f: Functions, z: Array) -> Array:
    density = f.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return _normal_cdf(f, z) + z * density


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda f, z: z, _two_slopes(1.0, 1.0), (1.0, 1.0)),
    "relu": Activation(lambda f, z: f.at_least(z, 0.0), _two_slopes(1.0, 0.0), (1.0, 0.0), "relu"),
    "leaky_relu": Activation(
        lambda f, z: f.at_least(z, LEAK * z), _two_slopes(1.0, LEAK), (1.0, LEAK), "nn.functional.leaky_relu"
    ),
    "elu": Activation(
        lambda f, z: f.where(z > 0.0, z, f.expm1(f.at_most(z, 0.0))),
        lambda f, z: f.exp(f.at_most(z, 0.0)),
        torch="nn.functional.elu",
    ),
    "tanh": Activation(lambda f, z: f.tanh(z), _tanh_slope, torch="tanh"),
    "sigmoid": Activation(lambda f, z: f.sigmoid(z), _sigmoid_slope, torch="sigmoid"),
    "silu": Activation(lambda f, z: z * f.sigmoid(z), _silu_slope, torch="nn.functional.silu"),
    "gelu": Activation(lambda f, z: z * _normal_cdf(f, z), _gelu_slope, torch="nn.functional.gelu"),
    "softplus": Activation(lambda f, z: f.softplus(z), lambda f, z: f.sigmoid(z)),
    "sin": Activation(lambda f, z: f.sin(z), lambda f, z: f.cos(z), torch="sin"),
    "cosine": Activation(lambda f, z: f.cos(z), lambda f, z: -f.sin(z), torch="cos"),
}
