"""The equality contract for every experiment of the register: how a sweep is run decides no bit of a row."""

from __future__ import annotations

import pandas as pd
import pytest
from commands import Command
from recipes import assert_same_rows

from hw6.aggregate import load
from hw6.contract.registry import EXPERIMENTS

pytestmark = pytest.mark.slow

# Two axes each, small cells; a new experiment has to be entered here.
SWEEPS = {
    "noop": ["p=1:5", "seed=0,1"],
    "double_descent": ["p=5,20,40", "seed=0,1", "data.n_train=20", "data.n_validation=8", "data.n_test=5"],
    "initialization": ["depth=2,3", "seed=0,1", "width=4", "networks=70", "activation=relu"],
    "dropout": ["q=0.1,0.5", "activation=ReLU,Sigmoid,RReLU", "samples=1024"],
    "residual": ["depth=3,4", "skip=true,false", "width=5", "input_width=3"],
    "stm_conv": ["batch=1,2", "implementation=loop,fused", "resolution=3", "repeats=1"],
}


@pytest.fixture(params=list(EXPERIMENTS))
def sweep(request: pytest.FixtureRequest) -> list[str]:
    return [f"experiment={request.param}", *SWEEPS[request.param]]


def run(command: Command, folder: str, *arguments: str) -> pd.DataFrame:
    ran = command("-m", *arguments, f"hydra.sweep.dir={folder}")
    assert ran.status == 0, ran.err
    return load(command.folder / folder)


def test_processes_order_and_one_job_a_cell(command: Command, sweep: list[str]) -> None:
    whole = run(command, "whole", *sweep, "workers=1")
    assert_same_rows(whole, run(command, "workers", *sweep, "workers=2"))
    assert_same_rows(whole, run(command, "reversed", sweep[0], *reversed(sweep[1:])))
    assert_same_rows(whole, run(command, "basic", *sweep, "hydra/sweeper=basic"))


def test_any_chunks(command: Command, sweep: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(command, "whole", *sweep)
    monkeypatch.setattr("hw6.plan.chunks.MOST_CELLS", 1)
    assert_same_rows(whole, run(command, "single", *sweep))


def test_interrupted_and_resumed(command: Command, sweep: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of the second chunk; the rest runs later."""
    from hw6.running import job

    whole = run(command, "whole", *sweep)
    monkeypatch.setattr("hw6.plan.chunks.MOST_CELLS", 2)
    chunks: list[int] = []
    original = job.run_chunk

    def interrupted(*arguments: object, **options: object) -> object:
        chunks.append(1)
        if len(chunks) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("hw6.running.job.run_chunk", interrupted)
    ran = command("-m", *sweep, "hydra.sweep.dir=stopped")
    assert ran.status == 130
    assert 0 < len(load(command.folder / "stopped")) < len(whole)
    assert_same_rows(whole, run(command, "stopped", *sweep))


def test_widened_step_by_step(command: Command, sweep: list[str]) -> None:
    whole = run(command, "whole", *sweep)
    key, _, values = sweep[1].partition("=")
    first = values.partition(",")[0] if "," in values else "1"
    run(command, "widened", sweep[0], f"{key}={first}", *sweep[2:])
    assert_same_rows(whole, run(command, "widened", *sweep))


def test_every_experiment_is_here() -> None:
    assert set(SWEEPS) == set(EXPERIMENTS)
