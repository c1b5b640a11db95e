"""Time and answers of hw6's ridge solver against other ways to the same numbers.

    python benchmarks/solver.py [--quick] [--json FILE]

Every way starts from X, Y and the rows G and gives, for 25 lambdas: predictions on 90 query rows, the training norm,
|theta| and the effective degrees of freedom (peers that do not offer the last three give predictions alone, which is
in their favour). One BLAS thread. Slow peers run at fewer widths, and hw6 is timed at the same ones beside them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy
from scipy.linalg import lapack
from threadpoolctl import threadpool_info, threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hw6.experiments.datasets import Data, Sizes, gaussian
from hw6.mathematics.features import Directions, NestedFeatures
from hw6.mathematics.ridge import RidgeSolver
from hw6.mathematics.tuning import log_grid

SIZES = Sizes(d=35, sigma=0.5, sigma_validation=0.0, sigma_test=0.0, n_train=300, n_validation=60, n_test=30)
LAMBDAS = log_grid(1e-2, 1e2, 25)
TOLERANCE = 1e-9  # relative, all quantities at lambda >= 0.01


class Answer(NamedTuple):
    """Predictions (25, 90), and where a way gives them the training norm, |theta| and dof, (25,) each."""

    predictions: np.ndarray
    rest: np.ndarray | None = None


Way = Callable[[Data, np.ndarray, Sequence[int]], list[Answer]]


def ours(data: Data, g: np.ndarray, widths: Sequence[int]) -> list[Answer]:
    directions = Directions(0, SIZES.d)  # draws G again: a part of our time, not of the peers'
    solver = RidgeSolver(NestedFeatures(data.x_train, data.x_query, directions, "relu"), data.y_train)
    answers = []
    for p in widths:
        fit = solver.fit(p, LAMBDAS)
        answers.append(Answer(fit.predictions, np.stack((np.sqrt(fit.rss), np.sqrt(p * fit.psi_norm2), fit.dof))))
    return answers


def features(data: Data, g: np.ndarray, p: int) -> tuple[np.ndarray, np.ndarray]:
    """U and T of the largest width, in one product each; a peer slices them."""
    u = np.maximum(data.x_train @ g[:p].T, 0.0)
    return np.asfortranarray(u), np.asfortranarray(np.maximum(data.x_query @ g[:p].T, 0.0))


def tridiagonal(data: Data, g: np.ndarray, widths: Sequence[int]) -> list[Answer]:
    """Gram matrix of the smaller side, Householder tridiagonal form, one tridiagonal solve a lambda: O(p) each."""
    u_all, t_all = features(data, g, max(widths))
    y = data.y_train
    total = y @ y
    n = len(y)
    answers = []
    for p in widths:
        u, t, mu = u_all[:, :p], t_all[:, :p], p * LAMBDAS
        narrow = p <= n
        gram = scipy.linalg.blas.dsyrk(1.0, u, trans=1 if narrow else 0, lower=1)
        moment = u.T @ y if narrow else y.copy()
        size = len(moment)
        if size == 1:
            diagonal, off, reduced = gram[0].copy(), np.empty(0), moment
        else:
            work = int(lapack.dsytrd_lwork(size, lower=1)[0])
            reduced_matrix, diagonal, off, tau, _ = lapack.dsytrd(gram, lower=1, lwork=work, overwrite_a=1)
            reflectors = np.asfortranarray(reduced_matrix[1:, :-1])
            reduced = moment.copy()
            reduced[1:] = lapack.dormqr("L", "T", reflectors, tau, moment[1:, None], 64)[0][:, 0]
        z = np.empty((size, len(mu)), order="F")
        for index, shift in enumerate(mu):
            z[:, index] = lapack.dptsv(diagonal + shift, off, reduced)[2] if size > 1 else reduced / (diagonal + shift)
        # Eigenvalues of the tridiagonal matrix alone, for the degrees of freedom.
        values = np.maximum(lapack.dsterf(diagonal, off)[0], 0.0) if size > 1 else diagonal
        square = np.einsum("ij,ij->j", z, z)
        inner = reduced @ z
        x = z.copy()
        if size > 1:
            x[1:] = lapack.dormqr("L", "N", reflectors, tau, z[1:], 64 * len(mu))[0]
        if narrow:
            theta2, rss = p * square, total - inner - mu * square
            predictions = (t @ x).T
        else:
            theta2, rss = p * (inner - mu * square), mu * mu * square
            predictions = (t @ (u.T @ x)).T
        dof = (values[:, None] / (values[:, None] + mu)).sum(axis=0)
        answers.append(Answer(predictions, np.stack((np.sqrt(np.maximum(rss, 0.0)), np.sqrt(theta2), dof))))
    return answers


def inverse(data: Data, g: np.ndarray, widths: Sequence[int]) -> list[Answer]:
    """numpy.linalg.inv of the p x p matrix for each lambda, as in a first solution of the homework."""
    u_all, t_all = features(data, g, max(widths))
    answers = []
    for p in widths:
        a, query = u_all[:, :p] / np.sqrt(p), t_all[:, :p] / np.sqrt(p)
        gram, moment = a.T @ a, a.T @ data.y_train
        predictions, rest = [], []
        for lambda_ in LAMBDAS:
            inverted = np.linalg.inv(gram + lambda_ * np.eye(p))
            theta = inverted @ moment
            predictions.append(query @ theta)
            norm = np.linalg.norm(a @ theta - data.y_train)
            rest.append((norm, np.linalg.norm(theta), p - lambda_ * np.trace(inverted)))
        answers.append(Answer(np.array(predictions), np.array(rest).T))
    return answers


def sklearn_ridge(data: Data, g: np.ndarray, widths: Sequence[int]) -> list[Answer]:
    """scikit-learn's Ridge, fitted once a lambda; predictions alone."""
    from sklearn.linear_model import Ridge

    u_all, t_all = features(data, g, max(widths))
    answers = []
    for p in widths:
        a, query = u_all[:, :p] / np.sqrt(p), t_all[:, :p] / np.sqrt(p)
        fits = (Ridge(alpha=lambda_, fit_intercept=False).fit(a, data.y_train) for lambda_ in LAMBDAS)
        answers.append(Answer(np.array([fit.predict(query) for fit in fits])))
    return answers


