"""Initialization: how large signals and gradients of a fresh multi-layer perceptron are, layer by layer.

    h_l = A_l y_{l-1} + b_l,   y_l = s(h_l) for l < L,   y_L = h_L,   y_0 = x,   n_L = 1

A cell is one law of networks: shape, initialization, activation, law of the inputs. It has a row for each layer, with
averages over simulated networks beside what theory says. ``mean`` and ``variance`` are those of h_l, the output of the
linear layer: y_L for the last layer, and y_l for every layer if the activation is the identity. ``y_mean`` and
``y_second_moment`` are those of y_l.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.keys import Choice, Integer, Integers, Key, OptionalInteger
from hw6.contract.metrics import Counts, Text
from hw6.errors import BadInput
from hw6.experiments.initialization_drawing import drawing
from hw6.mathematics.activations import INITIALIZATION
from hw6.mathematics.initialization import INITS, INPUT_KURTOSIS, Moments, NetworkLaw, moments
from hw6.mathematics.initialization_simulation import Simulated, networks_in_batch, numbers_drawn, simulate

DEPTH, WIDTH = 10, 64  # where neither these keys nor ``widths`` say otherwise

METRICS = {
    "layer": "number of the layer, 1 ... L",
    "mean": "mean of the layer's linear output h_l (y_L for the last layer); 0 in theory",
    "mean_se": "standard error of mean",
    "variance": "variance of h_l about its mean of 0",
    "variance_theory": "the same by theory (see theory)",
    "variance_se": "standard error of variance: by the exact fourth moment, or from the networks' spread (mean-field)",
    "z": "(variance - variance_theory) / variance_se; missing where the variance does not vary",
    "theory": Text("exact or mean-field: what variance_theory is"),
    "y_mean": "mean of y_l, behind the activation",
    "y_second_moment": "mean square of y_l",
    "y_second_moment_theory": "the same by theory: exact for identity, relu and leaky_relu, else mean-field",
    "gradient_variance": "variance of an entry of dy_L/dy_l",
    "gradient_variance_theory": "the same by theory (see gradient_theory)",
    "gradient_variance_se": "standard error of gradient_variance, from the networks' spread",
    "gradient_theory": Text("exact or mean-field: what gradient_variance_theory is"),
    "histogram": Counts(
        "last layer: counts of y_L in 40 bins on +-5 theoretical standard deviations, the outer ones open"
    ),
}

KEYS: dict[str, Key] = {
    "depth": OptionalInteger(
        help="number of layers L; null: 10, or as many as widths has", minimum=1, default=None, resolves=True
    ),
    "width": OptionalInteger(help="width of every hidden layer; null: 64", minimum=1, default=None, resolves=True),
    "input_width": OptionalInteger(help="number of inputs n_0; null: as width", minimum=1, default=None, resolves=True),
    "widths": Integers(
        help="[n_0,...,n_{L-1}] instead of the three keys above, or null", minimum=1, optional=True, default=None
    ),
    "networks": Integer(help="independent networks simulated, each with an input of its own", minimum=1, default=1000),
    "init": Choice(
        help="pytorch, xavier_..., kaiming_..., lecun_normal, orthogonal: how weights and biases are drawn",
        choices=tuple(INITS),
        default="pytorch",
    ),
    "activation": Choice(help="s in y_l = s(h_l) of the hidden layers", choices=INITIALIZATION, default="identity"),
    "input_law": Choice(
        help="normal, uniform or rademacher: the inputs' law, mean 0 and variance 1",
        choices=tuple(INPUT_KURTOSIS),
        default="normal",
    ),
    "seed": Integer(help="all randomness of a cell is a function of this number", default=0),
}
RESOLVED = tuple(name for name, key in KEYS.items() if key.resolves)
ORDER = ("init", "activation", "input_law", "seed", "widths", "input_width", "width", "depth", "networks")
# Seconds of one core for a drawn number (with the two products it enters), and for the calls of a layer of a batch.
SECONDS = {"uniform": 2.5e-9, "normal": 1.3e-8, "orthogonal": 4e-8}
CALLS = 1.2e-4


def rows(cells: Cells) -> Columns:
    """The rows of a batch: a row for each layer of each cell."""
    parts = [_cell_rows(cell) for cell in _each(cells)]
    columns: dict[str, np.ndarray] = {
        name: _joined([part[name] for part in parts])
        for name in (*RESOLVED, *METRICS)
        if not all(np.ma.getmaskarray(part[name]).all() for part in parts)
    }
    columns["cell"] = np.repeat(np.arange(len(parts)), [len(part["layer"]) for part in parts])
    return columns


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Columns one below the other, masked where any entry is."""
    data = np.concatenate([np.ma.getdata(part) for part in parts])
    mask = np.concatenate([np.ma.getmaskarray(part) for part in parts])
    return np.ma.MaskedArray(data, mask=mask) if mask.any() else data


