"""The main command's sweep as one bare script: NumPy and SciPy, no framework.

    python benchmarks/yardstick.py [--csv FILE] [--repeat-gram] [--check]

Ridge regression on p = 5 ... 199 random ReLU features of Gaussian data (n = 300, d = 35), seed 0, lambda tuned on 60
validation rows over 25 log-spaced values; a row a width, written as CSV. ``main_command.py`` times it as a whole
process. It is as fast as its author could make it without touching the arithmetic of hw6's own solver:

- features are nested (the first p rows of one G), so their Gram matrix is computed once (dsyrk) and sliced;
  ``--repeat-gram`` computes it for each width instead, as features drawn anew for each width would need;
- the p x p side, the smaller one for every width here, is made tridiagonal by dsytrd; Q'b and Q z by dormqr;
- all 25 tridiagonal systems are one call of dptsv: a block-diagonal tridiagonal matrix is tridiagonal;
- what only the chosen lambda needs (test and training errors, norms, degrees of freedom) is computed for it alone; the
  trace of the inverse is that of a tridiagonal matrix, from two dpttrf in O(p).

``--check`` takes data and G from hw6's streams and compares every number with hw6's rows.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read once, when NumPy is loaded: the cells are small

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dormqr, dptsv, dpttrf, dsytrd, dsytrd_lwork

D, N_TRAIN, N_VALIDATION, N_TEST, SIGMA = 35, 300, 60, 30, 0.5
WIDTHS = range(5, 200)
LAMBDAS = np.logspace(-2, 2, 25)
COLUMNS = (
    "p",
    "chosen_lambda",
    "train_mse",
    "validation_mse",
    "test_mse",
    "train_norm",
    "validation_norm",
    "test_norm",
    "theta_norm",
    "effective_dof",
)
BLOCK = 32  # columns of one blocked reflector in dormqr


class Problem(NamedTuple):
    """Rows, labels and the directions of the features; the query rows are validation rows, then test rows."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_query: np.ndarray
    y_query: np.ndarray
    g: np.ndarray


def draw(seed: int) -> Problem:
    """Gaussian data with a linear target of norm 1 and noise on the training labels."""
    rng = np.random.default_rng(seed)
    b = rng.standard_normal(D)
    b /= np.sqrt(b @ b)
    x_train = rng.standard_normal((N_TRAIN, D))
    x_query = rng.standard_normal((N_VALIDATION + N_TEST, D))
    y_train = x_train @ b + SIGMA * rng.standard_normal(N_TRAIN)
    return Problem(x_train, y_train, x_query, x_query @ b, rng.standard_normal((WIDTHS[-1], D)))


