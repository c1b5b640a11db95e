"""Gradients in a deep perceptron, with and without residual connections: what survives when one layer is zeroed?

A cell is one network; it has a row for every layer. The gradients come from formulas
(``hw6.mathematics.residual``), and each row says how far automatic differentiation is from them. Setting A_j = 0, or
s' = 0, at a layer j cuts the plain network in two: every gradient below j is exactly zero. With residual connections
the identity carries the gradient past layer j.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from hw6.contract.drawing import Drawing, Panel
from hw6.contract.keys import Choice, Integer
from hw6.contract.per_cell import experiment
from hw6.errors import BadInput
from hw6.experiments.torch_use import TORCH_BYTES, one_thread, refuse_without_torch
from hw6.mathematics.activations import RESIDUAL

METRICS = {
    "layer": "layer l of this row",
    "gradient_norm_A": "Euclidean norm of the gradient of y_L with respect to A_l",
    "gradient_norm_b": "Euclidean norm of the gradient of y_L with respect to b_l",
    "autograd_difference": "largest relative difference of these gradients from automatic differentiation",
}


def refuse(zeroed_layer: int, depth: int) -> list[BadInput]:
    """A layer that is not there, or a package that is not."""
    mistakes = refuse_without_torch("residual")
    if zeroed_layer and not 2 <= zeroed_layer < depth:
        allowed = f"must be 0 (none) or a layer from 2 to depth-1={depth - 1}"
        if depth <= 2:
            allowed = "must be 0 (none): depth=2 has no layer between its first and its last"
        mistakes.append(BadInput("zeroed_layer", zeroed_layer, allowed))
    return mistakes


def _weights(depth: int, width: int, input_width: int) -> float:
    """The number of weights."""
    return float(width) * input_width + (depth - 2) * float(width) * width + width


def memory(depth: int, width: int, input_width: int) -> float:
    """Bytes: torch; the weights, autograd's gradients, and the largest layer while it is drawn and compared."""
    largest = float(width) * max(width, input_width)
    return TORCH_BYTES + 8.0 * (2 * _weights(depth, width, input_width) + 3 * largest)


def price(depth: int, width: int, input_width: int) -> float:
    """Estimated seconds of one core: measured 5e-8 a weight, most of it drawing, and 0.3 ms a layer."""
    return 1e-3 + 3e-4 * depth + 5e-8 * _weights(depth, width, input_width)


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


@experiment(
    metrics=METRICS,
    objective="gradient_norm_A",
    order=("activation", "input_width", "width", "seed", "depth", "skip", "zeroed", "zeroed_layer"),
    refuse=refuse,
    price=price,
    rows_of=lambda depth: depth,
    memory=memory,
    drawing=drawing,
)
def residual(
    depth: Annotated[int, Integer(help="number of layers L, the last one linear", minimum=2, maximum=100_000)] = 20,
    width: Annotated[int, Integer(help="entries of every hidden layer", minimum=1)] = 32,
    input_width: Annotated[int, Integer(help="entries of the input x", minimum=1)] = 32,
    skip: Annotated[bool, "residual connections in layers 2 to L-1; false: a plain network"] = True,
    activation: Annotated[str, Choice(help="the activation s of the hidden layers", choices=RESIDUAL)] = "tanh",
    zeroed_layer: Annotated[int, Integer(help="the layer j, 2 to L-1, at which something is set to zero; 0: none")] = 0,
    zeroed: Annotated[
        Literal["A", "derivative"], "what is set to zero there: A (the weights) or derivative (s' = 0)"
    ] = "A",
    seed: Annotated[int, Integer(help="weights, biases and input are a function of this number")] = 0,
) -> dict[str, Any]:
    """Gradient norms by formula, and their differences from automatic differentiation, a row a layer."""
    from hw6.mathematics import residual as formulas

    with one_thread():
        weights, biases, x = formulas.draw(seed, depth, width, input_width)
        if zeroed == "A" and zeroed_layer:
            weights[zeroed_layer - 1].zero_()
        flat = zeroed_layer if zeroed == "derivative" else 0
        network = formulas.Perceptron(weights, biases, activation, skip, flat)
        trace = formulas.forward(network, x)
        gradients_b = formulas.backward(network, trace)
        norms_a, norms_b = formulas.norms(trace, gradients_b)
        differences = formulas.autograd_differences(network, x, trace, gradients_b)
    return dict(zip(METRICS, (range(1, depth + 1), norms_a, norms_b, differences), strict=True))


EXPERIMENT = residual