def _each(cells: Cells) -> Iterator[dict[str, Any]]:
    """Each cell of a batch as a dictionary of Python values."""
    listed = {key: values.tolist() for key, values in cells.items()}
    for values in zip(*listed.values(), strict=True):
        yield dict(zip(listed, values, strict=True))


def _cell_rows(cell: dict[str, Any]) -> dict[str, np.ndarray]:
    network = network_of(cell)
    with np.errstate(all="ignore"):
        theory = moments(network)
        _representable(theory)
        simulated = simulate(network, cell["networks"], cell["seed"], theory)
        return _columns(cell, network, theory, simulated)


def _representable(theory: Moments) -> None:
    """A signal or gradient beyond the range of floats fails its cell as a whole, and not only the rows behind it.

    Raises:
        OverflowError: the first layer at which that happens.
    """
    for name, values, first in (("variance", theory.variance, 1), ("gradient_variance", theory.gradient, 0)):
        wrong = ~np.isfinite(values) | (values == 0.0)
        if wrong.any():
            layer = int(np.flatnonzero(wrong)[0])
            raise OverflowError(f"{name} of layer {layer + first} is {values[layer]:g} in floating point")


def network_of(cell: dict[str, Any]) -> NetworkLaw:
    """The law of networks that a cell asks for."""
    widths = cell["widths"] or (_input_width(cell), *[cell["width"] or WIDTH] * ((cell["depth"] or DEPTH) - 1))
    return NetworkLaw((*widths, 1), cell["init"], cell["activation"], cell["input_law"])


def _input_width(cell: dict[str, Any]) -> int:
    return int(cell["input_width"] or cell["width"] or WIDTH)


def _columns(cell: dict[str, Any], network: NetworkLaw, theory: Moments, found: Simulated) -> dict[str, np.ndarray]:
    """The metrics of one cell, (L,) each, masked where a row has none."""
    depth, networks = network.depth, cell["networks"]
    n = np.array(network.widths[1:], dtype=np.float64)
    alone = np.full(depth, networks == 1)  # one network has no spread
    relative = np.sqrt(theory.spread(network.widths) / networks)
    empirical = found.square_se / theory.variance
    relative = np.where(theory.exact, relative, empirical)
    mean_se = np.where(theory.exact, np.sqrt(theory.variance / n / networks), found.mean_se)
    unknown = ~theory.exact & alone
    steady = unknown | (relative == 0.0)
    z = found.relative / np.where(steady, 1.0, relative)
    counts = np.empty(depth, dtype=object)
    counts[-1] = tuple(found.histogram.tolist())
    not_last = np.arange(depth) < depth - 1
    return {
        "depth": np.full(depth, depth),
        "width": np.ma.masked_array(np.full(depth, cell["width"] or WIDTH), np.full(depth, cell["widths"] is not None)),
        "input_width": np.full(depth, network.widths[0]),
        "layer": np.arange(1, depth + 1),
        "mean": found.mean,
        "mean_se": np.ma.masked_array(mean_se, unknown),
        "variance": found.square,
        "variance_theory": theory.variance,
        "variance_se": np.ma.masked_array(relative * theory.variance, unknown),
        "z": np.ma.masked_array(z, steady),
        "theory": _names(theory.exact),
        "y_mean": found.y_mean,
        "y_second_moment": found.y_square,
        "y_second_moment_theory": theory.second_moment,
        "gradient_variance": found.gradient[1:],
        "gradient_variance_theory": theory.gradient[1:],
        "gradient_variance_se": np.ma.masked_array(found.gradient_se[1:], alone),
        "gradient_theory": _names(theory.gradient_exact[1:]),
        "histogram": np.ma.masked_array(counts, not_last),
    }


