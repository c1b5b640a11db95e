"""What a dry run says comes true for every experiment: rows exactly, memory and time within a factor of 2."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from commands import Command
from recipes import SMALL

import hw6
from hw6.contract.registry import EXPERIMENTS, experiment_named
from hw6.experiments.noop import EXPERIMENT as NOOP
from hw6.plan.plan import Axis, Block, Plan
from hw6.running.cells import run_cells
from hw6.running.price import refuse_large_cells

# For each experiment sweeps that take it to different ends: of one cell and of many, of small cells and of large ones.
SWEEPS: dict[str, list[list[str]]] = {
    "noop": [["p=1:2001", "seed=0:30"]],
    "double_descent": [
        ["p=5:10", "lambda=path"],
        ["p=5:400", "lambda=path,tuned", "seed=0:2"],
        ["p=100:1500:100", "data.n_train=1000", "lambda=tuned"],
        ["p=1000:3000:250", "exact_risk=true"],
    ],
    "initialization": [["width=4000", "networks=10"], ["depth=1:8", "width=8,64", "networks=2000"]],
    "dropout": [["samples=2000000"], ["q=0.1,0.4", "activation=ReLU,Tanh"]],
    "residual": [["depth=20", "width=1200"], ["depth=5:30:5"]],
    "stm_conv": [["implementation=grouped", "resolution=28", "repeats=2"]],
}
CASES = [(name, sweep) for name, sweeps in SWEEPS.items() for sweep in sweeps]

# A lean process in between: the peak of a child is at least that of the process that starts it.
MEASURE = """
import json, os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(child.pid, 0)
peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([status, peak, usage.ru_utime + usage.ru_stime, time.perf_counter() - began]))
"""


@dataclass(frozen=True)
class Said:
    """What a dry run said."""

    rows: int
    memory: float
    seconds: float


def said(text: str) -> Said:
    lines = dict(line.split(None, 1) for line in text.splitlines())
    number, unit = re.match(r"about ([\d.]+) (\w+)", lines["time"]).groups()  # type: ignore[union-attr]
    rows = int(re.match(r"[\d,]+(?=, about)", lines["rows"])[0].replace(",", ""))  # type: ignore[index]
    memory = float(re.match(r"about ([\d,]+) MB", lines["memory"])[1].replace(",", ""))  # type: ignore[index]
    return Said(rows, memory * 1e6, float(number) * {"s": 1, "min": 60, "h": 3600}[unit])


def run(folder: Path, *words: str) -> tuple[float, float, float]:
    """Peak memory in bytes, processor seconds and seconds of a command."""
    command = [sys.executable, "-S", "-c", MEASURE, sys.executable, "-m", "hw6.run", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=dict(os.environ))
    status, peak, processor, seconds = json.loads(done.stdout)
    assert status == 0, done.stderr
    return peak, processor, seconds


def test_every_experiment_is_among_them() -> None:
    assert set(SWEEPS) == set(EXPERIMENTS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sweep"), CASES, ids=[" ".join([name, *sweep]) for name, sweep in CASES])
def test_what_a_dry_run_says_comes_true(command: Command, tmp_path: Path, name: str, sweep: list[str]) -> None:
    words = ["-m", f"experiment={name}", *sweep, "workers=1"]
    dry = subprocess.run(
        [sys.executable, "-m", "hw6.run", *words, "dry_run=true"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    priced = said(dry.stdout)
    peak, processor, seconds = run(tmp_path, *words, "hydra.sweep.dir=s")
    assert priced.rows == len(hw6.load(tmp_path / "s"))
    assert peak / 2 <= priced.memory <= peak * 2
    # A busy machine makes the command wait, and what was read on it too: the truth lies between both kinds of seconds.
    assert min(processor, seconds) / 2 <= priced.seconds <= max(processor, seconds) * 2


@pytest.mark.parametrize("name", list(EXPERIMENTS))
@pytest.mark.slow
def test_rows_are_counted_exactly_without_running(command: Command, name: str) -> None:
    """Of a sweep over what decides their number, in the fast suite."""
    few = {
        "double_descent": [*SMALL, "p=5,6", "lambda=path,tuned,0.1", "lambda.num=1,3"],
        "initialization": ["depth=1,3", "width=4", "networks=2"],
        "dropout": ["samples=1000", "q=0.1,0.4"],
        "residual": ["depth=3,5"],
        "stm_conv": ["resolution=1,2", "repeats=1", "workers=1"],
        "noop": ["p=1:50"],
    }[name]
    words = ["-m", f"experiment={name}", *few]
    assert said(command(*words, "dry_run=true").out).rows == len(command.sweep(f"experiment={name}", *few))


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["p=10000000000000"], "p"),
        (["p=100", "data.n_train=10000000"], "data.n_train"),
        (["experiment=initialization", "width=1000000"], "width"),
        (["experiment=initialization", "depth=100000000000", "width=1"], "depth"),
        (["experiment=initialization", "widths=[1000000,1000000]"], "widths"),
        (["experiment=dropout", "samples=100000000000"], "samples"),
        (["experiment=residual", "width=1000000"], "width"),
        (["experiment=residual", "input_width=100000000000"], "input_width"),
        (["experiment=stm_conv", "batch=1000000"], "batch"),
        (["experiment=stm_conv", "resolution=100000"], "resolution"),
    ],
)
@pytest.mark.parametrize("way", [[], ["-m"], ["-m", "hydra/sweeper=basic"]])
@pytest.mark.slow
def test_what_the_machine_cannot_hold_is_refused_by_one_rule(
    command: Command, words: list[str], key: str, way: list[str]
) -> None:
    ran = command(*way, *words)
    assert ran.status == 2, ran.err
    (line,) = ran.lines
    assert line.startswith(f"{key}=")
    assert "one cell needs about " in line
    assert f"take a smaller {key}" in line
    assert (ran.files, ran.folders) == ([], [])


def test_a_plan_of_small_cells_is_none_too_large() -> None:
    refuse_large_cells(Plan((Block(NOOP, (), {"seed": 0}, (Axis("p", range(1, 10)),)),)))


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_memory_rows_and_price_have_an_entry_a_cell(name: str) -> None:
    experiment = experiment_named(name)
    defaults = {key: kind.default for key, kind in experiment.keys.items() if "." not in key}
    groups = {
        "lambda.kind": "path", "lambda.min": 0.1, "lambda.max": 1.0, "lambda.num": 3, "data.kind": "gaussian",
        "data.d": 3, "data.sigma": 0.5, "data.sigma_validation": 0.0, "data.sigma_test": 0.0, "data.n_train": 6,
        "data.n_validation": 4, "data.n_test": 3, "features.activation": "relu", "device.kind": "cpu",
    }  # fmt: skip
    constants = defaults | {key: value for key, value in groups.items() if key in experiment.keys}
    del constants["seed"]
    cells = Block(experiment, (), constants, (Axis("seed", range(5)),)).cells(np.arange(5))
    for field in (experiment.memory, experiment.rows_of, experiment.price):
        found = field(cells)
        assert found.shape == (5,)
        assert np.all(np.isfinite(found))
        assert np.all(found >= 0)
    some = {key: values[:2] for key, values in cells.items()}
    assert run_cells(experiment, some, np.array([b"a", b"b"])).cells >= 1
