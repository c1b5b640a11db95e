"""The figure of double descent as data: test error over width, the chosen lambda below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw6.experiments.base import Drawing, Fill, Mark, Panel

LABELS = {
    "lambda.kind": "rule for $\\lambda$",
    "data.kind": "data",
    "features.activation": "activation",
    "device.kind": "device",
    "chosen_lambda": "chosen $\\lambda$",
    "train_mse": "training error (mean squared)",
    "validation_mse": "validation error (mean squared)",
    "test_mse": "test error (mean squared)",
    "train_norm": "training error (root of sum of squares)",
    "validation_norm": "validation error (root of sum of squares)",
    "test_norm": "test error (root of sum of squares)",
    "theta_norm": "$\\|\\theta\\|$",
    "effective_dof": "effective degrees of freedom",
    "population_risk": "population risk",
}
NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "lambda.kind": {
        "fixed": ("λ = {lambda.value} (fixed)", "fixed λ"),
        "tuned": ("λ tuned on validation data",),
        "path": ("each λ of a path",),
        "ridgeless": ("ridgeless (λ → 0)",),
    },
    "data.kind": {"gaussian": ("Gaussian data",), "starter": ("starter data",)},
}


def drawing(values: Mapping[str, Sequence[Any]]) -> Drawing:
    """The homework's own data are drawn as roots of sums of squares, as the homework does; all others as means."""
    error = "norm" if list(values.get("data.kind", ())) == ["starter"] else "mse"
    return Drawing(
        panels=(
            Panel(f"test_{error}", LABELS[f"test_{error}"]),
            Panel("chosen_lambda", LABELS["chosen_lambda"], log=True, thin=True),
        ),
        x=("p", "lambda.value"),
        fills=(Fill("lambda.value", "chosen_lambda", "lambda.kind", "path"),),
        lowest_along=("lambda.value",),
        marks=(Mark("p", "data.n_train", "$p = n$"),),
        labels=LABELS,
        names=NAMES,
        caption=("data.n_train", "data.d", "data.sigma", "seed"),
        best=(f"validation_{error}", f"test_{error}"),
    )
