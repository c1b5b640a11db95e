"""Frames as ``hw6.load`` gives them, made here: dense ridge for small ones, formulas for large ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from hw6.contract.drawing import Drawing, Fill, Mark, Panel
from hw6.contract.experiment import Experiment
from hw6.contract.keys import Choice, Integer, Key, Real
from hw6.contract.registry import register, unregister
from hw6.figures.data import Curve, CurvePanel, Curves, MapPanel

METRICS = {
    "chosen_lambda": "the ridge parameter used",
    "train_mse": "mean squared error on the training data",
    "validation_mse": "mean squared error on the validation data",
    "test_mse": "mean squared error on the test data",
    "test_norm": "root of the sum of squared test errors",
    "theta_norm": "norm of theta",
    "effective_dof": "effective degrees of freedom",
}
LABELS = {
    "p": "number of features $p$",
    "lambda.value": "ridge parameter $\\lambda$",
    "data.sigma": "label noise $\\sigma$",
    "data.n_train": "number of training examples $n$",
}


def ridge_drawing(values: Mapping[str, Sequence[Any]]) -> Drawing:
    """The figure of double descent as data."""
    starter = list(values.get("data.kind", ())) == ["starter"]
    error = (
        Panel("test_norm", "test error (root of sum of squares)")
        if starter
        else Panel("test_mse", "test error (mean squared)")
    )
    return Drawing(
        panels=(error, Panel("chosen_lambda", "chosen $\\lambda$", log=True, thin=True)),
        x=("p", "lambda.value"),
        fills=(Fill("lambda.value", "chosen_lambda", "lambda.kind", "path"),),
        lowest_along=("lambda.value",),
        marks=(Mark("p", "data.n_train", "$p = n$"),),
        labels={metric: text for metric, text in METRICS.items() if len(text) <= 45} | LABELS,
        symbols={"lambda.value": "λ", "data.n_train": "n", "data.d": "d", "data.sigma": "σ"},
        names={
            "lambda.kind": {
                "fixed": ("λ = {lambda.value} (fixed)", "fixed λ"),
                "tuned": ("λ tuned on validation data",),
                "ridgeless": ("ridgeless (λ → 0)",),
                "path": ("path of λ",),
            },
            "data.kind": {"starter": ("starter data",), "gaussian": ("Gaussian data",)},
        },
        caption=("data.n_train", "data.d", "data.sigma"),
        best=("validation_norm", "test_norm") if starter else ("validation_mse", "test_mse"),
    )


KEYS: dict[str, Key] = {
    "p": Integer(help="number of features", default=10),
    "seed": Integer(help="seed", default=0),
    "lambda.kind": Choice(help="ridge rule", choices=("fixed", "tuned", "path", "ridgeless"), default="fixed"),
    "lambda.value": Real(help="ridge parameter", default=0.01),
    "lambda.min": Real(help="smallest", default=0.01),
    "lambda.max": Real(help="largest", default=100.0),
    "lambda.num": Integer(help="how many", default=25),
    "data.kind": Choice(help="data", choices=("gaussian", "starter"), default="gaussian"),
    "data.d": Integer(help="dimension", default=8),
    "data.sigma": Real(help="noise", default=0.5),
    "data.n_train": Integer(help="training examples", default=60),
    "data.n_validation": Integer(help="validation examples", default=60),
    "data.n_test": Integer(help="test examples", default=30),
    "features.activation": Choice(help="activation", choices=("relu", "tanh", "erf"), default="relu"),
}

RIDGE = Experiment(
    name="ridge_recipe",
    version=1,
    keys=KEYS,
    metrics=METRICS | {"validation_norm": "root of the sum of squared validation errors"},
    rows=lambda cells: {},
    objective="validation_mse",
    drawing=ridge_drawing,
)
EMPTY = Experiment(name="empty_recipe", version=1, keys={"p": KEYS["p"]}, metrics={}, rows=lambda cells: {})
LAYERS = Experiment(
    name="layers_recipe",
    version=1,
    keys={"depth": Integer(help="number of layers", default=4), "seed": KEYS["seed"]},
    metrics={"layer": "layer", "variance": "variance", "variance_theory": "in theory", "variance_se": "error"},
    rows=lambda cells: {},
    drawing=lambda values: Drawing(
        panels=(Panel("variance", "variance of $y_\\ell$", theory="variance_theory", error="variance_se"),),
        x=("layer",),
        index=("layer",),
        labels={"layer": "layer $\\ell$"},
    ),
)


class Sizes(TypedDict):
    """Arguments of ``ridge_frame``."""

    p: Iterable[int]
    n: int
    d: int


SMALL: Sizes = {"p": (5, 10, 20, 30), "n": 20, "d": 4}


@contextmanager
def known(*experiments: Experiment) -> Iterator[None]:
    """These experiments, or those of this module, are known to ``hw6.contract.registry`` meanwhile."""
    named = experiments or (RIDGE, EMPTY, LAYERS)
    for experiment in named:
        register(experiment)
    try:
        yield
    finally:
        for experiment in named:
            unregister(experiment.name)


def curves_in(data: Curves, place: int = 0) -> tuple[Curve, ...]:
    """The curves of one panel of a figure."""
    panel = data.panels[place]
    assert isinstance(panel, CurvePanel)
    return panel.curves


def maps_in(data: Curves) -> tuple[MapPanel, ...]:
    """The maps of a figure."""
    maps = tuple(panel for panel in data.panels if isinstance(panel, MapPanel))
    assert len(maps) == len(data.panels)
    return maps


def ridge_path(p: int, seed: int, lambdas: Sequence[float], n: int, d: int, sigma: float) -> dict[str, np.ndarray]:
    """Validation and test errors of random ReLU features for several lambdas, by an eigendecomposition."""
    rng = np.random.default_rng([seed, n, d])
    x, noise, beta = rng.standard_normal((n + 90, d)), rng.standard_normal(n), rng.standard_normal(d)
    y = x @ beta / np.linalg.norm(beta)
    g = np.random.default_rng([seed, 7]).standard_normal((p, d))
    features = np.maximum(x @ g.T, 0) / np.sqrt(p)
    train, rest, noisy = features[:n], features[n:], y[:n] + sigma * noise
    values, vectors = np.linalg.eigh(train @ train.T)
    predictions = (
        rest @ train.T @ vectors @ ((vectors.T @ noisy)[:, None] / (values.clip(0)[:, None] + np.array(lambdas)))
    )
    squares = np.square(predictions - y[n:, None])
    dof = (values.clip(0)[:, None] / (values.clip(0)[:, None] + np.array(lambdas))).sum(axis=0)
    return {
        "validation_mse": squares[:60].mean(axis=0),
        "test_mse": squares[60:].mean(axis=0),
        "test_norm": np.sqrt(squares[60:].sum(axis=0)),
        "validation_norm": np.sqrt(squares[:60].sum(axis=0)),
        "effective_dof": dof,
    }


GRID = tuple(np.logspace(-2, 2, 25).tolist())  # that tuning tries
PATH = tuple(np.logspace(-3, 2, 26).tolist())


def ridge_frame(
    *,
    p: Iterable[int],
    seeds: int = 1,
    kinds: Sequence[str] = ("fixed", "tuned"),
    lambdas: Iterable[float] = (0.01,),
    sigmas: Iterable[float] = (0.5,),
    n: int = 60,
    d: int = 8,
    data: str = "gaussian",
) -> pd.DataFrame:
    """A double descent sweep."""
    lambdas, p = tuple(lambdas), tuple(p)
    rows: list[dict[str, Any]] = []
    for sigma, seed, width in itertools.product(sigmas, range(seeds), p):
        every = (*lambdas, *GRID, *PATH)
        result = ridge_path(width, seed, every, n, d, sigma)
        tuned = len(lambdas) + int(np.argmin(result["validation_mse"][len(lambdas) : len(lambdas) + len(GRID)]))
        places: dict[str, Sequence[int]] = {
            "fixed": range(len(lambdas)),
            "tuned": [tuned],
            "path": range(len(lambdas) + len(GRID), len(every)),
        }
        for kind in kinds:
            for place in places[kind]:
                value = every[place] if kind == "fixed" else np.nan
                rows.append(
                    {
                        "cell_id": f"{width}-{seed}-{kind}-{value}-{sigma}-{n}",
                        "p": width,
                        "seed": seed,
                        "lambda.kind": kind,
                        "lambda.value": value,
                        "lambda.min": np.nan if kind == "fixed" else GRID[0],
                        "data.sigma": sigma,
                        "chosen_lambda": every[place],
                        **{metric: numbers[place] for metric, numbers in result.items()},
                    }
                )
    constant: dict[str, Any] = {"data.n_train": n, "data.d": d, "data.kind": data, "data.n_test": 30}
    frame = pd.DataFrame(rows).assign(**constant)
    return finished(frame, RIDGE.name)


def finished(frame: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The columns of every row, for cells that are done."""
    frame = frame.assign(experiment=experiment, status="done", error_type="", error_message="", seconds=1e-3)
    for name in frame:
        if name != "cell_id" and frame[name].dtype.kind not in "iufb":
            frame[name] = frame[name].astype("category")
    return frame


