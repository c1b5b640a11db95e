"""The figure of double descent as data: test error over width, the chosen lambda below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw6.contract.drawing import Drawing, Fill, Mark, Panel
from hw6.mathematics.tuning import TUNING_RULES

LABELS = {
    "p": "number of features $p$",
    "lambda.value": "ridge parameter $\\lambda$",
    "lambda.min": "smallest $\\lambda$ tried",
    "lambda.max": "largest $\\lambda$ tried",
    "lambda.num": "number of $\\lambda$ tried",
    "data.n_train": "number of training examples $n$",
    "data.n_validation": "number of validation examples",
    "data.n_test": "number of test examples",
    "data.d": "dimension of the data $d$",
    "data.sigma": "label noise $\\sigma$",
    "data.sigma_validation": "validation label noise",
    "data.sigma_test": "test label noise",
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
SYMBOLS = {
    "lambda.value": "λ",
    "lambda.min": "smallest λ",
    "lambda.max": "largest λ",
    "lambda.num": "number of λ",
    "data.n_train": "n",
    "data.n_validation": "validation examples",
    "data.n_test": "test examples",
    "data.d": "d",
    "data.sigma": "σ",
    "data.sigma_validation": "validation σ",
    "data.sigma_test": "test σ",
}
# The rules that keep several lambdas of a cell, a row each.
SEVERAL = tuple(kind for kind, rule in TUNING_RULES.items() if rule.rows(2) > 1)
NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "lambda.kind": {kind: rule.label for kind, rule in TUNING_RULES.items()},
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
        fills=tuple(Fill("lambda.value", "chosen_lambda", "lambda.kind", kind) for kind in SEVERAL),
        lowest_along=("lambda.value",),
        marks=(Mark("p", "data.n_train", "$p = n$"),),
        labels=LABELS,
        symbols=SYMBOLS,
        names=NAMES,
        caption=("data.n_train", "data.d", "data.sigma", "seed"),
        best=(f"validation_{error}", f"test_{error}"),
    )
