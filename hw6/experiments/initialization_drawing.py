"""The figure of initialization as data: variance of signals and gradients by layer, or of y_L by depth and width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw6.contract.drawing import Drawing, Histogram, Panel
from hw6.mathematics.initialization import EDGE

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
NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "init": {
        "pytorch": ("PyTorch's default",),
        "xavier_uniform": ("Xavier, uniform",),
        "xavier_normal": ("Xavier, normal",),
        "kaiming_uniform": ("Kaiming, uniform",),
        "kaiming_normal": ("Kaiming, normal",),
        "lecun_normal": ("LeCun, normal",),
    },
    "activation": {
        "identity": ("identity activation",),
        "relu": ("ReLU",),
        "leaky_relu": ("leaky ReLU",),
        "elu": ("ELU",),
        "silu": ("SiLU",),
    },
    "input_law": {
        "normal": ("normal inputs",),
        "uniform": ("uniform inputs",),
        "rademacher": ("Rademacher inputs",),
    },
}


def drawing(values: Mapping[str, Sequence[Any]]) -> Drawing:
    """By layer; where depths are compared, y_L alone, since a layer has a number of its own in each of them."""
    depths = len(values.get("depth", ())) > 1
    variance = "variance of $y_L$" if depths else LABELS["variance"]
    return Drawing(
        panels=(
            Panel("variance", variance, theory="variance_theory", error="variance_se", kind="theory"),
            Panel(
                "gradient_variance",
                LABELS["gradient_variance"],
                theory="gradient_variance_theory",
                error="gradient_variance_se",
                kind="gradient_theory",
            ),
        )[: 1 if depths else 2],
        x=("depth", "width"),
        index=() if depths else ("layer",),
        last="layer" if depths else None,
        histograms=(Histogram("histogram", -EDGE, EDGE, "$y_L$ / standard deviation by theory"),),
        names=NAMES,
        labels=LABELS | {"variance": variance},
        caption=("depth", "width", "init", "activation", "input_law", "networks"),
    )