def _names(exact: np.ndarray) -> np.ndarray:
    return np.array(["exact" if one else "mean-field" for one in exact.tolist()], dtype=object)


def refuse(cells: Cells) -> list[BadInput]:
    """The combinations that cannot be run, a mistake for each key."""
    mistakes: dict[str, BadInput] = {}
    for cell in _each(cells):
        for mistake in _given_twice(cell):
            mistakes.setdefault(mistake.key, mistake)
    return list(mistakes.values())


def _given_twice(cell: dict[str, Any]) -> Iterator[BadInput]:
    widths = cell["widths"]
    if widths is None:
        return
    shown = "widths=[" + ",".join(map(str, widths)) + "]"
    for key in ("width", "input_width"):
        if cell[key] is not None:
            yield BadInput(key, cell[key], f"{shown} gives every width already", "give one of the two")
    if cell["depth"] not in {None, len(widths)}:
        yield BadInput("depth", cell["depth"], f"{shown} has {len(widths)} layers", "leave depth out")


def memory(cells: Cells) -> np.ndarray:
    """Bytes of each cell: a batch's words, weights and workspace, and what is kept for each layer and entry of one."""
    return np.array([_bytes(cell) for cell in _each(cells)])


def _bytes(cell: dict[str, Any]) -> float:
    depth, width, drawn = _size(cell)
    batch = min(networks_in_batch(drawn), cell["networks"])
    square = 24.0 * batch * width * width if INITS[cell["init"]].law == "orthogonal" else 0.0  # a layer's QR
    return float(4.0 * batch * drawn + square + 40.0 * batch * width * depth + 2000.0 * depth + 100.0 * width)


def rows_of(cells: Cells) -> np.ndarray:
    """A row a layer."""
    return np.array([_size(cell)[0] for cell in _each(cells)])


def _size(cell: dict[str, Any]) -> tuple[int, int, int]:
    """Depth, largest width, and how many numbers a network draws; in O(1) unless widths are listed."""
    if cell["widths"]:
        return len(cell["widths"]), max(cell["widths"]), numbers_drawn(network_of(cell))
    depth, inputs = cell["depth"] or DEPTH, _input_width(cell)
    width = 1 if depth == 1 else cell["width"] or WIDTH  # one layer has no hidden one
    weights = inputs if depth == 1 else inputs * width + (depth - 2) * width * width + width
    return depth, max(width, inputs), weights + ((depth - 1) * width + 1 if INITS[cell["init"]].has_bias else 0)


def price(cells: Cells) -> np.ndarray:
    """Estimated seconds of one core for each cell."""
    return np.array([_seconds(cell) for cell in _each(cells)])


def _seconds(cell: dict[str, Any]) -> float:
    depth, width, drawn = _size(cell)
    networks, law = cell["networks"], INITS[cell["init"]].law
    batch = networks_in_batch(drawn)
    each = drawn * SECONDS[law] * (1 + width / 200 if law == "orthogonal" else 1) + depth * width * 4e-8 + depth * 5e-7
    return float(2e-4 + max(networks, min(batch, 16)) * each + -(-networks // batch) * depth * CALLS)


EXPERIMENT = Experiment(
    name="initialization",
    version=1,
    keys=KEYS,
    metrics=METRICS,
    rows=rows,
    objective="variance",
    order=ORDER,
    refuse=refuse,
    price=price,
    rows_of=rows_of,
    memory=memory,
    drawing=drawing,
)
