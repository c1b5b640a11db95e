"""Nested random features: column j of every width is phi(X g_j), with the same g_j.

    A_p = phi(X G[:p]') / sqrt(p),   G[j] = draws j d ... (j + 1) d - 1 of the seed's own stream.

For a positively homogeneous phi (relu, leaky_relu) A_p has the law of phi(X W') with W_ij ~ N(0, 1/p).
Everything here is unscaled, U = phi(X G'); the 1/p is in the penalty (see ``ridge``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hw6.mathematics import streams
from hw6.mathematics.activations import ACTIVATIONS, FEATURES, IN_PLACE

__all__ = ["FEATURES", "PIECE", "Directions", "NestedFeatures", "phi", "relu"]

PIECE = 1536  # rows of G drawn at once: a multiple of every tile width, so that a tile lies within one piece


def phi(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The function of one of ``FEATURES``; it may overwrite its argument and gives it back."""
    value = ACTIVATIONS[name].value
    return lambda z: value(IN_PLACE, z)


relu = phi("relu")  # of the homework's own weights, which are no part of a nested family


class Directions:
    """The rows of G of one seed, drawn when they are first asked for, each once.

    Memory: 8 d bytes a row (56 MB for 200,000 rows of d = 35).
    """

    def __init__(self, seed: int, d: int) -> None:
        self._stream = streams.generator(seed, streams.WEIGHTS)
        self._pieces: list[np.ndarray] = []
        self.d = d

    def rows(self, start: int, stop: int) -> np.ndarray:
        """G[start:stop], shape (stop - start, d); a view where it lies within one piece."""
        while len(self._pieces) * PIECE < stop:
            self._pieces.append(self._stream.standard_normal((PIECE, self.d)))
        first, last = start // PIECE, max(start, stop - 1) // PIECE
        if first == last:
            return self._pieces[first][start - first * PIECE : stop - first * PIECE]
        whole = np.concatenate(self._pieces[first : last + 1])
        return whole[start - first * PIECE : stop - first * PIECE]


class NestedFeatures:
    """The feature columns of training rows and query rows, made tile by tile.

    A tile is one product of its own, for the training and the query rows each, so that its bits depend on the data and
    on the tile alone.
    """

    def __init__(self, x_train: np.ndarray, x_query: np.ndarray, directions: Directions, activation: str) -> None:
        self.x_train, self.x_query = x_train, x_query  # (n, d), (m, d)
        self.directions = directions
        self.activation = phi(activation)

    def tile(self, start: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns start ... start + width - 1 of U (n, width) and of T (m, width); start is a multiple of width."""
        g = self.directions.rows(start, start + width).T
        return self.activation(self.x_train @ g), self.activation(self.x_query @ g)

    def pieces(self, p: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The first p columns of U and T, tile by tile; the last may be narrower."""
        for start in range(0, p, width):
            u, t = self.tile(start, width)
            yield u[:, : p - start], t[:, : p - start]

    def columns(self, p: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """The first p columns of U (n, p) and of T (query rows, p), from tiles of the given width."""
        u = np.empty((len(self.x_train), p), order="F")
        t = np.empty((len(self.x_query), p), order="F")
        for index, (tile_u, tile_t) in enumerate(self.pieces(p, width)):
            window = slice(index * width, index * width + tile_u.shape[1])
            u[:, window], t[:, window] = tile_u, tile_t
        return u, t

    def weights(self, alpha: np.ndarray, p: int, width: int) -> np.ndarray:
        """alpha U, the weights psi of a fit given by its dual coordinates alpha (m, n); shape (m, p)."""
        return np.hstack([alpha @ u for u, _ in self.pieces(p, width)])
