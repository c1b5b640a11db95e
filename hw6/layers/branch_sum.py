"""The last stage of a split-transform-merge layer, tile by tile: expand each branch, rectify, sum the branches.

    out_c(s) = sum over branches b of relu( sum_k W_b[c, k] h_b[k](s) + v_b[c] ),      s a pixel

Written as a convolution it makes ``branches * channels`` numbers a pixel (8,192 for the homework's layer) of which only
``channels`` remain. Here a tile of few pixels is expanded, rectified and summed while it lies in the cache, so that
what is held is one tile. The backward pass expands each tile again instead of keeping it: with m_b = [z_b > 0],

    dh_b = W_b' (g * m_b),      dW_b = sum over pixels (g * m_b) h_b',      dv_b = sum over pixels g * m_b.

Both passes are operators of torch of their own, ``hw6::branch_sum`` and ``hw6::branch_sum_backward``: autograd
differentiates through the first by the second, and a compiler takes each as one call and does not unroll the tiles. The
second has no derivative: a gradient of a gradient is refused by torch with a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Entries of a tile. On a CPU a tile of 4 MB of float32 was as fast as any between 2 and 8 MB; larger ones fall out
# of the cache, smaller ones pay for the calls. Elsewhere a call costs more and there is no such cache.
CPU_ENTRIES = 1 << 20
DEVICE_ENTRIES = 1 << 25


class Tile(NamedTuple):
    """A rectangle of pixels: some whole images (``p`` is then all their pixels), or a part of one."""

    images: slice
    pixels: slice
    size: int


def tiles(images: int, pixels: int, most: int) -> Iterator[Tile]:
    """Cut ``images`` of ``pixels`` each into tiles of at most ``most`` pixels (at least 1), each pixel in one."""
    if pixels == 0:
        return
    step = max(1, most // pixels)
    for image in range(0, images, step):
        last = min(images, image + step)
        for pixel in range(0, pixels, most):
            end = min(pixels, pixel + most)
            yield Tile(slice(image, last), slice(pixel, end), (last - image) * (end - pixel))


class _Stage:
    """Weights, hidden pixels and the one tile of memory of a pass.

    Half-precision numbers are computed in float32, as the convolutions of a CPU do inside; others in their own type.
    """

    def __init__(self, h: Tensor, weight: Tensor, bias: Tensor) -> None:
        half = h.dtype in (torch.float16, torch.bfloat16)
        self.dtype = torch.float32 if half else h.dtype
        self.h = h
        self.weight = weight.to(self.dtype)
        self.bias = bias.to(self.dtype).unsqueeze(2)
        self.branches, self.channels, self.width = weight.shape
        entries = CPU_ENTRIES if h.device.type == "cpu" else DEVICE_ENTRIES
        images, pixels = h.shape[:2]
        most = min(max(8, entries // max(1, self.branches * self.channels)), max(1, images * pixels))
        self.tiles = tiles(images, pixels, most)
        self.memory = h.new_empty(self.branches * self.channels * most, dtype=self.dtype)

    def hidden(self, tile: Tile) -> Tensor:
        """The tile's pixels by branch, (branches, width, size): a view."""
        flat = self.h[tile.images, tile.pixels].reshape(tile.size, self.branches, self.width)
        return flat.permute(1, 2, 0).to(self.dtype)

    def expanded(self, tile: Tile, hidden: Tensor) -> Tensor:
        """z of the tile, (branches, channels, size), in the one piece of memory."""
        shape = (self.branches, self.channels, tile.size)
        z = self.memory[: self.branches * self.channels * tile.size].view(shape)
        return torch.baddbmm(self.bias, self.weight, hidden, out=z)


def _at(image_major: Tensor, tile: Tile) -> Tensor:
    """The tile of a tensor (images, channels, pixels) as (channels, images, pixels): a view."""
    return image_major[tile.images, :, tile.pixels].transpose(0, 1)


