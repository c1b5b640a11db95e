"""Anchors: one symmetric eigendecomposition that serves the ridge fits of all widths near it.

The features of width p are the first p columns of U (n rows, unscaled), S_p = U_p'U_p and K_p = U_p U_p'. A fit of
width p with penalty mu = p lambda needs (S_p + mu I)^-1 where p <= n and (K_p + mu I)^-1 where p > n. At an anchor
width a the matrix is decomposed, Q D Q'. A width p with q = |p - a| columns more or less is reached exactly, by

    p <= n, p > a    a border of q rows and columns: Schur complement of S_a + mu I
    p <= n, p < a    a deleted block: block elimination in the inverse of S_a + mu I
    p > n, p > a     q columns added to the kernel: Woodbury
    p > n, p < a     q columns taken from it: Woodbury with the other sign

which is a q x q system for each lambda. ``docs/mathematics/double_descent.md`` derives the four cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

NARROW = (
    16  # half the distance of two anchors where p <= n: a cell's cost rises as q^2, an anchor's falls as 1 / NARROW
)
WIDE = 32  # where p > n
FORMED_BELOW = 1e-2  # of Y'alpha: a smaller |psi|^2 is summed from the weights
EXPLICIT_BELOW = 1e-2  # of |Y|^2: a smaller RSS is summed from the residuals, the difference has lost digits


class Fit(NamedTuple):
    """The ridge fits of one width for m lambdas.

    Attributes:
        predictions: on the query rows, shape (m, number of query rows).
        rss: squared norm of the training residual, shape (m,).
        psi_norm2: squared norm of the weights psi = theta / sqrt(p) on the unscaled features, shape (m,).
        dof: trace of the matrix that takes Y to the fitted values, shape (m,).
        psi: the weights psi of the fits whose indices it is given, shape (number of indices, p).
    """

    predictions: np.ndarray
    rss: np.ndarray
    psi_norm2: np.ndarray
    dof: np.ndarray
    psi: Callable[[list[int]], np.ndarray]


@dataclass(frozen=True)
class Border:
    """What an anchor knows of the columns on one side of it; column j is the j-th away from the anchor.

    Attributes:
        h: the columns in the anchor's eigenbasis, H, shape (a or n, k).
        pairs: the products of two columns of h, pairs (i, j <= i) in the order of i, shape (k (k + 1) / 2, a or n);
            the first q columns need the first q (q + 1) / 2 pairs, and X pairs' is half the work of H'diag(x)H.
        t: the columns on the query rows, shape (k, query rows); None where none is needed.
        v: the columns on the training rows, shape (k, n); None where none is needed.
        gram: v v', shape (k, k), and
        moment: v Y, shape (k,); both only for p <= n, p > a.
    """

    h: np.ndarray
    pairs: np.ndarray
    t: np.ndarray | None = None
    v: np.ndarray | None = None
    gram: np.ndarray | None = None
    moment: np.ndarray | None = None


def border(h: np.ndarray, **rest: np.ndarray) -> Border:
    """A border from its columns in the eigenbasis, H (a or n, k)."""
    transposed = np.ascontiguousarray(h.T)
    first, second = np.tril_indices(h.shape[1])
    return Border(h, transposed[first] * transposed[second], **rest)


@lru_cache(maxsize=256)
def _square(q: int) -> np.ndarray:
    """Where the pair of each entry of a symmetric q x q matrix lies in the order of ``Border.pairs``; shape (q, q)."""
    i, j = np.indices((q, q))
    high, low = np.maximum(i, j), np.minimum(i, j)
    index: np.ndarray = high * (high + 1) // 2 + low
    return index


def anchor_of(p: int, n: int) -> int:
    """The anchor of width p: the nearest multiple of 2 k on p's own side of n (0 is one: no decomposition at all).

    An anchor across n would have eigenvalues 0, whose 1 / mu must cancel again. A wide one must lie strictly above n,
    the widths next to n being the worst conditioned.
    """
    step = 2 * (NARROW if p <= n else WIDE)
    nearest = (p + step // 2) // step * step
    if p <= n:
        return nearest if nearest <= n else nearest - step
    return nearest if nearest > n else nearest + step


def reach(a: int, n: int, narrow: bool) -> tuple[int, int]:
    """How many columns below and above anchor a its widths need; decided by (a, n) alone."""
    k = NARROW if narrow else WIDE
    if narrow:
        return min(k, a), (k if a + 2 * k <= n else n - a)
    return (k if a - 2 * k > n else a - n - 1), k


@dataclass(frozen=True)
class Anchor:
    """The decomposition at width a, with what all its widths share.

    Attributes:
        a: width.
        narrow: p <= n: the matrix is S_a (a x a), else K_a (n x n).
        values: its eigenvalues D, not below 0, shape (a,) or (n,).
        basis: its eigenvectors Q, in columns.
        y0: Q'U_a'Y or Q'Y.
        t0: query rows in the eigenbasis: T_a Q or T_a U_a'Q, shape (query rows, a or n).
        y: labels, shape (n,).
        u: U_a, shape (n, a); only where narrow.
        below, above: the borders, made when first asked for.
        weights: dual coordinates alpha (m, n) and p -> the weights psi = U_p'alpha (m, p) of wide fits.
    """

    a: int
    narrow: bool
    values: np.ndarray
    basis: np.ndarray
    y0: np.ndarray
    t0: np.ndarray
    y: np.ndarray
    u: np.ndarray | None
    below: Callable[[], Border]
    above: Callable[[], Border]
    weights: Callable[[np.ndarray, int], np.ndarray]

    def fit(self, p: int, mu: np.ndarray) -> Fit:
        """The fits of width p for the penalties mu = p lambda > 0, shape (m,).

        Every product has a shape that p, mu and the anchor alone decide.
        """
        w = 1.0 / (self.values + mu[:, None])  # (m, a)
        if p == self.a:
            return self._finish(p, mu, self.y0 * w, None, None, w @ self.values)
        up = p > self.a
        side = self.above() if up else self.below()
        q = abs(p - self.a)
        x1, x2, trace = self._system(side, q, up, mu, w)
        return self._finish(p, mu, x1, x2, side, w @ self.values + trace)

    def _system(
        self, side: Border, q: int, up: bool, mu: np.ndarray, w: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Solve the q x q systems E x2 = r, and tr(E^-1 N), the border's part of the degrees of freedom.

        N is formed so that large mu cancels nothing: effective dof = sum D / (D + mu) +- tr(E^-1 N).
        """
        m, a = w.shape
        weights = np.empty((2 * m, a))
        weights[:m] = w
        second = weights[m:]
        if self.narrow and not up:  # both sides times mu: w^2 alone would underflow for mu above 1e150
            weights[:m] *= mu[:, None]
            np.multiply(weights[:m], w, out=second)
            second *= self.values  # mu D w^2
        else:
            np.multiply(w, mu[:, None], out=second)
            if self.narrow:
                second += 1.0
            second *= w  # mu w^2, or w + mu w^2
        products = weights @ side.pairs[: q * (q + 1) // 2].T
        square = products[:, _square(q)]  # H'diag(weights)H, (2 m, q, q)
        system = np.empty((m, q, q + 1))
        e, n, r = square[:m], square[m:], system[:, :, q]
        h = side.h[:, :q]
        np.matmul(self.y0 * weights[:m], h, out=r)
        if self.narrow and up:
            assert side.gram is not None
            assert side.moment is not None
            gram = side.gram[:q, :q]
            np.subtract(gram, e, out=e)
            np.subtract(gram, n, out=n)
            np.subtract(side.moment[:q], r, out=r)
            e.reshape(m, -1)[:, :: q + 1] += mu[:, None]
        elif not self.narrow:
            e.reshape(m, -1)[:, :: q + 1] += 1.0 if up else -1.0
        system[:, :, :q] = n
        solution = np.linalg.solve(e, system)
        x2 = np.ascontiguousarray(solution[:, :, q])
        trace = np.einsum("mii->m", solution[:, :, :q])
        if self.narrow and not up:
            trace = -trace
        x1 = self.y0 - x2 @ h.T
        x1 *= w
        return x1, x2, trace

    def _finish(
        self, p: int, mu: np.ndarray, x1: np.ndarray, x2: np.ndarray | None, side: Border | None, dof: np.ndarray
    ) -> Fit:
        """Predictions, RSS and norms from the coordinates x1 in the eigenbasis and x2 in the border."""
        up = p > self.a
        predictions = x1 @ self.t0.T
        if x2 is not None and side is not None and side.t is not None:
            predictions += x2 @ side.t[: x2.shape[1]]
        if not self.narrow:
            return self._finish_wide(p, mu, x1, x2, predictions, dof)
        psi_norm2 = np.einsum("ij,ij->i", x1, x1)
        explained = x1 @ self.y0
        if x2 is not None and up:
            assert side is not None
            assert side.moment is not None
            psi_norm2 = psi_norm2 + np.einsum("ij,ij->i", x2, x2)
            explained = explained + x2 @ side.moment[: x2.shape[1]]
        total = self.y @ self.y
        rss = total - explained - mu * psi_norm2

        def psi(which: list[int]) -> np.ndarray:
            inside = x1[which] @ self.basis.T
            return np.hstack((inside, x2[which])) if up and x2 is not None else inside[:, :p]

        small = np.flatnonzero(rss < EXPLICIT_BELOW * total) if rss.min() < EXPLICIT_BELOW * total else ()
        if len(small):
            assert self.u is not None
            fitted = (x1[small] @ self.basis.T) @ self.u.T
            if up and x2 is not None and side is not None and side.v is not None:
                fitted += x2[small] @ side.v[: x2.shape[1]]
            fitted -= self.y
            rss[small] = np.einsum("ij,ij->i", fitted, fitted)
        return Fit(predictions, rss, psi_norm2, dof, psi)

    def _finish_wide(
        self, p: int, mu: np.ndarray, x1: np.ndarray, x2: np.ndarray | None, predictions: np.ndarray, dof: np.ndarray
    ) -> Fit:
        """RSS and norms for p > n: psi = U'alpha with alpha = Q x1, and V'alpha = +-x2.

        |psi|^2 is alpha'K_p alpha = Y'alpha - mu |alpha|^2. The difference cancels for large mu, where D and x2 give it
        without one, and where most of Y lies outside the features (identity features, say), where psi itself is formed.
        """

        def psi(which: list[int]) -> np.ndarray:
            return self.weights(x1[which] @ self.basis.T, p)

        residual = mu[:, None] * x1
        rss = np.einsum("ij,ij->i", residual, residual)
        whole = x1 @ self.y0
        psi_norm2 = whole - np.einsum("ij,ij->i", residual, x1)
        large = mu > self.values[-1]
        if large.any():
            squares = (x1 * x1) @ self.values
            if x2 is not None:
                change = np.einsum("ij,ij->i", x2, x2)
                squares = squares + change if p > self.a else squares - change
            psi_norm2 = np.where(large, squares, psi_norm2)
        lost = np.flatnonzero((psi_norm2 < FORMED_BELOW * whole) & ~large)
        if len(lost):
            formed = psi(lost.tolist())
            psi_norm2[lost] = np.einsum("ij,ij->i", formed, formed)
        return Fit(predictions, rss, psi_norm2, dof, psi)
