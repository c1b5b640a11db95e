"""The exact population risk of a fit with ReLU features and a linear target.

For x ~ N(0, I_d) and f(x) = sum_j psi_j relu(g_j . x),

    R = E_x (f(x) - b . x)^2 = psi' K psi - psi' (G b) + |b|^2,
    K_ij = E relu(g_i . x) relu(g_j . x) = |g_i| |g_j| (sin t + (pi - t) cos t) / (2 pi),   t the angle of g_i and g_j,
    E relu(g_i . x) (b . x) = g_i . b / 2.

K is the arc-cosine kernel of order one (Cho and Saul, 2009, eq. 6). It is the risk against the noiseless target.
"""

from __future__ import annotations

import numpy as np

BLOCK = 512  # rows of K held at once, so that memory is of order BLOCK^2 and not p^2


def relu_risk(psi: np.ndarray, g: np.ndarray, b: np.ndarray) -> np.ndarray:
    """R for several fits with the same directions.

    Args:
        psi: weights on the unscaled features, shape (m, p): theta / sqrt(p), or theta where g has the scale inside.
        g: directions, shape (p, d).
        b: target, shape (d,).

    Returns:
        R, shape (m,). The rounding error is about p eps relative to psi' K psi.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", g, g))
    unit = g / np.where(norms > 0.0, norms, 1.0)[:, None]
    scaled = psi * norms  # (m, p)
    quadratic = np.zeros(len(psi))
    for start in range(0, len(g), BLOCK):
        rows = slice(start, start + BLOCK)
        for other in range(start, len(g), BLOCK):
            columns = slice(other, other + BLOCK)
            block = _kernel(unit[rows] @ unit[columns].T)
            part = np.einsum("mi,mi->m", scaled[:, rows] @ block, scaled[:, columns])
            quadratic += part if other == start else 2.0 * part  # K is symmetric
    risk: np.ndarray = quadratic - psi @ (g @ b) + b @ b
    return risk


def _kernel(cosine: np.ndarray) -> np.ndarray:
    """(sin t + (pi - t) cos t) / (2 pi) for cos t."""
    np.clip(cosine, -1.0, 1.0, out=cosine)
    sine = np.sqrt((1.0 - cosine) * (1.0 + cosine))
    angle: np.ndarray = np.arccos(-cosine)  # pi - t
    angle *= cosine
    angle += sine
    angle *= 1.0 / (2.0 * np.pi)
    return angle