@torch.library.custom_op(
    "hw6::branch_sum", mutates_args=(), schema="(Tensor h, Tensor weight, Tensor bias, bool pixel_major) -> Tensor"
)
def branch_sum(h: Tensor, weight: Tensor, bias: Tensor, pixel_major: bool) -> Tensor:
    """The sum of the rectified branches.

    Args:
        h: (images, pixels, branches * width), the branches' hidden channels side by side.
        weight: (branches, channels, width).
        bias: (branches, channels).
        pixel_major: the layout of the result.

    Returns:
        (images, pixels, channels) where ``pixel_major``, otherwise (images, channels, pixels); of h's type.
    """
    with torch.autocast(h.device.type, enabled=False):  # types were settled before
        stage = _Stage(h, weight, bias)
        out = _empty_out(h, weight, pixel_major)
        target = out.transpose(1, 2) if pixel_major else out
        ones = stage.weight.new_ones(1, stage.branches)
        for tile in stage.tiles:
            z = stage.expanded(tile, stage.hidden(tile)).clamp_min_(0)
            # As a product with ones: BLAS streams through the branches faster than a reduction does.
            total = torch.mm(ones, z.view(stage.branches, -1))
            part = _at(target, tile)
            part.copy_(total.view(part.shape))
    return out


def _empty_out(h: Tensor, weight: Tensor, pixel_major: bool) -> Tensor:
    images, pixels, channels = h.shape[0], h.shape[1], weight.shape[1]
    return h.new_empty((images, pixels, channels) if pixel_major else (images, channels, pixels))


@torch.library.custom_op(
    "hw6::branch_sum_backward",
    mutates_args=(),
    schema="(Tensor g, Tensor h, Tensor weight, Tensor bias, bool pixel_major) -> (Tensor, Tensor, Tensor)",
)
def branch_sum_backward(
    g: Tensor, h: Tensor, weight: Tensor, bias: Tensor, pixel_major: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of ``branch_sum`` by h, weight and bias, for a gradient ``g`` of its result, with their shapes."""
    with torch.autocast(h.device.type, enabled=False):
        stage = _Stage(h, weight, bias)
        grad_h = torch.empty_like(h, memory_format=torch.contiguous_format)
        grad_weight = stage.weight.new_zeros(stage.branches, stage.width, stage.channels)
        grad_bias = stage.weight.new_zeros(stage.branches, stage.channels)
        by_channel = g.transpose(1, 2) if pixel_major else g
        transposed = stage.weight.transpose(1, 2)
        for tile in stage.tiles:
            hidden = stage.hidden(tile)
            z = stage.expanded(tile, hidden)
            upstream = _at(by_channel, tile).reshape(stage.channels, tile.size).to(stage.dtype)
            torch.ops.aten.threshold_backward.grad_input(upstream.expand_as(z), z, 0.0, grad_input=z)
            # (width, size) (size, channels): the other way round BLAS is three to ten times slower.
            grad_weight.baddbmm_(hidden, z.transpose(1, 2))
            grad_bias += z.sum(2)
            part = grad_h[tile.images, tile.pixels]
            part.copy_(torch.bmm(transposed, z).permute(2, 0, 1).reshape(part.shape))
    grad_weight = grad_weight.transpose(1, 2).to(weight.dtype)
    return grad_h, grad_weight.contiguous(), grad_bias.to(bias.dtype)


@branch_sum.register_fake
def _(h: Tensor, weight: Tensor, bias: Tensor, pixel_major: bool) -> Tensor:
    return _empty_out(h, weight, pixel_major)


@branch_sum_backward.register_fake
def _(g: Tensor, h: Tensor, weight: Tensor, bias: Tensor, pixel_major: bool) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(h, memory_format=torch.contiguous_format),
        torch.empty_like(weight, memory_format=torch.contiguous_format),
        torch.empty_like(bias, memory_format=torch.contiguous_format),
    )


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, bool], output: Tensor) -> None:
    h, weight, bias, ctx.pixel_major = inputs
    ctx.save_for_backward(h, weight, bias)


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    return (*branch_sum_backward(g, *ctx.saved_tensors, ctx.pixel_major), None)


branch_sum.register_autograd(_backward, setup_context=_keep)
