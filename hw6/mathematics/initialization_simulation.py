"""Simulation of freshly initialized networks: every weight is drawn, every signal and gradient computed.

Networks come one after another from the streams of their seed: network k takes the numbers k T ... (k + 1) T - 1 of the
stream of weights, T being what one network needs, and likewise of the stream of inputs. So the first 1,000 of 20,000
networks are the networks of ``networks=1000``, and memory is that of a batch of ``BATCH_BYTES`` (or of one network
where that is larger), however many networks are asked for.

Uniform numbers are the bit generator's own words, two signed 32-bit integers each, rounded to float32: symmetric about
0 and several times cheaper than numbers in [0, 1). A network's arithmetic is float32 in products of its own shape, its
mean squares and their sums float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hw6.mathematics import streams
from hw6.mathematics.activations import ACTIVATIONS, NUMPY
from hw6.mathematics.initialization import BINS, EDGE, INITS, Moments, NetworkLaw, moments

BATCH_BYTES = 8 << 20  # of weights in a batch: products follow the draw while they are in the last cache
MOST_IN_BATCH = 4096
PIECE = 1 << 15  # numbers drawn by one call: few calls, and words that fit the second cache
WORD = 2.0**-31  # from a word to [-1, 1]


@dataclass(frozen=True, eq=False)
class Simulated:
    """Averages over networks and over the entries of a layer; "se" is the standard error from the networks' spread.

    Attributes:
        mean, mean_se: (L,) of an entry of h_l (y_L for the last layer).
        square, square_se: (L,) mean of its square: the variance, since the mean is known to be 0.
        relative: (L,) ``square`` over the theoretical variance, minus 1; meaningful where both underflow.
        y_mean, y_square: (L,) mean and mean square of an entry of y_l.
        gradient, gradient_se: (L + 1,) mean of (dy_{L,1} / dy_l)^2, l = 0 ... L.
        histogram: (BINS,) counts of the entries of y_L.

    The standard errors are NaN for a single network.
    """

    mean: np.ndarray
    mean_se: np.ndarray
    square: np.ndarray
    square_se: np.ndarray
    relative: np.ndarray
    y_mean: np.ndarray
    y_square: np.ndarray
    gradient: np.ndarray
    gradient_se: np.ndarray
    histogram: np.ndarray


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the numbers of a network lie in its row of a batch, and by which powers of two signals are kept in range.

    Attributes:
        parts: for each layer its slice of weights, its slice of biases (or None), (n', n).
        length: numbers drawn for a network, even.
        signal: (L + 1,) unit of y_l: near its standard deviation for an activation of two slopes, else 1.
        gradient: (L + 1,) unit of dy_L / dy_l.
        weight, bias: (L,) factors that turn drawn numbers into weights and biases.
        deviation: theoretical standard deviation of y_L, in its unit.
    """

    parts: tuple[tuple[slice, slice | None, tuple[int, int]], ...]
    length: int
    signal: np.ndarray
    gradient: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    deviation: float


def numbers_drawn(network: NetworkLaw) -> int:
    """How many numbers a network needs: its weights and biases, made even."""
    biased = INITS[network.init].has_bias
    count = sum(n * out + (out if biased else 0) for n, out in pairwise(network.widths))
    return count + count % 2


