"""initialization: its rows against theory, its bits, its refusals through the command, its figures."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes import assert_same_rows

from hw6.experiments.initialization import DEPTH, EXPERIMENT, KEYS, METRICS, WIDTH
from hw6.figures.curves import curves
from hw6.mathematics.activations import INITIALIZATION
from hw6.mathematics.initialization import BINS, INITS, INPUT_KURTOSIS

NAME = "experiment=initialization"
SMALL = (NAME, "networks=200", "width=5", "depth=3")
BASE = {
    "depth": None,
    "width": None,
    "input_width": None,
    "widths": None,
    "networks": 300,
    "init": "pytorch",
    "activation": "identity",
    "input_law": "normal",
    "seed": 0,
}
MIXED = [
    {"depth": depth, "width": width, "init": init, "activation": activation}
    for depth, width in ((1, 3), (4, 1), (3, 8))
    for init in INITS
    for activation in ("identity", "relu", "tanh")
] + [
    {"widths": (3, 1, 7), "networks": 1, "activation": "silu"},
    {"widths": (3, 1, 7), "input_law": "rademacher", "init": "orthogonal"},
    {"depth": 2, "width": 4, "input_width": 9, "input_law": "uniform", "seed": 7},
]


def batch(*cells):
    """Cells as columns, the way a plan hands them over; each cell is what it changes of BASE."""
    columns = {}
    for key in BASE:
        values = [(BASE | cell)[key] for cell in cells]
        columns[key] = np.empty(len(values), dtype=object)
        columns[key][:] = values
    return columns


def rows_of(*cells):
    columns = dict(EXPERIMENT.rows(batch(*cells)))
    owner = columns.pop("cell")
    return [{name: values[owner == index] for name, values in columns.items()} for index in range(len(cells))]


def test_bits_depend_on_the_cell_alone():
    alone = [rows_of(cell)[0] for cell in MIXED]
    order = np.random.default_rng(0).permutation(len(MIXED))
    for index, got in zip(order, rows_of(*(MIXED[i] for i in order)), strict=True):
        for name in METRICS:
            if name not in alone[index]:
                assert np.ma.getmaskarray(got[name]).all(), (MIXED[index], name)
            elif got[name].dtype == object:
                assert got[name].tolist() == alone[index][name].tolist()
            else:
                masks = np.ma.getmaskarray(got[name]), np.ma.getmaskarray(alone[index][name])
                np.testing.assert_array_equal(*masks)
                known = ~masks[0]
                one, other = (np.ma.getdata(values)[known] for values in (got[name], alone[index][name]))
                assert one.tobytes() == other.tobytes(), (MIXED[index], name)


@pytest.mark.parametrize("cell", MIXED, ids=lambda cell: "-".join(str(value) for value in cell.values()))
def test_rows_hang_together(cell):
    (row,) = rows_of(cell)
    depth = len(cell["widths"]) if "widths" in cell else cell["depth"]
    assert row["layer"].tolist() == list(range(1, depth + 1))
    assert (row["depth"] == depth).all()
    inputs = cell["widths"][0] if "widths" in cell else cell.get("input_width", cell["width"])
    assert (row["input_width"] == inputs).all()
    tested = ~np.ma.getmaskarray(row["z"]) if "z" in row else np.zeros(depth, dtype=bool)
    if tested.any():
        z = (row["variance"] - row["variance_theory"])[tested] / row["variance_se"][tested]
        np.testing.assert_allclose(z.astype(float), row["z"][tested].astype(float), rtol=1e-6, atol=1e-6)
        exact = tested & (row["theory"] == "exact")
        assert np.abs(row["z"][exact]).max() < 5
    exact = cell.get("activation") in {"identity", "relu", None}
    assert row["theory"].tolist() == ["exact" if exact or layer == 0 else "mean-field" for layer in range(depth)]
    assert row["gradient_variance"][-1] == row["gradient_variance_theory"][-1] == 1
    counts = row["histogram"].tolist()
    assert counts[:-1] == [None] * (depth - 1)
    assert len(counts[-1]) == BINS
    assert sum(counts[-1]) == (BASE | cell)["networks"]
    if cell.get("activation", "identity") == "identity":
        np.testing.assert_array_equal(row["variance"], row["y_second_moment"])
        np.testing.assert_array_equal(row["mean"], row["y_mean"])


def test_the_z_score_is_standard_normal():
    """Over 200 seeds, mean 0 and standard deviation 1: theory and its standard error are both right."""
    cells = [{"depth": 3, "width": 4, "networks": 2000, "seed": seed, "activation": "relu"} for seed in range(200)]
    z = np.array([row["z"][-1] for row in rows_of(*cells)], dtype=float)
    assert abs(z.mean()) < 4 / np.sqrt(200)
    assert 0.82 < z.std() < 1.2


def test_the_command_s_default_is_the_homework_s_case(command):
    frame = command.sweep(NAME)
    assert len(frame) == DEPTH
    assert (frame["width"] == WIDTH).all()
    assert (frame["input_width"] == WIDTH).all()
    assert (frame["depth"] == DEPTH).all()
    closed = 3.0**-10 + sum(3.0 ** -(10 - k + 1) / WIDTH for k in range(1, 11))
    assert frame["variance_theory"].iloc[-1] == pytest.approx(closed, rel=1e-12)
    assert frame["z"].abs().max() < 4.5
    assert (frame["mean"].abs() < 4.5 * frame["mean_se"]).all()
    counts = json.loads(frame["histogram"].dropna().iloc[0])
    assert sum(counts) == 1000


@pytest.mark.parametrize(
    ("override", "changes"),
    [
        ("networks=201", True),
        ("init=xavier_normal", True),
        ("activation=relu", True),
        ("input_law=uniform", True),
        ("seed=1", True),
        ("input_width=6", True),
        ("input_width=5", False),
        ("depth=3", False),
    ],
)
def test_every_key_changes_the_rows(override, changes):
    key, _, text = override.partition("=")
    value = int(text) if text.isdigit() else text
    small = {"networks": 200, "width": 5, "depth": 3}
    one, other = rows_of(small, small | {key: value})
    assert (one["variance"].tolist() != other["variance"].tolist()) is changes


def test_widths_stand_for_the_other_three(command):
    listed = command.sweep(NAME, "networks=200", "widths=[5,5,5]")
    named = command.sweep(*SMALL)
    assert listed["variance"].tolist() == named["variance"].tolist()
    assert listed["depth"].tolist() == [3, 3, 3]
    assert "width" not in listed or listed["width"].isna().all()


@pytest.mark.slow
def test_fused_and_basic_give_the_same_rows(command):
    axes = (*SMALL[:2], "depth=1,2", "widths=null", "width=3,4", "init=pytorch,orthogonal", "activation=relu")
    assert_same_rows(command.sweep(*axes), command.sweep(*axes, "hydra/sweeper=basic"))


REFUSED = {
    "depth zero": (["depth=0"], ["depth=0: ", "whole number from 1"]),
    "width zero": (["width=0"], ["width=0: ", "whole number from 1"]),
    "width fraction": (["width=2.5"], ["width=2.5: ", "whole number from 1"]),
    "input_width zero": (["input_width=0"], ["input_width=0: ", "whole number from 1"]),
    "no widths": (["widths=[]"], ["widths=[]: ", "at least 1 whole numbers"]),
    "a width of zero": (["widths=[3,0]"], ["widths=[3,0]: ", "each at least 1"]),
    "widths no list": (["widths=3"], ["widths=3: ", "a list"]),
    "widths and width": (["widths=[3,3]", "width=64"], ["width=64: ", "widths=[3,3]", "one of the two"]),
    "widths and input_width": (["widths=[3,3]", "input_width=3"], ["input_width=3: ", "widths=[3,3]"]),
    "widths and depth": (["widths=[3,3]", "depth=3"], ["depth=3: ", "2 layers", "leave depth out"]),
    "no networks": (["networks=0"], ["networks=0: ", "whole number from 1"]),
    "init unknown": (["init=he"], ["init=he: ", *INITS]),
    "init near miss": (["init=xavier_unifrom"], ["init=xavier_unifrom: ", "did you mean xavier_uniform?"]),
    "activation unknown": (["activation=step"], ["activation=step: ", *INITIALIZATION]),
    "input law unknown": (["input_law=cauchy"], ["input_law=cauchy: ", *INPUT_KURTOSIS]),
    "seed negative": (["seed=-1"], ["seed=-1: ", "whole number from 0"]),
    "too wide": (["width=10000000"], ["width=10000000: ", "GB of memory", "smaller width"]),
    "too deep": (["depth=1000000000000"], ["depth=1000000000000: ", "GB of memory", "smaller depth"]),
    "too wide a list": (["widths=[9000000,9000000]"], ["widths=[9000000,9000000]: ", "GB"]),
    "p": (["p=3"], ["p=3: ", "initialization does not read it"]),
    "lambda": (["lambda=tuned"], ["lambda=tuned: ", "initialization does not read it"]),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("way", [(), pytest.param(("-m",), marks=pytest.mark.slow)], ids=["single", "sweep"])
def test_bad_input_is_one_line(command, case, way):
    overrides, fragments = REFUSED[case]
    ran = command(*way, NAME, *overrides)
    assert ran.status == 2, ran.err
    assert (ran.out, ran.files, ran.folders) == ("", [], [])
    assert len(ran.lines) == len(ran.err.splitlines()) == 1, ran.err
    assert ran.lines[0].startswith(fragments[0]), ran.err
    for fragment in fragments[1:]:
        assert fragment in ran.lines[0], ran.err


def test_two_mistakes_are_two_lines(command):
    ran = command(NAME, "widths=[3,3]", "width=4", "depth=9")
    assert ran.status == 2
    assert len(ran.lines) == 2


def test_a_signal_that_overflows_fails_its_own_cell_only(command):
    ran = command("-m", NAME, "networks=5", "width=2", "depth=3,2000", "init=kaiming_normal", "hydra.sweep.dir=there")
    assert ran.status == 1
    assert "OverflowError: variance of layer 1024 is inf" in ran.err
    from hw6.aggregate import load

    frame = load(command.folder / "there")
    assert (frame["status"] == "done").tolist() == [True] * 3 + [False]
    assert (frame["depth"][:3] == 3).all()


def test_a_run_does_not_import_torch(process):
    ran = process.code(
        "import sys\nfrom hw6.run import main\n"
        f"status = main(['{NAME}', 'networks=10', 'depth=2'])\n"
        "print(status, [name for name in ('torch', 'pandas', 'scipy') if name in sys.modules])"
    )
    assert ran.out.splitlines()[-1] == "0 []", ran.out + ran.err


SHAPES: list[dict[str, Any]] = [
    {"init": "orthogonal", "width": 400, "depth": 2, "networks": 1},
    {"width": 16, "depth": 4, "networks": 4000},
    {"depth": 1, "input_width": 200_000, "networks": 1},
    {"depth": 2000, "width": 2, "networks": 3, "init": "lecun_normal"},
    {"widths": (5, 700, 5), "networks": 200},
]


@pytest.mark.parametrize("cell", SHAPES, ids=lambda cell: "-".join(str(value) for value in cell.values()))
def test_memory_is_about_what_a_cell_takes(cell: dict[str, Any]) -> None:
    rows_of({"depth": 2, "width": 2, "networks": 2} | {key: cell[key] for key in ("init",) if key in cell})
    tracemalloc.start()
    try:
        rows_of(cell)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (estimate,) = EXPERIMENT.memory(batch(cell))
    assert 0.75 * peak < estimate < 10 * peak


@pytest.mark.parametrize(
    ("named", "listed"),
    [
        ({"width": 5, "depth": 3}, (5, 5, 5)),
        ({"width": 7, "depth": 2, "input_width": 30}, (30, 7)),
        ({"width": 30, "depth": 4, "input_width": 7}, (7, 30, 30, 30)),
        ({"depth": 1, "width": 9}, (9,)),
        ({}, (WIDTH,) * DEPTH),
    ],
)
@pytest.mark.parametrize("init", ["pytorch", "xavier_normal", "orthogonal"])
def test_what_a_cell_costs_does_not_depend_on_how_its_widths_are_given(
    named: dict[str, int], listed: tuple[int, ...], init: str
) -> None:
    one, other = {"init": init} | named, {"init": init, "widths": listed}
    assert EXPERIMENT.rows_of(batch(one)).tolist() == EXPERIMENT.rows_of(batch(other)).tolist() == [len(listed)]
    for estimate in (EXPERIMENT.price, EXPERIMENT.memory):
        assert estimate(batch(one))[0] == pytest.approx(estimate(batch(other))[0], rel=0.02)  # a draw is made even


def test_a_number_costs_more_in_a_layer_of_its_own() -> None:
    """The same numbers in a thousand layers and in one: each layer has calls of its own."""
    deep, flat = EXPERIMENT.price(
        batch({"depth": 1000, "width": 1, "networks": 1}, {"depth": 1, "input_width": 1000, "networks": 1})
    )
    assert deep > 100 * flat


def test_price_follows_the_work():
    small, large = EXPERIMENT.price(batch({"networks": 1000}, {"networks": 100_000}))
    assert 50 < large / small < 150
    shallow, deep = EXPERIMENT.price(batch({"depth": 5}, {"depth": 50}))
    assert 5 < deep / shallow < 20


def test_figure_by_layer_shows_theory_and_errors(command):
    frame = command.sweep(*SMALL, "activation=tanh", "init=pytorch,lecun_normal")
    drawn = curves(frame)
    assert drawn.x.key == "layer"
    assert [panel.metric for panel in drawn.panels] == ["variance", "gradient_variance"]
    for panel in drawn.panels:
        assert len(panel.curves) == 2
        for curve in panel.curves:
            assert curve.theory is not None
            assert curve.x.tolist() == [1, 2, 3]
    assert (drawn.panels[0].curves[0].low < drawn.panels[0].curves[0].centre).all()
    assert "exact, mean\u2011field" in drawn.caption


def test_figure_by_depth_shows_the_output_alone(command):
    frame = command.sweep(NAME, "networks=100", "depth=1:5", "width=3,6")
    drawn = curves(frame)
    assert (drawn.x.key, drawn.y) == ("depth", None)
    (panel,) = drawn.panels
    last = frame[(frame["layer"] == frame["depth"]) & (frame["width"] == 3)].sort_values("depth")
    assert panel.curves[0].centre.tolist() == last["variance"].tolist()
    assert panel.curves[0].theory.tolist() == last["variance_theory"].tolist()
    assert "(exact)" in drawn.caption


def test_figure_by_depth_and_many_widths_is_a_map(command):
    frame = command.sweep(NAME, "networks=20", "depth=1:9", "width=1:8")
    drawn = curves(frame)
    assert (drawn.x.key, drawn.y.key) == ("depth", "width")
    (panel,) = drawn.panels
    assert np.isfinite(panel.z).all()
    assert panel.z.shape == (7, 8)


def test_figure_of_the_histogram_is_a_density(command):
    frame = command.sweep(*SMALL, "seed=0,1")
    drawn = curves(frame, metric="histogram")
    (panel,) = drawn.panels
    (curve,) = panel.curves
    assert panel.bars
    assert len(curve.x) == BINS
    assert curve.centre.sum() * (curve.x[1] - curve.x[0]) == pytest.approx(1, abs=0.05)  # medians of two seeds
    assert curve.theory.sum() * (curve.x[1] - curve.x[0]) == pytest.approx(1, rel=1e-12)
    assert "normal density" in drawn.caption


@pytest.mark.slow
@pytest.mark.parametrize("name", ["initialization", "initialization_map"])
def test_named_sweeps_run_and_draw(command, name):
    ran = command("-cn", name, "networks=200", "hydra.sweep.dir=there")
    assert ran.status == 0, ran.err
    ran = command("there", module="hw6.plot")
    assert ran.status == 0, ran.err
    assert "there/initialization.png" in ran.files


def test_documentation_names_what_there_is():
    text = (Path(__file__).parents[2] / "docs" / "mathematics" / "initialization.md").read_text()
    for name in (*KEYS, *METRICS, *INITS, *INITIALIZATION, *INPUT_KURTOSIS):
        assert f"`{name}`" in text, name
