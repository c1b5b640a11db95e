"""``python -m hw6.plot`` on the results of real sweeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Command, Process, Ran

SMALL = ("data.n_train=30", "data.n_validation=10", "data.n_test=8")
SWEEP = ("p=5,20,40", "seed=0:3", "lambda=0.1,tuned", *SMALL)
FILES = [f"double_descent.{kind}" for kind in ("png", "pdf", "svg")]


@pytest.fixture
def sweep(command: Command) -> str:
    """A folder with a blank in its name that holds a finished sweep."""
    folder = "my sweep"
    command.sweep(*SWEEP, into=folder)
    return folder


def plot(command: Command, *arguments: str) -> Ran:
    return command(*arguments, module="hw6.plot")


def refused(ran: Ran, *parts: str) -> None:
    """One line that holds all parts, exit status 2, and nothing left behind."""
    assert (ran.status, ran.out, ran.files, len(ran.lines)) == (2, "", [], 1), ran
    assert ran.err.count("\n") == 1
    for part in parts:
        assert part in ran.lines[0]


def texts(folder: Path, name: str = "double_descent") -> str:
    return (folder / f"{name}.svg").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_sweep_becomes_three_files_that_hold_its_text(command: Command, sweep: str) -> None:
    ran = plot(command, sweep)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines() == [f"{sweep}/{name}" for name in FILES]
    assert ran.files == sorted(f"{sweep}/{name}" for name in FILES)
    svg = texts(command.folder / sweep)
    for text in ("λ = 0.1 (fixed)", "λ tuned on validation data", "median of 3\u00a0seeds"):
        assert text in svg


def test_the_mean_of_a_part_of_the_rows(command: Command, sweep: str) -> None:
    tuned = ("--where", "lambda.kind=tuned")
    assert plot(command, sweep, *tuned, "--statistic", "mean", "--formats", "svg").status == 0
    svg = texts(command.folder / sweep)
    assert "mean of 3\u00a0seeds" in svg
    assert "(fixed)" not in svg
    assert plot(command, sweep, *tuned, "--where", "p=20", "--output", "one.svg").files == ["one.svg"]
    assert ">seed<" in texts(command.folder, "one")
    refused(plot(command, sweep, *tuned, "--where", "p=20", "--x", "p"), "x=p: must be a swept key")


def test_a_damaged_shard_is_named_and_the_rest_is_drawn_where_there_is_one(command: Command, sweep: str) -> None:
    ran = command("-m", *SWEEP, "p=5,20,40,60", f"hydra.sweep.dir='{sweep}'")
    assert ran.status == 0, ran.err
    shards = sorted((command.folder / sweep).rglob("rows-*.parquet"))
    assert len(shards) > 1
    data = bytearray(shards[0].read_bytes())
    data[len(data) // 2] ^= 1
    shards[0].write_bytes(data)
    ran = plot(command, sweep, "--formats", "svg")
    assert ran.status == 1
    assert [shards[0].name in line for line in ran.lines] == [True]
    assert ran.files == [f"{sweep}/double_descent.svg"]
    assert "number of features" in texts(command.folder / sweep)
    for shard in shards[1:]:
        shard.write_bytes(shard.read_bytes()[:-1])
    ran = plot(command, sweep)
    assert (ran.status, ran.out, ran.files) == (2, "", [])
    assert all("rows-" in line for line in ran.lines)


def test_what_holds_no_results_is_refused(command: Command) -> None:
    (command.folder / "an empty one").mkdir()
    refused(plot(command, "an empty one"), "an empty one: no results of hw6 here")
    refused(plot(command, "no such"), "no such: no such file or directory")


def test_a_sweep_without_a_metric_is_refused(command: Command) -> None:
    command.sweep("experiment=noop", "p=1:4", into="noop")
    refused(plot(command, "noop"), "noop has no metric to draw")


def test_a_single_run_is_refused_with_its_number(command: Command) -> None:
    assert command("p=5", *SMALL, "hydra.run.dir=one").status == 0
    refused(plot(command, "one"), "nothing was swept", "test_mse = ")


@pytest.mark.slow
def test_a_path_of_lambdas_is_a_map_and_many_seeds_are_dots(command: Command) -> None:
    command.sweep("p=5:15", "lambda=path", "lambda.num=8", *SMALL, into="path")
    assert plot(command, "path", "--formats", "svg").status == 0
    assert "dots:\u00a0lowest" in texts(command.folder / "path")
    command.sweep("p=5", "seed=0:4", *SMALL, into="seeds")
    assert plot(command, "seeds", "--formats", "svg").status == 0
    assert ">seed<" in texts(command.folder / "seeds")


def test_seaborn_is_no_part_of_running(process: Process) -> None:
    code = (
        "import sys; from hw6.run import main; status = main(sys.argv[1:] or "
        f"{['-m', 'p=5,10', *SMALL]!r}); "
        "print('loaded', sorted({'seaborn', 'matplotlib', 'pandas'} & set(sys.modules))); sys.exit(status)"
    )
    ran = process.code(code)
    assert ran.status == 0, ran.err
    assert "loaded []" in ran.out
