"""Experiments of this package, of other packages, and of the session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command, Process
from recipes import THIRD_PARTY, install_package

from hw6.aggregate import load
from hw6.contract.experiment import Experiment
from hw6.contract.registry import (
    EXPERIMENTS,
    all_shorthands,
    experiment_named,
    experiment_names,
    is_of_this_process,
    outside_experiments,
    register,
    unregister,
)
from hw6.contract.shorthand import Shorthand
from hw6.errors import BadInput


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_every_entry_is_an_experiment_of_that_name(name: str) -> None:
    experiment = experiment_named(name)
    assert isinstance(experiment, Experiment)
    assert experiment.name == name
    assert experiment.version >= 1
    assert experiment.keys
    assert all(key.help for key in experiment.keys.values())
    assert all(experiment.metrics.values()), "every metric has a line of explanation"
    assert experiment.objective is None or experiment.objective in experiment.metrics
    assert set(experiment.order) <= set(experiment.keys)
    assert experiment.measured <= set(experiment.metrics)
    assert all(name not in experiment.metrics for name in experiment.keys)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadInput) as caught:
        experiment_named("dubble_descent")
    assert str(caught.value).startswith("experiment=dubble_descent: must be one of ")
    assert all(name in str(caught.value) for name in experiment_names())
    assert "did you mean double_descent?" in str(caught.value)


def test_an_experiment_is_known_from_its_registration_to_its_end() -> None:
    assert THIRD_PARTY.name not in experiment_names()
    register(THIRD_PARTY)
    try:
        register(THIRD_PARTY)  # twice the same is once
        assert experiment_named(THIRD_PARTY.name) is THIRD_PARTY
        assert THIRD_PARTY.name in experiment_names()
        assert THIRD_PARTY in outside_experiments()
        with pytest.raises(ValueError, match="registered already"):
            register(replace(THIRD_PARTY, version=9))
    finally:
        unregister(THIRD_PARTY.name)
    assert THIRD_PARTY.name not in experiment_names()
    unregister(THIRD_PARTY.name)
    with pytest.raises(BadInput):
        experiment_named(THIRD_PARTY.name)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_names_of_this_package_are_taken(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        register(replace(THIRD_PARTY, name=name))


def test_defaults_are_needed() -> None:
    with pytest.raises(ValueError, match="needs defaults"):
        register(replace(THIRD_PARTY, defaults=None))


@pytest.mark.usefixtures("installed")
def test_an_installed_package_is_found_by_its_entry_point() -> None:
    assert "third_party" in experiment_names()
    assert experiment_named("third_party") is THIRD_PARTY
    assert THIRD_PARTY in outside_experiments()


@pytest.mark.usefixtures("third_party")
@pytest.mark.slow
def test_a_registered_experiment_runs_and_stands_in_help(command: Command) -> None:
    frame = command.sweep("experiment=third_party", "n=3,4")
    assert frame["experiment"].tolist() == ["third_party"] * 2
    assert frame["inner.depth"].tolist() == [2, 2]
    assert "third_party" in command("--help").out
    assert "total" in command("experiment=third_party", "objective=nonsense").err


@pytest.mark.usefixtures("installed")
@pytest.mark.slow
def test_an_installed_experiment_runs_in_a_process(process: Process) -> None:
    ran = process("-m", "experiment=third_party", "n=3:6", "workers=2", "hydra.sweep.dir=there")
    assert ran.status == 0, ran.err
    assert load(process.folder / "there")["n"].tolist() == [3, 4, 5]


def test_a_forgotten_experiment_is_refused_again(command: Command, third_party: None) -> None:
    assert command("experiment=third_party").status == 0
    unregister(THIRD_PARTY.name)
    ran = command("experiment=third_party")
    assert ran.status == 2
    assert ran.lines[0].startswith("experiment=third_party: must be one of ")


def test_defaults_may_choose_config_groups(command: Command) -> None:
    """An experiment from outside uses the groups of this package through a defaults list."""
    from hydra.core.config_store import ConfigStore

    from hw6.experiments.double_descent import EXPERIMENT as DOUBLE_DESCENT

    other = replace(
        DOUBLE_DESCENT,
        name="borrowed",
        defaults={
            "defaults": [{"/lambda": "tuned"}, {"/data": "gaussian"}, {"/features": "relu"}, {"/device": "cpu"}],
            "p": 5,
            "seed": 0,
            "exact_risk": False,
        },
    )
    register(other)
    try:
        frame = command.sweep("experiment=borrowed", "p=3,4", "lambda=fixed,tuned", "data.n_train=5")
        assert sorted(frame["lambda.kind"]) == ["fixed", "fixed", "tuned", "tuned"]
    finally:
        unregister("borrowed")
        ConfigStore.instance().repo["experiment"].pop("borrowed.yaml", None)


def test_reading_results_needs_no_experiment(command: Command, tmp_path: Path) -> None:
    register(THIRD_PARTY)
    try:
        command.sweep("experiment=third_party", "n=3,4", into="there")
    finally:
        unregister(THIRD_PARTY.name)
    assert load(command.folder / "there")["n"].tolist() == [3, 4]
    assert command("there", module="hw6.aggregate").status == 0


def test_what_other_processes_cannot_find_stays_in_this_one(command: Command, third_party: None) -> None:
    assert command("-m", "experiment=third_party", "n=3:6").status == 0
    ran = command("-m", "experiment=third_party", "n=3:6", "workers=2")
    assert ran.status == 2
    assert ran.lines[0].startswith("workers=2: experiment third_party is registered in this process alone")


# --- packages that cannot be loaded ---------------------------------------------------------------------------------


def announced(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str, name: str = "foreign") -> None:
    """An installed package that announces EXPERIMENT of a module with this text."""
    install_package(folder, name, f"{module}:EXPERIMENT")
    (folder / f"{module}.py").write_text(text + "\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize(
    ("module", "text", "told"),
    [
        ("raises_two_lines", "raise RuntimeError('half installed\\nand more')", "RuntimeError: half installed"),
        ("raises_nothing_said", "raise ValueError", "ValueError"),
        ("wants_to_end", "raise SystemExit", "SystemExit"),
        ("is_a_number", "EXPERIMENT = 3", "TypeError: is_a_number:EXPERIMENT is a int, no hw6.Experiment"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_package_that_cannot_be_loaded_is_told_once_and_left_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    text: str,
    told: str,
) -> None:
    announced(tmp_path / "broken", monkeypatch, module, text)
    for _ in range(2):
        assert "foreign" not in experiment_names()
        assert THIRD_PARTY in outside_experiments(), "the others go on"
        with pytest.raises(BadInput, match="experiment=foreign: must be one of"):
            experiment_named("foreign")
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"hw6: experiment foreign of foreign cannot be loaded ({told}); left out\n")


def test_an_interruption_while_a_package_is_loaded_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced(tmp_path, monkeypatch, "interrupted_on_import", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        experiment_names()


def test_an_experiment_of_ours_looks_at_no_other_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    announced(tmp_path, monkeypatch, "never_looked_at", "raise RuntimeError")
    assert experiment_named("noop").name == "noop"
    assert capsys.readouterr().err == ""


def test_an_announced_experiment_without_defaults_is_known_but_no_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from hw6 import Experiment, Integer\n"
        "EXPERIMENT = Experiment('foreign', 1, {'n': Integer(help='a number')}, {}, lambda cells: {})"
    )
    announced(tmp_path, monkeypatch, "without_defaults", text)
    assert "foreign" in experiment_names()
    assert experiment_named("foreign").config is None
    assert "foreign" not in {experiment.name for experiment in outside_experiments()}


@pytest.mark.usefixtures("third_party")
def test_what_is_registered_here_alone_is_of_this_process() -> None:
    assert is_of_this_process(THIRD_PARTY.name)
    assert not is_of_this_process("noop")
    assert not is_of_this_process("nobody")


@pytest.mark.usefixtures("installed", "third_party")
def test_what_is_announced_too_is_known_everywhere() -> None:
    assert not is_of_this_process(THIRD_PARTY.name)


def test_shorthands_are_those_of_all_experiments_of_the_session() -> None:
    short = Shorthand("kind", "plain", "n", "3")
    before = all_shorthands()
    assert {experiment for experiment in before if experiment.group == "lambda"}
    mine = replace(THIRD_PARTY, shorthands=(short,))
    register(mine)
    try:
        assert all_shorthands() == [*before, short]
    finally:
        unregister(mine.name)
    assert all_shorthands() == before
