"""Where rows come from: commands, config, commit, versions, machine, start and end; kept once per sweep as JSON."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from hw6.store.directory import PROVENANCE, BadRecord, read_json, write_json

PACKAGES = ("hw6", "hydra", "omegaconf", "numpy", "pyarrow")  # what decides a row or how it was asked for; all loaded


@dataclass(frozen=True)
class Command:
    """What the user typed and what it stands for: arguments that can be pasted back after ``python -m hw6.run``."""

    typed: Sequence[str]
    expanded: Sequence[str]


NOTHING = Command((), ())


def now() -> str:
    """The time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Commit:
    """The git commit of the code that runs; asked for in the background, since git takes longer than a small sweep.

    Without optional locks (git's manual, GIT_OPTIONAL_LOCKS): a git that is stopped while it refreshes its index would
    leave the user's repository locked.
    """

    def __init__(self) -> None:
        folder = Path(__file__).parent
        try:
            self._process: subprocess.Popen[str] | None = subprocess.Popen(
                ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )
        except OSError:
            self._process = None

    def __enter__(self) -> Commit:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.stdout is not None and not self._process.stdout.closed:
            self._process.terminate()
            self._process.wait()
            self._process.stdout.close()

    def read(self) -> dict[str, Any]:
        """The commit and whether tracked files differ from it; None for both outside a repository."""
        text = ""
        if self._process is not None:
            try:
                text = self._process.communicate(timeout=10)[0].strip()
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return {"commit": text.removesuffix("-dirty") or None, "dirty": text.endswith("-dirty") if text else None}


def versions() -> dict[str, str]:
    """Python's version and those of the packages that decide a row."""
    return {"python": platform.python_version()} | {name: str(import_module(name).__version__) for name in PACKAGES}


def describe(command: Command, blocks: Sequence[Mapping[str, Any]], started: str, commit: Commit) -> dict[str, Any]:
    """The provenance of one run of a sweep, all of it known before the first cell runs but the end."""
    return {
        "typed": list(command.typed),
        "expanded": list(command.expanded),
        "blocks": list(blocks),
        "git": commit.read(),
        "versions": versions(),
        "machine": {
            "host": platform.node(),
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "directory": os.getcwd(),
        "python": sys.executable,
        "started": started,
        "ended": None,
    }


def runs(folder: Path) -> list[dict[str, Any]]:
    """The runs of a sweep, oldest first; none where there is no record.

    Raises:
        BadRecord: the record cannot be read, or is none of hw6.
    """
    path = folder / PROVENANCE
    if not path.exists():
        return []
    content = read_json(path)
    found = content.get("runs") if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(_is_run(run) for run in found):
        raise BadRecord(f"{path}: this is no record of hw6")
    return found


def _is_run(run: object) -> bool:
    """Whether a part of a record has the types that hw6 writes; what is absent is no harm."""
    if not isinstance(run, dict):
        return False
    if not all(isinstance(run.get(name, []), list) for name in ("typed", "expanded", "blocks")):
        return False
    texts = all(isinstance(text, str) for name in ("typed", "expanded") for text in run.get(name, ()))
    mappings = all(isinstance(run.get(name, {}), dict) for name in ("versions", "code"))
    numbers = all(isinstance(run.get(name, 0), int) for name in ("cells", "before", "outside"))
    return texts and mappings and numbers and isinstance(run.get("started", ""), str) and _are_blocks(run)


def _are_blocks(run: Mapping[str, Any]) -> bool:
    blocks = run.get("blocks", [])
    return all(isinstance(block, dict) and isinstance(block.get("experiment"), str) for block in blocks)


def append(folder: Path, run: Mapping[str, Any]) -> None:
    """Add a run to a sweep's provenance."""
    write_json(folder / PROVENANCE, {"format": 1, "runs": [*runs(folder), run]})


def close(folder: Path, outcome: Mapping[str, Any]) -> None:
    """Write the end of the last run.

    Raises:
        BadRecord: the record cannot be read any more, or is gone.
    """
    found = runs(folder)
    if not found:
        raise BadRecord(f"{folder / PROVENANCE}: is gone, so that the end of the sweep cannot be written")
    *before, last = found
    write_json(folder / PROVENANCE, {"format": 1, "runs": [*before, {**last, "ended": now(), **outcome}]})
