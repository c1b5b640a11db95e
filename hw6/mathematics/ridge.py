"""Ridge fits of many widths of one data set: which route a width takes, and the walk from anchor to anchor.

    minimise over theta:  |A_p theta - Y|^2 / 2 + lambda |theta|^2 / 2,    A_p = U_p / sqrt(p)

Two routes, chosen by the cell's own n, p and lambdas:

    anchors   every lambda at least SMALL_LAMBDA, and n > FEW_ROWS (``anchors``)
    direct    a singular value decomposition of U_p itself (``svd``): smaller lambda, ridgeless, few rows.
              The Gram matrix squares the condition number: at lambda = 1e-8 its RSS is right to three digits only.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hw6.mathematics.anchors import NARROW, WIDE, Anchor, Border, Fit, anchor_of, border, reach
from hw6.mathematics.features import NestedFeatures
from hw6.mathematics.svd import Factor, factorise, factorise_nested

SMALL_LAMBDA = 1e-5
FEW_ROWS = 2 * WIDE  # with fewer, the q x q systems of an anchor are as large as the problem


def is_direct(n: int, smallest_lambda: float) -> bool:
    """Whether a cell takes the direct route; ridgeless has lambda 0."""
    return n <= FEW_ROWS or smallest_lambda < SMALL_LAMBDA


class RidgeSolver:
    """Ridge fits of any widths of one data set.

    A fit's bits depend on its width and lambdas and on the data, not on the fits before it. Rising widths are fastest:
    each anchor is then decomposed once, and the kernel K_a is carried on. Memory: U up to the largest narrow width,
    n x n for wide ones.

    Args:
        features: the columns, training rows (n) and query rows.
        y: labels, shape (n,).
    """

    def __init__(self, features: NestedFeatures, y: np.ndarray) -> None:
        self.features, self.y = features, y
        self.n, self.queries = len(features.x_train), len(features.x_query)
        self._narrow_u = np.empty((self.n, 0), order="F")
        self._narrow_t = np.empty((self.queries, 0), order="F")
        self._narrow_width = 0
        self._restart_kernel()
        self._anchor: Anchor | None = None
        self._svd: tuple[int, Factor] | None = None

    def fit(self, p: int, lambdas: np.ndarray) -> Fit:
        """The fits of width p for all lambdas (m,), float64; a lambda of 0 is the limit of minimum norm."""
        if is_direct(self.n, float(lambdas.min())):
            return self.factor(p).fit(p * lambdas)
        return self.anchor(p).fit(p, p * lambdas)

    def factor(self, p: int) -> Factor:
        """The singular value decomposition of width p."""
        if self._svd is None or self._svd[0] != p:
            self._svd = p, factorise_nested(self.features, p, self.y, 2 * NARROW)
        return self._svd[1]

    def anchor(self, p: int) -> Anchor:
        """The anchor that serves width p."""
        a, narrow = anchor_of(p, self.n), p <= self.n
        if self._anchor is None or (self._anchor.a, self._anchor.narrow) != (a, narrow):
            self._anchor = self._narrow(a) if narrow else self._wide(a)
        return self._anchor

    def _narrow_columns(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """The first ``width`` columns of U and T, kept; the store doubles where it is too small."""
        step = 2 * NARROW
        needed = -(-width // step) * step
        capacity = self._narrow_u.shape[1]
        if needed > capacity:
            capacity = max(needed, min(2 * capacity, -(-self.n // step) * step))
            for name in ("_narrow_u", "_narrow_t"):
                old = getattr(self, name)
                new = np.empty((len(old), capacity), order="F")  # columns lie alike, whatever the capacity
                new[:, : old.shape[1]] = old
                setattr(self, name, new)
        while self._narrow_width < needed:
            window = slice(self._narrow_width, self._narrow_width + step)
            self._narrow_u[:, window], self._narrow_t[:, window] = self.features.tile(self._narrow_width, step)
            self._narrow_width += step
        return self._narrow_u[:, :width], self._narrow_t[:, :width]

    def _narrow(self, a: int) -> Anchor:
        down, up = reach(a, self.n, True)
        u, t = self._narrow_columns(a)
        y = self.y
        values, q = _eigh(u.T @ u)
        y0 = q.T @ (u.T @ y)

        @lru_cache(maxsize=1)
        def below() -> Border:
            return border(q[a - down :][::-1].T)

        @lru_cache(maxsize=1)
        def above() -> Border:
            whole_u, whole_t = self._narrow_columns(a + up)
            v = whole_u[:, a:]
            return border(q.T @ (u.T @ v), t=whole_t[:, a:].T, v=v.T, gram=v.T @ v, moment=v.T @ y)

        return Anchor(a, True, values, q, y0, t @ q, y, u, below, above, _no_weights)

    def _restart_kernel(self) -> None:
        self._kernel_width = 0
        self._kernel = np.zeros((self.n, self.n))
        self._cross = np.zeros((self.queries, self.n))
        self._tiles: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def _tile(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        """The wide tile at ``start``; the last three are kept, for the borders on both sides of an anchor."""
        if start not in self._tiles:
            self._tiles = {key: tile for key, tile in self._tiles.items() if key >= start - 4 * WIDE}
            self._tiles[start] = self.features.tile(start, 2 * WIDE)
        return self._tiles[start]

    def _wide(self, a: int) -> Anchor:
        step = 2 * WIDE
        if a < self._kernel_width:
            self._restart_kernel()
        while self._kernel_width < a:  # always from column 0, tile by tile: the sum's bits depend on a alone
            u, t = self._tile(self._kernel_width)
            self._kernel += u @ u.T
            self._cross += t @ u.T
            self._kernel_width += step
        values, q = _eigh(self._kernel)
        down, up = reach(a, self.n, False)
        before = self._tile(a - step)

        @lru_cache(maxsize=1)
        def below() -> Border:
            v, t = (tile[:, ::-1][:, :down] for tile in before)
            return border(q.T @ v, t=t.T)

        @lru_cache(maxsize=1)
        def above() -> Border:
            v, t = (tile[:, :up] for tile in self._tile(a))
            return border(q.T @ v, t=t.T)

        def weights(alpha: np.ndarray, p: int) -> np.ndarray:
            return self.features.weights(alpha, p, step)

        return Anchor(a, False, values, q, q.T @ self.y, self._cross @ q, self.y, None, below, above, weights)


def _eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, set to 0 where rounding made them negative, and eigenvectors of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.maximum(values, 0.0), vectors


def fit_features(u: np.ndarray, t: np.ndarray, y: np.ndarray, mu: np.ndarray) -> Fit:
    """The fits with features that are no part of a nested family: an anchor at their own width.

    Args:
        u, t: features of the training and the query rows, shapes (n, p) and (query rows, p).
        y: labels, shape (n,).
        mu: penalties on the weights of u, shape (m,); 0 is the limit of minimum norm.
    """
    n, p = u.shape
    if is_direct(n, float(mu.min())):
        return factorise(u, t, y).fit(mu)
    narrow = p <= n
    values, q = _eigh(u.T @ u if narrow else u @ u.T)
    y0 = q.T @ (u.T @ y) if narrow else q.T @ y
    t0 = t @ q if narrow else (t @ u.T) @ q
    return Anchor(p, narrow, values, q, y0, t0, y, u, _no_border, _no_border, lambda alpha, _: alpha @ u).fit(p, mu)


def _no_border() -> Border:
    raise LookupError("an anchor at its own width has no borders")


def _no_weights(alpha: np.ndarray, p: int) -> np.ndarray:
    raise LookupError("a narrow fit has its weights in the eigenbasis")
