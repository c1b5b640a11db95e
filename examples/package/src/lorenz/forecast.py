"""The experiment: the state ``horizon`` steps ahead, as the mean of what became of the k nearest states of the past."""

from typing import Annotated, Literal

import numpy as np

import hw6

from .series import LENGTH, trajectory

ORDERS = {"manhattan": 1, "euclidean": 2, "maximum": np.inf}
FORECASTS = 100


def refuse(k: int, n_train: int, horizon: int) -> list[hw6.BadInput]:
    """Looked at before anything runs; every mistake that it gives is one line."""
    wrong = []
    if k > n_train:
        wrong.append(hw6.BadInput("k", k, f"must be at most n_train={n_train}"))
    if n_train + 2 * horizon + FORECASTS > LENGTH:
        wrong.append(hw6.BadInput("n_train", n_train, f"the series is too short for it with horizon={horizon}"))
    return wrong


@hw6.experiment(
    version=1,
    metrics={"error": "root mean square error, in standard deviations of the series"},
    refuse=refuse,
    price=lambda n_train: 3e-5 * n_train,
    drawing=hw6.Drawing(panels=(hw6.Panel("error", "forecast error", log=True),), x=("horizon", "k")),
)
def lorenz(
    k: Annotated[int, hw6.Integer(help="neighbours", minimum=1)] = 3,
    n_train: Annotated[int, hw6.Integer(help="states of the past", minimum=1)] = 2_000,
    horizon: Annotated[int, hw6.Integer(help="steps ahead", minimum=0)] = 50,
    distance: Literal["manhattan", "euclidean", "maximum"] = "euclidean",
    seed: Annotated[int, hw6.Integer(help="which states of the future are forecast", minimum=0)] = 0,
):
    """Forecasts of the Lorenz system by its nearest neighbours."""
    series = trajectory()
    past = series[:n_train]
    now = np.random.default_rng(seed).integers(n_train + horizon, LENGTH - horizon, FORECASTS)
    apart = np.linalg.norm(series[now][:, None] - past[None], ord=ORDERS[distance], axis=2)  # (FORECASTS, n_train)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :k]
    forecast = series[nearest + horizon].mean(axis=1)
    return {"error": np.sqrt(np.mean((forecast - series[now + horizon]) ** 2 / series.var(axis=0)))}
