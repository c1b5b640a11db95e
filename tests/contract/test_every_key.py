"""Every key of every experiment matters, is documented where it stands, and every choice runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Command
from recipes import FROZEN_IDS, SMALL

from hw6.aggregate import load
from hw6.command import folders
from hw6.contract.keys import FRAMEWORK_KEYS, RUN_KEYS, UNSET, Choice, Flag, Integer, Integers, Key, Real
from hw6.contract.registry import EXPERIMENTS, experiment_named
from hw6.plan.ids import cell_id

CONF = folders.conf()
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name not in {"hydra", "experiment"})
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
NOT_BUILT = {("device", "cuda")}  # refused in words until there is code for it

# For each key of double_descent: the overrides of a cell that has it, and another value. Metrics that must change.
DOUBLE_DESCENT: dict[str, tuple[list[str], str, set[str]]] = {
    "p": ([], "p=7", {"test_mse", "train_mse", "effective_dof"}),
    "seed": ([], "seed=1", {"test_mse", "theta_norm"}),
    "lambda.kind": ([], "lambda=ridgeless", {"chosen_lambda", "train_mse"}),
    "lambda.value": ([], "lambda.value=0.5", {"chosen_lambda", "train_mse", "effective_dof"}),
    "lambda.min": (["lambda=tuned", "lambda.num=1"], "lambda.min=0.5", {"chosen_lambda", "train_mse"}),
    "lambda.max": (["lambda=path", "lambda.num=3"], "lambda.max=7", {"chosen_lambda", "train_mse"}),
    "lambda.num": (["lambda=path", "lambda.num=3"], "lambda.num=4", {"chosen_lambda"}),
    "data.kind": (["data=gaussian", "p=11"], "data=starter", {"test_mse", "train_mse"}),
    "data.d": ([], "data.d=4", {"test_mse", "train_mse"}),
    "data.sigma": ([], "data.sigma=0.9", {"train_mse", "test_mse"}),
    "data.sigma_validation": ([], "data.sigma_validation=0.9", {"validation_mse"}),
    "data.sigma_test": ([], "data.sigma_test=0.9", {"test_mse"}),
    "data.n_train": ([], "data.n_train=7", {"train_mse", "test_mse"}),
    "data.n_validation": ([], "data.n_validation=5", {"validation_mse"}),
    "data.n_test": ([], "data.n_test=5", {"test_mse"}),
    "exact_risk": ([], "exact_risk=true", {"population_risk"}),
}
ONE_VALUE = {"features.activation", "device.kind"}  # nothing else can be chosen yet, or it is the same arithmetic


def other_value(key: Key, value: Any) -> Any:
    """An allowed value that is not this one, or None where there is no other."""
    if isinstance(key, Flag):
        return not value
    if isinstance(key, Integer):
        return value + 1 if value < key.maximum else value - 1
    if isinstance(key, Real):
        return next(v for v in (0.25, 0.75, 1.5) if v != value and key.accept(v) == v)
    if isinstance(key, Choice):
        return next((name for name in key.choices if name != value), None)
    assert isinstance(key, Integers)
    return (7,) * key.shortest if value != (7,) * key.shortest else (8,) * key.shortest


def default_value(key: Key) -> Any:
    if isinstance(key, Flag):
        return False
    if isinstance(key, Integer):
        return key.minimum
    if isinstance(key, Real):
        return 0.5
    if isinstance(key, Choice):
        return key.choices[0]
    assert isinstance(key, Integers)
    return (9,) * key.shortest


@pytest.mark.parametrize(("experiment", "key"), [(n, k) for n in EXPERIMENTS for k in experiment_named(n).keys])
def test_every_key_decides_the_id(experiment: str, key: str) -> None:
    known = experiment_named(experiment)
    values = {name: default_value(kind) for name, kind in known.keys.items()}
    other = other_value(known.keys[key], values[key])
    ids = {cell_id(experiment, known.version, values, known.keys)}
    if other is not None:
        ids.add(cell_id(experiment, known.version, values | {key: other}, known.keys))
        assert len(ids) == 2
    without = {name: value for name, value in values.items() if name != key}
    if values[key] != known.keys[key].omitted_at:
        assert cell_id(experiment, known.version, without, known.keys) not in ids


def test_the_table_of_this_test_has_every_key() -> None:
    assert set(DOUBLE_DESCENT) | ONE_VALUE == set(experiment_named("double_descent").keys)


_rows: dict[tuple[str, ...], Any] = {}


def _row(command: Command, overrides: list[str]) -> Any:
    """The frame of a cell; most keys are compared with one and the same cell, which runs once."""
    if tuple(overrides) not in _rows:
        folder = f"run-{len(_rows)}"
        assert command(*overrides, f"hydra.run.dir={folder}").status == 0
        _rows[tuple(overrides)] = load(command.folder / folder)
    return _rows[tuple(overrides)]


@pytest.mark.parametrize("key", list(DOUBLE_DESCENT))
@pytest.mark.slow
def test_every_key_changes_the_row(command: Command, key: str) -> None:
    given, change, metrics = DOUBLE_DESCENT[key]
    base = [*SMALL, "p=5", *given] if key != "data.kind" else given
    before, after = _row(command, base), _row(command, [*base, change])
    assert before["cell_id"][0] != after["cell_id"][0]
    for metric in metrics:
        ours = before[metric].tolist() if metric in before else None
        theirs = after[metric].tolist()
        assert ours != theirs, f"{key} leaves {metric} as it was"


@pytest.mark.parametrize("key", ["p", "seed"])
def test_keys_of_noop_stand_in_its_row(command: Command, key: str) -> None:
    assert command("experiment=noop", f"{key}=41", "hydra.run.dir=a").status == 0
    assert load(command.folder / "a")[key].tolist() == [41]


@pytest.mark.parametrize(("objective", "metric"), [("test_mse", "test_mse"), ("auto", "validation_mse")])
@pytest.mark.slow
def test_the_objective_is_what_a_job_returns(
    command: Command, monkeypatch: pytest.MonkeyPatch, objective: str, metric: str
) -> None:
    """As an optimising sweeper sees it; Hydra's basic sweeper hands its jobs' returns on."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    returned: list[Any] = []
    sweep = BasicSweeper.sweep

    def watched(self: BasicSweeper, arguments: list[str]) -> Any:
        returned.extend(one.return_value for batch in sweep(self, arguments) for one in batch)

    monkeypatch.setattr(BasicSweeper, "sweep", watched)
    basic = ["-m", *SMALL, "p=3,4", "hydra/sweeper=basic", "hydra.sweep.dir=a"]
    assert command(*basic, f"objective={objective}").status == 0
    frame = load(command.folder / "a")
    assert returned == frame.sort_values("p")[metric].tolist()


