"""Double descent: the test error of ridge regression on random features, as the width p passes n_train.

    minimise over theta:  |A_p theta - Y|^2 / 2 + lambda |theta|^2 / 2,    A_p = phi(X G[:p]') / sqrt(p)

A cell is one width, one seed, one rule for lambda. Cells of equal data and seed share data, features and the anchors
of ``hw6.mathematics.ridge``; what they share depends on none of them.

A row may have no value for a metric: those of an empty set (n_validation or n_test = 0), and ``population_risk`` where
it is not asked for. Such entries are masked where other rows of the batch have the metric, and the column is left out
where none has it; both read back as missing. A masked entry is no failure, a nan or inf in any other place is one.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from hw6.errors import BadInput
from hw6.experiments.base import Cells, Columns, Experiment
from hw6.experiments.datasets import (
    SIZE_NAMES,
    Model,
    NestedModel,
    Sizes,
    StarterModel,
    codes,
    distinct,
    numbers,
    other_than,
    refuse_starter,
    where_is,
)
from hw6.experiments.double_descent_drawing import drawing
from hw6.mathematics.cost import Work, bytes_needed, seconds
from hw6.mathematics.features import ACTIVATIONS
from hw6.mathematics.risk import relu_risk
from hw6.mathematics.tuning import best_by_validation, log_grid
from hw6.schema import Choice, Flag, Integer, Key, Real

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
    "population_risk": "exact mean squared error on a new noiseless label (with population_risk=true)",
}
VALIDATION_METRICS, TEST_METRICS = slice(2, 6, 3), slice(3, 7, 3)  # their places in METRICS

KEYS: dict[str, Key] = {
    "p": Integer(help="width: the number of random features", minimum=1),
    "seed": Integer(help="seed of data and features"),
    "lambda.kind": Choice(help="how lambda is found", choices=("fixed", "tuned", "path", "ridgeless")),
    "lambda.value": Real(
        help="the penalty on |theta|^2 / 2",
        minimum=0.0,
        open_below=True,
        hints={0: "lambda=ridgeless is the limit", "0": "lambda=ridgeless is the limit"},
    ),
    "lambda.min": Real(help="the smallest lambda tried", minimum=0.0, open_below=True),
    "lambda.max": Real(help="the largest lambda tried", minimum=0.0, open_below=True),
    "lambda.num": Integer(help="how many lambdas, equally spaced in the logarithm", minimum=1, maximum=100_000),
    "data.kind": Choice(help="where the data come from", choices=("gaussian", "starter")),
    "data.d": Integer(help="the dimension of x", minimum=1),
    "data.sigma": Real(help="standard deviation of the noise on training labels", minimum=0.0),
    "data.sigma_validation": Real(help="standard deviation of the noise on validation labels", minimum=0.0),
    "data.sigma_test": Real(help="standard deviation of the noise on test labels", minimum=0.0),
    "data.n_train": Integer(help="number of training rows", minimum=1),
    "data.n_validation": Integer(help="number of validation rows", minimum=0),
    "data.n_test": Integer(help="number of test rows", minimum=0),
    "features.activation": Choice(help="phi in phi(G x)", choices=tuple(ACTIVATIONS)),
    "device.kind": Choice(help="where the arithmetic is done", choices=("cpu", "cuda"), aliases={"auto": "cpu"}),
    "population_risk": Flag(help="also give the exact population risk (ReLU features)", omitted_at=False),
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
    "population_risk",
)


class Rule(NamedTuple):
    """How a cell finds its lambda, and what it gives besides: the part of a cell that is not data, seed and width."""

    kind: str
    value: float
    minimum: float
    maximum: float
    num: int
    risk: bool


def rows(cells: Cells) -> Columns:
    """The rows of a batch of cells, whatever it mixes and in whatever order it comes."""
    p = _listed(cells, "p")
    rules = list(
        map(
            Rule,
            _listed(cells, "lambda.kind"),
            _listed(cells, "lambda.value"),
            _listed(cells, "lambda.min"),
            _listed(cells, "lambda.max"),
            _listed(cells, "lambda.num"),
            _listed(cells, "population_risk"),
        )
    )
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    names = (*DATA_KEYS, "features.activation", "seed")
    for index, group in enumerate(zip(*(_listed(cells, name) for name in names), strict=True)):
        groups[group].append(index)
    counts = np.array([rule.num if rule.kind == "path" else 1 for rule in rules], dtype=np.int64)
    starts = (np.cumsum(counts) - counts).tolist()
    table = np.zeros((len(METRICS), int(counts.sum())))
    absent = np.zeros(table.shape, dtype=bool)
    with np.errstate(all="ignore"):  # data that overflow give rows that are not finite, and disturb no other row
        for group, members in groups.items():
            model = _model(dict(zip(names, group, strict=True)))
            members.sort(key=p.__getitem__)
            for index, block in _fits(model, members, p, rules):
                window = slice(starts[index], starts[index] + block.shape[1])
                table[: len(block), window] = block
                if len(block) < len(METRICS):
                    absent[-1, window] = True
                if not model.data.n_validation:
                    absent[VALIDATION_METRICS, window] = True
                if model.data.n_validation == len(model.data.y_query):
                    absent[TEST_METRICS, window] = True
    columns = dict(_columns(table, absent))
    if len(p) != table.shape[1]:
        columns["cell"] = np.repeat(np.arange(len(p)), counts)
    return columns


def _columns(table: np.ndarray, absent: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The metrics, masked where a row has none; a metric that no row has is left out."""
    for name, values, mask in zip(METRICS, table, absent, strict=True):
        if not mask.all():
            yield name, np.ma.masked_array(values, mask) if mask.any() else values


