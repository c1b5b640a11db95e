"""The cell that every peer computes: one width of the main command's sweep on hw6's data, by the yardstick's cell.

Data, features and moments are computed once a process; a cell is the Gram matrix and what ``yardstick.cell`` does, the
cheapest way known here to one width alone (hw6's own solver on a batch of one takes five times as long).
``keep`` collects what the peer's jobs gave, and writes it where the benchmark looks for it.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent.parent))

import yardstick
from scipy.linalg.blas import dsyrk

ANSWERS = Path("answers.json")


def on_hw6_data() -> yardstick.Problem:
    """Data and directions of hw6's streams, seed 0."""
    from hw6.experiments.datasets import Sizes, gaussian
    from hw6.mathematics.features import Directions

    sizes = Sizes(
        d=yardstick.D,
        sigma=yardstick.SIGMA,
        sigma_validation=0.0,
        sigma_test=0.0,
        n_train=yardstick.N_TRAIN,
        n_validation=yardstick.N_VALIDATION,
        n_test=yardstick.N_TEST,
    )
    data, g = gaussian(0, sizes), Directions(0, yardstick.D).rows(0, yardstick.WIDTHS[-1])
    return yardstick.Problem(data.x_train, data.y_train, data.x_query, data.y_query, g)


@lru_cache(maxsize=1)
def prepared() -> tuple[yardstick.Problem, np.ndarray, np.ndarray, np.ndarray]:
    """The problem, its features on training and query rows, and U'Y."""
    problem = on_hw6_data()
    u, t = yardstick.features(problem)
    return problem, u, t, u.T @ problem.y_train


def metrics(p: int) -> dict[str, float]:
    """The row of one width."""
    problem, u, t, moment = prepared()
    gram = dsyrk(1.0, u[:, :p], trans=1, lower=1)
    return dict(zip(yardstick.COLUMNS, yardstick.cell(p, gram, moment[:p], u[:, :p], t[:, :p], problem), strict=True))


def keep(answers: dict[int, float]) -> None:
    """Write width -> test_mse for the benchmark to compare."""
    ANSWERS.write_text(json.dumps({str(int(p)): float(value) for p, value in answers.items()}))
