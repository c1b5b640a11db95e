"""hydraflow: Hydra with an MLflow run for each job. ``force_new_run`` is its fastest: no search for an earlier run."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import cell
import hydraflow
import mlflow
from mlflow.entities import Run


@dataclass
class Config:
    """The config of one cell."""

    p: int = 5


answers: dict[int, float] = {}


@hydraflow.main(Config, force_new_run=True)
def app(run: Run, config: Config) -> None:
    row = cell.metrics(config.p)
    mlflow.log_metrics(row)
    answers[config.p] = row["test_mse"]


if __name__ == "__main__":
    sys.argv += ["-m", "p=range(5,200)"]
    app()
    cell.keep(answers)
