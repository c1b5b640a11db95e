"""The table of activations: torch's own functions and their derivatives, on every library, in every float type."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hw6.mathematics.activations import (
    ACTIVATIONS,
    FEATURES,
    IN_PLACE,
    INITIALIZATION,
    NUMPY,
    RESIDUAL,
    torch_functions,
    torch_reference,
)

MODULES = {
    "identity": torch.nn.Identity(),
    "relu": torch.nn.ReLU(),
    "leaky_relu": torch.nn.LeakyReLU(),
    "elu": torch.nn.ELU(),
    "tanh": torch.nn.Tanh(),
    "sigmoid": torch.nn.Sigmoid(),
    "silu": torch.nn.SiLU(),
    "gelu": torch.nn.GELU(),
    "softplus": torch.nn.Softplus(threshold=1000.0),
    "sin": torch.sin,
    "cosine": torch.cos,
}
ON_NUMPY = [name for name in ACTIVATIONS if name != "gelu"]  # NumPy has no normal distribution function
POINTS = [-700.0, -50.0, -9.0, -3.0, -1e-3, -0.0, 0.0, 1e-9, 1e-3, 0.7, 4.0, 15.0, 50.0, 700.0]


def of_torch(name: str, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and slope of a module of torch.nn, the slope by autograd."""
    z = torch.tensor(points, requires_grad=True)
    value = MODULES[name](z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    return value.detach().numpy(), slope.numpy()


def test_every_choice_is_in_the_table_and_every_entry_is_a_choice() -> None:
    assert set(FEATURES) | set(INITIALIZATION) | set(RESIDUAL) == set(ACTIVATIONS) == set(MODULES)
    for names in (FEATURES, INITIALIZATION, RESIDUAL):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ON_NUMPY)
def test_on_numpy_values_and_slopes_are_torch_s(name: str) -> None:
    """Within rounding of numbers near 1: the sigmoid of NumPy is right to that, and not relatively."""
    points, activation = np.array(POINTS), ACTIVATIONS[name]
    value, slope = of_torch(name, points)
    size = 1.0 + np.abs(points)  # silu multiplies the sigmoid's absolute error by z
    assert (np.abs(activation.value(NUMPY, points) - value) <= 4e-16 * size).all()
    assert (np.abs(activation.slope(NUMPY, points) - slope) <= 4e-16 * size).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_on_torch_values_and_slopes_are_torch_s(name: str) -> None:
    points, activation = np.array(POINTS), ACTIVATIONS[name]
    z, functions = torch.tensor(points), torch_functions()
    value, slope = of_torch(name, points)
    np.testing.assert_allclose(activation.value(functions, z), value, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(activation.slope(functions, z), slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", RESIDUAL)
def test_the_reference_is_the_module_s_function_to_the_bit(name: str) -> None:
    """Softplus apart: the module divides and multiplies by its beta."""
    z = torch.linspace(-30.0, 30.0, 4001, dtype=torch.float64)
    rtol = 1e-15 if name == "softplus" else 0.0
    torch.testing.assert_close(torch_reference(name)(z), MODULES[name](z), rtol=rtol, atol=0.0)


@pytest.mark.parametrize("z", [-3.0, -9.0, -30.0, -300.0])
def test_slopes_in_the_tail_keep_their_relative_digits_on_torch(z: float) -> None:
    """Where s is nearly constant its slope is as small as it is, by formulas that cancel nothing.

    1 + tanh z is 2 e^2z for z far below 0, and tanh z is rounded by half a unit of 2^-53: hence the bound for tanh.
    """
    exact = {
        "sigmoid": 0.25 / math.cosh(z / 2) ** 2,
        "softplus": math.exp(z) / (1.0 + math.exp(z)),
        "elu": math.exp(z),
        "tanh": 1.0 / math.cosh(z) ** 2,
    }
    bounds = {"tanh": 2.0**-53 / (2.0 * math.exp(2.0 * z))}
    for name, right in exact.items():
        slope = ACTIVATIONS[name].slope(torch_functions(), torch.tensor([z], dtype=torch.float64))
        assert float(slope) == pytest.approx(right, rel=1e-14 + bounds.get(name, 0.0) + 1e-15 * abs(z), abs=0.0)


@pytest.mark.parametrize("name", FEATURES)
@given(z=arrays.arrays(np.float64, (5, 3), elements=st.floats(-1e300, 1e300)))
def test_in_place_is_the_same_to_the_bit(name: str, z: np.ndarray) -> None:
    """What overwrites its argument gives what does not; a formula that needs z twice would be seen here."""
    value = ACTIVATIONS[name].value
    kept = z.copy()
    expected = value(NUMPY, z)
    np.testing.assert_array_equal(z, kept)  # NUMPY leaves its argument alone
    got = value(IN_PLACE, z)
    assert got.tobytes() == expected.tobytes()
    assert got is z


@pytest.mark.parametrize("name", INITIALIZATION)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_type_is_kept_and_nothing_overflows(name: str, kind: type) -> None:
    large = np.array([-1e4, -0.5, 0.5, 1e4], dtype=kind)
    for got in (ACTIVATIONS[name].value(NUMPY, large), ACTIVATIONS[name].slope(NUMPY, large)):
        assert got.dtype == kind
        assert np.isfinite(got).all()


@pytest.mark.parametrize("name", RESIDUAL)
def test_on_torch_a_type_is_kept(name: str) -> None:
    z = torch.tensor([-1.5, 0.25], dtype=torch.float32)
    assert ACTIVATIONS[name].value(torch_functions(), z).dtype == torch.float32
    assert ACTIVATIONS[name].slope(torch_functions(), z).dtype == torch.float32


def test_two_slopes_are_told_by_those_that_have_them() -> None:
    for activation in ACTIVATIONS.values():
        z = np.array([-8.0, -0.25, 0.25, 8.0])
        if activation.slopes is None:
            far, near, *_ = activation.slope(torch_functions(), torch.tensor(z)).tolist()
            assert far != near  # two slopes on one side of 0
        else:
            above, below = activation.slopes
            np.testing.assert_array_equal(activation.value(NUMPY, z), np.where(z > 0, above, below) * z)
            np.testing.assert_array_equal(activation.slope(NUMPY, z), np.where(z > 0, above, below))