def _fits(
    model: Model, members: Sequence[int], p: Sequence[int], rules: Sequence[Rule]
) -> Iterator[tuple[int, np.ndarray]]:
    """The metrics of each cell of one model, shape (metrics, the cell's rows), widths rising."""
    for index in members:
        rule = rules[index]
        lambdas = _lambdas(rule.kind, rule.value, rule.minimum, rule.maximum, rule.num)
        yield index, _metrics(model, p[index], lambdas, rule)


@lru_cache(maxsize=4096)
def _lambdas(kind: str, value: float, minimum: float, maximum: float, num: int) -> np.ndarray:
    if kind == "fixed":
        return np.array([value])
    return np.zeros(1) if kind == "ridgeless" else log_grid(minimum, maximum, num)


def _metrics(model: Model, p: int, lambdas: np.ndarray, rule: Rule) -> np.ndarray:
    """The metrics in the order of METRICS for the lambdas that the rule keeps; shape (9 or 10, kept)."""
    data = model.data
    fit, scale = model.fit(p, lambdas)
    errors = fit.predictions - data.y_query
    errors *= errors
    n, validation, test = len(data.y_train), data.n_validation, len(data.y_query) - data.n_validation
    out = np.empty((10 if rule.risk else 9, len(lambdas)))
    out[0] = lambdas
    out[4] = np.maximum(fit.rss, 0.0)
    out[5], out[6] = errors[:, :validation].sum(axis=1), errors[:, validation:].sum(axis=1)
    out[1], out[2], out[3] = out[4] / n, out[5] / max(validation, 1), out[6] / max(test, 1)
    out[7] = scale * fit.psi_norm2
    np.sqrt(out[4:8], out=out[4:8])
    out[8] = fit.dof
    kept = [best_by_validation(lambdas, out[2])] if rule.kind == "tuned" else list(range(len(lambdas)))
    if rule.risk:
        out[9, kept] = relu_risk(fit.psi(kept), model.directions(p), data.b)
    return out[:, kept] if rule.kind == "tuned" else out


def _model(key: dict[str, Any]) -> Model:
    if key["data.kind"] == "starter":
        return StarterModel()
    sizes = Sizes(**{name: key[f"data.{name}"] for name in Sizes.__dataclass_fields__})
    return NestedModel(key["seed"], sizes, key["features.activation"])


