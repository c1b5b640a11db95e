"""Where rows come from: commands, config, commit, versions, machine, start and end; kept once per sweep as JSON."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from hw6.contract import described
from hw6.contract.described import MOST_VALUES
from hw6.plan.plan import Block
from hw6.plan.text import block_to_json
from hw6.store.code import Code
from hw6.store.directory import PROVENANCE, BadRecord, read_json, write_json
from hw6.words import RUN, quoted, safe, short

PACKAGES = ("hw6", "hydra", "omegaconf", "numpy", "pyarrow")  # what decides a row or how it was asked for; all loaded


CHOICE, PROMPT = "experiment=", "hw6.run_sweep"


@dataclass(frozen=True)
class Command:
    """What the user typed and what it stands for.

    Attributes:
        typed: the arguments.
        expanded: the same in Hydra's grammar; they can be pasted back after ``python -m hw6.run``.
        program: what stood before the arguments.
        files: for experiments that are in a file, ``FILE.py:NAME`` by their name.
    """

    typed: Sequence[str] = ()
    expanded: Sequence[str] = ()
    program: str = RUN
    files: Mapping[str, str] = field(default_factory=dict)

    def pasted(self, arguments: Sequence[str]) -> str:
        """A command for people to paste: a script's own experiment goes without saying."""
        if self.program == PROMPT:
            return call_of(arguments)
        shown = [text for text in arguments if self.program == RUN or not text.startswith(CHOICE)]
        return " ".join(filter(None, [self.program, shlex.join(self.with_files(shown))]))

    def with_files(self, arguments: Sequence[str]) -> list[str]:
        """Arguments that say of each experiment in which file it is."""
        return [self._with_file(text) if text.startswith(CHOICE) else text for text in arguments]

    def _with_file(self, text: str) -> str:
        parts = re.split(r"([(),])", text.removeprefix(CHOICE))
        return CHOICE + "".join(_grammar(self.files[part]) if part in self.files else part for part in parts)


def call_of(arguments: Sequence[str]) -> str:
    """The call that runs an experiment which no command can find, as it was made at a prompt or in a notebook."""
    name = next((text.removeprefix(CHOICE) for text in arguments if text.startswith(CHOICE)), "...")
    rest = [text for text in arguments if not text.startswith((CHOICE, "-"))]
    return f"hw6.run_sweep({rest!r}, experiment={name})"


def _grammar(reference: str) -> str:
    """A path in an override: quoted where a comma or a blank in it would end it."""
    return reference if re.fullmatch(r"[\w./:+@-]+", reference) else quoted(reference)


NOTHING = Command()


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


def versions(codes: Mapping[str, Code]) -> dict[str, str]:
    """Python's version and those of the packages that decide a row, those that the experiments use among them."""
    ours = {name: str(import_module(name).__version__) for name in PACKAGES}
    used = {name: version for code in codes.values() for name, version in sorted(code.versions.items())}
    return {"python": platform.python_version(), **ours, **used}


def describe(
    command: Command, blocks: Sequence[Block], codes: Mapping[str, Code], started: str, commit: Commit
) -> dict[str, Any]:
    """The provenance of one run of a sweep, all of it known before the first cell runs but the end.

    Args:
        command: what was typed.
        blocks: the plan.
        codes: by experiment, the code that makes its rows.
        started: when.
        commit: of hw6's own code.
    """
    return {
        "typed": list(command.typed),
        "expanded": list(command.expanded),
        "blocks": [block_to_json(block) for block in blocks],
        "experiments": _experiments(blocks),
        "sources": dict(command.files),
        "git": commit.read(),
        "versions": versions(codes),
        "code": {name: code.digest for name, code in codes.items() if code.digest is not None},
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


def _experiments(blocks: Sequence[Block]) -> dict[str, Any]:
    """What each experiment of a plan is, in words and as data, with the values of all its blocks."""
    values: dict[str, dict[str, dict[Any, None]]] = {}
    experiments = {block.experiment.name: block.experiment for block in blocks}
    for block in blocks:
        own = values.setdefault(block.experiment.name, {})
        known: dict[str, Sequence[Any]] = {key: (value,) for key, value in block.constants.items()}
        known |= {axis.key: axis.values for axis in block.axes if not axis.hidden}
        known |= {derived.key: derived.values for derived in block.derived}
        for key, some in known.items():
            own.setdefault(key, {}).update(dict.fromkeys(islice(some, MOST_VALUES)))
    return {
        name: described.describe(experiment, {key: list(some) for key, some in values[name].items()})
        for name, experiment in experiments.items()
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
    mappings = all(isinstance(run.get(name, {}), dict) for name in ("versions", "code", "experiments", "sources"))
    numbers = all(isinstance(run.get(name, 0), int) for name in ("cells", "before", "outside", "first"))
    numbers &= isinstance(also := run.get("also", []), list) and all(isinstance(number, int) for number in also)
    return texts and mappings and numbers and isinstance(run.get("started", ""), str) and _are_blocks(run)


def _are_blocks(run: Mapping[str, Any]) -> bool:
    blocks = run.get("blocks", [])
    return all(isinstance(block, dict) and isinstance(block.get("experiment"), str) for block in blocks)


def append(folder: Path, run: Mapping[str, Any]) -> None:
    """Add a run to a sweep's provenance."""
    write_json(folder / PROVENANCE, {"format": 1, "runs": [*runs(folder), run]})


def way_on(folder: Path) -> str:
    """The command that goes on with a sweep; of an experiment in a file it has to say which, as a record loads none."""
    last = (runs(folder) or [{}])[-1]
    names = {block["experiment"] for block in last.get("blocks", ())}
    files = [str(file) for name, file in last.get("sources", {}).items() if name in names]
    choice = [CHOICE + _grammar(files[0])] if len(files) == len(names) == 1 else []
    return safe(f"{RUN} {shlex.join([f'resume={short(folder)}', *choice])}")


def give(folder: Path, place: int, number: int) -> None:
    """Say that the rows of a job are those of an earlier run of a sweep, the one at this place in its record."""
    found = runs(folder)
    if place < len(found):
        found[place] = {**found[place], "also": [*found[place].get("also", ()), number]}
        write_json(folder / PROVENANCE, {"format": 1, "runs": found})


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