def features(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The unscaled ReLU features of the largest width on training and query rows; column by column in memory."""
    train, query = problem.g @ problem.x_train.T, problem.g @ problem.x_query.T
    return np.maximum(train, 0.0, out=train).T, np.maximum(query, 0.0, out=query).T


def sweep(problem: Problem, repeat_gram: bool) -> Iterator[tuple[float, ...]]:
    """A row for each width, in the order of COLUMNS."""
    u, t = features(problem)
    moment = u.T @ problem.y_train
    whole = None if repeat_gram else dsyrk(1.0, u, trans=1, lower=1)
    for p in WIDTHS:
        gram = dsyrk(1.0, u[:, :p], trans=1, lower=1) if whole is None else whole[:p, :p]
        yield cell(p, gram, moment[:p], u[:, :p], t[:, :p], problem)


def cell(
    p: int, gram: np.ndarray, moment: np.ndarray, u: np.ndarray, t: np.ndarray, problem: Problem
) -> tuple[float, ...]:
    """The row of one width: ridge weights psi on the unscaled features, penalty mu = p lambda; theta = sqrt(p) psi."""
    reduced, diagonal, off, tau, _ = dsytrd(gram, lower=1, lwork=int(dsytrd_lwork(p, lower=1)[0]))
    reflectors = np.asfortranarray(reduced[1:, :-1])
    right = moment.copy()
    right[1:] = dormqr("L", "T", reflectors, tau, moment[1:, None], BLOCK)[0][:, 0]
    mu = p * LAMBDAS
    psi = solutions(diagonal, off, right, mu)
    psi[1:] = dormqr("L", "N", reflectors, tau, psi[1:], BLOCK * len(mu))[0]
    errors = t[:N_VALIDATION] @ psi
    errors -= problem.y_query[:N_VALIDATION, None]
    squares = np.einsum("ij,ij->j", errors, errors)
    best = len(mu) - 1 - int(squares[::-1].argmin())  # of equal errors, the largest lambda
    chosen = psi[:, best]
    test = t[N_VALIDATION:] @ chosen - problem.y_query[N_VALIDATION:]
    train = u @ chosen - problem.y_train
    sums = (float(train @ train), float(squares[best]), float(test @ test))
    dof = p - mu[best] * trace_of_inverse(diagonal + mu[best], off)
    means = (sums[0] / N_TRAIN, sums[1] / N_VALIDATION, sums[2] / N_TEST)
    norms = (sums[0] ** 0.5, sums[1] ** 0.5, sums[2] ** 0.5, float(p * (chosen @ chosen)) ** 0.5)
    return (p, float(LAMBDAS[best]), *means, *norms, float(dof))


def solutions(diagonal: np.ndarray, off: np.ndarray, right: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """(T + mu_j I)^-1 right for every j as columns, T tridiagonal: one system of blocks with nothing between them."""
    p, m = len(diagonal), len(mu)
    between = np.zeros((m, p))
    between[:, :-1] = off
    shifted = (diagonal + mu[:, None]).ravel()
    answer: np.ndarray = dptsv(
        shifted, between.ravel()[:-1], np.tile(right, m), overwrite_d=1, overwrite_e=1, overwrite_b=1
    )[2]
    return answer.reshape(m, p).T


def trace_of_inverse(diagonal: np.ndarray, off: np.ndarray) -> float:
    """The trace of the inverse of a positive definite tridiagonal matrix.

    Its i-th diagonal entry is 1 / (forward pivot + backward pivot - diagonal entry), pivots of L D L' from either end.
    """
    forward = dpttrf(diagonal, off)[0]
    backward = dpttrf(diagonal[::-1], off[::-1])[0][::-1]
    return float((1.0 / (forward + backward - diagonal)).sum())


def check() -> float:
    """The largest relative difference from hw6's rows on hw6's data, with the Gram matrix sliced and repeated."""
    from peers.cell import on_hw6_data

    from hw6.experiments.double_descent import EXPERIMENT

    problem = on_hw6_data()
    expected = EXPERIMENT.rows(hw6_cells())
    rows = np.array([list(sweep(problem, repeat)) for repeat in (False, True)])
    right = np.stack([np.array(WIDTHS, dtype=float), *(expected[name] for name in COLUMNS[1:])], axis=1)
    return float(np.abs(rows / right - 1.0).max())


def hw6_cells() -> dict[str, np.ndarray]:
    """The cells of the main command as hw6's experiment takes them."""
    constants = {
        "seed": 0,
        "lambda.kind": "tuned",
        "lambda.min": 1e-2,
        "lambda.max": 1e2,
        "lambda.num": 25,
        "data.kind": "gaussian",
        "data.d": D,
        "data.sigma": SIGMA,
        "data.sigma_validation": 0.0,
        "data.sigma_test": 0.0,
        "data.n_train": N_TRAIN,
        "data.n_validation": N_VALIDATION,
        "data.n_test": N_TEST,
        "features.activation": "relu",
        "device.kind": "cpu",
        "exact_risk": False,
    }
    columns = {"p": np.array(WIDTHS, dtype=np.int64)}
    for key, value in constants.items():
        kind = object if isinstance(value, str) else None
        columns[key] = np.broadcast_to(np.array([value], dtype=kind), (len(WIDTHS),))
    return columns


def write(path: str, rows: Sequence[Sequence[float]]) -> None:
    """Rows as CSV with a header."""
    lines = [",".join(COLUMNS), *(",".join(map(repr, row)) for row in rows)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", default="yardstick.csv", help="where the rows go")
    parser.add_argument("--repeat-gram", action="store_true", help="compute the Gram matrix for each width")
    parser.add_argument("--check", action="store_true", help="compare with hw6's rows on hw6's data, and stop")
    options = parser.parse_args()
    if options.check:
        difference = check()
        print(f"largest relative difference from hw6's rows: {difference:.1e}")
        return int(difference > 1e-9)
    write(options.csv, list(sweep(draw(0), options.repeat_gram)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
