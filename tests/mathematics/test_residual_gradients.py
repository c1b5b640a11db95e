"""Gradients of the residual perceptron: formulas against autograd, against Jacobians and against differences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hw6.mathematics import streams
from hw6.mathematics.activations import ACTIVATIONS, RESIDUAL, torch_functions, torch_reference
from hw6.mathematics.residual import (
    SMALLEST,
    Perceptron,
    Trace,
    autograd,
    autograd_differences,
    backward,
    draw,
    forward,
    gradient_A,
    jacobian,
    norm,
    norms,
    relative_difference,
)

U = 2.0**-53  # half a unit in the last place, relatively
SMOOTH = ["identity", "tanh", "sigmoid", "softplus", "silu", "gelu", "sin"]


def network_of(seed: int, depth: int, width: int, entries: int, activation: str, skip: bool, flat: int = 0):
    weights, biases, x = draw(seed, depth, width, entries)
    return Perceptron(weights, biases, activation, skip, flat), x


def of(network: Perceptron, x: torch.Tensor) -> tuple[Trace, list[torch.Tensor], list[torch.Tensor]]:
    trace = forward(network, x)
    b = backward(network, trace)
    return trace, [gradient_A(trace, b, layer) for layer in range(1, network.depth + 1)], b


@st.composite
def networks(draws: st.DrawFn) -> tuple[Perceptron, torch.Tensor]:
    depth = draws(st.integers(2, 40))
    network, x = network_of(
        draws(st.integers(0, 2**63 - 1)),
        depth,
        draws(st.integers(1, 24)),
        draws(st.integers(1, 24)),
        draws(st.sampled_from(RESIDUAL)),
        draws(st.booleans()),
        draws(st.integers(2, depth - 1)) if depth > 2 and draws(st.booleans()) else 0,
    )
    if depth > 2 and draws(st.booleans()):
        network.weights[draws(st.integers(2, depth - 1)) - 1].zero_()
    size = draws(st.sampled_from([1e-3, 1.0, 30.0]))
    for weight in network.weights[1:-1]:  # saturated, ordinary and nearly linear layers
        weight.mul_(size if not network.skip else min(size, 1.0))
    return network, x * draws(st.sampled_from([0.0, 1.0, 20.0]))


# How far two right ways to a gradient may be apart: running error analysis, to first order in U.
#
# A slope is made of a few operations on numbers of order 1 + |z|, each right to a few U of that: it is off by at most
# SLOPE U (1 + |z|), absolutely. No more can be asked where a slope is small: torch has gelu's as 1 + erf(z / sqrt 2)
# and softplus's as exp(z - s(z)), which cancel. An argument z that is off by dz adds |s''(z)| dz.
#
# The sweep from g_l to g_{l-1} = J_l' g_l, J_l = diag(s'(z_l)) A_l + r_l I, adds at most
#
#     |A_l|' (|g_l| |slope's error|) + 2 (m + 4) U (|A_l|' |g_l s'_l| + r_l |g_l|)
#
# in the two ways together (a sum of m products is off by m U of the sum of their absolute values, in any order; four
# more for the factors and for an entry of J_l that is formed). What was added at layer k reaches layer l through the
# product J_k ... J_{l+1}, which is formed here: it is what tells a problem of bad condition (terms that cancel, a
# gradient of 1e-78 between numbers of order 1) from a wrong formula.
SLOPE = 16.0


def slope_errors(network: Perceptron, trace: Trace, off: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Bounds on how far two slopes of layers 1 ... L-1 are apart, for arguments that are ``off`` by so much."""
    found = []
    for layer, dz in zip(range(1, network.depth), off, strict=True):
        z = arguments(network, trace.y, layer).requires_grad_()
        slope = ACTIVATIONS[network.activation].slope(torch_functions(), z)
        (bend,) = torch.autograd.grad(slope.sum(), z) if slope.requires_grad else (torch.zeros_like(z),)
        error = SLOPE * U * (1.0 + z.detach().abs()) + bend.abs() * dz
        found.append(torch.zeros_like(error) if layer == network.flat else error)
    return found


