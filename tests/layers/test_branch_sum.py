"""The fused last stage against its formula and torch's own derivative; its tiles; the count of memory; the problem."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hw6.layers.allocations import peak_bytes
from hw6.layers.branch_sum import branch_sum, tiles
from hw6.layers.measure import KINK, Setting, at_kinks, largest_difference, make_layer, measure, problem, reference

SIZES = st.tuples(*(st.integers(low, high) for low, high in ((0, 4), (1, 9), (1, 4), (1, 5), (1, 4))))


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plain(h, weight, bias, pixel_major):
    """The formula, with everything held."""
    branches, _, width = weight.shape
    hidden = h.unflatten(2, (branches, width))
    z = torch.einsum("bck,npbk->npbc", weight, hidden) + bias
    out = z.relu().sum(2)
    return out if pixel_major else out.transpose(1, 2)


def case(images, pixels, branches, channels, width, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((images, pixels, branches * width), (branches, channels, width), (branches, channels))
    return [torch.randn(shape, dtype=dtype, generator=generator).requires_grad_() for shape in shapes]


@given(images=st.integers(0, 9), pixels=st.integers(0, 40), most=st.integers(1, 50))
def test_tiles_cover_every_pixel_once(images, pixels, most):
    count = torch.zeros(images, pixels, dtype=torch.int64)
    for tile in tiles(images, pixels, most):
        part = count[tile.images, tile.pixels]
        assert part.numel() == tile.size <= most
        assert part.shape[0] == 1 or part.shape[1] == pixels  # a view of consecutive pixels
        part += 1
    assert bool((count == 1).all())


@settings(deadline=None, max_examples=60)
@given(sizes=SIZES, pixel_major=st.booleans(), entries=st.sampled_from((1, 100, 1 << 20)), seed=st.integers(0, 99))
def test_values_and_gradients_are_those_of_the_formula(sizes, pixel_major, entries, seed):
    ours, theirs = case(*sizes, seed=seed), case(*sizes, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("hw6.layers.branch_sum"), "CPU_ENTRIES", entries)
        out, expected = branch_sum(*ours, pixel_major), plain(*theirs, pixel_major)
        g = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1))
        out.backward(g)
        expected.backward(g)
    pairs = [(out, expected), *((a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))]
    for got, right in pairs:
        assert got.shape == right.shape
        torch.testing.assert_close(got, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pixel_major", [True, False])
def test_gradcheck(pixel_major):
    assert torch.autograd.gradcheck(lambda *a: branch_sum(*a, pixel_major), case(2, 3, 3, 2, 2))


@pytest.mark.parametrize("pixel_major", [True, False])
def test_the_operator_keeps_torchs_rules(pixel_major):
    """Schema, shapes without data, registration of the derivative: torch's own checks of an operator."""
    torch.library.opcheck(branch_sum, (*case(2, 3, 3, 2, 2), pixel_major))


def test_a_gradient_that_is_one_number_spread_out():
    ours, theirs = case(2, 5, 3, 4, 2), case(2, 5, 3, 4, 2)
    branch_sum(*ours, False).sum().backward()
    plain(*theirs, False).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(dtype):
    exact = case(2, 7, 32, 5, 4)
    half = [tensor.detach().to(dtype).requires_grad_() for tensor in exact]
    out = branch_sum(*half, False)
    right = branch_sum(*(tensor.detach().double() for tensor in half), False)
    out.float().sum().backward()
    assert out.dtype == dtype
    assert all(tensor.grad.dtype == dtype for tensor in half)
    assert float((out.detach().double() - right).abs().max() / right.abs().max()) <= torch.finfo(dtype).eps


def test_a_gradient_of_a_gradient_is_refused_not_wrong():
    inputs = case(1, 2, 2, 2, 2)
    (first,) = torch.autograd.grad(branch_sum(*inputs, False).sum(), inputs[0], create_graph=True)
    with pytest.raises(RuntimeError):
        first.sum().backward()


# --- memory -------------------------------------------------------------------------------------------------


def test_peak_of_a_known_case(capfd):
    x = torch.zeros(1000)

    def work():
        a = x + 1  # 4 kB
        b = torch.cat([a, a])  # 12 kB
        del a
        return torch.cat([b, b])  # 8 + 16 kB

    assert peak_bytes(work) == 24_000
    assert peak_bytes(lambda: None) == 0
    assert peak_bytes(lambda: torch.zeros(1000).sum()) in range(4000, 4100)
    assert capfd.readouterr().err == ""


def test_peak_sees_inside_an_operator():
    """torch.cdist by its matrix formula makes longer copies of both inputs, which no tensor outside shows."""
    a, b = torch.randn(100, 10), torch.randn(100, 10)
    seen = peak_bytes(lambda: torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist"))
    assert seen > 100 * 100 * 4 + 2 * 100 * 10 * 4


def test_the_work_may_fail(capfd):
    with pytest.raises(ZeroDivisionError):
        peak_bytes(lambda: 1 // 0)
    assert peak_bytes(lambda: torch.zeros(250)) == 1000


# --- what is measured ---------------------------------------------------------------------------------------


def test_the_upstream_gradient_is_zero_at_kinks_alone():
    setting = Setting(3, "float64", 2, 9)
    layer = make_layer(setting, "loop")
    x, upstream = problem(setting)
    for image, g in zip(x, upstream, strict=True):
        kinks = at_kinks(layer, image)
        assert torch.equal(g == 0, kinks)
        assert 0 < kinks.double().mean() < 0.2
        # Independent: no shift of all pre-activations by less than KINK changes a gradient where no kink is.
        grads = []
        for shift in (-0.9 * KINK, 0.9 * KINK):
            moved = image[None].clone().requires_grad_()
            signs = make_layer(setting, "loop")
            with torch.no_grad():
                signs.conv3.bias += shift
            signs(moved).backward(g[None])
            grads.append(moved.grad)
        torch.testing.assert_close(grads[0], grads[1], rtol=0, atol=1e-14)


def test_float32_and_float64_have_one_problem():
    wide, narrow = (problem(Setting(1, dtype, 1, 5)) for dtype in ("float64", "float32"))
    for a, b in zip(wide, narrow, strict=True):
        assert torch.equal(a.float(), b)


def test_parameters_follow_the_law_of_conv2d_and_the_seed():
    layer, other = make_layer(Setting(0, "float64", 1, 1), "fused"), make_layer(Setting(1, "float64", 1, 1), "fused")
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
    measure(Setting(0, "float32", 1, 2), "fused", 1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("implementation", ["loop", "grouped", "fused"])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-12)])
def test_measured_differences(implementation, dtype, bound):
    found = measure(Setting(0, dtype, 2, 6), implementation, 2)
    assert found.parameters == 78_592
    assert found.difference <= bound
    assert (found.difference == 0.0) == (implementation == "loop")
    assert min(found.forward_ms, found.backward_ms) > 0
    assert found.peak > 2 * 256 * 36 * 4


def test_a_wrong_answer_is_seen(monkeypatch):
    right = reference(Setting(0, "float64", 1, 3))
    wrong = [tensor.clone() for tensor in right]
    assert largest_difference(wrong, right) == 0.0
    wrong[3].view(-1)[1] += 1e-3 * right[3].abs().max()
    assert largest_difference(wrong, right) == pytest.approx(1e-3)