def sklearn_ridge_cv(data: Data, g: np.ndarray, widths: Sequence[int]) -> list[Answer]:
    """scikit-learn's RidgeCV: leave-one-out over the grid, predictions at its own choice of lambda alone."""
    from sklearn.linear_model import RidgeCV

    u_all, t_all = features(data, g, max(widths))
    answers = []
    for p in widths:
        a, query = u_all[:, :p] / np.sqrt(p), t_all[:, :p] / np.sqrt(p)
        fit = RidgeCV(alphas=LAMBDAS, fit_intercept=False).fit(a, data.y_train)
        predictions = np.full((len(LAMBDAS), len(query)), np.nan)
        predictions[int(np.flatnonzero(fit.alpha_ == LAMBDAS)[0])] = fit.predict(query)
        answers.append(Answer(predictions))
    return answers


def himalaya(data: Data, g: np.ndarray, widths: Sequence[int]) -> list[Answer]:
    """himalaya's solve_ridge_svd, one decomposition for all lambdas; predictions alone."""
    from himalaya.ridge import RIDGE_SOLVERS

    u_all, t_all = features(data, g, max(widths))
    solve = RIDGE_SOLVERS["svd"]
    answers = []
    for p in widths:
        a, query = u_all[:, :p] / np.sqrt(p), t_all[:, :p] / np.sqrt(p)
        y = np.repeat(data.y_train[:, None], len(LAMBDAS), axis=1)  # a target for each lambda
        weights = np.asarray(solve(a, y, alpha=LAMBDAS, fit_intercept=False, warn=False))
        answers.append(Answer((query @ weights).T))
    return answers


