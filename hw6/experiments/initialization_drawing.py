"""The figure of initialization as data: variance of signals and gradients by layer, or of y_L by depth and width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw6.experiments.base import Drawing, Panel

LABELS = {
    "layer": "layer $\\ell$",
    "depth": "depth $L$",
    "width": "width",
    "input_width": "number of inputs $n_0$",
    "networks": "networks",
    "init": "initialization",
    "mean": "mean of $h_\\ell$",
    "variance": "variance of $h_\\ell$",
    "z": "$z$ of the variance",
    "y_second_moment": "mean square of $y_\\ell$",
    "gradient_variance": "variance of $\\partial y_L / \\partial y_\\ell$",
}


def drawing(values: Mapping[str, Sequence[Any]]) -> Drawing:
    """By layer; where depths are compared, y_L alone, since a layer has a number of its own in each of them."""
    return Drawing(
        panels=(
            Panel("variance", LABELS["variance"], theory="variance_theory", error="variance_se"),
            Panel(
                "gradient_variance",
                LABELS["gradient_variance"],
                theory="gradient_variance_theory",
                error="gradient_variance_se",
            ),
            Panel("z", LABELS["z"], log=False),
        ),
        x=("depth", "width"),
        index=("layer",),
        labels=LABELS,
        caption=("depth", "width", "init", "activation", "input_law", "networks"),
    )
