"""The split-transform-merge layer, measured: time and memory of its three implementations, and that they agree.

A cell is one implementation at one batch, resolution and type of numbers. It runs alone in its process, one cell after
another, on one thread; run the sweep with ``workers=1``, or processes share what is measured. Times and memory are
measured and differ from run to run; the number of parameters and the difference from the loop do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hw6.contract.drawing import Drawing, Panel
from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.keys import Choice, Integer, Key
from hw6.errors import BadInput
from hw6.experiments.torch_use import TORCH_BYTES, one_thread, refuse_without_torch

# Written down here too so that checking a command does not import torch; a test compares.
IMPLEMENTATIONS = ("loop", "grouped", "fused")
ITEM_BYTES = {"float32": 4, "float64": 8}
CHANNELS = 256

KEYS: dict[str, Key] = {
    "implementation": Choice(
        help="how the branches are computed: loop, grouped or fused", choices=IMPLEMENTATIONS, default="fused"
    ),
    "batch": Integer(help="number of images", minimum=1, maximum=1_000_000, default=1),
    "resolution": Integer(help="height and width of an image in pixels", minimum=1, maximum=100_000, default=14),
    "dtype": Choice(help="type of all numbers: float32 or float64", choices=tuple(ITEM_BYTES), default="float32"),
    "device.kind": Choice(help="where the arithmetic is done", choices=("cpu", "cuda"), aliases={"auto": "cpu"}),
    "seed": Integer(help="parameters, input and upstream gradient are a function of this number", default=0),
    "repeats": Integer(help="timed passes, of which the median is taken", minimum=1, maximum=10_000, default=5),
}
METRICS = {
    "parameters": "number of trainable parameters",
    "forward_ms": "milliseconds of a forward pass that keeps what the backward pass needs (median)",
    "backward_ms": "milliseconds of the backward pass to input and parameters (median)",
    "peak_bytes": "largest memory of forward and backward, above input, parameters and upstream gradient",
    "max_difference": "largest difference from the loop in output and gradients, each over its largest entry",
}
# Numbers held per pixel at the highest point of forward and backward (read from peak_bytes, which is exactly
# proportional to the pixels), and seconds of one core for a pixel of float32 and for a pass.
HELD = {"loop": 8960, "grouped": 25088, "fused": 768}
PIXEL_SECONDS = {"loop": 8e-5, "grouped": 1.5e-4, "fused": 2e-5}
PASS_SECONDS = {"loop": 4e-3, "grouped": 1e-3, "fused": 2e-3}
FIXED_BYTES = 64e6  # tiles, parameters and their gradients, the profiler's record


def rows(cells: Cells) -> Columns:
    """One row a cell, measured one after another."""
    from hw6.layers.measure import Problem, measure

    names = ("seed", "dtype", "batch", "resolution", "implementation", "repeats")
    with one_thread():
        found = [
            measure(Problem(*problem), implementation, repeats)
            for *problem, implementation, repeats in zip(*(cells[name].tolist() for name in names), strict=True)
        ]
    return dict(zip(METRICS, map(np.array, zip(*found, strict=True)), strict=True))


def refuse(cells: Cells) -> list[BadInput]:
    """What cannot be run, one mistake for each distinct one."""
    mistakes = []
    if (cells["device.kind"] == "cuda").any():
        mistakes.append(BadInput("device.kind", "cuda", "not built yet", "use device=cpu"))
    return [*mistakes, *refuse_without_torch("stm_conv")]


def _numbers(cells: Cells, table: Mapping[str, float], key: str = "implementation") -> np.ndarray:
    return np.array([table[name] for name in cells[key].tolist()], dtype=np.float64)


def memory(cells: Cells) -> np.ndarray:
    """Bytes: torch; the pass or the reference of one image, whichever is more; inputs and answers of both."""
    image = cells["resolution"].astype(np.float64) ** 2
    pixels, size = cells["batch"].astype(np.float64) * image, _numbers(cells, ITEM_BYTES, "dtype")
    work = np.maximum(_numbers(cells, HELD) * pixels, HELD["loop"] * image + 4 * CHANNELS * pixels)
    return np.asarray(TORCH_BYTES + size * (work + 6 * CHANNELS * pixels) + 8 * CHANNELS * pixels + FIXED_BYTES)


def price(cells: Cells) -> np.ndarray:
    """Estimated seconds of one core for each cell: its passes, its numbers drawn, and the loop's pass."""
    pixels = cells["batch"].astype(np.float64) * cells["resolution"].astype(np.float64) ** 2
    passes = cells["repeats"].astype(np.float64) + 1.5
    own = passes * (_numbers(cells, PIXEL_SECONDS) * pixels + _numbers(cells, PASS_SECONDS))
    loop = PIXEL_SECONDS["loop"] * pixels + PASS_SECONDS["loop"] * cells["batch"].astype(np.float64)
    return np.asarray((own + loop) * _numbers(cells, ITEM_BYTES, "dtype") / 4 + 1e-5 * pixels)


def drawing(values: Mapping[str, Sequence[Any]]) -> Drawing:
    """Times and memory against the resolution, a curve for each implementation."""
    return Drawing(
        panels=(
            Panel("forward_ms", "forward (ms)", log=True),
            Panel("backward_ms", "backward (ms)", log=True),
            Panel("peak_bytes", "memory (bytes)", log=True),
        ),
        x=("resolution", "batch"),
        labels={
            "resolution": "resolution (pixels)",
            "batch": "batch (images)",
            "implementation": "implementation",
            "device.kind": "device",
            "max_difference": "largest difference from the loop",
        },
        names={
            "implementation": {"loop": ("loop",), "grouped": ("grouped",), "fused": ("fused",)},
            "batch": {str(count): (f"batch {count}",) for count in map(int, values.get("batch", ()))},
        },
        caption=("batch", "resolution", "dtype"),
        best=("forward_ms", "backward_ms", "peak_bytes"),
    )


EXPERIMENT = Experiment(
    name="stm_conv",
    version=1,
    keys=KEYS,
    metrics=METRICS,
    rows=rows,
    objective="forward_ms",
    order=("device.kind", "seed", "dtype", "batch", "resolution", "implementation", "repeats"),
    refuse=refuse,
    price=price,
    memory=memory,
    measured=frozenset({"forward_ms", "backward_ms", "peak_bytes"}),
    drawing=drawing,
)
