"""When dropout and an activation commute: theorem and simulation agree, for torch's activations and for others."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules import activation as torch_activations

from hw6.mathematics.dropout import (
    ARGUMENTS,
    FEWEST_DROPPED,
    HIGH,
    LOW,
    ROUNDING,
    compare,
    elementwise_names,
    in_eps,
    make,
    mask,
    own_randomness,
    pre_activations,
    scale,
    theorem,
)

SAMPLES = 4096
NAMES = elementwise_names()
NOT_ELEMENTWISE = {"GLU", "LogSoftmax", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin"}
# What the theorem must find for default arguments, worked out on paper; only the tests know names.
COMMUTE = {"Identity", "LeakyReLU", "PReLU", "ReLU"}


class Function(nn.Module):
    """A function that torch does not have."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.function(z)


def both(s: nn.Module, q: float, training: bool = True, samples: int = SAMPLES, seed: int = 0) -> tuple[bool, bool]:
    return compare(s, q, training, seed, samples).commutes, theorem(s, q, training).commutes


def test_torch_has_no_activation_that_is_neither_listed_nor_known_to_mix_entries() -> None:
    own = {
        name
        for name, kind in inspect.getmembers(nn, inspect.isclass)
        if kind.__module__ == torch_activations.__name__ and issubclass(kind, nn.Module)
    }
    assert own == set(torch_activations.__all__)
    assert set(NAMES) == (own - NOT_ELEMENTWISE) | {"Identity"}


def test_arguments_are_given_only_where_torch_has_no_default() -> None:
    for name in ARGUMENTS:
        with pytest.raises(TypeError):
            getattr(nn, name)()
    with pytest.raises(TypeError):
        make("MultiheadAttention")


@pytest.mark.parametrize("q", [0.01, 0.4, 0.5, 1 - 2.0**-53])
@pytest.mark.parametrize("name", NAMES)
def test_both_verdicts_are_those_of_the_theorem(name: str, q: float) -> None:
    assert both(make(name), q) == (name in COMMUTE, name in COMMUTE)


@pytest.mark.parametrize("name", NAMES)
def test_without_dropout_every_activation_commutes_to_the_bit(name: str) -> None:
    for q, training in ((0.0, True), (0.0, False), (0.4, False)):
        assert both(make(name), q, training) == (True, True)
        assert compare(make(name), q, training, 0, SAMPLES).in_eps == 0.0


@pytest.mark.parametrize(
    ("s", "expected"),
    [
        (nn.Threshold(0.0, 0.0), True),  # ReLU
        (nn.Threshold(0.5, 0.0), False),  # s(0) = 0, but a jump at 0.5
        (nn.Threshold(-0.5, 0.0), False),  # s(0) = 0, but z in (-0.5, 0) is kept and larger ones are not
        (nn.Threshold(0.0, 1.0), False),  # s(0) = 1
        (nn.Threshold(-1e300, 0.0), True),  # the identity wherever it is ever looked at
        (nn.Hardtanh(0.0, math.inf), True),  # ReLU again
        (nn.Hardtanh(-1.0, 1.0), False),
        (nn.Hardtanh(0.0, 6.0), False),  # ReLU6
        (nn.Hardshrink(0.0), True),
        (nn.Hardshrink(2.0), False),
        (nn.Softshrink(0.0), True),
        (nn.Softshrink(0.5), False),
        (nn.LeakyReLU(0.3), True),
        (nn.LeakyReLU(-2.0), True),
        (nn.PReLU(3, init=0.1), True),
        (nn.RReLU(0.2, 0.2), True),  # one slope: no longer random
        (Function(torch.abs), True),
        (Function(torch.square), False),
        (Function(lambda z: 0.0 * z), True),
        (Function(lambda z: z + 1e-9), False),  # s(0) is small and not 0
        (Function(lambda z: torch.where(z == 0.0, 1.0, z)), False),  # homogeneous but for s(0)
        (Function(lambda z: z * (1.0 + 1e-9 * torch.sin(z))), False),  # far above rounding, far below sight
        (Function(lambda z: torch.where(z.abs() < 30.0, z, 1.01 * z)), False),
    ],
)
@pytest.mark.parametrize("q", [0.01, 0.4])
def test_functions_with_a_catch(s: nn.Module, expected: bool, q: float) -> None:
    if isinstance(s, nn.PReLU):  # a slope for each of three channels
        s = Function(lambda z, inner=s: inner.double()(z.reshape(-1, 1).expand(-1, 3))[:, 1])
    assert both(s.double(), q) == (expected, expected)


