"""The population risk against reference cases, a simulation, and what it must be in simple cases."""

import csv
from pathlib import Path

import numpy as np
import pytest

from hw6.mathematics import risk
from hw6.mathematics.risk import relu_risk

CASES = list(csv.DictReader((Path(__file__).parent / "data" / "population_risk_cases.csv").read_text().splitlines()))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"p={case['p']}")
def test_reference_cases(case):
    n, d, p = (int(case[key]) for key in ("n", "d", "p"))
    rng = np.random.default_rng(int(case["seed"]))
    b = rng.standard_normal(d)
    b /= np.linalg.norm(b)
    x = rng.standard_normal((n, d))
    noise = rng.standard_normal(n)
    w = rng.standard_normal((p, d)) / np.sqrt(p)
    y = x @ b + float(case["sigma"]) * noise
    a = np.maximum(x @ w.T, 0.0)
    left, s, right = np.linalg.svd(a, full_matrices=False)
    theta = right.T @ (s / (s * s + float(case["lam"])) * (left.T @ y))
    assert theta @ theta == pytest.approx(float(case["theta_norm2"]), rel=1e-9)
    assert relu_risk(theta[None], w, b)[0] == pytest.approx(float(case["R"]), rel=1e-8)


def test_a_simulation_agrees_within_its_error():
    rng = np.random.default_rng(3)
    g, psi, b = rng.standard_normal((6, 4)), rng.standard_normal((1, 6)), rng.standard_normal(4)
    x = rng.standard_normal((200_000, 4))
    squares = (np.maximum(x @ g.T, 0.0) @ psi[0] - x @ b) ** 2
    assert abs(squares.mean() - relu_risk(psi, g, b)[0]) < 5.0 * squares.std() / np.sqrt(len(squares))


def test_no_weights_leave_the_target():
    b = np.array([3.0, 4.0])
    assert relu_risk(np.zeros((1, 5)), np.ones((5, 2)), b).tolist() == [25.0]


def test_two_opposite_directions_fit_a_linear_target_exactly():
    """relu(b.x) - relu(-b.x) = b.x."""
    b = np.random.default_rng(0).standard_normal(10)
    assert abs(relu_risk(np.array([[1.0, -1.0]]), np.stack((b, -b)), b)[0]) < 1e-13 * (b @ b)


def test_a_direction_of_length_zero_is_a_dead_feature():
    g = np.array([[1.0, 2.0], [0.0, 0.0]])
    b = np.array([0.5, 0.5])
    psi = np.array([[0.3, 7.0]])
    np.testing.assert_allclose(relu_risk(psi, g, b), relu_risk(psi[:, :1], g[:1], b), rtol=1e-14)


def test_blocks_change_nothing_but_rounding(monkeypatch):
    rng = np.random.default_rng(1)
    g, psi, b = rng.standard_normal((50, 4)), rng.standard_normal((3, 50)), rng.standard_normal(4)
    whole = relu_risk(psi, g, b)
    monkeypatch.setattr(risk, "BLOCK", 7)
    np.testing.assert_allclose(relu_risk(psi, g, b), whole, rtol=1e-11)
