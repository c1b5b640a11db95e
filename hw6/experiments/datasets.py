"""The data of double descent: Gaussian data of any size, and the homework's own data.

Both give Y = X b + noise with |b| = 1 and standard-normal rows X. The query rows are the validation rows followed by
the test rows; only training labels are noisy unless a noise level is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hw6.contract.cells import distinct, numbers, other_than, plain, where_is
from hw6.contract.experiment import Cells
from hw6.errors import BadInput
from hw6.mathematics import streams
from hw6.mathematics.anchors import Fit
from hw6.mathematics.features import Directions, NestedFeatures, relu
from hw6.mathematics.ridge import RidgeSolver, fit_features


@dataclass(frozen=True)
class Data:
    """Rows and labels of one seed.

    Attributes:
        x_train, y_train: shapes (n_train, d) and (n_train,).
        x_query, y_query: validation rows, then test rows; shapes (rows, d) and (rows,).
        n_validation: how many of the query rows are for validation.
        b: the target's weights, shape (d,), |b| = 1.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_query: np.ndarray
    y_query: np.ndarray
    n_validation: int
    b: np.ndarray


@dataclass(frozen=True)
class Sizes:
    """What decides Gaussian data besides the seed: the dimension, noise levels and numbers of rows."""

    d: int
    sigma: float
    sigma_validation: float
    sigma_test: float
    n_train: int
    n_validation: int
    n_test: int


def gaussian(seed: int, sizes: Sizes) -> Data:
    """X ~ N(0, I_d), Y = X b + N(0, sigma^2), b uniform on the sphere; each part from a stream of its own.

    Parts are nested: the rows and noises of a smaller set are the first ones of a larger set, to the last bit.
    """
    b = streams.normal(seed, streams.TARGET, sizes.d)
    b /= np.sqrt((b * b).sum())
    x, y = {}, {}
    for name, rows, sigma in (
        (streams.TRAIN, sizes.n_train, sizes.sigma),
        (streams.VALIDATION, sizes.n_validation, sizes.sigma_validation),
        (streams.TEST, sizes.n_test, sizes.sigma_test),
    ):
        x[name] = streams.normal(seed, f"X_{name}", rows, sizes.d)
        y[name] = (x[name] * b).sum(axis=1)  # row by row: a product X b may round differently with more rows
        if sigma > 0.0:
            y[name] += sigma * streams.normal(seed, f"noise_{name}", rows)
    query = (streams.VALIDATION, streams.TEST)
    return Data(
        x[streams.TRAIN],
        y[streams.TRAIN],
        np.concatenate([x[name] for name in query]),
        np.concatenate([y[name] for name in query]),
        sizes.n_validation,
        b,
    )


STARTER = Sizes(d=35, sigma=0.5, sigma_validation=0.0, sigma_test=0.0, n_train=300, n_validation=60, n_test=30)
STARTER_SEED = 0
STARTER_WIDTHS = range(1, 1500, 10)


class Starter:
    """The homework's data and weights: one legacy stream (numpy's RandomState, seed 0), read in the starter's order.

    Order: b; training rows, training noise; validation rows; test rows; then W, N(0, 1/p) of shape (p, d), for each
    width in turn. So the weights of a width need all draws before them, whichever widths are asked for.
    The starter draws each row of X from multivariate_normal(0, I); those are the standard-normal draws themselves
    (a test compares them), which need no decomposition of I for each row.
    """

    def __init__(self) -> None:
        self._stream = np.random.RandomState(STARTER_SEED)
        b = self._stream.standard_normal(STARTER.d)
        b /= np.linalg.norm(b)
        x_train = self._stream.standard_normal((STARTER.n_train, STARTER.d))
        y_train = x_train @ b + self._stream.normal(0.0, STARTER.sigma, STARTER.n_train)
        x_validation = self._stream.standard_normal((STARTER.n_validation, STARTER.d))
        x_test = self._stream.standard_normal((STARTER.n_test, STARTER.d))
        x_query = np.concatenate((x_validation, x_test))
        self.data = Data(x_train, y_train, x_query, x_query @ b, STARTER.n_validation, b)
        self._start = self._stream.get_state()
        self._next = 0  # index of the next width in the stream
        self._weights: tuple[int, np.ndarray] = (0, np.empty((0, STARTER.d)))

    def weights(self, p: int) -> np.ndarray:
        """W of width p, one of STARTER_WIDTHS; shape (p, d). Rising widths are read once through."""
        if self._weights[0] != p:
            index = STARTER_WIDTHS.index(p)
            if index < self._next:
                self._stream.set_state(self._start)
                self._next = 0
            for width in STARTER_WIDTHS[self._next : index + 1]:
                w = self._stream.normal(0.0, 1.0 / np.sqrt(width), (width, STARTER.d))
            self._next = index + 1
            self._weights = p, w
        return self._weights[1]


