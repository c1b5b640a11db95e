"""What is measured of the layers: the problem, its kinks, its parameters, and how differences are told."""

from __future__ import annotations

import pytest
import torch

from hw6.layers import measure as measuring
from hw6.layers.convolution import STMConvLayer
from hw6.layers.measure import KINK, Problem, at_kinks, largest_difference, make_layer, measure, reference, tensors


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_upstream_gradient_is_zero_at_kinks_alone():
    problem = Problem(3, "float64", 2, 9)
    layer = make_layer(problem, "loop")
    x, upstream = tensors(problem)
    for image, g in zip(x, upstream, strict=True):
        kinks = at_kinks(layer, image)
        assert torch.equal(g == 0, kinks)
        assert 0 < kinks.double().mean() < 0.2
        # Independent: no shift of all pre-activations by less than KINK changes a gradient where no kink is.
        grads = []
        for shift in (-0.9 * KINK, 0.9 * KINK):
            moved = image[None].clone().requires_grad_()
            signs = make_layer(problem, "loop")
            with torch.no_grad():
                signs.conv3.bias += shift
            signs(moved).backward(g[None])
            grads.append(moved.grad)
        torch.testing.assert_close(grads[0], grads[1], rtol=0, atol=1e-14)


def test_float32_and_float64_have_one_problem():
    wide, narrow = (tensors(Problem(1, dtype, 1, 5)) for dtype in ("float64", "float32"))
    for a, b in zip(wide, narrow, strict=True):
        assert torch.equal(a.float(), b)


def test_parameters_follow_the_law_of_conv2d_and_the_seed():
    layer, other = make_layer(Problem(0, "float64", 1, 1), "fused"), make_layer(Problem(1, "float64", 1, 1), "fused")
    torch.manual_seed(0)
    for name, parameter in layer.named_parameters():
        conv = layer.get_submodule(name.partition(".")[0])
        bound = conv.weight[0].numel() ** -0.5
        assert 0.9 * bound < parameter.abs().max() <= bound
        assert not torch.equal(parameter, other.get_parameter(name))


def test_measuring_leaves_torchs_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    measure(Problem(0, "float32", 1, 2), "fused", 1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("implementation", ["loop", "grouped", "fused"])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.slow
def test_measured_differences(implementation, dtype, bound):
    found = measure(Problem(0, dtype, 2, 6), implementation, 2)
    assert found.parameters == 78_592
    assert found.difference <= bound
    assert (found.difference == 0.0) == (implementation == "loop")
    assert min(found.forward_ms, found.backward_ms) > 0
    assert found.peak > 2 * 256 * 36 * 4


def test_a_wrong_answer_is_seen(monkeypatch):
    right = reference(Problem(0, "float64", 1, 3))
    wrong = [tensor.clone() for tensor in right]
    assert largest_difference(wrong, right) == 0.0
    wrong[3].view(-1)[1] += 1e-3 * right[3].abs().max()
    assert largest_difference(wrong, right) == pytest.approx(1e-3)


@pytest.mark.parametrize(("stage", "reached"), [("conv1", 3), ("conv2", 1), ("conv3", 1)])
def test_a_kink_reaches_the_outputs_that_depend_on_it(stage, reached):
    """One pre-activation is moved to zero: three by three pixels behind the first stage, its own pixel elsewhere."""
    torch.manual_seed(0)
    layer, image = STMConvLayer(6, 2, 3, "loop").double(), torch.randn(6, 9, 8, dtype=torch.float64)
    assert not at_kinks(layer, image).any()
    unit, row, column = (10, 4, 5) if stage == "conv3" else (3, 4, 5)
    seen = []
    conv = layer.get_submodule(stage)
    with torch.no_grad():
        y = image[None]
        for name in ("conv1", "conv2", "conv3"):
            y = layer.get_submodule(name)(y)
            if name == stage:
                seen.append(float(y[0, unit, row, column]))
            y = y.relu()
        conv.bias[unit] -= seen[0]
    expected = torch.zeros(6, 9, 8, dtype=torch.bool)
    around = reached // 2
    channels = slice(unit % 6, unit % 6 + 1) if stage == "conv3" else slice(None)
    expected[channels, row - around : row + around + 1, column - around : column + around + 1] = True
    assert torch.equal(at_kinks(layer, image), expected)
    with torch.no_grad():  # within KINK of zero, and beyond it
        for share, found in ((-0.9, True), (0.9, True), (-1.1, False), (1.1, False)):
            conv.bias[unit] += share * KINK
            assert bool(at_kinks(layer, image).any()) == found
            conv.bias[unit] -= share * KINK


def test_kinks_are_some_ten_roundings_wide_and_few():
    """float32 against float64: how far pre-activations differ, and how much of the upstream gradient goes."""
    wide, narrow = (make_layer(Problem(0, dtype, 1, 14), "loop") for dtype in ("float64", "float32"))
    x, upstream = tensors(Problem(0, "float64", 1, 14))
    with torch.no_grad():
        y, z, worst = x, x.float(), 0.0
        for name in ("conv1", "conv2"):
            y, z = wide.get_submodule(name)(y), narrow.get_submodule(name)(z)
            worst = max(worst, float((y - z).abs().max()))
            y, z = y.relu(), z.relu()
    assert KINK / 20 < worst < KINK / 5
    assert 0.0 < float((upstream == 0).double().mean()) < 0.1


def test_times_are_those_of_the_passes(monkeypatch):
    """On a clock that moves in a forward and in a backward pass alone: medians, in milliseconds."""
    now = [1000.0]
    steps = iter([(9.0, 9.0), (0.25, 0.5), (3.0, 5.0), (0.125, 0.0625)])  # the first pass is not timed

    def make(problem, implementation):
        layer = make_layer(problem, implementation)

        def passed(module, given, output):
            assert all(tensor.grad is None for tensor in (*given, *module.parameters()))  # a pass starts from nothing
            forward, backward = next(steps)
            now[0] += forward
            output.register_hook(lambda g: now.__setitem__(0, now[0] + backward))

        layer.register_forward_hook(passed)
        return layer

    monkeypatch.setattr(measuring, "make_layer", make)
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now[0])
    found = measure(Problem(0, "float32", 1, 1), "loop", 3)
    assert (found.forward_ms, found.backward_ms) == (250.0, 500.0)