def repeated(frame: pd.DataFrame, key: str, values: Iterable[Any]) -> pd.DataFrame:
    """The frame once for each value of a key, in cells of their own."""
    parts = [frame.assign(**{key: value, "cell_id": frame["cell_id"] + f"-{value}"}) for value in values]
    return pd.concat(parts, ignore_index=True)


def fail(frame: pd.DataFrame, rows: Sequence[int], error: str = "LinAlgError") -> pd.DataFrame:
    """The frame with some cells failed."""
    frame = frame.astype(dict.fromkeys(("status", "error_type", "error_message"), object))
    places = frame.index[list(rows)]
    frame.loc[places, ["status", "error_type", "error_message"]] = ["failed", error, "did not converge"]
    frame.loc[places, [name for name in frame if name in RIDGE.metrics]] = np.nan
    return frame


def large_frame(widths: int, seeds: int) -> pd.DataFrame:
    """A sweep of 2 x widths x seeds cells from a formula."""
    p = np.tile(np.repeat(np.arange(1, widths + 1), seeds), 2)
    seed = np.tile(np.arange(seeds), 2 * widths)
    tuned = np.arange(len(p)) >= len(p) // 2
    noise = np.exp(np.random.default_rng(0).standard_normal(len(p)))
    error = 0.1 + 5 / p + np.where(tuned, 0, noise / (1 + np.abs(p - 300)))
    frame = pd.DataFrame(
        {
            "cell_id": np.arange(len(p)).astype(str),
            "p": p,
            "seed": seed,
            "lambda.kind": np.where(tuned, "tuned", "fixed"),
            "lambda.value": np.where(tuned, np.nan, 0.01),
            "chosen_lambda": np.where(tuned, 1.0 + p % 7, 0.01),
            "validation_mse": error,
            "test_mse": error,
            "data.n_train": 300,
        }
    )
    return finished(frame, RIDGE.name)


def layers_frame(depths: Sequence[int] = (4, 8), seeds: int = 1) -> pd.DataFrame:
    """Several rows a cell, numbered by a metric, with a column of theory and one of errors."""
    rows = [
        {
            "cell_id": f"{depth}-{seed}",
            "depth": depth,
            "seed": seed,
            "layer": layer,
            "variance": (1 + 0.1 * np.sin(7 * layer + seed)) / 3.0**layer,
            "variance_theory": 3.0**-layer,
            "variance_se": 0.1 / 3.0**layer,
        }
        for depth in depths
        for seed in range(seeds)
        for layer in range(1, depth + 1)
    ]
    return finished(pd.DataFrame(rows), LAYERS.name)