def networks_in_batch(drawn: int) -> int:
    """How many networks that draw so many numbers each are simulated at once."""
    return max(1, min(MOST_IN_BATCH, BATCH_BYTES // (4 * drawn)))


def simulate(network: NetworkLaw, networks: int, seed: int, theory: Moments | None = None) -> Simulated:
    """Draw so many independent networks, each with an input of its own.

    Args:
        network: their law.
        networks: at least 1.
        seed: of the streams.
        theory: ``moments(network)``, if it is there already.
    """
    theory = moments(network) if theory is None else theory
    layout = _lay_out(network, theory)
    size = networks_in_batch(numbers_drawn(network))
    source = _Source(network, layout, seed, min(size, networks))
    depth = network.depth
    sums = np.zeros((6, depth))  # mean, its square; mean square, its square; of y: mean, mean square
    slopes = np.zeros((2, depth + 1))
    histogram = np.zeros(BINS, dtype=np.int64)
    for start in range(0, networks, size):
        weights, x = source.draw(min(size, networks - start))
        signals = list(_forward(network, layout, weights, x))
        for index, (h, y) in enumerate(signals):
            sums[:, index] += _summary(h, y)
        histogram += _count(signals[-1][0], layout.deviation)
        for layer, squares in _backward(network, layout, weights, [h for h, _ in signals]):
            slopes[:, layer] += squares.sum(), squares @ squares
    return _finish(sums / networks, slopes / networks, histogram, networks, layout, theory)


def _finish(
    sums: np.ndarray, slopes: np.ndarray, histogram: np.ndarray, networks: int, layout: _Layout, theory: Moments
) -> Simulated:
    """Averages over networks back into the units of the question, with their standard errors."""
    unit, steps = layout.signal[1:], layout.gradient
    mean_se, square_se = (_error(sums[i], sums[i + 1], networks) for i in (0, 2))
    return Simulated(
        mean=sums[0] * unit,
        mean_se=mean_se * unit,
        square=sums[2] * unit**2,
        square_se=square_se * unit**2,
        relative=sums[2] / (theory.variance / unit / unit) - 1,
        y_mean=sums[4] * unit,
        y_square=sums[5] * unit**2,
        gradient=slopes[0] * steps**2,
        gradient_se=_error(slopes[0], slopes[1], networks) * steps**2,
        histogram=histogram,
    )


def _error(mean: np.ndarray, square: np.ndarray, count: int) -> np.ndarray:
    """The standard error of a mean of independent values; NaN for one value."""
    if count == 1:
        return np.full(mean.shape, np.nan)
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0.0) / (count - 1)))


def _lay_out(network: NetworkLaw, theory: Moments) -> _Layout:
    init, depth = INITS[network.init], network.depth
    parts: list[tuple[slice, slice | None, tuple[int, int]]] = []
    place = 0
    for n, out in pairwise(network.widths):
        weights = slice(place, place + n * out)
        biases = slice(weights.stop, weights.stop + out) if init.has_bias else None
        place = biases.stop if biases else weights.stop
        parts.append((weights, biases, (out, n)))
    signal = np.ones(depth + 1)
    if ACTIVATIONS[network.activation].slopes is not None:
        signal[1:] = _powers_of_two(theory.variance)
    unit = math.sqrt(3.0) * WORD if init.law == "uniform" else 1.0  # 1 / standard deviation of a drawn number
    scaled = init.law != "orthogonal"
    weight = np.array([unit * math.sqrt(init.weight(n, m)) if scaled else 1.0 for _, _, (m, n) in parts])
    bias = np.array([unit * math.sqrt(init.bias(n)) for _, _, (_, n) in parts])
    deviation = math.sqrt(theory.variance[-1]) / signal[-1]
    gradient = _powers_of_two(theory.gradient)
    return _Layout(tuple(parts), place + place % 2, signal, gradient, weight, bias, deviation)


def _powers_of_two(squares: np.ndarray) -> np.ndarray:
    """Powers of two near the roots of positive numbers; 1 where they are 0, infinite or unknown."""
    usable = (squares > 0) & np.isfinite(squares)
    return np.asarray(np.exp2(np.round(np.log2(np.where(usable, squares, 1.0)) / 2)))