DENSE, TENS, LOW = range(1, 1501), range(11, 1492, 10), range(5, 200)
FEW = (11, 101, 301, 491, 991, 1491)
RACES: tuple[tuple[str, Way, Sequence[int], int], ...] = (  # name, way, widths, repetitions
    ("LAPACK tridiagonal, p = 1 ... 1500", tridiagonal, DENSE, 5),
    ("LAPACK tridiagonal, p = 11, 21 ... 1491", tridiagonal, TENS, 5),
    ("LAPACK tridiagonal, p = 5 ... 199", tridiagonal, LOW, 5),
    ("numpy.linalg.inv", inverse, FEW, 1),
    ("scikit-learn Ridge", sklearn_ridge, FEW, 5),
    ("scikit-learn RidgeCV", sklearn_ridge_cv, FEW, 5),
    ("himalaya solve_ridge_svd", himalaya, FEW, 5),
)


def timed(way: Way, data: Data, g: np.ndarray, widths: Sequence[int]) -> tuple[float, list[Answer]]:
    started = time.perf_counter()
    answers = way(data, g, widths)
    return time.perf_counter() - started, answers


def duel(way: Way, data: Data, g: np.ndarray, widths: Sequence[int], repeat: int) -> dict[str, float]:
    """Peer and hw6 in turn, so that a busy machine slows both; medians of their times and of their ratios."""
    ours(data, g, widths)
    theirs, mine = [], []
    for _ in range(repeat):
        peer_seconds, answers = timed(way, data, g, widths)
        hw6_seconds, expected = timed(ours, data, g, widths)
        theirs.append(peer_seconds)
        mine.append(hw6_seconds)
    return {
        "peer_seconds": statistics.median(theirs),
        "hw6_seconds": statistics.median(mine),
        "ratio": statistics.median(ours_ / peer for ours_, peer in zip(mine, theirs, strict=True)),
        "worst_difference": worst(answers, expected),
    }


def worst(answers: Sequence[Answer], expected: Sequence[Answer]) -> float:
    """The largest relative difference, over widths, lambdas and quantities."""
    error = 0.0
    for answer, right in zip(answers, expected, strict=True):
        given = ~np.isnan(answer.predictions[:, 0])
        difference = np.linalg.norm((answer.predictions - right.predictions)[given], axis=1)
        error = max(error, float((difference / np.linalg.norm(right.predictions[given], axis=1)).max()))
        if answer.rest is not None and right.rest is not None:
            error = max(error, float(np.abs(answer.rest / right.rest - 1.0).max()))
    return error


def race(data: Data, g: np.ndarray, quick: bool) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for name, way, widths, repeat in RACES:
        if quick:
            repeat = min(repeat, 3)
            if widths is DENSE:
                name, widths = "LAPACK tridiagonal, p = 201 ... 400", range(201, 401)
        try:
            lines.append({"peer": name, "widths": len(widths)} | duel(way, data, g, widths, repeat))
        except ImportError as error:
            print(f"skipped {name}: {error.name} is not installed", file=sys.stderr)
    return lines


def machine() -> dict[str, object]:
    blas = sorted({f"{entry['internal_api']} {entry['version']}" for entry in threadpool_info()})
    versions = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
    for name in ("sklearn", "himalaya"):
        if name in sys.modules:
            versions[name] = sys.modules[name].__version__
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    return {"machine": platform.platform(), "cpu": cpu or platform.processor(), "blas": blas, "versions": versions}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 widths of the dense axis, fewer repetitions")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    with threadpool_limits(limits=1):
        data, g = gaussian(0, SIZES), Directions(0, SIZES.d).rows(0, 1500)
        lines = race(data, g, options.quick)
    result = {"lines": lines, "quick": options.quick, "tolerance": TOLERANCE, **machine()}
    print("| peer | widths | peer s | hw6 s | hw6 / peer | worst difference |\n| --- | --- | --- | --- | --- | --- |")
    row = "| {peer} | {widths} | {peer_seconds:.3f} | {hw6_seconds:.3f} | {ratio:.3f} | {worst_difference:.1e} |"
    for line in lines:
        print(row.format(**line))
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 1 if any(float(str(line["worst_difference"])) > TOLERANCE for line in lines) else 0


if __name__ == "__main__":
    raise SystemExit(main())
