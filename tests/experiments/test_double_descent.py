"""double_descent: its numbers against an independent computation, its bits, its refusals, its size."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from hw6.errors import BadInput
from hw6.experiments.datasets import STARTER_WIDTHS, Sizes, StarterModel, gaussian
from hw6.experiments.double_descent import EXPERIMENT
from hw6.experiments.double_descent_keys import KEYS, METRICS
from hw6.mathematics import streams
from hw6.mathematics.risk import relu_risk

CURVE = list(
    csv.DictReader(
        (Path(__file__).parent.parent / "mathematics" / "data" / "starter_curve.csv").read_text().splitlines()
    )
)
BASE: dict[str, Any] = {
    "p": 40,
    "seed": 0,
    "lambda.kind": "tuned",
    "lambda.value": None,
    "lambda.min": 1e-2,
    "lambda.max": 1e2,
    "lambda.num": 25,
    "data.kind": "gaussian",
    "data.d": 35,
    "data.sigma": 0.5,
    "data.sigma_validation": 0.0,
    "data.sigma_test": 0.0,
    "data.n_train": 300,
    "data.n_validation": 60,
    "data.n_test": 30,
    "features.activation": "relu",
    "device.kind": "cpu",
    "exact_risk": False,
}
FIXED: dict[str, Any] = {
    "lambda.kind": "fixed",
    "lambda.value": 0.01,
    "lambda.min": None,
    "lambda.max": None,
    "lambda.num": None,
}
RIDGELESS: dict[str, Any] = FIXED | {"lambda.kind": "ridgeless", "lambda.value": None}
PATH: dict[str, Any] = {"lambda.kind": "path", "lambda.num": 4}
SMALL: dict[str, Any] = {"data.n_train": 90, "data.d": 8, "data.n_validation": 12, "data.n_test": 7}
STARTER: dict[str, Any] = {"data.kind": "starter"}
TWELVE: dict[str, Any] = {"lambda.min": 2.0**-6, "lambda.max": 2.0**5, "lambda.num": 12}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield


def column(values: Sequence[Any]) -> np.ndarray:
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return np.array(values)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def batch(*cells: dict[str, Any]) -> dict[str, np.ndarray]:
    """Cells as columns, the way a plan hands them over; each cell is what it changes of BASE."""
    return {key: column([(BASE | cell)[key] for cell in cells]) for key in BASE}


def constants(count: int, **changed: Any) -> dict[str, np.ndarray]:
    """The columns of many equal cells: views of one value."""
    return {key: np.broadcast_to(column([value]), (count,)) for key, value in (BASE | changed).items()}


def rows_of(*cells: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of each cell of a batch, as dicts of arrays."""
    columns = dict(EXPERIMENT.rows(batch(*cells)))
    owner = columns.pop("cell", np.arange(len(cells)))
    return [{name: values[owner == index] for name, values in columns.items()} for index in range(len(cells))]


MIXED: list[dict[str, Any]] = [
    {"p": p, "seed": seed} | SMALL | rule
    for seed in (0, 3)
    for p in (1, 17, 60, 90, 91, 130, 200)
    for rule in ({}, FIXED, PATH, RIDGELESS, FIXED | {"lambda.value": 1e-7}, {"exact_risk": True})
] + [
    {"p": 50, "features.activation": "tanh"} | SMALL,
    {"p": 50} | SMALL | {"data.n_test": 0},
    {"p": 50} | SMALL | FIXED | {"data.n_validation": 0},
    {"p": 50} | SMALL | {"data.n_train": 20},
    {"p": 21} | STARTER,
    {"p": 311} | STARTER | FIXED,
]


def test_bits_depend_on_the_cell_alone() -> None:
    """Any subset in any order, whatever the cells beside: equal to the bit to the cell on its own."""
    alone = [rows_of(cell)[0] for cell in MIXED]
    rng = np.random.default_rng(0)
    for size in (len(MIXED), len(MIXED), 20, 7):
        chosen = rng.permutation(len(MIXED))[:size]
        for index, got in zip(chosen, rows_of(*(MIXED[i] for i in chosen)), strict=True):
            for name in METRICS:
                if name in alone[index]:
                    assert got[name].tobytes() == alone[index][name].tobytes(), (MIXED[index], name)
                else:
                    assert name not in got or np.ma.getmaskarray(got[name]).all(), (MIXED[index], name)


