"""Double descent: the test error of ridge regression on random features, as the width p passes n_train.

    minimise over theta:  |A_p theta - Y|^2 / 2 + lambda |theta|^2 / 2,    A_p = phi(X G[:p]') / sqrt(p)

A cell is one width, one seed, one rule for lambda. Cells of equal data and seed share data, features and the anchors
of ``hw6.mathematics.ridge``; what they share depends on none of them.

A row may have no value for a metric: those of an empty set (n_validation or n_test = 0), and ``population_risk`` where
``exact_risk`` is false. Such entries are masked where other rows of the batch have the metric, and the column is left
out where none has it; both read back as missing. A masked entry is no failure, a nan or inf in any other place is one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from hw6.contract.cells import codes, distinct, numbers, other_than, where_is
from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.errors import BadInput
from hw6.experiments.datasets import Model, NestedModel, Sizes, StarterModel, refuse_starter
from hw6.experiments.double_descent_drawing import drawing
from hw6.experiments.double_descent_keys import DATA_KEYS, KEYS, METRICS, ORDER, SHORTHANDS
from hw6.mathematics.cost import Fits, bytes_needed, seconds
from hw6.mathematics.risk import relu_risk
from hw6.mathematics.tuning import TUNING_RULES, Candidates

VALIDATION_METRICS, TEST_METRICS = slice(2, 6, 3), slice(3, 7, 3)  # their places in METRICS


class Rule(NamedTuple):
    """How a cell finds its lambda, and what it gives besides: the part of a cell that is not data, seed and width."""

    kind: str
    value: float
    minimum: float
    maximum: float
    num: int
    risk: bool

    @property
    def lambdas(self) -> np.ndarray:
        """The candidates."""
        return _lambdas(self.kind, self[1:5])

    @property
    def rows(self) -> int:
        """The number of rows."""
        rule = TUNING_RULES[self.kind]
        return rule.rows(self.num if "lambda.num" in rule.needs else 1)


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
            _listed(cells, "exact_risk"),
        )
    )
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    names = (*DATA_KEYS, "features.activation", "seed")
    for index, group in enumerate(zip(*(_listed(cells, name) for name in names), strict=True)):
        groups[group].append(index)
    counts = np.array([rule.rows for rule in rules], dtype=np.int64)
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
        yield index, _metrics(model, p[index], rule.lambdas, rule)


@lru_cache(maxsize=4096)
def _lambdas(kind: str, given: tuple[float, float, float, int]) -> np.ndarray:
    return TUNING_RULES[kind].candidates(Candidates(*given))


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
    kept = list(TUNING_RULES[rule.kind].choice(lambdas, out[2]))
    if rule.risk:
        out[9, kept] = relu_risk(fit.psi(kept), model.directions(p), data.b)
    return out[:, kept] if len(kept) < len(lambdas) else out


def _model(key: dict[str, Any]) -> Model:
    if key["data.kind"] == "starter":
        return StarterModel()
    sizes = Sizes(**{name: key[f"data.{name}"] for name in Sizes.__dataclass_fields__})
    return NestedModel(key["seed"], sizes, key["features.activation"])


def _listed(cells: Cells, key: str) -> list[Any]:
    """A column as Python values; a key that no cell of the batch has is None for all."""
    count = len(cells["p"])
    if key not in cells:
        return [False if key == "exact_risk" else None] * count
    column = cells[key]
    values: list[Any] = column[:1].tolist() * count if column.strides == (0,) else column.tolist()
    return values


def refuse(cells: Cells) -> list[BadInput]:
    """The combinations that cannot be run, one mistake for each distinct one."""
    return [
        mistake
        for rule in (_lambda_range, _without_validation, refuse_starter, _risk, _device)
        for mistake in rule(cells)
    ]


def _lambda_range(cells: Cells) -> list[BadInput]:
    low, high = numbers(cells, "lambda.min", "lambda.max")
    return [
        BadInput("lambda.min", value, f"must be at most lambda.max={maximum:g}")
        for value, maximum in distinct(low > high, low, high)
    ]


def _without_validation(cells: Cells) -> list[BadInput]:
    empty = numbers(cells, "data.n_validation")[0] == 0
    needing = {kind for kind, rule in TUNING_RULES.items() if "data.n_validation" in rule.needs}
    *most, last = (f"lambda={kind}" for kind in TUNING_RULES if kind not in needing)
    hint = f"or choose {', '.join(most)} or {last}"
    return [
        BadInput("data.n_validation", 0, f"lambda={kind} needs validation rows", hint)
        for kind in sorted(needing)
        if (where_is(cells, "lambda.kind", kind) & empty).any()
    ]


def _risk(cells: Cells) -> list[BadInput]:
    wrong = where_is(cells, "exact_risk", True) & ~where_is(cells, "features.activation", "relu")
    allowed = "exact_risk=true has a closed form for features=relu only"
    return (
        [BadInput("features.activation", other_than(cells, "features.activation", "relu"), allowed)]
        if wrong.any()
        else []
    )


def _device(cells: Cells) -> list[BadInput]:
    wrong = where_is(cells, "device.kind", "cuda").any()
    return [BadInput("device.kind", "cuda", "not built yet", "use device=cpu")] if wrong else []


def price(cells: Cells) -> np.ndarray:
    """Estimated seconds of one core for each cell (``hw6.mathematics.cost``)."""
    return seconds(_to_price(cells))


def _to_price(cells: Cells) -> Fits:
    """The cells in numbers; keys that a cell has not got are 0 where they would be counted."""
    count = len(cells["p"])
    grid, fixed = _needing(cells, "lambda.num"), _needing(cells, "lambda.value")
    value, minimum, num = numbers(cells, "lambda.value", "lambda.min", "lambda.num")
    p, d, n, validation, test = numbers(cells, "p", "data.d", "data.n_train", "data.n_validation", "data.n_test")
    risk = where_is(cells, "exact_risk", True)
    parts = (
        codes(cells, (*DATA_KEYS, "features.activation", "seed")),
        *(column.astype(float) for column in (p, d, n, validation + test)),
        np.where(grid, num, 1.0),
        np.where(grid, minimum, np.where(fixed, value, 0.0)),
        np.where(risk, rows_of(cells), 0.0),
        where_is(cells, "data.kind", "gaussian"),
    )
    return Fits(*(np.broadcast_to(part, (count,)) for part in parts))


def _needing(cells: Cells, key: str) -> np.ndarray:
    """Where the rule of a cell needs a key."""
    found = np.array([False])
    for kind, rule in TUNING_RULES.items():
        if key in rule.needs:
            found = found | where_is(cells, "lambda.kind", kind)
    return found


def rows_of(cells: Cells) -> np.ndarray:
    """A row a cell, or as many as its rule keeps."""
    (num,) = numbers(cells, "lambda.num")
    found = np.ones(1)
    for kind, rule in TUNING_RULES.items():
        grid = "lambda.num" in rule.needs
        here = where_is(cells, "lambda.kind", kind)
        kept = np.array([rule.rows(int(n)) if n == n else 1 for n in num.tolist()]) if grid else rule.rows(1)
        found = np.where(here, kept, found)
    return np.broadcast_to(found.astype(np.int64), (len(cells["p"]),))


def memory(cells: Cells) -> np.ndarray:
    """Bytes of each cell at its highest (``hw6.mathematics.cost``)."""
    p, d, n, validation, test = numbers(cells, "p", "data.d", "data.n_train", "data.n_validation", "data.n_test")
    return np.broadcast_to(bytes_needed(p, d, n, validation + test), (len(cells["p"]),))


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
    rows_of=rows_of,
    memory=memory,
    drawing=drawing,
    shorthands=SHORTHANDS,
)
