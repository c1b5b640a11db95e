"""Gradients in a deep perceptron, with and without residual connections: what survives when one layer is zeroed?

A cell is one network; it has a row for every layer. The gradients come from formulas
(``hw6.mathematics.residual``), and each row says how far automatic differentiation is from them. Setting A_j = 0, or
s' = 0, at a layer j cuts the plain network in two: every gradient below j is exactly zero. With residual connections
the identity carries the gradient past layer j.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hw6.contract.drawing import Drawing, Panel
from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.keys import Choice, Flag, Integer, Key
from hw6.errors import BadInput
from hw6.experiments.torch_use import TORCH_BYTES, one_thread, refuse_without_torch
from hw6.mathematics.activations import RESIDUAL

KEYS: dict[str, Key] = {
    "depth": Integer(help="number of layers L, the last one linear", minimum=2, maximum=100_000, default=20),
    "width": Integer(help="entries of every hidden layer", minimum=1, default=32),
    "input_width": Integer(help="entries of the input x", minimum=1, default=32),
    "skip": Flag(help="residual connections in layers 2 to L-1; false: a plain network", default=True),
    "activation": Choice(help="the activation s of the hidden layers", choices=RESIDUAL, default="tanh"),
    "zeroed_layer": Integer(help="the layer j, 2 to L-1, at which something is set to zero; 0: none", default=0),
    "zeroed": Choice(
        help="what is set to zero there: A (the weights) or derivative (s' = 0)",
        choices=("A", "derivative"),
        default="A",
    ),
    "seed": Integer(help="weights, biases and input are a function of this number", default=0),
}
METRICS = {
    "layer": "layer l of this row",
    "gradient_norm_A": "Euclidean norm of the gradient of y_L with respect to A_l",
    "gradient_norm_b": "Euclidean norm of the gradient of y_L with respect to b_l",
    "autograd_difference": "largest relative difference of these gradients from automatic differentiation",
}


def rows(cells: Cells) -> Columns:
    """A row for every layer of every cell."""
    names = ("depth", "width", "input_width", "skip", "activation", "zeroed_layer", "zeroed", "seed")
    with one_thread():
        found = [_layers(*cell) for cell in zip(*(cells[name].tolist() for name in names), strict=True)]
    depths = cells["depth"].astype(np.int64)
    columns = {
        name: np.concatenate(values) for name, values in zip(list(METRICS)[1:], zip(*found, strict=True), strict=True)
    }
    layers = np.concatenate([np.arange(1, depth + 1) for depth in depths])
    return {"layer": layers, **columns, "cell": np.repeat(np.arange(len(depths)), depths)}


def _layers(
    depth: int, width: int, input_width: int, skip: bool, activation: str, zeroed_layer: int, zeroed: str, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient norms and differences from autograd of one network, (depth,) each."""
    from hw6.mathematics import residual

    weights, biases, x = residual.draw(seed, depth, width, input_width)
    if zeroed == "A" and zeroed_layer:
        weights[zeroed_layer - 1].zero_()
    flat = zeroed_layer if zeroed == "derivative" else 0
    network = residual.Perceptron(weights, biases, activation, skip, flat)
    trace = residual.forward(network, x)
    gradients_b = residual.backward(network, trace)
    norms_a, norms_b = residual.norms(trace, gradients_b)
    return norms_a, norms_b, residual.autograd_differences(network, x, trace, gradients_b)


def refuse(cells: Cells) -> list[BadInput]:
    """What cannot be run, one mistake for each distinct one."""
    depth, layer = cells["depth"], cells["zeroed_layer"]
    outside = (layer != 0) & ((layer < 2) | (layer >= depth))
    mistakes = [
        BadInput("zeroed_layer", j, f"must be 0 (none) or a layer from 2 to depth-1={bound - 1}")
        if bound > 2
        else BadInput("zeroed_layer", j, "must be 0 (none): depth=2 has no layer between its first and its last")
        for j, bound in sorted(set(zip(layer[outside].tolist(), depth[outside].tolist(), strict=True)))[:10]
    ]
    return [*mistakes, *refuse_without_torch("residual")]


def _weights(cells: Cells) -> np.ndarray:
    """The number of weights of each cell."""
    depth, width, entries = (cells[name].astype(float) for name in ("depth", "width", "input_width"))
    return np.asarray(width * entries + (depth - 2) * width * width + width)


def memory(cells: Cells) -> np.ndarray:
    """Bytes: torch; the weights, autograd's gradients, and the largest layer while it is drawn and compared."""
    width, entries = (cells[name].astype(float) for name in ("width", "input_width"))
    return np.asarray(TORCH_BYTES + 8.0 * (2 * _weights(cells) + 3 * width * np.maximum(width, entries)))


def rows_of(cells: Cells) -> np.ndarray:
    """A row a layer."""
    return cells["depth"]


def price(cells: Cells) -> np.ndarray:
    """Estimated seconds of one core for each cell: measured 5e-8 a weight, most of it drawing, and 0.3 ms a layer."""
    return np.asarray(1e-3 + 3e-4 * cells["depth"].astype(float) + 5e-8 * _weights(cells))


def drawing(values: Mapping[str, Sequence[Any]]) -> Drawing:
    """The gradient by layer: residual against plain, as drawn and with a layer zeroed."""
    what = list(values.get("zeroed", ()))
    symbol = {"A": "A", "derivative": "σ′"}[what[0]] if len(what) == 1 else "A or σ′"
    named = {
        str(j): (f"{symbol} = 0 at layer {j:g}" if j else "nothing zeroed",) for j in values.get("zeroed_layer", ())
    }
    return Drawing(
        panels=(Panel("gradient_norm_A", "$\\|\\partial y_L/\\partial A_\\ell\\|$", log=True),),
        x=("layer",),
        index=("layer",),
        labels={
            "layer": "layer $\\ell$",
            "depth": "depth $L$",
            "width": "width $m$",
            "gradient_norm_b": "$\\|\\partial y_L/\\partial b_\\ell\\|$",
        },
        names={
            "skip": {"true": ("residual",), "false": ("plain",)},
            "zeroed_layer": named,
            "zeroed": {"A": ("A zeroed",), "derivative": ("σ′ zeroed",)} if len(what) > 1 else {},
        },
        caption=("depth", "width", "activation"),
        best=("gradient_norm_A",),
    )


EXPERIMENT = Experiment(
    name="residual",
    version=1,
    keys=KEYS,
    metrics=METRICS,
    rows=rows,
    objective="gradient_norm_A",
    order=("activation", "input_width", "width", "seed", "depth", "skip", "zeroed", "zeroed_layer"),
    refuse=refuse,
    price=price,
    rows_of=rows_of,
    memory=memory,
    drawing=drawing,
)
