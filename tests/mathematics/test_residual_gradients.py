"""Gradients of the residual perceptron: formulas against autograd, against Jacobians and against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hw6.mathematics import streams
from hw6.mathematics.residual import (
    ACTIVATIONS,
    REFERENCE,
    SMALLEST,
    Network,
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

NAMES = sorted(ACTIVATIONS)
SMOOTH = ["identity", "tanh", "sigmoid", "softplus", "silu", "gelu", "sin"]


def network_of(seed: int, depth: int, width: int, entries: int, activation: str, skip: bool, flat: int = 0):
    weights, biases, x = draw(seed, depth, width, entries)
    return Network(weights, biases, activation, skip, flat), x


def of(network: Network, x: torch.Tensor) -> tuple[Trace, list[torch.Tensor], list[torch.Tensor]]:
    trace = forward(network, x)
    b = backward(network, trace)
    return trace, [gradient_A(trace, b, layer) for layer in range(1, network.depth + 1)], b


@st.composite
def networks(draws: st.DrawFn) -> tuple[Network, torch.Tensor]:
    depth = draws(st.integers(2, 40))
    network, x = network_of(
        draws(st.integers(0, 2**63 - 1)),
        depth,
        draws(st.integers(1, 24)),
        draws(st.integers(1, 24)),
        draws(st.sampled_from(NAMES)),
        draws(st.booleans()),
        draws(st.integers(2, depth - 1)) if depth > 2 and draws(st.booleans()) else 0,
    )
    if depth > 2 and draws(st.booleans()):
        network.weights[draws(st.integers(2, depth - 1)) - 1].zero_()
    size = draws(st.sampled_from([1e-3, 1.0, 30.0]))
    for weight in network.weights[1:-1]:  # saturated, ordinary and nearly linear layers
        weight.mul_(size if not network.skip else min(size, 1.0))
    return network, x * draws(st.sampled_from([0.0, 1.0, 20.0]))


@settings(max_examples=100)
@given(networks())
def test_formulas_are_autograd(case: tuple[Network, torch.Tensor]) -> None:
    network, x = case
    trace, a, b = of(network, x)
    reference_a, reference_b = autograd(network, x)
    for ours, theirs in zip(a + b, reference_a + reference_b, strict=True):
        assert ours.shape == theirs.shape
        assert relative_difference(ours, theirs) <= 1e-12
    assert autograd_differences(network, x, trace, b).max() <= 1e-12
    norms_a, norms_b = norms(trace, b)
    for values, wanted in ((norms_a, reference_a), (norms_b, reference_b)):
        expected = np.array([norm(value) for value in wanted])
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=SMALLEST)


@settings(max_examples=40)
@given(networks())
def test_the_layer_jacobian_is_autograds(case: tuple[Network, torch.Tensor]) -> None:
    """dy_l/dy_{l-1} of one layer, and b's gradient as the product of all of them above it."""
    network, x = case
    trace, _, b = of(network, x)
    row = torch.ones(1, dtype=torch.float64)[None]
    for layer in range(network.depth, 0, -1):
        if layer < network.depth:
            direct = (row @ torch.diag(trace.slopes[layer - 1]))[0]
            assert norm(direct - b[layer - 1]) <= 1e-11 * norm(direct) + SMALLEST
        if layer >= 2:
            own = jacobian(network, trace, layer)

            def step(y: torch.Tensor, layer: int = layer) -> torch.Tensor:
                z = torch.nn.functional.linear(y, network.weights[layer - 1], network.biases[layer - 1])
                if layer == network.depth:
                    return z
                value = REFERENCE[network.activation](z)
                value = value.detach() if layer == network.flat else value
                return value + y if network.skip else value

            reference = torch.autograd.functional.jacobian(step, trace.y[layer - 1])
            assert own.shape == reference.shape
            assert norm(own - reference) <= 1e-12 * norm(reference) + SMALLEST
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


@pytest.mark.parametrize("activation", NAMES)
def test_every_activation_and_its_slope(activation: str) -> None:
    z = torch.cat([torch.linspace(-30.0, 30.0, 4001, dtype=torch.float64), torch.tensor([0.0, 1e-9, -1e-9])])
    z.requires_grad_()
    reference = REFERENCE[activation](z)
    (slope,) = torch.autograd.grad(reference.sum(), z)
    value, ours = ACTIVATIONS[activation](z.detach())
    torch.testing.assert_close(value, reference.detach(), rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(ours, slope, rtol=1e-12, atol=1e-14)


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
    network = Network(weights, biases, "identity", True)
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
