"""Moments of a fresh network: the closed forms, the reference table, a brute-force enumeration, torch's own modules."""

import csv
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw6.mathematics.activations import ACTIVATIONS, NUMPY
from hw6.mathematics.initialization import INITS, INPUT_KURTOSIS, NetworkLaw, gaussian_mean, mean_square_slope, moments
from hw6.mathematics.initialization_simulation import orthogonal, simulate

DATA = Path(__file__).parent / "data"
TABLE = list(csv.DictReader((DATA / "init_variance.csv").read_text().splitlines()))
WIDTHS = st.lists(st.integers(1, 40), min_size=1, max_size=6)
LAWS = st.sampled_from(list(INPUT_KURTOSIS))
TWO_SLOPES = ("identity", "relu", "leaky_relu")


def network(row):
    return NetworkLaw(tuple(map(int, row["widths"].split("-"))), "pytorch", row["activation"], row["input"])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['widths']} {row['input']} {row['activation']}")
def test_the_reference_table_to_rounding(row):
    net, theory = network(row), moments(network(row))
    v, kurtosis = theory.variance[-1], theory.kurtosis[-1]
    assert v == pytest.approx(float(row["v_theory"]), rel=1e-12)
    assert kurtosis == pytest.approx(float(row["kurtosis_theory"]), rel=1e-12)
    one = math.sqrt((kurtosis - 1) / int(row["n_networks"])) * v  # the table looks at one entry of the last layer
    assert one == pytest.approx(float(row["se_theory"]), rel=1e-12)
    assert theory.gradient[0] == pytest.approx(float(row["grad0_var_theory"]), rel=1e-12)
    assert abs(v - float(row["v_mc"])) < 4 * one
    assert abs(theory.gradient[0] - float(row["grad0_var_mc"])) < 4 * float(row["grad0_se"])
    assert theory.exact.all()
    assert theory.gradient_exact.all()
    assert len(theory.variance) == net.depth


@given(WIDTHS, LAWS)
def test_the_homework_s_closed_forms(widths, law):
    """Var y_l = 3^-l + sum_k 3^-(l-k+1) / n_{k-1}, and E (dy_L/dy_l)^2 = 1 / (3^(L-l) n_l)."""
    theory = moments(NetworkLaw((*widths, 1), input_law=law))
    depth = len(widths)
    for layer in range(1, depth + 1):
        closed = 3.0**-layer + sum(3.0 ** -(layer - k + 1) / widths[k - 1] for k in range(1, layer + 1))
        assert theory.variance[layer - 1] == pytest.approx(closed, rel=1e-12)
    closed = [1 / (3.0 ** (depth - layer) * n) for layer, n in enumerate((*widths, 1))]
    np.testing.assert_allclose(theory.gradient, closed, rtol=1e-12)


@given(WIDTHS, LAWS)
def test_relu_by_its_own_recursion(widths, law):
    theory = moments(NetworkLaw((*widths, 1), activation="relu", input_law=law))
    q = 1.0
    for layer, n in enumerate(widths):
        v = q / 3 + 1 / (3 * n)
        assert theory.variance[layer] == pytest.approx(v, rel=1e-12)
        q = v / 2
    depth = len(widths)
    closed = [1 / (3 * n * 6.0 ** (depth - 1 - layer)) for layer, n in enumerate(widths)]
    np.testing.assert_allclose(theory.gradient[:-1], closed, rtol=1e-12)


@given(WIDTHS, LAWS, st.sampled_from(list(INITS)), st.sampled_from(TWO_SLOPES))
def test_moments_are_moments(widths, law, init, activation):
    """E h^4 >= v^2, (E h_i^2 h_k^2)^2 <= (E h_i^4)^2, and a spread that is not negative."""
    net = NetworkLaw((*widths, 1), init, activation, law)
    theory = moments(net)
    assert (theory.kurtosis >= 1 - 1e-12).all()
    assert (theory.pair <= theory.kurtosis + 1e-12).all()
    assert (theory.spread(net.widths) >= 0).all()