# --- config files ---------------------------------------------------------------------------------------------------


SOON = {"lambda", "data"}  # the choices of other groups run in the slow tests


@pytest.mark.parametrize(
    ("group", "choice"), [pytest.param(*c, marks=[] if c[0] in SOON else [pytest.mark.slow]) for c in CHOICES]
)
def test_every_choice_composes_and_runs(command: Command, group: str, choice: str) -> None:
    if (group, choice) in NOT_BUILT:
        assert command("p=11", f"{group}={choice}").status == 2
        return
    small = [] if choice == "starter" else SMALL
    ran = command(*small, "p=11", f"{group}={choice}", "hydra.run.dir=a")
    assert ran.status == 0, ran.err
    assert set(load(command.folder / "a")["status"]) == {"done"}


LIGHT = {"noop", "double_descent"}  # the others need torch


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in LIGHT else [pytest.mark.slow]) for n in EXPERIMENTS])
def test_every_experiment_has_a_config_that_runs_and_is_the_frozen_cell(command: Command, name: str) -> None:
    assert (CONF / "experiment" / f"{name}.yaml").exists()
    ran = command(f"experiment={name}", "hydra.run.dir=a")
    assert ran.status == 0, ran.err
    frame = load(command.folder / "a")
    assert set(frame["experiment"]) == {name}
    assert set(frame["cell_id"]) == {FROZEN_IDS[name][1]}


