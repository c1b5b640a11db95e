"""Which experiments a command line means, and the shorthands that they declare."""

from __future__ import annotations

import re
from contextlib import suppress

from hw6.command import folders
from hw6.command.line import NUMBER, CommandLine, elements
from hw6.contract.keys import FRAMEWORK_KEYS
from hw6.contract.registry import experiment_named
from hw6.contract.shorthand import Shorthand
from hw6.errors import Hw6Error

_CHOSEN = re.compile(r"^\s*-\s*(?:override\s+)?/?experiment:\s*(\w+)", re.MULTILINE)


def shorthands_meant(line: CommandLine, name: str) -> dict[str, Shorthand]:
    """The shorthands of a command by their config group; experiments are loaded only where one may be needed.

    Args:
        line: the command line as typed.
        name: its primary config.
    """
    if not any(_may_be_short(text) for text in line.overrides):
        return {}
    found: dict[str, Shorthand] = {}
    for experiment in experiments_meant(line, name):
        with suppress(Hw6Error):  # a name that does not exist is told of later
            found |= {short.group: short for short in experiment_named(experiment).shorthands}
    return found


def _may_be_short(override: str) -> bool:
    key, _, value = override.partition("=")
    group = key.strip().lstrip("+")
    return bool(NUMBER.search(value)) and group.isidentifier() and group not in FRAMEWORK_KEYS


def experiments_meant(line: CommandLine, name: str) -> list[str]:
    """The experiments that a command chooses, or else that its primary config does."""
    typed = [text.partition("=")[2] for text in line.overrides if text.startswith("experiment=")]
    if typed:
        return elements(typed[-1])
    for path in (folders.sweeps() / f"{name}.yaml", folders.conf() / "config.yaml"):
        with suppress(OSError):
            if chosen := _CHOSEN.findall(path.read_text(encoding="utf-8")):
                return chosen[-1:]
    return []
