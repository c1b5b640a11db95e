"""``resume=FOLDER`` and ``resume=latest``: which sweep, and with which command it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hw6.errors import BadInput
from hw6.sweep import provenance, store
from hw6.sweep.grammar import CommandLine, quoted, split

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
    folder = _folder(asked[-1].partition("=")[2].strip("'\""), outputs)
    typed = [text for text in line.overrides if not text.startswith("resume=")]
    remembered = split(_command(folder))
    keys = [text.partition("=")[0].lstrip("+") for text in typed]
    replaced = tuple(prefix for key in keys for prefix in (f"{key}=", f"+{key}=", f"++{key}=", f"{key}."))
    kept = [t for t in remembered.overrides if not t.startswith((*FORGOTTEN, *replaced))]
    rest = [*kept, *typed]
    flags = [*remembered.flags, *(flag for flag in line.flags if flag not in remembered.flags)]
    if "-m" not in flags and "--multirun" not in flags:
        flags.append("-m")
    return CommandLine(tuple(flags), (*rest, f"hydra.sweep.dir={quoted(str(folder))}"))


def _folder(name: str, outputs: Path) -> Path:
    if name == LATEST:
        found = sorted(outputs.glob(f"*/*/{store.PROVENANCE}"), key=lambda path: path.stat().st_mtime)
        sweeps = [path.parent for path in found if _is_sweep(path.parent)]
        if not sweeps:
            raise BadInput("resume", name, f"there is no sweep in {outputs}", "give its directory: resume=FOLDER")
        return sweeps[-1].absolute()
    folder = Path(name).absolute()
    if not (folder / store.PROVENANCE).is_file():
        raise BadInput("resume", name, "must be the directory of a sweep, or latest", f"it holds no {store.PROVENANCE}")
    return folder


def _is_sweep(folder: Path) -> bool:
    """A single run leaves a record too, but has no plan to go on with."""
    return any(folder.glob("plan-*.json"))


def _command(folder: Path) -> Sequence[str]:
    runs = [run for run in provenance.runs(folder) if run.get("expanded")]
    if not runs:
        raise BadInput("resume", folder, "remembers no command", "type the sweep's keys after it")
    expanded: list[str] = runs[-1]["expanded"]
    return expanded