@pytest.mark.parametrize("p", [5, 60, 90, 120, 300])
@pytest.mark.parametrize("rule", [FIXED, RIDGELESS, PATH, {}], ids=lambda rule: rule.get("lambda.kind", "tuned"))
def test_every_metric_against_its_definition(p: int, rule: dict[str, Any]) -> None:
    cell = {"p": p, "data.sigma_test": 0.3, "exact_risk": True, "seed": 5} | SMALL | rule
    (row,) = rows_of(cell)
    sizes = Sizes(**{name: (BASE | cell)[f"data.{name}"] for name in Sizes.__dataclass_fields__})
    data, g = gaussian(5, sizes), streams.normal(5, streams.WEIGHTS, p, sizes.d)
    a = np.maximum(data.x_train @ g.T, 0.0) / np.sqrt(p)
    query = np.maximum(data.x_query @ g.T, 0.0) / np.sqrt(p)
    left, s, right = np.linalg.svd(a, full_matrices=False)
    for index, lambda_ in enumerate(row["chosen_lambda"]):
        theta = right.T @ (s / (s * s + lambda_) * (left.T @ data.y_train))
        errors = query @ theta - data.y_query
        train = a @ theta - data.y_train
        expected = {
            "train_mse": (train**2).mean(),
            "validation_mse": (errors[:12] ** 2).mean(),
            "test_mse": (errors[12:] ** 2).mean(),
            "train_norm": np.linalg.norm(train),
            "validation_norm": np.linalg.norm(errors[:12]),
            "test_norm": np.linalg.norm(errors[12:]),
            "theta_norm": np.linalg.norm(theta),
            "effective_dof": (s * s / (s * s + lambda_)).sum(),
            "population_risk": relu_risk(theta[None] / np.sqrt(p), g, data.b)[0],
        }
        for name, value in expected.items():
            assert row[name][index] == pytest.approx(value, rel=1e-9, abs=1e-11), name


def test_tuned_is_the_best_row_of_the_path() -> None:
    grid = {"lambda.num": 9}
    for p in (20, 90, 200):
        path, tuned = rows_of({"p": p} | SMALL | grid | {"lambda.kind": "path"}, {"p": p} | SMALL | grid)
        best = np.flatnonzero(path["validation_mse"] == path["validation_mse"].min())[-1]
        for name in METRICS:
            if name in path:
                assert tuned[name].tolist() == [path[name][best]]


def test_path_has_a_row_for_every_lambda() -> None:
    (row,) = rows_of(PATH | SMALL)
    np.testing.assert_allclose(row["chosen_lambda"], [0.01, 0.01 * 10 ** (4 / 3), 10 ** (2 / 3), 100.0], rtol=1e-14)
    assert row["chosen_lambda"][[0, -1]].tolist() == [0.01, 100.0]


def test_ridgeless_interpolates_beyond_n_and_chooses_zero() -> None:
    (row,) = rows_of({"p": 150} | SMALL | RIDGELESS)
    assert (row["chosen_lambda"][0], row["train_mse"][0]) == (0.0, 0.0)
    assert row["effective_dof"][0] == pytest.approx(90.0, rel=1e-14)


def test_starter_curve() -> None:
    cells = [{"p": int(line["p"])} | STARTER for line in CURVE]
    tuned = EXPERIMENT.rows(batch(*(cell | TWELVE for cell in cells)))
    fixed = EXPERIMENT.rows(batch(*(cell | FIXED for cell in cells)))
    for got, name in (
        (tuned["chosen_lambda"], "lambda_tuned"),
        (tuned["validation_norm"], "validation_norm_tuned"),
        (tuned["test_norm"], "test_norm_tuned"),
        (fixed["test_norm"], "test_norm_fixed"),
        (fixed["theta_norm"], "theta_norm_fixed"),
    ):
        np.testing.assert_allclose(got, [float(line[name]) for line in CURVE], rtol=1e-8, err_msg=name)


def test_starter_risk_needs_no_rescaling() -> None:
    """The starter's weights carry 1 / sqrt(p): its risk is that of theta with W."""
    (row,) = rows_of({"p": 21, "exact_risk": True} | STARTER | FIXED)
    assert 0.2 < row["population_risk"][0] / (row["test_norm"][0] ** 2 / 30) < 5.0


