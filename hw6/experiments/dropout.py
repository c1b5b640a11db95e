"""Dropout before or after an activation: are linear-dropout-s and linear-s-dropout the same network?

A cell is one activation of torch.nn, one probability q, one mode. Its row has two verdicts that know nothing of each
other: ``commutes`` from running both orders with shared masks, ``commutes_theory`` from the theorem's conditions, tried
on the function itself (``hw6.mathematics.dropout``). They must agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from hw6.contract.drawing import Drawing, Panel
from hw6.contract.keys import Choice, Integer, Real
from hw6.contract.metrics import Text
from hw6.contract.per_cell import experiment
from hw6.errors import BadInput
from hw6.experiments.torch_use import TORCH_BYTES, one_thread, refuse_without_torch

# The element-wise activations of torch.nn, written down so that checking a command does not import torch.
# ``hw6.mathematics.dropout.elementwise_names`` finds them in torch itself, and a test compares.
ACTIVATIONS = (
    *("CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LeakyReLU"),
    *("LogSigmoid", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink"),
    *("Softsign", "Tanh", "Tanhshrink", "Threshold"),
)
FEWEST_DROPPED = 32  # as in hw6.mathematics.dropout
BYTES_A_SAMPLE = 180.0  # measured

METRICS = {
    "max_difference": "largest difference between s(dropout(z)) and dropout(s(z)), masks shared",
    "inequality": "max_difference where it is more than rounding, otherwise 0",
    "difference_in_eps": "largest difference relative to the larger value, in units of 2^-52: up to 4 is rounding",
    "commutes": "verdict of the simulation: nothing but rounding tells the two orders apart",
    "commutes_theory": "verdict of the theorem, from the function's own properties",
    "theory_reason": Text("the condition that decides the theorem's verdict"),
    "difference_dropped": "largest difference on dropped entries, |s(0)|",
    "difference_kept": "largest difference on kept entries, |s(cz) - c s(z)|",
    "differing_share": "share of entries, under a mask as dropout draws it, that differ by more than rounding",
    "difference_q05": "5 % quantile of the differences of those entries",
    "difference_q25": "25 % quantile of the differences of those entries",
    "difference_q50": "median of the differences of those entries",
    "difference_q75": "75 % quantile of the differences of those entries",
    "difference_q95": "95 % quantile of the differences of those entries",
}
QUANTILES = tuple(name for name in METRICS if name.startswith("difference_q"))


def refuse(q: float, samples: int) -> list[BadInput]:
    """A probability so small that too few entries are dropped to see anything; or a package that is not there."""
    mistakes = refuse_without_torch("dropout")
    if q > 0.0 and q * samples < FEWEST_DROPPED:
        allowed = f"samples={samples} is too few to see what dropout with so small a q does"
        mistakes.append(BadInput("q", f"{q:g}", allowed, f"samples={math.ceil(FEWEST_DROPPED / q)}, or q=0"))
    return mistakes


def drawing(values: Mapping[str, Sequence[Any]]) -> Drawing:
    """The largest difference by activation and q."""
    return Drawing(
        panels=(Panel("inequality", "largest difference beyond rounding"),),
        x=("q",),
        labels={"q": "dropout probability $q$", "activation": "activation"},
        names={"mode": {"train": ("training mode",), "eval": ("evaluation mode",)}},
        caption=("samples",),
        best=("max_difference",),
    )


@experiment(
    metrics=METRICS,
    objective="max_difference",
    order=("samples", "seed", "mode", "q", "activation"),
    refuse=refuse,
    price=lambda samples: 1e-3 + 2e-7 * samples,  # measured 5 to 25 ms for 65,536 samples in training mode
    memory=lambda samples: TORCH_BYTES + BYTES_A_SAMPLE * samples,  # masks, both orders and their differences
    drawing=drawing,
)
def dropout(
    activation: Annotated[
        str, Choice(help="s: an element-wise activation of torch.nn, by its class name", choices=ACTIVATIONS)
    ] = "ReLU",
    q: Annotated[
        float,
        Real(help="the probability that an entry is dropped, in [0, 1)", minimum=0.0, maximum=1.0, open_above=True),
    ] = 0.4,
    mode: Annotated[Literal["train", "eval"], "train or eval: dropout does nothing in evaluation mode"] = "train",
    seed: Annotated[int, Integer(help="pre-activations and masks are a function of this number")] = 0,
    samples: Annotated[int, Integer(help="how many pre-activations are tried", minimum=64)] = 65536,
) -> dict[str, Any]:
    """Whether dropout and an activation commute, by simulation and by the theorem; a quantile of nothing is missing."""
    from hw6.mathematics.dropout import compare, make, theorem

    s, training = make(activation), mode == "train"
    with one_thread():
        seen, verdict = compare(s, q, training, seed, samples), theorem(s, q, training)
    values = [None] * len(QUANTILES) if seen.quantiles is None else seen.quantiles.tolist()
    return {
        "max_difference": max(seen.dropped, seen.kept),
        "inequality": 0.0 if seen.commutes else max(seen.dropped, seen.kept),
        "difference_in_eps": seen.in_eps,
        "commutes": seen.commutes,
        "commutes_theory": verdict.commutes,
        "theory_reason": verdict.reason,
        "difference_dropped": seen.dropped,
        "difference_kept": seen.kept,
        "differing_share": seen.share,
        **dict(zip(QUANTILES, values, strict=True)),
    }


EXPERIMENT = dropout
