"""What a sweep directory holds already, and whether a command may go on in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hw6.errors import BadInput
from hw6.plan.ids import ID_DIGITS
from hw6.store import directory, record, shards

NO_IDS = np.empty(0, dtype=f"S{ID_DIGITS}")


@dataclass(frozen=True)
class Contents:
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
    if (sweep := directory.within(folder)) is not None:
        raise BadInput(
            key, folder, f"lies inside {sweep}, whose rows it would be taken for", "choose another directory"
        )
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise BadInput(key, folder, "is not a directory", "choose another directory")
    entries = [name for name in os.listdir(folder) if not name.startswith(".")]  # a lock or a torn temporary file
    if entries and directory.PROVENANCE not in entries:
        hint = "choose an empty or a new directory"
        raise BadInput(key, folder, "holds files that are no hw6 sweep", hint)
    return bool(entries)


def read(folder: Path, *, set_aside: bool) -> Contents:
    """Read the ids of all rows; damaged shards are named and, with ``set_aside``, moved out of the way.

    Raises:
        Hw6Error: the record of the sweep cannot be read.
    """
    done, failed, damaged = shards.cell_ids(folder)
    for error in damaged:
        where = f"; set aside as {directory.set_aside(error.path, folder)}, its cells run again" if set_aside else ""
        print(f"hw6: {error}{where}", file=sys.stderr)
    return Contents(done, np.setdiff1d(failed, done, assume_unique=True), record.runs(folder))


def only_of(folder: Path, contents: Contents, wanted: Callable[[int], bool]) -> Contents:
    """What a sweep holds in the jobs with the wanted numbers alone."""
    done, failed, _ = shards.cell_ids(folder, wanted)
    return Contents(done, np.setdiff1d(failed, done, assume_unique=True), contents.runs)


def finished(contents: Contents, retry: str) -> np.ndarray:
    """The ids that are not run again: those done, with ``retry=none`` also those failed, with ``all`` none."""
    if retry == "all":
        return NO_IDS
    return (
        contents.done if retry == "failed" else shards.sorted_distinct(np.concatenate([contents.done, contents.failed]))
    )


def refuse_other(folder: Path, contents: Contents, asked: Sequence[str]) -> None:
    """Refuse to mix experiments in one directory.

    Raises:
        BadInput: what it holds and what was asked.
    """
    before = {block["experiment"] for run in contents.runs for block in run.get("blocks", ())}
    if before and not set(asked) <= before:
        holds = f"holds a sweep of {' and '.join(sorted(before))}, not of {' and '.join(sorted(set(asked)))}"
        raise BadInput("hydra.sweep.dir", folder, holds, "choose another directory")


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
