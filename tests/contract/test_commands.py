"""Every command: help, exit status, what it prints where, from any directory, and the console command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import Command, Process

from hw6 import __main__ as console
from hw6.aggregate import load

MODULES = ["hw6.run", "hw6.aggregate", "hw6.plot"]


@pytest.mark.parametrize("module", MODULES)
def test_help_is_given_on_standard_output(command: Command, module: str) -> None:
    ran = command("--help", module=module)
    assert ran.status == 0
    assert ran.err == ""
    assert module in ran.out
    assert (ran.files, ran.folders) == ([], [])


@pytest.mark.parametrize("module", MODULES[1:])
def test_a_path_is_needed(command: Command, module: str) -> None:
    ran = command(module=module)
    assert ran.status == 2
    assert "PATH" in ran.err
    assert ran.out == ""


def test_what_one_command_says_is_next_is_what_the_next_one_takes(command: Command) -> None:
    ran = command("-m", "p=3:6", "lambda=0.01,tuned", "data.n_train=5")
    told = ran.out.splitlines()[-1].removeprefix("next: ")
    steps = [re.fullmatch(r"python -m (hw6\.\w+) (\S+)", text) for text in told.split("; ")]
    assert [step[1] for step in steps if step] == ["hw6.aggregate", "hw6.plot"]
    aggregated = command(steps[0][2], module="hw6.aggregate")  # type: ignore[index]
    assert aggregated.status == 0
    assert "6 cells" in aggregated.out


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_every_command_runs_as_a_module(process: Process, module: str) -> None:
    ran = process("--help", module=module, options=["-W", "error"])
    assert ran.status == 0, ran.err
    assert ran.err == ""


@pytest.mark.slow
def test_the_whole_way_in_processes(process: Process) -> None:
    swept = process("-m", "p=3:9", "lambda=0.01,tuned", "data.n_train=5", "hydra.sweep.dir=s", options=["-W", "error"])
    assert swept.status == 0, swept.err
    assert len(load(process.folder / "s")) == 12
    table = process("s", module="hw6.aggregate")
    assert (table.status, table.files) == (0, ["s/table.csv", "s/table.parquet"])
    figure = process("s", module="hw6.plot")
    assert figure.status == 0, figure.err
    assert ".png" in {Path(name).suffix for name in figure.files}


# --- the console command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_console_command_lists_its_commands(command: Command, arguments: list[str]) -> None:
    ran = command(*arguments, module="hw6.__main__")
    assert ran.status == 0
    assert ran.err == ""
    for name in console.COMMANDS:
        assert re.search(rf"^\s+{name}\s", ran.out, re.MULTILINE)


def test_every_command_of_the_console_is_a_module() -> None:
    from importlib import import_module

    assert {f"hw6.{name}" for name in console.COMMANDS} >= set(MODULES)
    for name in console.COMMANDS:
        assert callable(import_module(f"hw6.{name}").main)


def test_an_unknown_command_is_refused(command: Command) -> None:
    ran = command("rum", "p=3", module="hw6.__main__")
    assert ran.status == 2
    assert "rum" in ran.err
    assert ran.out == ""


def test_the_console_command_is_the_module(command: Command) -> None:
    ran = command("run", "-m", "experiment=noop", "p=3:6", "hydra.sweep.dir=s", module="hw6.__main__")
    assert ran.status == 0
    assert load(command.folder / "s")["p"].tolist() == [3, 4, 5]
    assert command("aggregate", "s", module="hw6.__main__").files == ["s/table.csv", "s/table.parquet"]
    refused = command("run", "p=0", module="hw6.__main__")
    assert (refused.status, len(refused.lines)) == (2, 1)


def complete(command: Command, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    ran = command("-sc", "query=bash", module="hw6.__main__")
    assert ran.status == 0, ran.err
    assert ran.err == ""
    return ran.out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("hw6 ", set(console.COMMANDS)),
        ("hw6 ru", {"run"}),
        ("hw6 zz", set()),
        ("hw6 run lambda=", {"lambda=fixed", "lambda=path", "lambda=ridgeless", "lambda=tuned"}),
        ("hw6 run lambda=t", {"lambda=tuned"}),
        ("hw6 run -m p=5:200 lambda=tu", {"lambda=tuned"}),
        ("hw6 run -m lambda=0.1 exper", {"experiment="}),
        ("hw6 run data.n_tr", {"data.n_train="}),
    ],
)
def test_the_shell_is_told_what_fits(
    command: Command, monkeypatch: pytest.MonkeyPatch, line: str, offered: set[str]
) -> None:
    assert set(complete(command, monkeypatch, line)) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_every_shell(command: Command, shell: str) -> None:
    ran = command("-sc", f"install={shell}", module="hw6.__main__")
    assert ran.status == 0
    assert "hw6" in ran.out
    assert (ran.files, ran.folders) == ([], [])
