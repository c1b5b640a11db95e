"""``experiment=FILE.py:NAME`` on a command line: the file is loaded, and Hydra is told the experiment's name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hw6.command.line import CommandLine, elements
from hw6.contract.experiment import Experiment
from hw6.contract.files import is_reference, load
from hw6.contract.registry import EXPERIMENTS
from hw6.errors import BadInput
from hw6.store.record import CHOICE
from hw6.words import unquoted

_CHOICES = re.compile(r"(choice|shuffle|sort)\((.*)\)", re.DOTALL)


@dataclass(frozen=True)
class Chosen:
    """A command line in which experiments go by their names.

    Attributes:
        line: the command line.
        experiments: those that came from files, or with the command.
    """

    line: CommandLine
    experiments: tuple[Experiment, ...] = ()


def chosen(line: CommandLine, own: Experiment | None = None) -> Chosen:
    """Load the experiments that a command line names by their files.

    Args:
        line: what was typed.
        own: the experiment that the command is for, if it is for one: a script's own.

    Raises:
        BadInput: a file that cannot be loaded, or another experiment than the command's own.
    """
    found: dict[str, Experiment] = {} if own is None else {own.name: own}
    loaded: list[Experiment] = [] if own is None else [own]
    overrides = []
    for text in line.overrides:
        if not text.startswith(CHOICE):
            overrides.append(text)
            continue
        names = []
        function, inner = _taken_apart(text.removeprefix(CHOICE))
        for name in elements(inner):
            plain = unquoted(name)
            if is_reference(plain):
                experiment = found.get(plain) or load(plain)
                found[plain] = experiment
                loaded.append(experiment)
                name = experiment.name
            elif ".py" in plain.lower():
                raise BadInput("experiment", plain, "must be FILE.py:NAME", f"such as {CHOICE}knn.py:knn")
            elif (file := Path(f"{plain.partition(':')[0]}.py")).is_file() and plain not in EXPERIMENTS:
                allowed = f"experiments of one's own are chosen by their files: there is {file}"
                raise BadInput("experiment", plain, allowed, f"{CHOICE}{file}:{plain.partition(':')[2] or file.stem}")
            if own is not None and name != own.name:
                allowed = f"this command runs {own.name} alone"
                raise BadInput("experiment", plain, allowed, "leave it out, or use python -m hw6.run")
            names.append(name)
        listed = ",".join(names)
        overrides.append(f"{CHOICE}{function}({listed})" if function else CHOICE + listed)
    if own is not None and not any(text.startswith(CHOICE) for text in overrides):
        overrides.insert(0, CHOICE + own.name)
    return Chosen(CommandLine(line.flags, tuple(overrides)), tuple({id(one): one for one in loaded}.values()))


def refuse_remembered(overrides: Sequence[str], folder: object) -> None:
    """Refuse to load a file because a record names it: what is remembered is data, what is typed is a command.

    Raises:
        BadInput: what to type.
    """
    for text in overrides:
        for name in elements(_taken_apart(text.removeprefix(CHOICE))[1]) if text.startswith(CHOICE) else ():
            plain = unquoted(name)
            if is_reference(plain):
                file = plain.rpartition(":")[0]
                allowed = f"is a sweep of an experiment in {file}, and a record imports no file"
                words = shlex.quote(CHOICE + name), shlex.quote(file), shlex.quote(f"resume={folder}")
                hint = f"type {words[0]} beside it, or python {words[1]} {words[2]}"
                raise BadInput("resume", folder, allowed, hint)


def _taken_apart(value: str) -> tuple[str, str]:
    """The function of a sweep ("choice", or none) and what it is applied to."""
    match = _CHOICES.fullmatch(value)
    return (match[1], match[2]) if match else ("", value)