def arguments(network: Perceptron, y: Sequence[torch.Tensor], layer: int) -> torch.Tensor:
    """z_l."""
    return torch.nn.functional.linear(y[layer - 1], network.weights[layer - 1], network.biases[layer - 1])


def errors(network: Perceptron, trace: Trace, slopes: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Bounds on how far two right values of dy_L/db_l are apart, l = 1 ... L; vectors of the shapes of the biases."""
    g = network.weights[-1][0]
    found = [torch.zeros_like(network.biases[-1])]
    carried: list[tuple[torch.Tensor, torch.Tensor]] = []  # what a layer added, and the product it has come through
    for layer in range(network.depth - 1, 0, -1):
        slope, weight = trace.slopes[layer - 1], network.weights[layer - 1]
        inherited = torch.zeros_like(g)
        for added, product in carried:
            inherited = inherited + added @ product.abs()
        b = g * slope
        own = g.abs() * slopes[layer - 1]
        found.append(slope.abs() * inherited + own + 2.0 * U * b.abs())
        if layer > 1:
            step = jacobian(network, trace, layer)
            carried = [(added, product @ step) for added, product in carried]
            terms = b.abs() @ weight.abs() + (g.abs() if network.skips(layer) else 0.0)
            added = own @ weight.abs() + 2.0 * U * (len(g) + 4) * terms
            carried.append((added, torch.eye(len(g), dtype=g.dtype)))
            g = g @ step
    return found[::-1]


def reference_signals(network: Perceptron, x: torch.Tensor) -> list[torch.Tensor]:
    """y_0 ... y_{L-1} by torch's own functions."""
    y = [x]
    for layer in range(1, network.depth):
        value = torch_reference(network.activation)(arguments(network, y, layer))
        y.append(value + y[-1] if network.skips(layer) else value)
    return y


def assert_signals(network: Perceptron, ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> None:
    """Layer by layer: what goes in may be apart already; |s'| is at most 1.13 (gelu), a value is right to SLOPE U."""
    for layer in range(1, network.depth):
        z, other = (arguments(network, y, layer) for y in (ours, theirs))
        skipped = (ours[layer - 1] - theirs[layer - 1]).abs() if network.skips(layer) else 0.0
        size = z.abs() + ours[layer].abs() + (ours[layer - 1].abs() if network.skips(layer) else 0.0)
        bound = 1.13 * (z - other).abs() + skipped + SLOPE * U * size + SMALLEST
        assert bool(((ours[layer] - theirs[layer]).abs() <= bound).all())


@settings(max_examples=100)
@given(networks())
@pytest.mark.slow
def test_formulas_are_autograd(case: tuple[Perceptron, torch.Tensor]) -> None:
    network, x = case
    trace, a, b = of(network, x)
    reference_a, reference_b = autograd(network, x)
    y = reference_signals(network, x)
    assert_signals(network, trace.y, y)
    off = [
        (arguments(network, trace.y, layer) - arguments(network, y, layer)).abs() for layer in range(1, network.depth)
    ]
    bounds = errors(network, trace, slope_errors(network, trace, off))
    for layer, bound in enumerate(bounds, 1):
        ours, theirs = b[layer - 1], reference_b[layer - 1]
        assert ours.shape == theirs.shape
        assert bool(((ours - theirs).abs() <= bound + SMALLEST).all())
        size, apart = trace.y[layer - 1].abs(), (trace.y[layer - 1] - y[layer - 1]).abs()
        allowed = torch.outer(bound + SMALLEST, size + apart) + torch.outer(ours.abs(), apart + 2.0 * U * size)
        assert a[layer - 1].shape == reference_a[layer - 1].shape
        assert bool(((a[layer - 1] - reference_a[layer - 1]).abs() <= allowed + SMALLEST).all())
    worst = [max(map(relative_difference, pair, other)) for pair, other in
             zip(zip(a, b, strict=True), zip(reference_a, reference_b, strict=True), strict=True)]  # fmt: skip
    np.testing.assert_array_equal(autograd_differences(network, x, trace, b), worst)
    for values, wanted in zip(norms(trace, b), (a, b), strict=True):
        expected = np.array([norm(value) for value in wanted])
        np.testing.assert_allclose(values, expected, rtol=1e-13, atol=SMALLEST)


@settings(max_examples=40)
@given(networks())
@pytest.mark.slow
def test_the_layer_jacobian_is_autograds(case: tuple[Perceptron, torch.Tensor]) -> None:
    """dy_l/dy_{l-1} of one layer, and b's gradient as the product of all of them above it."""
    network, x = case
    trace, _, b = of(network, x)
    exact = [torch.zeros_like(slope) for slope in trace.slopes]
    bounds, slopes = errors(network, trace, exact), slope_errors(network, trace, exact)
    row = torch.ones(1, dtype=torch.float64)[None]
    for layer in range(network.depth, 0, -1):
        if layer < network.depth:
            product = (row @ torch.diag(trace.slopes[layer - 1]))[0]
            assert bool(((product - b[layer - 1]).abs() <= bounds[layer - 1] + SMALLEST).all())
        if layer >= 2:
            own = jacobian(network, trace, layer)

            def step(y: torch.Tensor, layer: int = layer) -> torch.Tensor:
                z = torch.nn.functional.linear(y, network.weights[layer - 1], network.biases[layer - 1])
                if layer == network.depth:
                    return z
                value = torch_reference(network.activation)(z)
                value = value.detach() if layer == network.flat else value
                return value + y if network.skip else value

            reference = torch.autograd.functional.jacobian(step, trace.y[layer - 1])
            assert own.shape == reference.shape
            error = slopes[layer - 1][:, None] * network.weights[layer - 1].abs() if layer < network.depth else 0.0
            assert bool(((own - reference).abs() <= error + 4.0 * U * reference.abs() + SMALLEST).all())
            row = row @ own


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("activation", SMOOTH)
def test_gradients_predict_small_changes(activation: str, skip: bool) -> None:
    """Without any differentiation: y_L along a line through the parameters, by central differences."""
    network, x = network_of(3, 5, 6, 4, activation, skip)
    _, a, b = of(network, x)
    random = torch.Generator().manual_seed(0)
    step = 1e-5
    for parameters, gradients in ((network.weights, a), (network.biases, b)):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            direction = torch.randn(parameter.shape, generator=random, dtype=torch.float64)
            ends = []
            for sign in (1.0, -2.0, 1.0):
                parameter.add_(direction, alpha=sign * step)
                ends.append(float(forward(network, x).output))
            assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float((gradient * direction).sum()), abs=2e-8)


def test_the_forward_pass_is_the_homeworks() -> None:
    network, x = network_of(1, 4, 5, 3, "tanh", True)
    (a1, a2, a3, a4), (b1, b2, b3, b4) = network.weights, network.biases
    y1 = torch.tanh(a1 @ x + b1)
    y2 = torch.tanh(a2 @ y1 + b2) + y1
    y3 = torch.tanh(a3 @ y2 + b3) + y2
    trace = forward(network, x)
    for got, wanted in zip([*trace.y, trace.output], [x, y1, y2, y3, a4 @ y3 + b4], strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-14, atol=1e-15)


# --- part (iii) -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["A", "derivative"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "gelu"])
@given(depth=st.integers(4, 20), place=st.floats(0.0, 1.0), seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_a_zeroed_layer_kills_what_is_below_without_skip_alone(
    what: str, activation: str, depth: int, place: float, seed: int
) -> None:
    j = 2 + round(place * (depth - 3))
    for skip in (False, True):
        network, x = network_of(seed, depth, 16, 16, activation, skip, j if what == "derivative" else 0)
        if what == "A":
            network.weights[j - 1].zero_()
        trace = forward(network, x)
        a, b = norms(trace, backward(network, trace))
        if skip:
            assert np.all(a[: j - 1] > 1e-4)
            assert np.all(b[: j - 1] > 1e-4)
        else:
            assert np.all(a[: j - 1] == 0.0)
            assert np.all(b[: j - 1] == 0.0)
        assert np.all(b[j:] > 0.0)
        assert (b[j - 1] == 0.0) == (what == "derivative")  # the zeroed layer itself: b_j still acts if only A_j is 0


def test_a_skip_makes_the_zeroed_layers_jacobian_the_identity() -> None:
    network, x = network_of(0, 6, 8, 8, "tanh", True)
    network.weights[2].zero_()
    assert torch.equal(jacobian(network, forward(network, x), 3), torch.eye(8, dtype=torch.float64))


# --- cost and details -----------------------------------------------------------------------------------------------


def test_no_jacobian_is_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing as large as a weight is made by the sweep: it runs on weights that are views of one number."""
    width, depth = 20_000, 30
    one = torch.ones((), dtype=torch.float64) / width
    weights = [one.expand(1 if layer == depth else width, width) for layer in range(1, depth + 1)]
    # The products, without a copy of the matrix.
    monkeypatch.setattr(torch.nn.functional, "linear", lambda y, a, b: b + a[0, 0] * y.sum())
    monkeypatch.setattr(torch, "addmv", lambda b, a, y: b + a[0, 0] * y.sum())
    monkeypatch.setattr(torch, "mv", lambda a, y: (a[0, 0] * y.sum()).expand(width))
    biases = [torch.zeros(1 if layer == depth else width, dtype=torch.float64) for layer in range(1, depth + 1)]
    network = Perceptron(weights, biases, "identity", True)
    trace = forward(network, torch.ones(width, dtype=torch.float64))  # a single width x width matrix is 3.2 GB
    assert norms(trace, backward(network, trace))[1][-1] == 1.0


def test_layers_are_shared_by_depths_and_follow_nn_linear() -> None:
    (w3, b3, x3), (w5, b5, x5) = draw(4, 3, 6, 2), draw(4, 5, 6, 2)
    assert all(torch.equal(p, q) for p, q in zip([*w3[:2], *b3[:2], x3], [*w5[:2], *b5[:2], x5], strict=True))
    assert [tuple(w.shape) for w in w5] == [(6, 2), (6, 6), (6, 6), (6, 6), (1, 6)]
    weights, biases, _ = draw(0, 3, 400, 100)
    for layer, entries in ((0, 100), (1, 400)):
        linear = torch.nn.Linear(entries, 400)
        for own, theirs in ((weights[layer], linear.weight), (biases[layer], linear.bias)):
            assert float(own.abs().max()) <= 1 / math.sqrt(entries)
            assert float(own.std()) == pytest.approx(float(theirs.detach().std()), rel=0.1)
    assert not torch.equal(torch.tensor(streams.generator(0, "residual_A").random(4)), weights[0].flatten()[:4])


def test_norms_of_layers_are_those_of_vectors() -> None:
    vectors = [
        torch.tensor(v, dtype=torch.float64) for v in ([3, 4], [0, 0], [1e300, 1e300], [1e-300, 0], [1, math.inf])
    ]
    trace = Trace([torch.ones(1, dtype=torch.float64), *vectors], [], torch.ones(1))
    a, b = norms(trace, [*vectors, torch.ones(1, dtype=torch.float64)])
    np.testing.assert_allclose(b, [*map(norm, vectors), 1.0], rtol=1e-15)
    assert a[-1] == math.inf


def test_norms_neither_overflow_nor_underflow() -> None:
    for size in (1e-300, 1e300):
        assert norm(torch.tensor([3.0, 4.0], dtype=torch.float64) * size) == pytest.approx(5.0 * size, rel=1e-15)
    assert norm(torch.zeros(3)) == 0.0
    assert norm(torch.tensor([1.0, math.inf])) == math.inf
    assert math.isnan(norm(torch.tensor([1.0, math.nan])))