@given(st.floats(-5.0, 5.0), st.floats(-5.0, 5.0), st.floats(0.01, 0.999))
def test_two_slopes_commute_whatever_they_are(above: float, below: float, q: float) -> None:
    s = Function(lambda z: torch.where(z > 0.0, above * z, below * z))
    assert both(s, q, samples=SAMPLES) == (True, True)


@given(st.floats(-8.0, 8.0), st.floats(0.05, 10.0), st.floats(0.01, 0.95))
def test_a_bend_that_is_not_at_zero_is_found(bend: float, change: float, q: float) -> None:
    bend += math.copysign(0.1, bend)
    s = Function(lambda z: z + change * (torch.relu(z - bend) - torch.relu(torch.tensor(-bend, dtype=z.dtype))))
    assert both(s, q) == (False, False)


@given(st.floats(0.01, 0.999), st.sampled_from(["LeakyReLU", "PReLU", "ReLU", "Identity"]), st.integers(0, 2**40))
def test_rounding_stays_within_its_bound_of_two(q: float, name: str, seed: int) -> None:
    assert compare(make(name), q, True, seed, SAMPLES).in_eps <= 2.0 + 1e-9 <= ROUNDING


def test_rounding_is_seen_and_told_from_inequality() -> None:
    """1/(1-0.4) is no power of two: LeakyReLU differs in the last bit; at q = 0.5 it does not, and ReLU never does."""
    assert 0.0 < compare(make("LeakyReLU"), 0.4, True, 0, SAMPLES).in_eps <= ROUNDING
    assert compare(make("LeakyReLU"), 0.5, True, 0, SAMPLES).in_eps == 0.0
    assert compare(make("PReLU"), 0.4, True, 0, SAMPLES).in_eps == 0.0  # its slope is 1/4
    assert compare(make("ReLU"), 0.4, True, 0, SAMPLES).in_eps == 0.0
    smallest = min(compare(make(name), 0.01, True, 0, SAMPLES).in_eps for name in set(NAMES) - COMMUTE)
    assert smallest > 1e12


@pytest.mark.parametrize("samples", [64, 1000, pytest.param(65536, marks=pytest.mark.slow)])
@settings(max_examples=40)
@given(place=st.floats(0.0, 1.0), sign=st.sampled_from([-1.0, 1.0]), seed=st.integers(0, 10**6))
def test_no_jump_is_missed_at_the_smallest_q_allowed(samples: int, place: float, sign: float, seed: int) -> None:
    """At any place of the range above the two lowest of its parts, in which the first z of either sign lies."""
    q = FEWEST_DROPPED / samples
    lowest = LOW + 2 * (HIGH - LOW) / samples
    jump = 2.0 ** (lowest + place * (HIGH - lowest))
    s = Function(lambda z: torch.where(sign * z > jump, z, 0.0))
    assert both(s, q, samples=samples, seed=seed) == (False, False)


def test_the_smallest_difference_is_reported_as_what_it_is() -> None:
    seen = compare(Function(lambda z: torch.where(z == 0.0, 0.25, z)), 0.4, True, 0, SAMPLES)
    assert (seen.dropped, seen.kept) == (0.25, 0.0)
    sigmoid = compare(make("Sigmoid"), 0.4, True, 0, SAMPLES)
    assert sigmoid.dropped == 0.5
    assert sigmoid.kept == pytest.approx(2 / 3, rel=1e-12)  # c s - s at s = 1
    assert sigmoid.share == 1.0


def test_the_distribution_is_that_of_a_large_sample() -> None:
    """Quantiles and share by hand for tanh: nothing where dropped, |s(cz) - c s(z)| where kept."""
    q, c = 0.4, 1 / 0.6
    seen = compare(make("Tanh"), q, True, 3, SAMPLES)
    z, m = pre_activations(3, SAMPLES), mask(3, q, SAMPLES)
    apart = np.abs(np.tanh(m * z) - m * np.tanh(z))
    assert seen.quantiles is not None
    np.testing.assert_allclose(seen.quantiles, np.quantile(apart[m > 0], (0.05, 0.25, 0.5, 0.75, 0.95)), rtol=1e-9)
    assert seen.share == pytest.approx((m > 0).mean(), abs=0)
    assert seen.kept == pytest.approx(np.abs(np.tanh(c * z) - c * np.tanh(z)).max(), rel=1e-12)


