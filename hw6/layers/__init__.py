"""Convolution layers of torch: the plain bottleneck, its split-transform-merge form. Importing this imports torch."""

from __future__ import annotations

from hw6.layers.convolution import IMPLEMENTATIONS, MyConvLayer, STMConvLayer, merge_state, split_state

__all__ = ["IMPLEMENTATIONS", "MyConvLayer", "STMConvLayer", "merge_state", "split_state"]
