"""dropout as an experiment: its rows, its refusals, its figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from recipes import answers_of, assert_same_rows

from hw6.experiments.dropout import ACTIVATIONS, EXPERIMENT, FEWEST_DROPPED, METRICS, QUANTILES
from hw6.figures.curves import curves
from hw6.figures.data import CurvePanel, MapPanel

if TYPE_CHECKING:
    from commands import Command, Process

BASE = {"activation": "ReLU", "q": 0.4, "mode": "train", "seed": 0, "samples": 1024}
FAST = ("experiment=dropout", "samples=1024")
ALL = "activation=" + ",".join(ACTIVATIONS)


def batch(*cells: dict[str, object]) -> dict[str, np.ndarray]:
    columns = {key: [(BASE | cell)[key] for cell in cells] for key in BASE}
    return {key: np.array(v, dtype=object if isinstance(v[0], str) else None) for key, v in columns.items()}


def answers(cells: dict[str, np.ndarray]) -> list[list[dict[str, object]]]:
    return answers_of(EXPERIMENT, cells)


def test_the_list_of_activations_is_torchs_own() -> None:
    from hw6.mathematics import dropout

    assert sorted(ACTIVATIONS) == dropout.elementwise_names()
    assert FEWEST_DROPPED == dropout.FEWEST_DROPPED
    assert len(QUANTILES) == len(dropout.QUANTILES)


def test_verdicts_agree_in_every_cell(command: Command) -> None:
    frame = command.sweep(*FAST, ALL, "q=0,0.1,0.4,0.9", "mode=train,eval")
    assert len(frame) == len(ACTIVATIONS) * 8
    assert set(frame["status"]) == {"done"}
    assert frame["commutes"].dtype == frame["commutes_theory"].dtype == bool
    assert (frame["commutes"] == frame["commutes_theory"]).all()
    always = frame[(frame["q"] == 0.0) | (frame["mode"] == "eval")]
    assert always["commutes"].all()
    assert (always["max_difference"] == 0.0).all()
    trained = frame[(frame["q"] > 0.0) & (frame["mode"] == "train")]
    equal = trained[trained["commutes"]]
    assert set(equal["activation"]) == {"ReLU", "LeakyReLU", "PReLU", "Identity"}
    assert (equal["max_difference"] < 1e-12).all()
    assert (equal["inequality"] == 0.0).all()
    assert equal[list(QUANTILES)].isna().all(axis=None)
    apart = trained[~trained["commutes"]]
    assert (apart["max_difference"] > 1e-3).all()
    assert (apart["inequality"] == apart["max_difference"]).all()
    assert apart[list(QUANTILES)].notna().all(axis=None)
    assert (np.diff(apart[list(QUANTILES)].to_numpy(), axis=1) >= 0.0).all()
    assert (apart["max_difference"] >= apart["difference_q95"]).all()


def test_bits_depend_on_the_cell_alone() -> None:
    cells = [{"activation": name, "q": q} for name in ("RReLU", "GELU", "LeakyReLU", "Mish") for q in (0.3, 0.7)]
    whole = answers(batch(*cells))
    assert len({str(rows) for rows in whole}) == len(cells)
    for rows, cell in zip(whole, cells, strict=True):
        assert answers(batch(cell)) == [rows], cell


@pytest.mark.slow
def test_one_job_a_cell_gives_the_same_rows(command: Command) -> None:
    sweep = [*FAST, "activation=ReLU,Sigmoid", "q=0.1,0.4"]
    assert_same_rows(command.sweep(*sweep), command.sweep("hydra/sweeper=basic", *sweep))


def test_torchs_threads_and_random_numbers_are_left_alone() -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        state = torch.random.get_rng_state()
        EXPERIMENT.rows(batch({"activation": "RReLU"}))
        assert torch.get_num_threads() == before + 1
        assert torch.equal(state, torch.random.get_rng_state())
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("typed", "fragments"),
    [
        ("q=1", ["q=1: ", "at least 0 and below 1"]),
        ("q=1.5", ["q=1.5: ", "below 1"]),
        ("q=-0.1", ["q=-0.1: ", "at least 0"]),
        ("q=nan", ["q=nan: ", "finite"]),
        ("q=half", ["q=half: ", "finite number"]),
        ("q=1e-6", ["q=1e-06: ", "samples=1024 is too few", "samples=32000000, or q=0"]),
        ("activation=relu", ["activation=relu: ", "ReLU, ReLU6", "did you mean ReLU?"]),
        ("activation=Softmax", ["activation=Softmax: ", "Softplus"]),
        ("activation=null", ["activation=null: ", "CELU"]),
        ("mode=test", ["mode=test: ", "train, eval"]),
        ("seed=-1", ["seed=-1: ", "whole number"]),
        ("samples=0", ["samples=0: ", "from 64"]),
        ("samples=10000000000000", ["samples=10000000000000: ", "GB of memory", "smaller samples"]),
        ("p=3", ["p=3: ", "dropout does not read it", "activation"]),
        ("lambda=tuned", ["lambda=tuned: ", "dropout does not read it"]),
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


def test_every_bad_value_of_a_sweep_is_told(command: Command) -> None:
    ran = command("-m", *FAST, "q=0.1,1,2", "mode=train,eva", "activation=ReLU,Swish")
    assert ran.status == 2
    assert [line.partition(":")[0] for line in sorted(ran.lines)] == ["activation=Swish", "mode=eva", "q=1", "q=2"]


def test_a_missing_torch_is_told_before_anything_runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.experiments.torch_use.find_spec", lambda name: None)
    ran = command(*FAST)
    assert (ran.status, ran.files) == (2, [])
    assert ran.lines == ["experiment=dropout: needs the package torch (pip install 'hw6[torch]')"]


@pytest.mark.slow
def test_the_figure_of_all_activations_is_a_map(command: Command) -> None:
    data = curves(command.sweep(*FAST, ALL, "q=0,0.2,0.4,0.6", "mode=train,eval"))
    assert data.y is not None
    assert data.y.names == tuple(sorted(ACTIVATIONS))
    panels = {panel.title: panel for panel in data.panels if isinstance(panel, MapPanel)}
    assert set(panels) == {"training mode", "evaluation mode"}
    assert np.all(panels["evaluation mode"].z == 0.0)
    zero = dict(zip(data.y.names, np.all(panels["training mode"].z == 0.0, axis=1).tolist(), strict=True))
    assert {name for name, equal in zero.items() if equal} == {"ReLU", "LeakyReLU", "PReLU", "Identity"}
    assert "hatched" in data.caption


def test_the_figure_of_few_activations_has_a_curve_each(command: Command) -> None:
    data = curves(command.sweep(*FAST, "activation=ReLU,Sigmoid", "q=0,0.2,0.4,0.6"))
    (panel,) = data.panels
    assert isinstance(panel, CurvePanel)
    assert [curve.label for curve in panel.curves] == ["ReLU", "Sigmoid"]
    assert np.all(panel.curves[0].centre == 0.0)


def test_checking_and_refusing_import_no_torch(process: Process) -> None:
    code = "import sys; from hw6.run import main; s = main(sys.argv[1:] or ['experiment=dropout', 'q=2']); "
    ran = process.code(code + "print(s, 'torch' in sys.modules)")
    assert ran.out.split() == ["2", "False"], ran.err


def test_metrics_are_complete_and_cells_have_a_price() -> None:
    cells = batch({"activation": "Tanh"}, {"samples": 65536})
    assert [list(rows[0]) for rows in answers(cells)] == [list(METRICS)] * 2
    assert set(EXPERIMENT.order) == set(EXPERIMENT.keys) == set(BASE)
    assert (EXPERIMENT.price(cells) > 0.0).all()
    assert (EXPERIMENT.memory(cells) > 0.0).all()


@pytest.mark.slow
def test_the_named_sweep_tries_everything(command: Command) -> None:
    frame = command.sweep("-cn", "dropout")
    assert set(frame["activation"]) == set(ACTIVATIONS)
    assert len(frame) == len(ACTIVATIONS) * 20
    assert (frame["commutes"] == frame["commutes_theory"]).all()