class _Source:
    """Weights and inputs, batch after batch; the same arrays are filled again."""

    def __init__(self, network: NetworkLaw, layout: _Layout, seed: int, size: int) -> None:
        self._network, self._layout = network, layout
        self._law = INITS[network.init].law
        self._weights = np.empty((size, layout.length), dtype=np.float32)
        self._stream = np.random.Generator(streams.words(seed, streams.INITIAL_WEIGHTS))
        self._inputs = np.random.Generator(streams.words(seed, streams.INITIAL_INPUTS))

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The next ``count`` networks: drawn numbers (count, length), and inputs (count, n_0), float32."""
        weights = self._weights[:count]
        if self._law == "uniform":
            _uniform(self._stream, weights)
        else:
            self._stream.standard_normal(dtype=np.float32, out=weights)
        if self._law == "orthogonal":
            for part, _, shape in self._layout.parts:
                weights[:, part] = orthogonal(weights[:, part].reshape(count, *shape)).reshape(count, -1)
        return weights, self._draw_inputs(count)

    def _draw_inputs(self, count: int) -> np.ndarray:
        n = self._network.widths[0]
        if self._network.input_law == "normal":
            return self._inputs.standard_normal((count, n), dtype=np.float32)
        x = np.empty((count, n + n % 2), dtype=np.float32)
        _uniform(self._inputs, x)
        if self._network.input_law == "uniform":
            x *= np.float32(math.sqrt(3.0) * WORD)
        else:
            x[...] = np.where(x < 0, np.float32(-1), np.float32(1))
        return x[:, :n]


def _uniform(stream: np.random.Generator, out: np.ndarray) -> None:
    """Fill ``out``, of even size, with signed 32-bit integers rounded to float32: uniform on [-2^31, 2^31]."""
    raw, flat = stream.bit_generator.random_raw, out.reshape(-1)
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE]
        words = raw(piece.size // 2).astype("<u8", copy=False)
        np.copyto(piece, words.view("<i4"), casting="unsafe")


def orthogonal(normal: np.ndarray) -> np.ndarray:
    """Uniformly distributed matrices with orthonormal rows (columns, if those are fewer) from normal ones (..., m, n).

    The Q of a QR decomposition whose R has a positive diagonal (Mezzadri, 2007).
    """
    wide = normal.shape[-2] < normal.shape[-1]
    tall = np.swapaxes(normal, -1, -2) if wide else normal
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, np.float32(-1), np.float32(1))[..., None, :]
    return np.swapaxes(q, -1, -2) if wide else q


def _forward(
    network: NetworkLaw, layout: _Layout, weights: np.ndarray, x: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """h_l and y_l, (count, n_l) each, in the units of layer l."""
    activation = ACTIVATIONS[network.activation]
    y = x
    for index, (part, biases, shape) in enumerate(layout.parts):
        h = np.matmul(weights[:, part].reshape(-1, *shape), y[:, :, None])[:, :, 0]
        unit = layout.signal[index : index + 2]
        h *= np.float32(layout.weight[index] * (unit[0] / unit[1]))
        if biases is not None:
            h += weights[:, biases] * np.float32(layout.bias[index] / unit[1])
        y = h if index == network.depth - 1 else activation.value(NUMPY, h)
        yield h, y


def _backward(
    network: NetworkLaw, layout: _Layout, weights: np.ndarray, signals: list[np.ndarray]
) -> Iterator[tuple[int, np.ndarray]]:
    """Each layer l = L ... 0 with the mean squares of dy_{L,1} / dy_l, (count,), in the units of layer l."""
    activation, depth = ACTIVATIONS[network.activation], network.depth
    yield depth, np.ones(len(weights))
    part, _, (_, n) = layout.parts[-1]
    first = weights[:, part][:, :n]  # the weights of y_{L,1}
    g = first * np.float32(layout.weight[-1] / layout.gradient[depth - 1])
    yield depth - 1, _mean_square(g)
    for layer in range(depth - 2, -1, -1):
        part, _, shape = layout.parts[layer]
        if network.activation != "identity":
            g = g * activation.slope(NUMPY, signals[layer])
        g = np.matmul(g[:, None, :], weights[:, part].reshape(-1, *shape))[:, 0, :]
        g *= np.float32(layout.weight[layer] * (layout.gradient[layer + 1] / layout.gradient[layer]))
        yield layer, _mean_square(g)


def _mean_square(values: np.ndarray) -> np.ndarray:
    """(count,) means of squares along the rows of (count, n)."""
    wide = values.astype(np.float64)
    return np.asarray(np.einsum("bi,bi->b", wide, wide) / values.shape[1])


def _mean_and_square(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(count,) means, and means of squares, along the rows of (count, n)."""
    wide, n = values.astype(np.float64), values.shape[1]
    return wide @ np.full(n, 1.0 / n), np.einsum("bi,bi->b", wide, wide) / n


def _summary(h: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float, float, float]:
    """Sums over the networks of a batch: mean, its square; mean square, its square; of y: mean, mean square."""
    means, squares = _mean_and_square(h)
    mean, square = float(means.sum()), float(squares.sum())
    y_mean, y_square = (mean, square) if y is h else (float(values.sum()) for values in _mean_and_square(y))
    return mean, float(means @ means), square, float(squares @ squares), y_mean, y_square


def _count(h: np.ndarray, deviation: float) -> np.ndarray:
    """Counts of the entries of h over its theoretical deviation, in the bins of the histogram."""
    scaled = (h / deviation + EDGE) * (BINS / (2 * EDGE))
    bins = np.clip(np.nan_to_num(scaled, nan=0.0), 0, BINS - 1).astype(np.int64)
    return np.bincount(bins.ravel(), minlength=BINS)
