"""What the fits of ``ridge`` cost: seconds of one core and bytes, from counts of operations and measured rates.

The rates were read on one core of a 2-core x86 machine with OpenBLAS 0.3.31 (Haswell kernels); another machine
differs by a factor for all of them alike, mostly. The model is within a factor of 2 on the axes of the homework.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw6.mathematics.anchors import NARROW, WIDE
from hw6.mathematics.ridge import FEW_ROWS, SMALL_LAMBDA

FLOPS = 3.5e10  # of a matrix product, a second
EIGH = (4e-8, 1.6e-10)  # seconds for n^2 and n^3: symmetric eigendecomposition with vectors
SVD = (1e-7, 5e-10)  # seconds for n p and min(n, p) n p
SOLVE = (0.3e-6, 0.14e-6, 0.0155e-6)  # seconds for 1, q and q^2: one small system with q + 1 right sides
CALLS = 1.2e-4  # seconds of a cell's numpy calls
ENTRY = 1.5e-9  # seconds for an entry of a feature: the activation and the copy
NORMAL = 1e-8  # seconds for a standard-normal number
KERNEL = 1.3e-8  # seconds for an entry of the arc-cosine kernel


@dataclass(frozen=True)
class Fits:
    """The fits to be priced, an entry a cell.

    Attributes:
        group: equal for cells that share data and features; rising from 0.
        p, d, n, queries: width, dimension, training rows, query rows.
        lambdas: how many lambdas.
        smallest: the smallest of them; 0 for ridgeless.
        risks: for how many fits the population risk is wanted.
        nested: whether features are nested (anchors are shared) or made anew for each width.
    """

    group: np.ndarray
    p: np.ndarray
    d: np.ndarray
    n: np.ndarray
    queries: np.ndarray
    lambdas: np.ndarray
    smallest: np.ndarray
    risks: np.ndarray
    nested: np.ndarray


def seconds(fits: Fits) -> np.ndarray:
    """Seconds of one core for each cell; what cells share is split evenly among them."""
    p, n, m = fits.p, fits.n, fits.lambdas
    narrow = p <= n
    side = np.minimum(p, n)
    direct = (n <= FEW_ROWS) | (fits.smallest < SMALL_LAMBDA)
    step = np.where(narrow, 2.0 * NARROW, 2.0 * WIDE)
    nearest = np.floor((p + step / 2) / step) * step
    anchor = np.where(
        narrow, np.where(nearest <= n, nearest, nearest - step), np.where(nearest > n, nearest, nearest + step)
    )
    anchor = np.where(direct | ~fits.nested, p, anchor)
    q = np.abs(p - anchor)
    rank = np.where(narrow & ~direct, anchor, side)

    own: np.ndarray = CALLS + 2 * m * rank * (fits.queries + 2 * q) / FLOPS + m * rank * 8e-9
    own += np.where(q > 0, 2 * m * rank * q * (q + 1) / FLOPS + m * (SOLVE[0] + SOLVE[1] * q + SOLVE[2] * q * q), 0.0)
    own += fits.risks * p * p / 2 * KERNEL

    route = np.where(direct, 0.0, np.where(narrow, 1.0, 2.0))
    column = fits.d * NORMAL + (n + fits.queries) * (2 * fits.d / FLOPS + ENTRY)
    shared = np.where(
        direct,
        SVD[0] * n * p + SVD[1] * side * n * p + p * column,
        EIGH[0] * rank**2
        + EIGH[1] * rank**3
        + 2 * rank * (fits.queries * rank + 1.5 * n * step) / FLOPS
        + 2 * step**2 * rank * 1e-9,
    )
    key = np.stack((fits.group, route, anchor))
    order = np.lexsort(key[::-1])
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(key[:, order]) != 0).any(axis=0)
    number = np.cumsum(first) - 1  # of the anchor, in rising order
    heads = order[first]
    # A narrow or wide anchor also carries the features and the kernel on from the anchor before it.
    before = np.where(_same(fits.group[heads], route[heads]), np.concatenate(([0.0], anchor[heads][:-1])), 0.0)
    grown = np.where(fits.nested, anchor, p)[heads] - np.where(fits.nested[heads], before, 0.0)
    kernel = np.where(narrow, 0.0, n * (n + 2 * fits.queries) / FLOPS + n * n / WIDE * 0.5e-9)
    per_anchor = shared[heads] + np.where(direct[heads], 0.0, grown * (column + kernel)[heads])
    weights = np.bincount(number, minlength=len(heads))
    total = np.empty(len(p))
    total[order] = (per_anchor / weights)[number]
    own += total + _once(fits)
    return own


def _same(group: np.ndarray, route: np.ndarray) -> np.ndarray:
    """Whether an anchor follows one of the same group and route."""
    same = np.zeros(len(group), dtype=bool)
    same[1:] = (np.diff(group) == 0) & (np.diff(route) == 0)
    return same


def _once(fits: Fits) -> np.ndarray:
    """What a group costs whatever its widths: data, streams, the first piece of G; split among its cells."""
    rows = fits.n + fits.queries
    once = 5e-4 + NORMAL * fits.d * (rows + np.where(fits.nested, 1536, 0)) + rows * fits.d * 3e-9
    once = np.where(fits.nested, once, once + 750 * 150 * fits.d * 2.5 * NORMAL)  # the starter's stream up to its end
    group = fits.group.astype(np.int64)
    share: np.ndarray = once / np.bincount(group)[group]
    return share


def bytes_needed(p: np.ndarray, d: np.ndarray, n: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The memory of a cell at its peak, roughly: G, the decomposed matrix with its workspace, rows and features."""
    side = np.minimum(p, n)
    need: np.ndarray = 8.0 * (1.0 * p * d + 16.0 * side * side + 2.0 * (n + queries) * (side + 1536.0 + d))
    return need