class Model(Protocol):
    """The fits of one data set and seed."""

    data: Data

    def fit(self, p: int, lambdas: np.ndarray) -> tuple[Fit, float]:
        """The fits of width p, and |theta|^2 / |psi|^2 for their weights psi."""

    def directions(self, p: int) -> np.ndarray:
        """The rows g_j that the weights psi stand for, shape (p, d)."""


class NestedModel:
    """Gaussian data with nested random features."""

    def __init__(self, seed: int, sizes: Sizes, activation: str) -> None:
        self.data = gaussian(seed, sizes)
        self._directions = Directions(seed, sizes.d)
        features = NestedFeatures(self.data.x_train, self.data.x_query, self._directions, activation)
        self._solver = RidgeSolver(features, self.data.y_train)

    def fit(self, p: int, lambdas: np.ndarray) -> tuple[Fit, float]:
        """See Model."""
        return self._solver.fit(p, lambdas), float(p)

    def directions(self, p: int) -> np.ndarray:
        """See Model."""
        return self._directions.rows(0, p)


class StarterModel:
    """The homework's own data and weights: the scale is inside the features, psi is theta itself."""

    def __init__(self) -> None:
        self._starter = Starter()
        self.data = self._starter.data

    def fit(self, p: int, lambdas: np.ndarray) -> tuple[Fit, float]:
        """See Model."""
        w = self._starter.weights(p).T
        u, t = relu(self.data.x_train @ w), relu(self.data.x_query @ w)
        return fit_features(u, t, self.data.y_train, lambdas), 1.0

    def directions(self, p: int) -> np.ndarray:
        """See Model."""
        return self._starter.weights(p)


SIZE_NAMES = tuple(Sizes.__dataclass_fields__)


def refuse_starter(cells: Cells) -> list[BadInput]:
    """The starter data are what they are: sizes, noise, seed and widths."""
    starter = where_is(cells, "data.kind", "starter")
    if not starter.any():
        return []
    mistakes = []
    fixed = {f"data.{name}": getattr(STARTER, name) for name in SIZE_NAMES} | {"seed": STARTER_SEED}
    for key, only in fixed.items():
        (column,) = numbers(cells, key)
        allowed = f"must be {only:g} with data=starter, which is one data set"
        mistakes += [BadInput(key, plain(value), allowed) for (value,) in distinct(starter & (column != only), column)]
    relu = where_is(cells, "features.activation", "relu")
    if (starter & ~relu).any():
        mistakes.append(
            BadInput(
                "features.activation",
                other_than(cells, "features.activation", "relu"),
                "must be relu with data=starter",
            )
        )
    (p,) = numbers(cells, "p")
    wrong = starter & ((p % STARTER_WIDTHS.step != STARTER_WIDTHS.start) | (p > STARTER_WIDTHS[-1]))
    allowed = f"must be one of 1, 11, ..., {STARTER_WIDTHS[-1]} with data=starter"
    for (width,) in distinct(wrong, p):
        near = min(STARTER_WIDTHS, key=lambda known: abs(known - width))
        mistakes.append(BadInput("p", plain(width), allowed, f"the nearest is p={near}"))
    return mistakes