def test_fourth_moments_by_enumeration():
    """With Rademacher inputs, and weights that take finitely many values with the moments of the uniform law."""
    # P(+-r) = p, P(0) = 1 - 2 p has variance 2 p r^2 and kurtosis 1 / (2 p) = 9/5.
    p = 5 / 18
    values, chances = np.array([-1.0, 0.0, 1.0]), np.array([p, 1 - 2 * p, p])
    n = 2
    r = math.sqrt(1 / (3 * n) / (2 * p))
    fourth = both = second = 0.0
    for x in itertools.product((-1.0, 1.0), repeat=n):
        for index in itertools.product(range(3), repeat=3):  # a row of A and an entry of b, twice: independent rows
            h = r * (values[index[0]] * x[0] + values[index[1]] * x[1] + values[index[2]])
            chance = np.prod(chances[list(index)]) / 4
            second, fourth = second + chance * h**2, fourth + chance * h**4
    for x in itertools.product((-1.0, 1.0), repeat=n):
        square = sum(
            np.prod(chances[list(i)]) * (r * (values[i[0]] * x[0] + values[i[1]] * x[1] + values[i[2]])) ** 2
            for i in itertools.product(range(3), repeat=3)
        )
        both += square**2 / 4
    theory = moments(NetworkLaw((2, 2), input_law="rademacher"))
    assert theory.variance[0] == pytest.approx(second, rel=1e-12)
    assert theory.kurtosis[0] == pytest.approx(fourth / second**2, rel=1e-12)
    assert theory.pair[0] == pytest.approx(both / second**2, rel=1e-12)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("activation", TWO_SLOPES)
def test_theory_agrees_with_simulation_where_it_is_exact(init, activation):
    """Odd shapes, zero biases, dead layers of narrow ReLUs: every variance, its standard error, every gradient."""
    for widths in ((3, 1, 2, 4, 1), (5, 7, 2, 1)):
        net = NetworkLaw(widths, init, activation, "uniform")
        theory, found = moments(net), simulate(net, 10_000, 11)
        spread = np.sqrt(theory.spread(widths) / 10_000)
        steady = spread == 0
        assert np.abs(found.relative[~steady] / spread[~steady]).max(initial=0) < 4.5
        assert np.abs(found.relative[steady]).max(initial=0) < 1e-5
        light = ~steady & (theory.kurtosis < 12)  # a sample does not show how wide a heavy-tailed square spreads
        np.testing.assert_allclose(found.square_se[light], (theory.variance * spread)[light], rtol=0.25)
        assert (np.abs(found.mean) < 4.5 * np.sqrt(theory.variance / widths[1:] / 10_000)).all()
        off = np.abs(found.gradient - theory.gradient)
        assert (off <= 4.5 * found.gradient_se + 1e-6 * theory.gradient).all()
        np.testing.assert_allclose(found.y_square[light], theory.second_moment[light], rtol=0.15)


@pytest.mark.parametrize("activation", ["elu", "tanh", "sigmoid", "silu", "softplus"])
def test_mean_field_theory_is_near_for_wide_networks(activation):
    net = NetworkLaw((200, 200, 200, 200, 1), "lecun_normal", activation)
    theory, found = moments(net), simulate(net, 150, 3)
    np.testing.assert_allclose(found.square[:-1], theory.variance[:-1], rtol=0.05)
    np.testing.assert_allclose(found.y_square[:-1], theory.second_moment[:-1], rtol=0.05)
    np.testing.assert_allclose(found.gradient[:-1], theory.gradient[:-1], rtol=0.08)
    assert theory.exact.tolist() == [True, False, False, False]
    assert theory.gradient_exact.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("v", [1e-4, 0.3, 1.0, 30.0, 1e6])