def _listed(cells: Cells, key: str) -> list[Any]:
    """A column as Python values; a key that no cell of the batch has is None for all."""
    count = len(cells["p"])
    if key not in cells:
        return [False if key == "population_risk" else None] * count
    column = cells[key]
    values: list[Any] = column[:1].tolist() * count if column.strides == (0,) else column.tolist()
    return values


def refuse(cells: Cells) -> list[BadInput]:
    """The combinations that cannot be run, one mistake for each distinct one."""
    return [
        mistake
        for rule in (_lambda_range, _tuned_without_rows, refuse_starter, _risk, _device, _memory)
        for mistake in rule(cells)
    ]


def _lambda_range(cells: Cells) -> list[BadInput]:
    low, high = numbers(cells, "lambda.min", "lambda.max")
    return [
        BadInput("lambda.min", value, f"must be at most lambda.max={maximum:g}")
        for value, maximum in distinct(low > high, low, high)
    ]


def _tuned_without_rows(cells: Cells) -> list[BadInput]:
    wrong = where_is(cells, "lambda.kind", "tuned") & (numbers(cells, "data.n_validation")[0] == 0)
    hint = "or choose lambda=fixed, lambda=path or lambda=ridgeless"
    return [BadInput("data.n_validation", 0, "lambda=tuned needs validation rows", hint)] if wrong.any() else []


def _risk(cells: Cells) -> list[BadInput]:
    wrong = where_is(cells, "population_risk", True) & ~where_is(cells, "features.activation", "relu")
    allowed = "population_risk=true has a closed form for features=relu only"
    return [BadInput("features.activation", other_than(cells, "relu"), allowed)] if wrong.any() else []


def _device(cells: Cells) -> list[BadInput]:
    wrong = where_is(cells, "device.kind", "cuda").any()
    return [BadInput("device.kind", "cuda", "not built yet", "use device=cpu")] if wrong else []


def price(cells: Cells) -> np.ndarray:
    """Estimated seconds of one core for each cell (``hw6.mathematics.cost``)."""
    return seconds(_work(cells))


def _work(cells: Cells) -> Work:
    """The cells in numbers; keys that a cell has not got are 0 where they would be counted."""
    count = len(cells["p"])
    path, tuned = where_is(cells, "lambda.kind", "path"), where_is(cells, "lambda.kind", "tuned")
    fixed = where_is(cells, "lambda.kind", "fixed")
    value, minimum, num = numbers(cells, "lambda.value", "lambda.min", "lambda.num")
    p, d, n, validation, test = numbers(cells, "p", "data.d", "data.n_train", "data.n_validation", "data.n_test")
    risk = where_is(cells, "population_risk", True)
    parts = (
        codes(cells, (*DATA_KEYS, "features.activation", "seed")),
        *(column.astype(float) for column in (p, d, n, validation + test)),
        np.where(path | tuned, num, 1.0),
        np.where(path | tuned, minimum, np.where(fixed, value, 0.0)),
        np.where(risk, np.where(path, num, 1.0), 0.0),
        where_is(cells, "data.kind", "gaussian"),
    )
    return Work(*(np.broadcast_to(part, (count,)) for part in parts))


def _memory(cells: Cells) -> list[BadInput]:
    """Widths that this machine cannot hold."""
    p, d, n, validation, test = numbers(cells, "p", "data.d", "data.n_train", "data.n_validation", "data.n_test")
    needed = bytes_needed(p, d, n, validation + test)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [
        BadInput("p", width, f"needs about {size / 1e9:.1f} GB, and this machine has {there / 1e9:.1f} GB")
        for width, size in distinct(needed > there, p, needed)
    ]


EXPERIMENT = Experiment(
    name="double_descent",
    version=1,
    keys=KEYS,
    metrics=METRICS,
    rows=rows,
    objective="validation_mse",
    order=ORDER,
    refuse=refuse,
    price=price,
    drawing=drawing,
)