def _files() -> list[Path]:
    return [path for path in sorted(CONF.rglob("*.yaml")) if "hydra" not in path.relative_to(CONF).parts]


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.relative_to(CONF).as_posix())
def test_every_key_in_conf_has_a_comment(path: Path) -> None:
    """On its line, or on the line above; what names a choice is told by the head of its file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    silent = []
    for number, line in enumerate(lines):
        name, colon, value = line.strip().partition(":")
        if not colon or line.lstrip().startswith(("#", "- ")) or not name.isidentifier():
            continue
        if name in {"defaults", "hydra", "job", "run", "sweep", "kind", "experiment", "name", "dir", "subdir"}:
            continue
        if "#" not in value and not (number and lines[number - 1].lstrip().startswith("#")):
            silent.append(f"{name} (line {number + 1})")
    assert not silent, f"{path.name}: no comment for {', '.join(silent)}"


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_says_what_it_is(group: str, choice: str) -> None:
    assert (CONF / group / f"{choice}.yaml").read_text(encoding="utf-8").startswith("#")


def _leaves(node: Any, prefix: str = "") -> set[str]:
    if not isinstance(node, dict):
        return {prefix}
    found: set[str] = set()
    for name, value in node.items():
        if name not in {"defaults", "hydra"}:
            found |= _leaves(value, f"{prefix}.{name}" if prefix else name)
    return found


def test_schema_and_conf_have_the_same_keys() -> None:
    in_conf: set[str] = set()
    for path in _files():
        group = path.relative_to(CONF).parent.name
        if group == "experiment" and path.stem not in EXPERIMENTS:
            continue
        prefix = "" if group in {"", "experiment"} else group
        in_conf |= _leaves(yaml.safe_load(path.read_text(encoding="utf-8")), prefix)
    in_schema = {key for name in EXPERIMENTS for key in experiment_named(name).keys}
    assert in_schema <= in_conf
    assert in_conf - in_schema <= FRAMEWORK_KEYS


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_defaults_in_conf_are_those_of_the_keys(group: str, choice: str) -> None:
    """What a choice says of a key is its default; the kind, and what a choice fixes, are the choice's own."""
    keys = experiment_named("double_descent").keys
    for name, (value, comment) in _entries(CONF / group / f"{choice}.yaml").items():
        key = keys[f"{group}.{name}"]
        if key.default is UNSET:
            assert (group, choice) == ("device", "auto") or key.convert(name, value) == value
        else:
            assert (value, type(value)) == (key.default, type(key.default)), f"{group}.{name}"
            assert comment == key.help, f"{group}.{name}"


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_an_experiments_file_says_the_defaults_and_the_help_of_its_keys(name: str) -> None:
    keys = experiment_named(name).keys
    found = _entries(CONF / "experiment" / f"{name}.yaml")
    own = {key for key in keys if "." not in key}
    assert set(found) - {"experiment"} == own
    for key in own:
        value, comment = found[key]
        assert (value, type(value)) == (keys[key].default, type(keys[key].default)), key
        assert comment == keys[key].help, key


def test_the_keys_of_every_command_stand_in_conf_with_their_help() -> None:
    found = _entries(CONF / "config.yaml")
    for name, key in RUN_KEYS.items():
        assert found[name] == (key.default, key.help)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
@pytest.mark.slow
def test_help_shows_every_key_with_its_default(command: Command, name: str) -> None:
    shown = yaml.safe_load(command("--help", f"experiment={name}").out.split("above) ==")[1].split("\n-m sweeps")[0])
    for key, kind in experiment_named(name).keys.items():
        node: Any = shown
        for part in key.split("."):
            node = node.get(part, UNSET) if isinstance(node, dict) else UNSET
        if kind.default is not UNSET and node is not UNSET:
            assert node == kind.default, key
        assert node is not UNSET or "." in key, f"{key} is not in --help"


def _entries(path: Path) -> dict[str, tuple[Any, str]]:
    """The plain keys of a config file: their value, and the comment behind it."""
    text = path.read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    comments = dict(re.findall(r"^(\w+): .*?[ ]#[ ](.*)$", text, re.MULTILINE))
    return {
        name: (value, comments.get(name, "")) for name, value in values.items() if name not in {"defaults", "hydra"}
    }
