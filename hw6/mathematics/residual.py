"""Gradients of a multi-layer perceptron with residual connections, by formula.

    y_0 = x,    y_l = s(z_l) + r_l y_{l-1} for 1 <= l < L,    y_L = z_L,    z_l = A_l y_{l-1} + b_l

x has n entries, y_1 ... y_{L-1} have m, y_L has one. r_l is 1 for 2 <= l < L in the residual network and 0 otherwise:
the first layer has no skip since it changes the width, the last one is linear. In the plain network every r_l is 0.

The gradients need one sweep from the last layer to the first. With the row g_l = dy_L/dy_l, starting from
g_{L-1} = A_L,

    dy_l/dy_{l-1} = diag(s'(z_l)) A_l + r_l I                                  (jacobian)
    dy_L/db_l     = g_l diag(s'(z_l)),      dy_L/db_L = 1                      (backward)
    dy_L/dA_l     = (dy_L/db_l)' y_{l-1}'                                      (gradient_A)
    g_{l-1}       = g_l dy_l/dy_{l-1} = (dy_L/db_l) A_l + r_l g_l              (inside backward)

so that no Jacobian is ever formed: the cost is one product with each A_l, as in the forward pass. dy_L/dA_l has rank
one and is kept as its two factors. A layer may be ``flat``: s there is replaced by the constant s(z_l), whose
derivative is 0 and whose value is the same.

This module imports torch: import it where rows are computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hw6.mathematics import streams
from hw6.mathematics.activations import ACTIVATIONS, torch_functions, torch_reference

SMALLEST = 2.0**-970  # below, float64 begins to lose digits to underflow: 2^-1022 / 2^-52


@dataclass(frozen=True, eq=False)
class Perceptron:
    """The parameters of the perceptron.

    Attributes:
        weights: A_1 (m, n), A_2 ... A_{L-1} (m, m), A_L (1, m); L is at least 2.
        biases: b_1 ... b_{L-1} (m,), b_L (1,).
        activation: a name of ``activations.RESIDUAL``.
        skip: whether layers 2 ... L-1 add their input.
        flat: the layer whose s' is set to 0, or 0 for none.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    activation: str
    skip: bool
    flat: int = 0

    @property
    def depth(self) -> int:
        """L."""
        return len(self.weights)

    def skips(self, layer: int) -> bool:
        """r_l."""
        return self.skip and 2 <= layer < self.depth


@dataclass(frozen=True, eq=False)
class Trace:
    """A forward pass: y_0 ... y_{L-1} (each a vector), s'(z_1) ... s'(z_{L-1}), and y_L (1,)."""

    y: Sequence[Tensor]
    slopes: Sequence[Tensor]
    output: Tensor


def forward(network: Perceptron, x: Tensor) -> Trace:
    """The values and slopes of every layer for an input x (n,).

    z_l is computed as ``autograd`` computes it: where s is saturated, a last bit of z_l can be many digits of s'(z_l).
    """
    activation, functions = ACTIVATIONS[network.activation], torch_functions()
    y, slopes = [x], []
    for layer in range(1, network.depth):
        z = functional.linear(y[-1], network.weights[layer - 1], network.biases[layer - 1])
        slope, value = activation.slope(functions, z), activation.value(functions, z)  # which may be z itself
        slopes.append(torch.zeros_like(slope) if layer == network.flat else slope)
        y.append(value.add_(y[-1]) if network.skips(layer) else value)
    return Trace(y, slopes, functional.linear(y[-1], network.weights[-1], network.biases[-1]))


def jacobian(network: Perceptron, trace: Trace, layer: int) -> Tensor:
    """dy_l/dy_{l-1} = diag(s'(z_l)) A_l + r_l I for l < L, and A_L for l = L; shape (entries of y_l, of y_{l-1})."""
    if layer == network.depth:
        return network.weights[-1]
    result = trace.slopes[layer - 1][:, None] * network.weights[layer - 1]
    return result + torch.eye(len(result), dtype=result.dtype, device=result.device) if network.skips(layer) else result


