"""``resume=FOLDER`` and ``resume=latest``: which sweep, and with which command it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hw6.command.chosen import refuse_remembered
from hw6.command.line import MULTIRUN, CommandLine, split
from hw6.command.shorthands import experiments_meant
from hw6.contract.registry import experiment_named
from hw6.errors import BadInput
from hw6.store import directory, record
from hw6.words import quoted, unquoted

LATEST = "latest"
FORGOTTEN = ("resume=", "hydra.sweep.dir=", "retry=", "changed=", "dry_run=", "fail_fast=")  # of a remembered command


def resumed(line: CommandLine, outputs: Path) -> CommandLine:
    """A command line with ``resume=`` as one with ``hydra.sweep.dir=``; others as they are.

    The command is the one that the directory remembers; what is typed beside ``resume=`` takes the place of the same
    keys in it.

    Raises:
        BadInput: there is no such sweep, or it remembers no command.
    """
    asked = [text for text in line.overrides if text.startswith("resume=")]
    if not asked:
        return line
    name = unquoted(asked[-1].partition("=")[2])
    folder = _folder(name, outputs)
    typed = [text for text in line.overrides if not text.startswith("resume=")]
    remembered = _renamed(split(_command(folder)))
    keys = [text.partition("=")[0].lstrip("+") for text in typed]
    replaced = tuple(prefix for key in keys for prefix in (f"{key}=", f"+{key}=", f"++{key}=", f"{key}."))
    kept = [t for t in remembered.overrides if not t.startswith((*FORGOTTEN, *replaced))]
    refuse_remembered(kept, name)
    rest = [*kept, *typed]
    flags = [*remembered.flags, *(flag for flag in line.flags if flag not in remembered.flags)]
    if not set(flags) & set(MULTIRUN):
        flags.append("-m")
    return CommandLine(tuple(flags), (*rest, f"hydra.sweep.dir={quoted(str(folder))}"))


def _renamed(line: CommandLine) -> CommandLine:
    """A remembered command with the names that its experiment's keys have now."""
    names: dict[str, str] = {}
    for experiment in experiments_meant(line, line.value("--config-name", "-cn") or "config"):
        with suppress(BadInput):  # an experiment that is gone is told of when the sweep is planned
            keys = experiment_named(experiment).keys
            names |= {key.formerly: name for name, key in keys.items() if key.formerly}
    return CommandLine(line.flags, tuple(_with_name(text, names) for text in line.overrides))


def _with_name(text: str, names: Mapping[str, str]) -> str:
    key, equals, value = text.partition("=")
    plain = key.lstrip("+")
    return f"{key.removesuffix(plain)}{names[plain]}{equals}{value}" if plain in names else text


def _folder(name: str, outputs: Path) -> Path:
    if name == LATEST:
        found = directory.sweeps_below(outputs) if outputs.is_dir() else ()
        sweeps = [folder for folder in found if _has_plan(folder)]
        sweeps.sort(key=lambda folder: (folder / directory.PROVENANCE).stat().st_mtime)
        if not sweeps:
            raise BadInput("resume", name, f"there is no sweep in {outputs}", "give its directory: resume=FOLDER")
        return sweeps[-1].absolute()
    folder = Path(name).absolute()
    if not (folder / directory.PROVENANCE).is_file():
        raise BadInput("resume", name, "must be a sweep's directory, or latest", f"it holds no {directory.PROVENANCE}")
    return folder


def _has_plan(folder: Path) -> bool:
    """A single run leaves a record too, but has no plan to go on with."""
    return any(folder.glob("plan-*.json"))


def _command(folder: Path) -> Sequence[str]:
    runs = [run for run in record.runs(folder) if run.get("expanded")]
    if not runs:
        raise BadInput("resume", folder, "remembers no command", "type the sweep's keys after it")
    expanded: list[str] = runs[-1]["expanded"]
    return expanded
