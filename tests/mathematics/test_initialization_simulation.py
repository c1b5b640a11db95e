"""The simulation: equal to torch's forward and backward pass for the weights it drew, nested, bounded in memory."""

import math
import tracemalloc

import numpy as np
import pytest

from hw6.mathematics import initialization_simulation as simulation
from hw6.mathematics import streams
from hw6.mathematics.activations import INITIALIZATION
from hw6.mathematics.initialization import BINS, EDGE, INITS, NetworkLaw, moments
from hw6.mathematics.initialization_simulation import networks_in_batch, numbers_drawn, simulate


def drawn(net, seed, count):
    """Weights, biases and inputs of the first networks, as the simulation draws them."""
    layout = simulation._lay_out(net, moments(net))
    source = simulation._Source(net, layout, seed, count)
    numbers, x = source.draw(count)
    layers = []
    for index, (part, biases, shape) in enumerate(layout.parts):
        weights = numbers[:, part].reshape(count, *shape).astype(np.float64) * layout.weight[index]
        zero = np.zeros((count, shape[0]))
        layers.append((weights, numbers[:, biases].astype(np.float64) * layout.bias[index] if biases else zero))
    return layers, x.astype(np.float64)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("activation", INITIALIZATION)
def test_signals_and_gradients_are_torch_s(init, activation):
    """Every network built from nn.Linear modules with the drawn weights: forward, autograd, averages."""
    torch = pytest.importorskip("torch")
    net, count = NetworkLaw((5, 4, 7, 3, 1), init, activation, "uniform"), 6
    layers, x = drawn(net, 9, count)
    module = {"silu": "silu", "identity": None}.get(activation, activation)
    squares, slopes = np.zeros((count, 4)), np.zeros((count, 5))
    for k in range(count):
        y = torch.tensor(x[k], requires_grad=True)
        signals, h = [y], None
        for index, (weights, biases) in enumerate(layers):
            linear = torch.nn.Linear(*weights.shape[:0:-1], dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weights[k]))
                linear.bias.copy_(torch.from_numpy(biases[k]))
            h = linear(signals[-1])
            squares[k, index] = (h**2).mean().item()
            last = index == len(layers) - 1
            signals.append(h if last or module is None else getattr(torch.nn.functional, module)(h))
        gradients = torch.autograd.grad(signals[-1].sum(), signals)
        slopes[k] = [(g**2).mean().item() for g in gradients]
    found = simulate(net, count, 9)
    np.testing.assert_allclose(found.square, squares.mean(axis=0), rtol=2e-5)
    np.testing.assert_allclose(found.gradient, slopes.mean(axis=0), rtol=2e-5)
    np.testing.assert_allclose(found.square_se, squares.std(axis=0, ddof=1) / math.sqrt(count), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(found.gradient_se, slopes.std(axis=0, ddof=1) / math.sqrt(count), rtol=1e-3, atol=1e-7)


def test_against_a_loop_over_real_modules():
    """nn.Sequential of fresh nn.Linear layers, their weights drawn by torch itself: equal within standard errors."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net, count = NetworkLaw((6, 6, 6, 1)), 3000
    out = np.empty(count)
    with torch.no_grad():
        for k in range(count):
            model = torch.nn.Sequential(
                *(torch.nn.Linear(n, m) for n, m in zip(net.widths, net.widths[1:], strict=False))
            )
            out[k] = model(torch.randn(6)).item()
    theory, found = moments(net), simulate(net, count, 0)
    error = theory.variance[-1] * math.sqrt(theory.spread(net.widths)[-1] / count)
    assert abs(np.mean(out**2) - found.square[-1]) < 4.5 * math.sqrt(2) * error
    assert abs(np.mean(out**2) - theory.variance[-1]) < 4.5 * error
    # The same distribution: Kolmogorov's distance of the two histograms.
    edges = np.linspace(-EDGE, EDGE, BINS + 1)[1:-1] * math.sqrt(theory.variance[-1])
    torch_s = np.searchsorted(np.sort(out), edges) / count
    ours = np.cumsum(found.histogram)[:-1] / count
    assert np.abs(torch_s - ours).max() < 1.95 * math.sqrt(2 / count)


@pytest.mark.parametrize("init", ["pytorch", "kaiming_uniform", "xavier_normal", "orthogonal"])
@pytest.mark.parametrize("law", ["normal", "uniform", "rademacher"])
def test_the_first_networks_do_not_depend_on_how_many_there_are(init, law, monkeypatch):
    """Nested, and the batch is no part of the result but for the order of summation."""
    net = NetworkLaw((3, 5, 1), init, input_law=law)
    few, many = drawn(net, 4, 3), drawn(net, 4, 50)
    for (weights, biases), (more_weights, more_biases) in zip(few[0], many[0], strict=True):
        np.testing.assert_array_equal(weights, more_weights[:3])
        np.testing.assert_array_equal(biases, more_biases[:3])
    np.testing.assert_array_equal(few[1], many[1][:3])
    whole = simulate(net, 101, 4)
    monkeypatch.setattr(simulation, "BATCH_BYTES", 4 * 7 * numbers_drawn(net))
    assert networks_in_batch(numbers_drawn(net)) == 7
    pieces = simulate(net, 101, 4)
    np.testing.assert_allclose(pieces.square, whole.square, rtol=1e-12)
    np.testing.assert_allclose(pieces.gradient, whole.gradient, rtol=1e-12)
    np.testing.assert_array_equal(pieces.histogram, whole.histogram)


def test_how_many_networks_a_batch_has_is_fixed():
    """It decides in which order numbers are summed, hence bits: 8 MiB of float32, at most 4,096 and at least one."""
    assert [networks_in_batch(drawn) for drawn in (2, 512, 10_000, 2**21, 10**9)] == [4096, 4096, 209, 1, 1]


def test_all_weights_are_drawn_and_differ():
    net = NetworkLaw((4, 6, 1))
    layers, x = drawn(net, 0, 200)
    for weights, biases in layers:
        for values in (weights, biases):
            assert len(np.unique(values)) > 0.999 * values.size
    assert numbers_drawn(net) == 4 * 6 + 6 + 6 + 1 + 1  # made even
    assert len(np.unique(x)) == x.size


def test_uniform_numbers_are_uniform_to_the_ends():
    out = np.empty((1000, 200), dtype=np.float32)
    simulation._uniform(np.random.Generator(streams.words(0, streams.INITIAL_WEIGHTS)), out)
    flat = np.sort(out.ravel().astype(np.float64)) * simulation.WORD
    assert -1 <= flat[0] < -0.9999
    assert 0.9999 < flat[-1] <= 1
    assert np.abs(flat / 2 + 0.5 - np.arange(1, flat.size + 1) / flat.size).max() < 1.95 / math.sqrt(flat.size)
    assert abs(np.corrcoef(out[:, :-1:2].ravel(), out[:, 1::2].ravel())[0, 1]) < 4.5 / math.sqrt(flat.size / 2)


def test_memory_does_not_grow_with_networks():
    net = NetworkLaw((32,) * 8 + (1,))
    simulate(net, 10, 0)
    peaks = []
    for networks in (1500, 12_000):
        tracemalloc.start()
        simulate(net, networks, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0] + 1e5
    assert peaks[1] < 3.5 * simulation.BATCH_BYTES


def test_signals_far_outside_float32_keep_their_digits():
    """2^-300 forward, 3^-200 backward: kept in range by powers of two."""
    vanishing = NetworkLaw((6,) * 300 + (1,), "lecun_normal", "leaky_relu")
    theory, found = moments(vanishing), simulate(vanishing, 50, 0)
    assert theory.variance[250] < 1e-70
    assert (found.square > 0).all()
    np.testing.assert_allclose(found.square / theory.variance - 1, found.relative, rtol=1e-9, atol=1e-12)
    deep = NetworkLaw((8,) * 200 + (1,))
    theory, found = moments(deep), simulate(deep, 400, 0)
    assert theory.gradient[1] < 1e-90
    assert (found.gradient > 0).all()
    np.testing.assert_allclose(found.gradient[-8:-1], theory.gradient[-8:-1], rtol=0.3)


def test_one_network_has_no_standard_error():
    found = simulate(NetworkLaw((2, 1)), 1, 0)
    assert np.isnan(found.square_se).all()
    assert np.isnan(found.gradient_se).all()
    assert found.histogram.sum() == 1


def test_the_outer_bins_of_the_histogram_are_open():
    """Products of normal numbers have heavy tails: values beyond the histogram on both sides count in its last bins."""
    net, count = NetworkLaw((1,) * 6, "lecun_normal"), 6000
    layers, x = drawn(net, 2, count)
    y = x[:, 0]
    for weights, _ in layers:
        y = y * weights[:, 0, 0]
    y /= math.sqrt(moments(net).variance[-1])
    assert min((y < -EDGE).sum(), (y > EDGE).sum()) > 5
    edges = np.concatenate(([-np.inf], np.linspace(-EDGE, EDGE, BINS + 1)[1:-1], [np.inf]))
    ours, expected = simulate(net, count, 2).histogram, np.histogram(y, edges)[0]
    by_rounding = int((np.abs(y[:, None] - edges[1:-1]) < 2e-6).sum())  # float32 decides which side of an edge
    assert by_rounding < 20
    assert np.abs(ours - expected).sum() <= 2 * by_rounding
    assert (ours[0], ours[-1], ours.sum()) == (expected[0], expected[-1], count)
