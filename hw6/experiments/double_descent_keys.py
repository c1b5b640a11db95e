"""What double descent reads and gives: its keys with their ranges and defaults, its metrics, its shorthand."""

from __future__ import annotations

from hw6.contract.keys import Choice, Flag, Integer, Key, Real
from hw6.contract.shorthand import Shorthand
from hw6.experiments.datasets import SIZE_NAMES
from hw6.mathematics.features import FEATURES
from hw6.mathematics.tuning import TUNING_RULES

METRICS = {
    "chosen_lambda": "lambda of this row: given, chosen by validation, or 0 for ridgeless",
    "train_mse": "mean squared error on the (noisy) training labels",
    "validation_mse": "mean squared error on the validation labels",
    "test_mse": "mean squared error on the test labels",
    "train_norm": "root of the sum of squared training errors",
    "validation_norm": "root of the sum of squared validation errors",
    "test_norm": "root of the sum of squared test errors",
    "theta_norm": "Euclidean norm of theta",
    "effective_dof": "trace of the matrix that takes Y to the fitted values",
    "population_risk": "exact mean squared error on a new noiseless label (with exact_risk=true)",
}
KEYS: dict[str, Key] = {
    "p": Integer(help="width: number of random features", minimum=1, default=100),
    "seed": Integer(help="all randomness of a cell is a function of this number", default=0),
    "lambda.kind": Choice(help="how lambda is found", choices=tuple(TUNING_RULES)),
    "lambda.value": Real(
        help="lambda, above 0",
        minimum=0.0,
        open_below=True,
        default=0.01,
        hints={0: "lambda=ridgeless is the limit", "0": "lambda=ridgeless is the limit"},
    ),
    "lambda.min": Real(help="smallest lambda of the grid", minimum=0.0, open_below=True, default=0.01),
    "lambda.max": Real(help="largest lambda of the grid", minimum=0.0, open_below=True, default=100.0),
    "lambda.num": Integer(help="number of grid points", minimum=1, maximum=100_000, default=25),
    "data.kind": Choice(help="where the data come from", choices=("gaussian", "starter")),
    "data.d": Integer(help="dimension of x", minimum=1, default=35),
    "data.sigma": Real(help="standard deviation of the training labels' noise", minimum=0.0, default=0.5),
    "data.sigma_validation": Real(help="of the validation labels' noise", minimum=0.0, default=0.0),
    "data.sigma_test": Real(help="of the test labels' noise", minimum=0.0, default=0.0),
    "data.n_train": Integer(help="training points", minimum=1, default=300),
    "data.n_validation": Integer(help="validation points", minimum=0, default=60),
    "data.n_test": Integer(help="test points", minimum=0, default=30),
    "features.activation": Choice(help="the function phi", choices=tuple(FEATURES)),
    "device.kind": Choice(help="where the arithmetic is done", choices=("cpu", "cuda"), aliases={"auto": "cpu"}),
    "exact_risk": Flag(
        help="also compute the exact risk over the distribution of x",
        default=False,
        omitted_at=False,
        formerly="population_risk",
    ),
}
DATA_KEYS = ("data.kind", *(f"data.{name}" for name in SIZE_NAMES))
# One decomposition serves all lambda rules of the widths around it, so those come last.
ORDER = (
    "device.kind",
    *DATA_KEYS,
    "features.activation",
    "seed",
    "p",
    "lambda.kind",
    "lambda.value",
    "lambda.min",
    "lambda.max",
    "lambda.num",
    "exact_risk",
)
SHORTHANDS = (Shorthand("lambda", "fixed", "lambda.value", "0.01"),)
