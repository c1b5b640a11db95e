"""The fused last stage against its formula and torch's own derivative; its tiles."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hw6.layers.allocations import peak_bytes
from hw6.layers.branch_sum import branch_sum, tiles

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
@pytest.mark.slow
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


def test_what_is_held_is_one_tile():
    """Of 98 MB of expanded branches a pass holds 4 MB, whatever the number of pixels."""
    images, pixels, branches, channels, width = 3, 4000, 32, 64, 4
    h, weight, bias = (tensor.detach() for tensor in case(images, pixels, branches, channels, width, torch.float32))
    result = 4 * images * pixels * channels
    tile = 4 * 2**20
    assert tile <= peak_bytes(lambda: branch_sum(h, weight, bias, False)) - result <= 1.1 * tile
    for tensor in (h, weight, bias):
        tensor.requires_grad_()
    out = branch_sum(h, weight, bias, False)
    extra = peak_bytes(lambda: out.backward(torch.ones_like(out))) - result - 4 * h.numel()
    assert tile <= extra <= 2.1 * tile
