"""What a sweep directory holds already, and whether a command may go on in it."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hw6.errors import BadInput
from hw6.sweep import provenance, store
from hw6.sweep.contract import Experiment
from hw6.sweep.plan import ID_DIGITS, Plan

NO_IDS = np.empty(0, dtype=f"S{ID_DIGITS}")


@dataclass(frozen=True)
class Held:
    """The cells of a directory.

    Attributes:
        done, failed: sorted ids; a cell that failed once and was done later is done.
        runs: the record of earlier runs, oldest first.
    """

    done: np.ndarray = field(default_factory=NO_IDS.copy)
    failed: np.ndarray = field(default_factory=NO_IDS.copy)
    runs: Sequence[Mapping[str, Any]] = ()


def is_sweep(folder: Path, key: str = "hydra.sweep.dir") -> bool:
    """Whether a directory has to be read before it is written to: it exists and is not empty.

    Raises:
        BadInput: there is something else in it than a sweep of hw6.
    """
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise BadInput(key, folder, "is not a directory", "choose another directory")
    entries = [name for name in os.listdir(folder) if not name.startswith(".")]  # a lock or a torn temporary file
    if entries and store.PROVENANCE not in entries:
        hint = "choose an empty or a new directory"
        raise BadInput(key, folder, "holds files that are no hw6 sweep", hint)
    return bool(entries)


def read(folder: Path, *, set_aside: bool) -> Held:
    """Read the ids of all rows; damaged shards are named and, with ``set_aside``, moved out of the way.

    Raises:
        Hw6Error: the record of the sweep cannot be read.
    """
    done, failed, damaged = store.cell_ids(folder)
    for error in damaged:
        where = f"; set aside as {store.set_aside(error.path, folder)}, its cells run again" if set_aside else ""
        print(f"hw6: {error}{where}", file=sys.stderr)
    return Held(done, np.setdiff1d(failed, done, assume_unique=True), provenance.runs(folder))


def finished(held: Held, retry: str) -> np.ndarray:
    """The ids that are not run again: those done, with ``retry=none`` also those failed, with ``all`` none."""
    if retry == "all":
        return NO_IDS
    return held.done if retry == "failed" else store.sorted_distinct(np.concatenate([held.done, held.failed]))


def refuse_other(folder: Path, held: Held, plan: Plan) -> None:
    """Refuse to mix experiments in one directory.

    Raises:
        BadInput: what it holds and what was asked.
    """
    before = {block["experiment"] for run in held.runs for block in run.get("blocks", ())}
    asked = {block.experiment for block in plan.blocks}
    if before and not asked <= before:
        holds = f"holds a sweep of {' and '.join(sorted(before))}, not of {' and '.join(sorted(asked))}"
        raise BadInput("hydra.sweep.dir", folder, holds, "choose another directory")


def code_digests(plan: Plan, named: Callable[[str], Experiment]) -> dict[str, str]:
    """For each experiment a digest of its source files: its module and all that it imports of its own package."""
    found = {}
    for name in sorted({block.experiment for block in plan.blocks}):
        module = getattr(named(name).rows, "__module__", "")
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is not None:  # one that is defined in a notebook has nothing to compare
            digest = hashlib.blake2b(digest_size=8)
            for path in sorted(_sources(Path(file), module)):
                digest.update(path.read_bytes())
            found[name] = digest.hexdigest()
    return found


def _sources(file: Path, module: str) -> set[Path]:
    package, *inner = module.split(".")
    if not inner:
        return {file}
    root = file.parents[len(inner)]
    imports = re.compile(rf"^\s*(?:from|import) +({package}(?:\.\w+)+)", re.MULTILINE)
    found: set[Path] = set()
    pending = [file]
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.add(path)
        for name in imports.findall(path.read_text(encoding="utf-8")):
            target = root.joinpath(*name.split("."))
            pending += [p for p in (target.with_suffix(".py"), target / "__init__.py") if p.is_file()]
    return found


def changes(held: Held, code: Mapping[str, str], versions: Mapping[str, str]) -> list[str]:
    """What has changed since the last run of the sweep that may decide a row."""
    if not held.runs or not len(held.done):
        return []
    last = held.runs[-1]
    changed = [
        f"{name} {before} then, {versions[name]} now"
        for name, before in last.get("versions", {}).items()
        if name in versions and versions[name] != before
    ]
    return changed + [
        f"the code of {name}" for name, before in last.get("code", {}).items() if name in code and code[name] != before
    ]


def refuse_changed(folder: Path, changed: Sequence[str]) -> None:
    """Let the user choose what to do with rows of other code or versions.

    Raises:
        BadInput: what has changed, and the choices.
    """
    raise BadInput(
        "hydra.sweep.dir",
        folder,
        "its rows were made by other code or versions: " + ", ".join(changed),
        "changed=keep keeps them and runs what is missing, changed=rerun runs all cells again",
    )