def test_sets_without_rows_have_no_metrics_and_change_no_other() -> None:
    whole, no_test, no_validation = rows_of(
        SMALL | FIXED, SMALL | FIXED | {"data.n_test": 0}, SMALL | FIXED | {"data.n_validation": 0}
    )
    assert np.ma.getmaskarray(no_test["test_mse"]).all()
    assert np.ma.getmaskarray(no_validation["validation_norm"]).all()
    assert not np.ma.getmaskarray(whole["test_mse"]).any()
    for name in ("train_mse", "theta_norm", "effective_dof"):
        assert whole[name] == no_test[name] == no_validation[name]
    assert "test_mse" not in EXPERIMENT.rows(batch(SMALL | {"data.n_test": 0}))


def test_risk_is_a_column_only_where_asked_for() -> None:
    assert "population_risk" not in EXPERIMENT.rows(batch(SMALL))
    asked, not_asked = rows_of(SMALL | {"exact_risk": True}, SMALL)
    assert np.isfinite(asked["population_risk"][0])
    assert np.ma.getmaskarray(not_asked["population_risk"]).all()


def test_data_that_overflow_disturb_no_neighbour() -> None:
    (alone,) = rows_of(SMALL)
    huge = {"data.sigma": 1e308} | SMALL
    bad, good, *_ = rows_of(huge, SMALL, huge | RIDGELESS, huge | {"p": 120}, huge | FIXED)
    assert not np.isfinite(bad["train_mse"]).any()
    assert all(good[name] == alone[name] for name in alone)


def test_keys_that_a_cell_has_not_got_may_be_missing_from_the_batch() -> None:
    cells = batch(SMALL | RIDGELESS, SMALL | RIDGELESS | {"p": 41})
    few = {
        key: values
        for key, values in cells.items()
        if key not in {"lambda.value", "lambda.min", "lambda.max", "lambda.num"}
    }
    np.testing.assert_array_equal(EXPERIMENT.rows(few)["test_mse"], EXPERIMENT.rows(cells)["test_mse"])
    assert not EXPERIMENT.refuse(few)
    np.testing.assert_array_equal(EXPERIMENT.price(few), EXPERIMENT.price(cells))


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        ({"lambda.min": 10.0, "lambda.max": 1.0}, ["lambda.min=10.0: must be at most lambda.max=1"]),
        ({"data.n_validation": 0}, ["data.n_validation=0: lambda=tuned needs validation rows"]),
        ({"device.kind": "cuda"}, ["device.kind=cuda: not built yet (use device=cpu)"]),
        ({"exact_risk": True, "features.activation": "tanh"}, ["features.activation=tanh: exact_risk=true"]),
        (STARTER | {"p": 2}, ["p=2: must be one of 1, 11, ..., 1491 with data=starter (the nearest is p=1)"]),
        (STARTER | {"p": 1501}, ["p=1501: must be one of 1, 11, ..., 1491"]),
        (STARTER | {"p": 1, "seed": 1}, ["seed=1: must be 0 with data=starter"]),
        (
            STARTER | {"p": 1, "data.d": 30, "data.sigma": 0.25},
            ["data.d=30: must be 35", "data.sigma=0.25: must be 0.5"],
        ),
        (
            STARTER | {"p": 1, "features.activation": "tanh"},
            ["features.activation=tanh: must be relu with data=starter"],
        ),
    ],
)
def test_refusals_name_key_value_and_what_is_allowed(cell: dict[str, Any], lines: list[str]) -> None:
    mistakes = EXPERIMENT.refuse(batch({}, cell, cell))
    assert all(isinstance(mistake, BadInput) for mistake in mistakes)
    assert len(mistakes) == len(lines)
    for mistake, line in zip(mistakes, lines, strict=True):
        assert str(mistake).startswith(line)


def test_every_width_of_the_starter_is_allowed_and_no_other() -> None:
    assert EXPERIMENT.refuse(batch(*({"p": p} | STARTER for p in STARTER_WIDTHS))) == []
    assert EXPERIMENT.refuse(batch(*({"p": p} for p in range(1, 40)))) == []
    for p in (2, 10, 12, STARTER_WIDTHS[-1] + 1, STARTER_WIDTHS[-1] + STARTER_WIDTHS.step):
        (mistake,) = EXPERIMENT.refuse(batch({"p": p} | STARTER))
        assert (mistake.key, mistake.value) == ("p", p)


