"""residual as an experiment: its rows, part (iii) of the problem as a sweep, its refusals, its figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from recipes import answers_of, assert_same_rows

from hw6.experiments.residual import EXPERIMENT, METRICS
from hw6.figures.curves import curves
from hw6.figures.data import CurvePanel, MapPanel
from hw6.mathematics.activations import RESIDUAL

if TYPE_CHECKING:
    from commands import Command, Process

BASE = {
    "depth": 6,
    "width": 8,
    "input_width": 8,
    "skip": True,
    "activation": "tanh",
    "zeroed_layer": 0,
    "zeroed": "A",
    "seed": 0,
}
FAST = ("experiment=residual", "width=8", "depth=6")


def batch(*cells: dict[str, object]) -> dict[str, np.ndarray]:
    columns = {key: [(BASE | cell)[key] for cell in cells] for key in BASE}
    return {key: np.array(v, dtype=object if isinstance(v[0], str) else None) for key, v in columns.items()}


def test_a_row_for_every_layer_and_autograd_agrees(command: Command) -> None:
    frame = command.sweep(
        *FAST[:1], "width=1,8", "depth=2,6", "skip=true,false", "activation=" + ",".join(RESIDUAL), "input_width=3"
    )
    assert len(frame) == 2 * (2 + 6) * 2 * len(RESIDUAL)
    assert set(frame["status"]) == {"done"}
    for _, rows in frame.groupby("cell_id"):
        assert rows["layer"].tolist() == list(range(1, rows["depth"].iloc[0] + 1))
    assert (frame["autograd_difference"] <= 1e-12).all()
    last = frame[frame["layer"] == frame["depth"]]
    assert (last["gradient_norm_b"] == 1.0).all()


@pytest.mark.parametrize("what", ["A", "derivative"])
def test_below_a_zeroed_layer_only_the_residual_network_has_gradients(command: Command, what: str) -> None:
    frame = command.sweep(*FAST, "skip=true,false", "zeroed_layer=0,2,3,5", f"zeroed={what}", "seed=0:3")
    assert set(frame["status"]) == {"done"}
    assert (frame["autograd_difference"] <= 1e-12).all()
    below = frame["layer"] < frame["zeroed_layer"]
    for metric in ("gradient_norm_A", "gradient_norm_b"):
        assert (frame.loc[below & ~frame["skip"], metric] == 0.0).all()
        assert (frame.loc[below & frame["skip"], metric] > 0.01).all()
        above = frame["layer"] > frame["zeroed_layer"]
        assert (frame.loc[above, metric] > 0.0).all()
    own = frame[frame["layer"] == frame["zeroed_layer"]]
    assert ((own["gradient_norm_A"] == 0.0) == (what == "derivative")).all()


def test_gradients_of_a_deep_plain_network_vanish_and_of_a_residual_one_do_not(command: Command) -> None:
    frame = command.sweep("experiment=residual", "depth=40", "width=16", "skip=true,false", "seed=0:3")
    first = frame[frame["layer"] == 1]
    assert (first.loc[~first["skip"], "gradient_norm_A"] < 1e-6).all()
    assert (first.loc[first["skip"], "gradient_norm_A"] > 1.0).all()


def test_bits_depend_on_the_cell_alone() -> None:
    cells = [
        {"depth": depth, "width": width, "activation": activation, "skip": skip}
        for depth in (2, 5)
        for width in (1, 7, 33)
        for activation in ("gelu", "tanh")
        for skip in (True, False)
    ]
    whole = answers_of(EXPERIMENT, batch(*cells))
    for rows, cell in zip(whole, cells, strict=True):
        assert answers_of(EXPERIMENT, batch(cell)) == [rows], cell


@pytest.mark.slow
def test_one_job_a_cell_gives_the_same_rows(command: Command) -> None:
    sweep = [*FAST, "skip=true,false", "zeroed_layer=0,4"]
    assert_same_rows(command.sweep(*sweep), command.sweep("hydra/sweeper=basic", *sweep))


def test_an_overflow_is_a_failed_row_and_disturbs_no_neighbour(command: Command) -> None:
    ran = command(
        "-m", "experiment=residual", "depth=3,6000", "width=16", "activation=identity", "hydra.sweep.dir=there"
    )
    assert ran.status == 1
    from hw6.aggregate import load

    frame = load(command.folder / "there")
    assert set(frame[frame["depth"] == 3]["status"]) == {"done"}
    assert "NonFiniteResult" in set(frame[frame["depth"] == 6000]["error_type"])


@pytest.mark.parametrize(
    ("typed", "fragments"),
    [
        ("depth=0", ["depth=0: ", "whole number from 2"]),
        ("depth=1", ["depth=1: ", "whole number from 2"]),
        ("depth=deep", ["depth=deep: ", "whole number from 2"]),
        ("width=0", ["width=0: ", "whole number from 1"]),
        ("width=-2", ["width=-2: ", "whole number from 1"]),
        ("width=10000000", ["width=10000000: ", "GB", "smaller width"]),
        ("input_width=0", ["input_width=0: ", "whole number from 1"]),
        ("skip=maybe", ["skip=maybe: ", "true or false"]),
        ("activation=rleu", ["activation=rleu: ", "identity, relu, leaky_relu", "did you mean relu?"]),
        ("zeroed=B", ["zeroed=B: ", "A, derivative"]),
        ("zeroed_layer=1", ["zeroed_layer=1: ", "0 (none)", "from 2 to depth-1=5"]),
        ("zeroed_layer=6", ["zeroed_layer=6: ", "from 2 to depth-1=5"]),
        ("zeroed_layer=7", ["zeroed_layer=7: ", "from 2 to depth-1=5"]),
        ("zeroed_layer=-1", ["zeroed_layer=-1: ", "whole number from 0"]),
        ("zeroed_layer=null", ["zeroed_layer=null: ", "whole number from 0"]),
        ("seed=1.5", ["seed=1.5: ", "whole number"]),
        ("p=3", ["p=3: ", "residual does not read it", "zeroed_layer"]),
        ("lambda=tuned", ["lambda=tuned: ", "residual does not read it"]),
        ("layer=3", ["layer=3: ", "residual does not read it"]),
    ],
)
@pytest.mark.parametrize("way", [(), pytest.param(("-m",), marks=pytest.mark.slow)], ids=["single", "sweep"])
def test_bad_input_is_one_line(command: Command, way: tuple[str, ...], typed: str, fragments: list[str]) -> None:
    ran = command(*way, *(text for text in FAST if not text.startswith(typed.partition("=")[0] + "=")), typed)
    assert (ran.status, ran.out, ran.files, ran.folders) == (2, "", [], [])
    assert len(ran.err.splitlines()) == len(ran.lines) == 1, ran.err
    assert ran.lines[0].startswith(fragments[0]), ran.err
    for fragment in fragments[1:]:
        assert fragment in ran.lines[0], ran.err


def test_a_depth_without_a_layer_to_zero(command: Command) -> None:
    ran = command("experiment=residual", "depth=2", "zeroed_layer=2")
    assert (ran.status, ran.files) == (2, [])
    assert ran.lines == ["zeroed_layer=2: must be 0 (none): depth=2 has no layer between its first and its last"]


def test_layers_out_of_range_in_a_sweep_are_told_once_each(command: Command) -> None:
    ran = command("-m", *FAST, "zeroed_layer=0,3,6,9", "skip=true,false", "seed=0:50")
    assert ran.status == 2
    assert [line.partition(":")[0] for line in ran.lines] == ["zeroed_layer=6", "zeroed_layer=9"]


def test_checking_and_refusing_import_no_torch(process: Process) -> None:
    code = "import sys; from hw6.run import main; s = main(['experiment=residual', 'depth=0']); "
    ran = process.code(code + "print(s, 'torch' in sys.modules)")
    assert ran.out.split() == ["2", "False"], ran.err


def test_the_figure_by_layer_shows_zeros_apart(command: Command) -> None:
    data = curves(command.sweep(*FAST, "skip=true,false", "zeroed_layer=0,4"))
    (panel,) = data.panels
    assert isinstance(panel, CurvePanel)
    assert panel.log
    assert data.x.key == "layer"
    zeros = {curve.label: curve.zeros for curve in panel.curves}
    assert {name for name, at in zeros.items() if at is not None} == {"plain, A = 0 at layer 4"}
    assert zeros["plain, A = 0 at layer 4"].tolist() == [1.0, 2.0, 3.0]
    assert "triangles at the bottom" in data.caption


def test_the_figure_by_layer_and_depth_is_a_map(command: Command) -> None:
    data = curves(command.sweep("experiment=residual", "width=4", "depth=4:12", "skip=true,false", "zeroed_layer=0,3"))
    panels = {panel.title: panel for panel in data.panels if isinstance(panel, MapPanel)}
    assert len(panels) == 4
    cut = panels["plain, A = 0 at layer 3"]
    assert np.all(cut.z[:, :2] == 0.0)
    assert np.all(panels["residual, A = 0 at layer 3"].z[:, :2] > 0.0)
    assert np.isnan(cut.z[0, 4])


def test_metrics_are_complete_and_cells_have_a_price() -> None:
    cells = batch({}, {"depth": 60})
    found = answers_of(EXPERIMENT, cells)
    assert {tuple(row) for rows in found for row in rows} == {tuple(METRICS)}
    assert [len(rows) for rows in found] == EXPERIMENT.rows_of(cells).tolist() == [6, 60]
    assert set(EXPERIMENT.order) == set(EXPERIMENT.keys) == set(BASE)
    assert (EXPERIMENT.price(cells) > 0.0).all()
    assert (EXPERIMENT.memory(cells) > 0.0).all()
    assert not EXPERIMENT.refuse(cells)


@pytest.mark.slow
def test_the_named_sweep_shows_part_iii(command: Command) -> None:
    frame = command.sweep("-cn", "residual")
    assert (frame["autograd_difference"] <= 1e-12).all()
    below = frame["layer"] < frame["zeroed_layer"]
    assert below.any()
    assert (frame.loc[below, "gradient_norm_A"] > 0.0).equals(frame.loc[below, "skip"])
