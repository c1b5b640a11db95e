"""Two convolution layers of torch with one purpose: the plain bottleneck, and its split-transform-merge form.

    MyConvLayer     256 -> 128 -> 128 -> 256 channels by a 1x1, a 3x3 and a 1x1 convolution, a ReLU after each
    STMConvLayer    the same with 4 hidden channels, 32 times side by side; the 32 results are added up

``STMConvLayer`` has one set of parameters and three ways to compute with them, all of which give the same function:

    loop       a branch after the other, as one would write it down
    grouped    the branches as groups of one convolution: an intermediate of 32 * 256 channels
    fused      the first two stages for all branches at once, the last one tile by tile (``branch_sum``)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hw6.layers.branch_sum import branch_sum

IMPLEMENTATIONS = ("loop", "grouped", "fused")
# Up to this many pixels (batch times height times width) three grouped convolutions are as fast as the tiles, forward
# and backward together, and need no more memory than a tile.
FEW_PIXELS = 8
_BRANCH = re.compile(r"branches\.(\d+)\.(conv[123]\.(?:weight|bias))")


class MyConvLayer(nn.Module):
    """Three convolutions, each followed by a ReLU: 1x1 down to ``width`` channels, 3x3, and 1x1 back up."""

    def __init__(self, channels: int = 256, width: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv3 = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same shape."""
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(x))
        return functional.relu(self.conv3(x))


class STMConvLayer(nn.Module):
    """The sum of ``branches`` bottlenecks of ``width`` hidden channels each; no ReLU after the sum.

    The branches' parameters stand side by side in three convolutions: rows ``width * b`` to ``width * (b + 1)`` of
    ``conv1`` and ``conv2`` and rows ``channels * b`` to ``channels * (b + 1)`` of ``conv3`` belong to branch b. Their
    initial law is that of separate ``nn.Conv2d`` branches, since it depends on the number of inputs of an output alone.
    ``load_state_dict`` also takes the parameters branch by branch (see ``split_state``).

    ``fused`` has a first derivative only, and no forward-mode one; for a gradient of a gradient choose ``grouped``.

    Args:
        channels, width, branches: the sizes.
        implementation: one of ``IMPLEMENTATIONS``, or ``auto`` for the fastest that is right for its input.
    """

    def __init__(self, channels: int = 256, width: int = 4, branches: int = 32, implementation: str = "auto") -> None:
        super().__init__()
        if implementation not in (*IMPLEMENTATIONS, "auto"):
            raise ValueError(f"implementation={implementation}: must be one of {', '.join(IMPLEMENTATIONS)}, auto")
        self.channels, self.width, self.branches, self.implementation = channels, width, branches, implementation
        self.conv1 = nn.Conv2d(channels, width * branches, 1)
        self.conv2 = nn.Conv2d(width * branches, width * branches, 3, padding=1, groups=branches)
        self.conv3 = nn.Conv2d(width * branches, channels * branches, 1, groups=branches)

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        sizes = f"channels={self.channels}, width={self.width}, branches={self.branches}"
        return f"{sizes}, implementation={self.implementation!r}"

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same shape; or one image, without the batch.

        Raises:
            ValueError: another number of channels or of dimensions.
        """
        if x.dim() not in (3, 4) or x.shape[-3] != self.channels:
            expected = f"(batch, {self.channels}, height, width) or ({self.channels}, height, width)"
            raise ValueError(f"the input has shape {tuple(x.shape)}; expected {expected}")
        if x.dim() == 3:
            return self.forward(x.unsqueeze(0)).squeeze(0)
        chosen = self.chosen(x) if self.implementation == "auto" else self.implementation
        return {"loop": self._loop, "grouped": self._grouped, "fused": self._fused}[chosen](x)

    def chosen(self, x: Tensor) -> str:
        """What ``auto`` means for an input."""
        return "grouped" if x.shape[0] * x.shape[2] * x.shape[3] <= FEW_PIXELS else "fused"

    def _loop(self, x: Tensor) -> Tensor:
        parts = [part.chunk(self.branches) for conv in (self.conv1, self.conv2, self.conv3) for part in _pair(conv)]
        out = None
        for w1, b1, w2, b2, w3, b3 in zip(*parts, strict=True):
            y = functional.relu(functional.conv2d(x, w1, b1))
            y = functional.relu(functional.conv2d(y, w2, b2, padding=1))
            y = functional.relu(functional.conv2d(y, w3, b3))
            out = y if out is None else out + y
        assert out is not None
        return out

    def _grouped(self, x: Tensor) -> Tensor:
        y = functional.relu(self.conv1(x), inplace=True)
        y = functional.relu(self.conv2(y), inplace=True)
        y = functional.relu(self.conv3(y), inplace=True)
        return y.view(x.shape[0], self.branches, *x.shape[1:]).sum(1)

    def _fused(self, x: Tensor) -> Tensor:
        batch, channels, rows, columns = x.shape
        hidden = self.width * self.branches
        pixel_major = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        (w1, b1), (w3, b3) = _pair(self.conv1), _pair(self.conv3)
        # The first product gives the layout (pixel, channel), in which a CPU's grouped 3x3 convolution is twice as fast
        # as in the common one, and its gradients four times.
        y = torch.baddbmm(b1, x.flatten(2).transpose(1, 2), w1.flatten(1).t().expand(batch, -1, -1)).relu_()
        y = y.view(batch, rows, columns, hidden).permute(0, 3, 1, 2)
        y = functional.relu(self.conv2(y), inplace=True)
        h = y.permute(0, 2, 3, 1).reshape(batch, rows * columns, hidden)
        w3, b3 = w3.view(self.branches, channels, self.width), b3.view(self.branches, channels)
        out: Tensor = branch_sum(h, w3, b3, pixel_major)
        if pixel_major:
            return out.view(batch, rows, columns, channels).permute(0, 3, 1, 2)
        return out.view(x.shape)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if any(_BRANCH.fullmatch(name.removeprefix(prefix)) for name in state_dict if name.startswith(prefix)):
            mine = {name.removeprefix(prefix): state_dict[name] for name in state_dict if name.startswith(prefix)}
            for name in mine:
                del state_dict[prefix + name]
            state_dict.update({prefix + name: value for name, value in merge_state(mine).items()})
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _pair(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    assert conv.bias is not None
    return conv.weight, conv.bias


def split_state(state: Mapping[str, Tensor], branches: int = 32) -> dict[str, Tensor]:
    """The parameters of an ``STMConvLayer`` branch by branch: ``branches.7.conv1.weight`` and so on, as views.

    These are the names of a module whose ``branches`` is an ``nn.ModuleList`` of modules with ``conv1`` to ``conv3``.
    """
    parts = {name: value.chunk(branches) for name, value in state.items()}
    return {f"branches.{b}.{name}": part[b] for b in range(branches) for name, part in parts.items()}


def merge_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of ``split_state``; names that are no branch's are kept as they are."""
    merged = {name: value for name, value in state.items() if not _BRANCH.fullmatch(name)}
    found: dict[str, dict[int, Tensor]] = {}
    for name, value in state.items():
        if match := _BRANCH.fullmatch(name):
            found.setdefault(match[2], {})[int(match[1])] = value
    return merged | {name: torch.cat([parts[b] for b in sorted(parts)]) for name, parts in found.items()}