def test_the_starters_stream_is_read_once_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights come in the order of the widths; any other order would read it from the start again."""
    asked: list[int] = []

    class Asked(StarterModel):
        def fit(self, p: int, lambdas: np.ndarray) -> Any:
            asked.append(p)
            return super().fit(p, lambdas)

    monkeypatch.setattr("hw6.experiments.double_descent.StarterModel", Asked)
    EXPERIMENT.rows(batch(*({"p": p} | STARTER | FIXED for p in (31, 1, 21, 11, 21))))
    assert asked == [1, 11, 21, 21, 31]


@pytest.mark.parametrize("cell", MIXED[:6] + MIXED[-5:], ids=lambda cell: "-".join(map(str, cell.values())))
def test_a_cell_has_as_many_rows_as_were_announced(cell: dict[str, Any]) -> None:
    (row,) = rows_of(cell)
    assert EXPERIMENT.rows_of(batch(cell)).tolist() == [len(row["chosen_lambda"])]


@pytest.mark.parametrize("key", ["lambda.value", "lambda.min", "lambda.max"])
@pytest.mark.parametrize("value", [0, 0.0, "0", -1e-9])
def test_lambda_is_above_zero_wherever_it_is_given(key: str, value: Any) -> None:
    with pytest.raises(BadInput, match="above 0"):
        KEYS[key].convert(key, value)
    assert KEYS[key].convert(key, 5e-324) == 5e-324


@pytest.mark.parametrize("rule", [FIXED, RIDGELESS, PATH])
def test_no_validation_rows_are_fine_where_nothing_is_tuned(rule: dict[str, Any]) -> None:
    assert not EXPERIMENT.refuse(batch(rule | {"data.n_validation": 0}))


def test_many_bad_widths_are_few_lines() -> None:
    assert len(EXPERIMENT.refuse(batch(*({"p": p} | STARTER for p in range(2, 200))))) == 10


def test_lambda_zero_has_a_hint() -> None:
    for zero in (0, 0.0, "0"):
        with pytest.raises(BadInput, match="lambda=ridgeless is the limit"):
            KEYS["lambda.value"].convert("lambda.value", zero)


def test_a_million_cells_are_checked_and_priced_in_no_time() -> None:
    count = 10**6
    cells = constants(count) | {"p": np.arange(count) % 1500 + 1, "seed": np.arange(count) // 1500}
    started = time.process_time()
    assert not EXPERIMENT.refuse(cells)
    checked = time.process_time() - started
    prices = EXPERIMENT.price(cells)
    assert checked < 0.5
    assert time.process_time() - started < 5.0
    assert prices.shape == (count,)
    assert (prices > 0.0).all()


@pytest.mark.parametrize("changed", [FIXED, RIDGELESS, PATH, STARTER, {"exact_risk": True}, {"data.n_train": 20}])
def test_every_kind_of_cell_has_a_price(changed: dict[str, Any]) -> None:
    prices = EXPERIMENT.price(batch(*({"p": p} | changed for p in (1, 11, 301))))
    assert np.isfinite(prices).all()
    assert (prices > 0.0).all()


def test_order_and_metrics_are_complete() -> None:
    assert set(EXPERIMENT.order) == set(EXPERIMENT.keys) == set(BASE)
    assert list(EXPERIMENT.rows(batch({"exact_risk": True} | SMALL))) == list(EXPERIMENT.metrics)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own count of memory")
def test_nothing_heavy_is_imported_and_a_huge_width_is_small() -> None:
    """p = 200,000: neither U (480 MB) nor a p x p matrix is ever held; and no SciPy, pandas, torch or Hydra."""
    code = """
import json, sys
from pathlib import Path
import numpy as np
from hw6.experiments.double_descent import EXPERIMENT
base = json.loads(sys.argv[1])
kind = lambda value: object if isinstance(value, (str, type(None))) else None
cells = {key: np.array([value], dtype=kind(value)) for key, value in base.items()}
row = EXPERIMENT.rows(cells)
assert np.isfinite(row["test_mse"][0])
heavy = {"scipy", "pandas", "torch", "hydra", "omegaconf", "sklearn"} & set(sys.modules)
status = Path("/proc/self/status").read_text()  # ru_maxrss would count the memory of the process that started this one
print(json.dumps([sorted(heavy), int(status.split("VmHWM:")[1].split()[0]) / 1024]))
"""
    environment = {"PYTHONPATH": ":".join(entry or "." for entry in sys.path), "OPENBLAS_NUM_THREADS": "1"}
    argument = json.dumps(BASE | {"p": 200_000})
    done = subprocess.run(
        [sys.executable, "-c", code, argument], env=environment, capture_output=True, text=True, check=True
    )
    heavy, megabytes = json.loads(done.stdout)
    assert heavy == []
    assert megabytes < 400
