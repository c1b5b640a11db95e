"""Times, memory and answers of one implementation of the split-transform-merge layer (needs torch).

What is measured is a training step's part: the forward pass with what it keeps for the backward pass, then the backward
pass to the input and all parameters. Parameters, input and upstream gradient are functions of the seed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hw6.layers.allocations import peak_bytes
from hw6.layers.convolution import STMConvLayer
from hw6.mathematics import streams

# Ten times the rounding error of a pre-activation in float32; a few percent of the upstream gradient are zero for it.
KINK = 1e-5
DTYPES = {"float32": torch.float32, "float64": torch.float64}


class Problem(NamedTuple):
    """What decides input and parameters; the answer of every implementation is the same up to rounding."""

    seed: int
    dtype: str
    batch: int
    resolution: int


class Measured(NamedTuple):
    """One implementation on one problem.

    Attributes:
        parameters: their number.
        forward_ms, backward_ms: medians.
        peak: bytes above input, parameters and upstream gradient, at the highest point of forward and backward.
        difference: largest difference from the loop over output and gradients, each over its own largest entry.
    """

    parameters: int
    forward_ms: float
    backward_ms: float
    peak: int
    difference: float


def measure(problem: Problem, implementation: str, repeats: int) -> Measured:
    """Measure one implementation: one untimed pass, in which memory is counted, then ``repeats`` timed ones."""
    layer = make_layer(problem, implementation)
    x, upstream = tensors(problem)
    x = x.detach().requires_grad_()
    answer: list[Tensor] = []

    def step() -> None:
        answer.append(layer(x))
        _backward(answer[0], upstream)

    peak = peak_bytes(step)
    mine = [answer.pop().detach(), *gradients(layer, x)]
    difference = 0.0 if implementation == "loop" else largest_difference(mine, reference(problem))
    del mine
    times = np.array([_timed(layer, x, upstream) for _ in range(repeats)]) * 1e3
    count = sum(parameter.numel() for parameter in layer.parameters())
    forward, backward = np.median(times, axis=0).tolist()
    return Measured(count, forward, backward, peak, difference)


def make_layer(problem: Problem, implementation: str) -> STMConvLayer:
    """The layer with parameters drawn from the stream of the seed, by the law of ``nn.Conv2d``."""
    with torch.device("meta"):  # its own initial values would come from torch's global generator
        layer = STMConvLayer(implementation=implementation)
    layer = layer.to_empty(device="cpu").to(DTYPES[problem.dtype])
    stream = streams.generator(problem.seed, streams.STM_PARAMETERS)
    with torch.no_grad():
        for conv in (layer.conv1, layer.conv2, layer.conv3):
            bound = conv.weight[0].numel() ** -0.5
            assert conv.bias is not None
            for parameter in (conv.weight, conv.bias):
                parameter.copy_(torch.from_numpy(stream.uniform(-bound, bound, tuple(parameter.shape))))
    return layer


@lru_cache(maxsize=1)
def tensors(problem: Problem) -> tuple[Tensor, Tensor]:
    """Input and upstream gradient, standard normal, (batch, 256, resolution, resolution) each; not to be changed.

    The upstream gradient is zero where it would meet a kink of a ReLU (``at_kinks``): there the gradient is not
    defined within rounding, and two right implementations differ by a whole entry.
    """
    shape = (problem.batch, 256, problem.resolution, problem.resolution)
    x, upstream = (
        torch.from_numpy(streams.normal(problem.seed, role, *shape))
        for role in (streams.STM_INPUT, streams.STM_GRADIENT)
    )
    layer = make_layer(problem._replace(dtype="float64"), "loop")
    for image, g in zip(x, upstream, strict=True):
        g[at_kinks(layer, image)] = 0.0
    return x.to(DTYPES[problem.dtype]), upstream.to(DTYPES[problem.dtype])


@torch.no_grad()
def at_kinks(layer: STMConvLayer, image: Tensor) -> Tensor:
    """Which outputs of an image depend on a pre-activation within ``KINK`` of zero.

    Args:
        layer: in float64.
        image: (channels, height, width), float64.

    Returns:
        booleans (channels, height, width).
    """
    first = layer.conv1(image[None])
    second = layer.conv2(functional.relu(first))
    near = functional.max_pool2d((first.abs() < KINK).double().amax(1), 3, stride=1, padding=1) > 0  # 3x3 reaches it
    near |= (second.abs() < KINK).any(1)
    found = near.expand(layer.channels, -1, -1).clone()
    weights, biases = layer.conv3.weight.chunk(layer.branches), layer.conv3.bias
    assert biases is not None
    parts = functional.relu(second).chunk(layer.branches, 1)
    for hidden, weight, bias in zip(parts, weights, biases.chunk(layer.branches), strict=True):
        found |= functional.conv2d(hidden, weight, bias)[0].abs() < KINK
    return found


@lru_cache(maxsize=1)  # the implementations of one problem stand side by side
def reference(problem: Problem) -> tuple[Tensor, ...]:
    """Output and gradients by the loop, image after image, so that the memory of one image is enough."""
    layer = make_layer(problem, "loop")
    x, upstream = tensors(problem)
    outputs, inputs = [], []
    for one, g in zip(x, upstream, strict=True):
        image = one[None].clone().requires_grad_()
        output = layer(image)
        _backward(output, g[None])
        assert image.grad is not None
        outputs.append(output.detach())
        inputs.append(image.grad)
    _, *parameters = gradients(layer, None)
    return (torch.cat(outputs), torch.cat(inputs), *parameters)


def gradients(layer: STMConvLayer, x: Tensor | None) -> Iterator[Tensor]:
    """The gradients by the input (nothing for None: an empty tensor) and by each parameter."""
    for tensor in (x, *layer.parameters()):
        grad = torch.empty(0) if tensor is None else tensor.grad
        assert grad is not None
        yield grad


def largest_difference(ours: list[Tensor], theirs: tuple[Tensor, ...]) -> float:
    """The largest entry of each difference over the largest entry of the reference, the worst of all."""
    worst = 0.0
    for mine, right in zip(ours, theirs, strict=True):
        scale = float(right.abs().max())
        error = float((mine - right).abs().max())
        worst = max(worst, error / scale if scale else error)
    return worst


def _backward(output: Tensor, upstream: Tensor) -> None:
    torch.autograd.backward(output, upstream)


def _forget(layer: STMConvLayer, x: Tensor) -> None:
    layer.zero_grad(set_to_none=True)
    x.grad = None


def _timed(layer: STMConvLayer, x: Tensor, upstream: Tensor) -> tuple[float, float]:
    """Seconds of a forward and of a backward pass."""
    _forget(layer, x)
    start = time.perf_counter()
    output = layer(x)
    middle = time.perf_counter()
    _backward(output, upstream)
    return middle - start, time.perf_counter() - middle
