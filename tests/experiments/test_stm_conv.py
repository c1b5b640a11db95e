"""stm_conv: its rows, what of them is measured, its figure, its refusals, its price."""

from __future__ import annotations

import numpy as np
import pytest

from hw6.experiments.stm_conv import EXPERIMENT, FIXED_BYTES, HELD, IMPLEMENTATIONS, ITEM_BYTES, KEYS, METRICS
from hw6.experiments.torch_use import TORCH_BYTES
from hw6.figures.curves import curves
from hw6.layers import convolution, measure

BASE = {
    "implementation": "fused",
    "batch": 1,
    "resolution": 3,
    "dtype": "float32",
    "device.kind": "cpu",
    "seed": 0,
    "repeats": 1,
}
FEW = ("experiment=stm_conv", "repeats=1", "resolution=3")


def batch(*cells):
    """Cells as columns; each cell is what it changes of BASE."""
    return {key: np.array([(BASE | cell)[key] for cell in cells]) for key in BASE}


def test_names_are_those_of_the_layers():
    assert IMPLEMENTATIONS == convolution.IMPLEMENTATIONS
    assert set(ITEM_BYTES) == set(measure.DTYPES)
    assert set(BASE) == set(KEYS) == set(EXPERIMENT.order)
    assert EXPERIMENT.measured < set(METRICS)


@pytest.mark.slow
def test_rows_of_a_mixed_batch(command):
    frame = command.sweep(*FEW, "implementation=loop,grouped,fused", "dtype=float32,float64")
    assert len(frame) == 6
    assert set(frame["parameters"]) == {78_592}
    assert (frame[["forward_ms", "backward_ms", "peak_bytes"]] > 0).all(axis=None)
    bounds = frame["dtype"].astype(str).map({"float32": 1e-5, "float64": 1e-12})
    assert (frame["max_difference"] <= bounds).all()
    assert ((frame["max_difference"] == 0) == (frame["implementation"] == "loop")).all()
    assert {"implementation", "batch", "resolution", "dtype", *METRICS} <= set(frame.columns)


@pytest.mark.slow
def test_what_is_not_measured_depends_on_the_cell_alone():
    cells = [{"implementation": name, "batch": b, "seed": b} for name in ("grouped", "fused") for b in (1, 2)]
    together = EXPERIMENT.rows(batch(*cells))
    for index in np.random.default_rng(0).permutation(len(cells)):
        alone = EXPERIMENT.rows(batch(cells[index]))
        for name in ("parameters", "max_difference"):
            assert alone[name][0] == together[name][index]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.slow
def test_memory_is_foreseen(implementation):
    """The numbers held per pixel are those that are refused by; what is foreseen is above what is measured."""
    cells = batch({"implementation": implementation, "batch": 2, "resolution": 40})
    peak = EXPERIMENT.rows(cells)["peak_bytes"][0]
    pixels = 2 * 40 * 40
    assert peak == pytest.approx(4 * HELD[implementation] * pixels, rel=0.01, abs=6e6)
    image = batch({"implementation": "loop", "resolution": 40})  # the reference, image by image
    highest = max(peak, EXPERIMENT.rows(image)["peak_bytes"][0])
    assert peak < EXPERIMENT.memory(cells)[0] - TORCH_BYTES - FIXED_BYTES < 2 * highest


@pytest.mark.slow
def test_fused_needs_an_eighth_of_grouped():
    grouped, fused = (
        EXPERIMENT.rows(batch({"implementation": name, "batch": 2, "resolution": 40}))["peak_bytes"][0]
        for name in ("grouped", "fused")
    )
    assert fused < grouped / 8


def test_price_rises_with_the_work():
    price = EXPERIMENT.price(batch({}, {"batch": 8}, {"batch": 8, "repeats": 5}, {"batch": 8, "dtype": "float64"}))
    assert price[0] < price[1] < price[2]
    assert price[3] == pytest.approx(2 * price[1], rel=0.1)


def test_torch_keeps_its_threads():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    EXPERIMENT.rows(batch({}))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.mark.slow
def test_the_figure_has_a_curve_for_each_implementation(command):
    data = curves(command.sweep(*FEW, "resolution=1,2", "implementation=loop,grouped,fused"))
    assert [panel.metric for panel in data.panels] == ["forward_ms", "backward_ms", "peak_bytes"]
    assert data.x.key == "resolution"
    for panel in data.panels:
        assert sorted(curve.label for curve in panel.curves) == ["fused", "grouped", "loop"]


REFUSED = {
    "batch=0": ["batch=0: ", "whole number from 1"],
    "batch=-1": ["batch=-1: ", "whole number from 1"],
    "batch=1.5": ["batch=1.5: ", "whole number"],
    "resolution=0": ["resolution=0: ", "whole number from 1"],
    "repeats=0": ["repeats=0: ", "whole number from 1"],
    "seed=-1": ["seed=-1: ", "whole number from 0"],
    "implementation=quick": ["implementation=quick: ", "loop, grouped, fused"],
    "implementation=fuse": ["implementation=fuse: ", "did you mean fused?"],
    "dtype=float16": ["dtype=float16: ", "float32, float64"],
    "device=cuda": ["device.kind=cuda: ", "not built yet", "device=cpu"],
    "p=3": ["p=3: ", "stm_conv does not read it"],
    "lambda=tuned": ["lambda=tuned: ", "stm_conv does not read it"],
    "batch=100000": ["batch=100000: ", "GB of memory", "smaller batch"],
    "resolution=100000": ["resolution=100000: ", "GB of memory", "smaller resolution"],
}


@pytest.mark.parametrize("override", REFUSED)
@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["single", "sweep"])
def test_bad_input_is_one_line(command, override: str, many: bool):
    ran = command(*(["-m"] if many else []), "experiment=stm_conv", "implementation=grouped", override)
    assert (ran.status, ran.out, ran.files, ran.folders) == (2, "", [], [])
    assert len(ran.lines) == len(ran.err.splitlines()) == 1, ran.err
    assert ran.lines[0].startswith(REFUSED[override][0]), ran.err
    assert all(fragment in ran.lines[0] for fragment in REFUSED[override]), ran.err


@pytest.mark.slow
def test_refusing_does_not_load_torch(process):
    code = (
        "import sys\nfrom hw6 import run\nrun.main(['experiment=stm_conv', 'batch=0'])\nprint('torch' in sys.modules)"
    )
    assert process.code(code).out == "False\n"