def backward(network: Perceptron, trace: Trace) -> list[Tensor]:
    """dy_L/db_l for l = 1 ... L: g_l diag(s'(z_l)), and 1 for l = L; vectors of the shapes of the biases.

    g_l is carried from layer to layer by one product with A_l' and, with a skip, one addition.
    """
    found = [torch.ones_like(network.biases[-1])]
    g = network.weights[-1][0]
    for layer in range(network.depth - 1, 0, -1):
        found.append(g * trace.slopes[layer - 1])
        if layer > 1:
            through = network.weights[layer - 1].T
            g = torch.addmv(g, through, found[-1]) if network.skips(layer) else torch.mv(through, found[-1])
    return found[::-1]


def gradient_A(trace: Trace, gradients_b: Sequence[Tensor], layer: int) -> Tensor:
    """dy_L/dA_l = (dy_L/db_l)' y_{l-1}', the shape of A_l, from what ``forward`` and ``backward`` gave."""
    return torch.outer(gradients_b[layer - 1], trace.y[layer - 1])


def norms(trace: Trace, gradients_b: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean norms of dy_L/dA_l and dy_L/db_l for l = 1 ... L: the norm of an outer product is one of norms."""
    b = np.append(_lengths(gradients_b[:-1]), norm(gradients_b[-1]))
    y = np.append(norm(trace.y[0]), _lengths(trace.y[1:]))
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large for float64 is told as inf
        return b * y, b


def _lengths(vectors: Sequence[Tensor]) -> np.ndarray:
    """The Euclidean norms of vectors of one length, as ``norm`` gives them."""
    rows = torch.stack(list(vectors))
    largest = rows.abs().amax(dim=1)
    scaled = torch.linalg.vector_norm(rows / largest[:, None], dim=1) * largest
    return np.asarray(torch.where((largest > 0.0) & (largest < math.inf), scaled, largest).cpu().numpy())


def norm(values: Tensor) -> float:
    """The Euclidean norm, scaled so that no square underflows or overflows."""
    largest = float(values.abs().max())
    return largest * float(torch.linalg.vector_norm(values / largest)) if 0.0 < largest < math.inf else largest


def autograd(network: Perceptron, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """dy_L/dA_l and dy_L/db_l by torch's automatic differentiation: the reference of the formulas."""
    weights = [weight.detach().requires_grad_() for weight in network.weights]
    biases = [bias.detach().requires_grad_() for bias in network.biases]
    reference, y = torch_reference(network.activation), x
    for layer in range(1, network.depth):
        value = reference(functional.linear(y, weights[layer - 1], biases[layer - 1]))
        value = value.detach() if layer == network.flat else value
        y = value + y if network.skips(layer) else value
    output = functional.linear(y, weights[-1], biases[-1])
    found = torch.autograd.grad(output[0], weights + biases, allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(weights + biases, found, strict=True)]
    return filled[: network.depth], filled[network.depth :]


def relative_difference(values: Tensor, reference: Tensor) -> float:
    """|values - reference| / |reference|; 0 if both are 0. Numbers at the edge of underflow count as SMALLEST."""
    apart = norm(values - reference)
    return 0.0 if apart == 0.0 else apart / max(norm(reference), SMALLEST)


def autograd_differences(network: Perceptron, x: Tensor, trace: Trace, gradients_b: Sequence[Tensor]) -> np.ndarray:
    """For each layer, the larger of the relative differences of dy_L/dA_l and dy_L/db_l from autograd; (L,)."""
    reference_a, reference_b = autograd(network, x)
    return np.array(
        [
            max(
                relative_difference(gradient_A(trace, gradients_b, layer), reference_a[layer - 1]),
                relative_difference(gradients_b[layer - 1], reference_b[layer - 1]),
            )
            for layer in range(1, network.depth + 1)
        ]
    )


def draw(seed: int, depth: int, width: int, input_width: int) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Weights, biases and a standard normal input, float64, in memory of torch's own.

    The law is the default of nn.Linear: all entries of A_l and b_l uniform on +-1/sqrt(fan-in). Layers are drawn from
    the first to the last: networks of one seed and width share their layers below the last.
    """
    a, b = streams.generator(seed, "residual_A"), streams.generator(seed, "residual_b")
    weights, biases = [], []
    for layer in range(1, depth + 1):
        rows, columns = 1 if layer == depth else width, input_width if layer == 1 else width
        bound = 1.0 / math.sqrt(columns)
        weights.append(torch.tensor(a.uniform(-bound, bound, (rows, columns))))
        biases.append(torch.tensor(b.uniform(-bound, bound, rows)))
    return weights, biases, torch.tensor(streams.normal(seed, "residual_x", input_width))