def test_our_masks_do_what_nn_dropout_does() -> None:
    """nn.Dropout's own mask, read off a vector of ones: its product with any z is what nn.Dropout gives."""
    z = torch.tensor(pre_activations(0, SAMPLES))
    for q in (0.1, 0.4, 0.9):
        layer = nn.Dropout(q)
        with own_randomness(5):
            m = layer(torch.ones_like(z))
        with own_randomness(5):
            assert torch.equal(layer(z), m * z)
        kept = m[m != 0.0]
        assert torch.all(kept == scale(q))
        assert (m == 0.0).double().mean() == pytest.approx(q, abs=5 * math.sqrt(q * (1 - q) / SAMPLES))
        assert (mask(0, q, SAMPLES) == 0.0).mean() == pytest.approx(q, abs=5 * math.sqrt(q * (1 - q) / SAMPLES))
        assert torch.equal(layer.eval()(z), z)


@pytest.mark.parametrize(("name", "equal"), [("ReLU", True), ("LeakyReLU", True), ("Sigmoid", False)])
def test_the_homeworks_two_networks(name: str, equal: bool) -> None:
    """linear-dropout-s and linear-s-dropout as torch modules that share weights and masks."""
    with own_randomness(1):
        linear, dropout, s = nn.Linear(7, 300).double(), nn.Dropout(0.4), make(name)
        x = torch.randn(50, 7, dtype=torch.float64)
    outputs = []
    for network in (nn.Sequential(linear, dropout, s), nn.Sequential(linear, s, dropout)):
        with own_randomness(2):
            outputs.append(network.train()(x).detach())
    assert (float(in_eps(*outputs).max()) <= ROUNDING) == equal
    assert torch.equal(nn.Sequential(linear, dropout, s).eval()(x), nn.Sequential(linear, s, dropout).eval()(x))


def test_rrelu_in_training_mode_is_equal_in_law_alone() -> None:
    """Its slopes are drawn anew: the orders differ sample by sample, and their distributions do not."""
    verdict = theorem(make("RReLU"), 0.4, True)
    assert (verdict.commutes, verdict.reason) == (False, "s is random: equal in law at most")
    assert theorem(make("RReLU"), 0.4, False).commutes
    s, q, size = make("RReLU").train(), 0.4, 40_000
    z = torch.full((size,), -1.5, dtype=torch.float64)
    with own_randomness(0):
        m = nn.Dropout(q)(torch.ones_like(z))
        first = s(m * z)
        second = nn.Dropout(q)(torch.ones_like(z)) * s(z)
    one, two = np.sort(first.detach().numpy()), np.sort(second.detach().numpy())
    grid = np.linspace(-1.0, 0.0, 500)
    gap = np.abs(np.searchsorted(one, grid) - np.searchsorted(two, grid)).max() / size
    assert gap < 1.95 / math.sqrt(size / 2)  # Kolmogorov and Smirnov's bound at 0.1 %


@given(st.integers(0, 2**63 - 1), st.integers(64, 5000))
def test_pre_activations_cover_both_signs_and_all_magnitudes(seed: int, samples: int) -> None:
    z = pre_activations(seed, samples)
    assert np.array_equal(z, pre_activations(seed, samples))
    for sign in (1.0, -1.0):
        place = np.log(np.abs(z[z * sign > 0.0]))
        assert np.all(np.diff(place) <= 21.0 / samples)
        assert place[0] >= LOW * math.log(2)
        assert place[-1] <= HIGH * math.log(2)
        assert place[-1] - place[0] >= (HIGH - LOW) * math.log(2) * (1 - 4 / samples)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_masks_are_nested_in_q(one: float, two: float) -> None:
    low, high = (min(q, 1 - 2.0**-53) for q in sorted((one, two)))
    assert np.all((mask(1, low, 500) == 0.0) <= (mask(1, high, 500) == 0.0))


def test_torch_is_left_as_it_was() -> None:
    state = torch.random.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(make("RReLU"), 0.4, True, 0, SAMPLES)
        elementwise_names()
    assert torch.equal(state, torch.random.get_rng_state())
