"""Ridge fits from the singular value decomposition of the features themselves.

The Gram matrix squares the condition number; this route does not. It is for small lambda, the ridgeless limit and few
rows.

Rank rule: a singular value counts if it is above max(n, p) eps s_max. That is how far rounding in U and in the
decomposition can lift an exact 0 (numpy.linalg.matrix_rank has the same rule). Without it a duplicate row, or a linear
activation with p > d, would enter the minimum-norm limit with weight 1 / eps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hw6.mathematics.anchors import Fit
from hw6.mathematics.features import PIECE, NestedFeatures

EPS = float(np.finfo(float).eps)
LARGEST = 2**22  # entries of U (32 MB) up to which it is held whole


class Factor:
    """A thin singular value decomposition U = L s R', cut at the rank, and the fits from it.

    Args:
        left: L, shape (n, r).
        s: singular values, falling, shape (r,).
        right_of_query: T R, for the singular values that count; shape (query rows, rank).
        y: labels, shape (n,).
        psi: coordinates in R (m, rank) -> weights (m, p).
    """

    def __init__(
        self,
        left: np.ndarray,
        s: np.ndarray,
        right_of_query: np.ndarray,
        y: np.ndarray,
        psi: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        n, rank = len(left), right_of_query.shape[1]
        self.s, self.t, self.psi = s[:rank], right_of_query, psi
        self.c = left[:, :rank].T @ y
        outside = y - left[:, :rank] @ self.c
        self.rest = outside @ outside if rank < n else 0.0  # with rank n, the columns of L span all labels

    def fit(self, mu: np.ndarray) -> Fit:
        """The fits for the penalties mu (m,) on the unscaled features; 0 is the limit."""
        column = mu[:, None]
        denominator = self.s * self.s + column  # (m, rank)
        x = self.s / denominator * self.c
        residual = column / denominator * self.c
        return Fit(
            x @ self.t.T,
            np.einsum("ij,ij->i", residual, residual) + self.rest,
            np.einsum("ij,ij->i", x, x),
            (self.s * self.s / denominator).sum(axis=1),
            lambda which: self.psi(x[which]),
        )


def rank_of(s: np.ndarray, n: int, p: int) -> int:
    """How many of the falling singular values of an n x p matrix count (see the head of this module)."""
    return int(np.count_nonzero(s > max(n, p) * EPS * s[0]))


def factorise(u: np.ndarray, t: np.ndarray, y: np.ndarray) -> Factor:
    """The decomposition of U (n, p), with T (query rows, p) and Y (n,)."""
    left, s, right = np.linalg.svd(u, full_matrices=False)
    right = right[: rank_of(s, *u.shape)]
    return Factor(left, s, t @ right.T, y, lambda x: x @ right)


def factorise_nested(features: NestedFeatures, p: int, y: np.ndarray, width: int) -> Factor:
    """The decomposition of the first p nested columns; where U is too large to hold, in two passes over its pieces.

    First pass: U' = Q R piece by piece, keeping only R (n x n), and R' = L s W'. Second pass: T R with
    R = U'L / s. Memory is of order n (n + PIECE); G is kept, not drawn again.
    """
    n = len(y)
    if n * p <= LARGEST or p <= n:
        return factorise(*features.columns(p, width), y)
    triangle: np.ndarray = np.empty((0, n))
    for u, _ in features.pieces(p, PIECE):
        triangle = np.asarray(np.linalg.qr(np.vstack((triangle, u.T)), mode="r"))
    left, s, _ = np.linalg.svd(triangle.T)
    rank = rank_of(s, n, p)
    inverse = left[:, :rank] / s[:rank]  # (n, rank): R = U' inverse
    query = np.zeros((len(features.x_query), rank))
    for u, t in features.pieces(p, PIECE):
        query += t @ (u.T @ inverse)
    return Factor(left, s, query, y, lambda x: features.weights(x @ inverse.T, p, PIECE))
