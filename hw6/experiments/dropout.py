"""Dropout before or after an activation: are linear-dropout-s and linear-s-dropout the same network?

A cell is one activation of torch.nn, one probability q, one mode. Its row has two verdicts that know nothing of each
other: ``commutes`` from running both orders with shared masks, ``commutes_theory`` from the theorem's conditions, tried
on the function itself (``hw6.mathematics.dropout``). They must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hw6.contract.drawing import Drawing, Panel
from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.keys import Choice, Integer, Key, Real
from hw6.contract.metrics import Text
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

KEYS: dict[str, Key] = {
    "activation": Choice(
        help="s: an element-wise activation of torch.nn, by its class name", choices=ACTIVATIONS, default="ReLU"
    ),
    "q": Real(
        help="the probability that an entry is dropped, in [0, 1)",
        minimum=0.0,
        maximum=1.0,
        open_above=True,
        default=0.4,
    ),
    "mode": Choice(
        help="train or eval: dropout does nothing in evaluation mode", choices=("train", "eval"), default="train"
    ),
    "seed": Integer(help="pre-activations and masks are a function of this number", default=0),
    "samples": Integer(help="how many pre-activations are tried", minimum=64, default=65536),
}
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


def rows(cells: Cells) -> Columns:
    """One row a cell."""
    names = ("activation", "q", "mode", "seed", "samples")
    with one_thread():
        found = [_row(*cell) for cell in zip(*(cells[name].tolist() for name in names), strict=True)]
    return dict(_columns(found))


def _row(activation: str, q: float, mode: str, seed: int, samples: int) -> dict[str, Any]:
    from hw6.mathematics.dropout import compare, make, theorem

    s, training = make(activation), mode == "train"
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


def _columns(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
    """Columns in the order of METRICS; where no entry differs there is no quantile, and it is masked."""
    for name in METRICS:
        values = [row[name] for row in found]
        if name == "theory_reason":
            yield name, np.array(values, dtype=object)
        elif name not in QUANTILES:
            yield name, np.array(values)
        elif any(value is not None for value in values):
            absent = np.array([value is None for value in values])
            numbers = np.array([0.0 if value is None else value for value in values])
            yield name, np.ma.masked_array(numbers, absent) if absent.any() else numbers


def refuse(cells: Cells) -> list[BadInput]:
    """What cannot be run, one mistake for each distinct one."""
    q, samples = cells["q"], cells["samples"]
    few = (q > 0.0) & (q * samples < FEWEST_DROPPED)
    pairs = sorted(set(zip(q[few].tolist(), samples[few].tolist(), strict=True)))[:10]
    mistakes = [
        BadInput(
            "q",
            f"{value:g}",
            f"samples={count} is too few to see what dropout with so small a q does",
            f"samples={int(np.ceil(FEWEST_DROPPED / value))}, or q=0",
        )
        for value, count in pairs
    ]
    return [*mistakes, *refuse_without_torch("dropout")]


def memory(cells: Cells) -> np.ndarray:
    """Bytes: torch; masks, both orders and their differences."""
    return np.asarray(TORCH_BYTES + BYTES_A_SAMPLE * cells["samples"].astype(float))


def price(cells: Cells) -> np.ndarray:
    """Estimated seconds of one core for each cell: measured 5 to 25 ms for 65,536 samples in training mode."""
    return np.asarray(1e-3 + 2e-7 * cells["samples"].astype(float))


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


EXPERIMENT = Experiment(
    name="dropout",
    version=1,
    keys=KEYS,
    metrics=METRICS,
    rows=rows,
    objective="max_difference",
    order=("samples", "seed", "mode", "q", "activation"),
    refuse=refuse,
    price=price,
    memory=memory,
    drawing=drawing,
)