def test_quadrature_against_closed_forms(v):
    relu, elu = ACTIVATIONS["relu"], ACTIVATIONS["elu"]
    assert gaussian_mean(lambda h: relu.value(NUMPY, h) ** 2, v) == pytest.approx(v / 2, rel=1e-13)
    assert gaussian_mean(lambda h: relu.slope(NUMPY, h) ** 2, v) == pytest.approx(0.5, rel=1e-13)
    assert gaussian_mean(lambda h: np.cos(np.minimum(np.abs(h), 1e-3)) * 0 + h**4, v) == pytest.approx(3 * v * v)
    # E (e^min(h,0))^2 = 1/2 + e^(2v) Phi(-2 sqrt v), with a scaled erfc where e^(2v) overflows
    if v < 100:
        tail = math.exp(2 * v) * math.erfc(2 * math.sqrt(v) / math.sqrt(2)) / 2
        assert mean_square_slope(elu, v) == pytest.approx(0.5 + tail, rel=1e-12)


@pytest.mark.parametrize("fan_in", [1, 3, 17, 64])
def test_torch_s_default_is_uniform_on_one_over_the_root_of_fan_in(fan_in):
    """Bounds and moments of weights and biases of real modules: a change in torch is noticed here."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    layer = torch.nn.Linear(fan_in, 40_000)
    bound = 1 / math.sqrt(fan_in)
    init = INITS["pytorch"]
    for values, variance in ((layer.weight, init.weight(fan_in, 40_000)), (layer.bias, init.bias(fan_in))):
        flat = values.detach().double().numpy().ravel()
        assert np.abs(flat).max() <= bound * (1 + 1e-6)
        assert np.abs(flat).max() > 0.999 * bound
        assert variance == pytest.approx(bound**2 / 3)
        # Kolmogorov's distance to the uniform law: 1.95 / sqrt(n) is exceeded once in a thousand times.
        ranks = np.arange(1, len(flat) + 1) / len(flat)
        distance = np.abs(np.sort(flat) / (2 * bound) + 0.5 - ranks).max()
        assert distance < 2.2 / math.sqrt(len(flat))


@pytest.mark.parametrize("name", [name for name in INITS if name != "pytorch"])
@pytest.mark.parametrize(("fan_in", "fan_out"), [(30, 50), (50, 30)])
def test_other_rules_are_torch_s(name, fan_in, fan_out):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    fill = {
        "xavier_uniform": torch.nn.init.xavier_uniform_,
        "xavier_normal": torch.nn.init.xavier_normal_,
        "kaiming_uniform": lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu"),
        "kaiming_normal": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "lecun_normal": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear"),
        "orthogonal": torch.nn.init.orthogonal_,
    }[name]
    weights = np.stack([fill(torch.empty(fan_out, fan_in)).numpy() for _ in range(60)]).astype(np.float64)
    expected = INITS[name].weight(fan_in, fan_out)
    count = weights.size
    assert np.mean(weights**2) == pytest.approx(expected, rel=5 * math.sqrt(2 / count))
    assert abs(weights.mean()) < 5 * math.sqrt(expected / count)
    kurtosis = np.mean(weights**4) / np.mean(weights**2) ** 2
    size = max(fan_in, fan_out)
    law = {"uniform": 1.8, "normal": 3.0, "orthogonal": 3 * size / (size + 2)}[INITS[name].law]
    assert kurtosis == pytest.approx(law, rel=0.03)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 6), (6, 1)])
def test_orthogonal_matrices_are_orthonormal_and_uniform(shape):
    normal = np.random.default_rng(0).standard_normal((4000, *shape)).astype(np.float32)
    q = orthogonal(normal)
    assert q.shape == normal.shape
    small = q if shape[0] <= shape[1] else np.swapaxes(q, 1, 2)
    product = small @ np.swapaxes(small, 1, 2)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(min(shape)), product.shape), atol=2e-6)
    assert np.abs(q.mean(axis=0)).max() < 5 / math.sqrt(4000 * max(shape))
    np.testing.assert_allclose((q.astype(float) ** 2).mean(axis=0), 1 / max(shape), rtol=0.15)
