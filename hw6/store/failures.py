"""Why cells failed, in full: tracebacks, and how to run a failed cell alone; a file for each batch that had failures.

    <sweep>/<number>/failures-<digest>.json      a list, an entry for each place at which cells failed

The rows say the type and the first line of the message; here is what a table has no room for. Reading runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw6.contract.failure import Failure
from hw6.store import directory

PREFIX, SUFFIX = "failures-", ".json"
MOST_CELLS = 1000  # of one entry whose commands are kept


@dataclass(frozen=True)
class FailedCells:
    """Cells that failed at one place.

    Attributes:
        failure: why.
        count: how many.
        cells: for the first of them, by id, the arguments after ``python -m hw6.run`` that run it alone.
    """

    failure: Failure
    count: int
    cells: Mapping[str, Sequence[str]]


def write(folder: Path, entries: Sequence[FailedCells]) -> None:
    """Write the failures of a batch into its job's directory."""
    content = [
        {
            "error_type": entry.failure.kind,
            "error_message": entry.failure.message,
            "traceback": entry.failure.trace,
            "count": entry.count,
            "cells": {cell: list(arguments) for cell, arguments in entry.cells.items()},
        }
        for entry in entries
    ]
    data = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    directory.write_atomically(folder / f"{PREFIX}{directory.digest_of(data)}{SUFFIX}", data)


def read(sweep: Path, wanted: Collection[str]) -> list[FailedCells]:
    """What is kept of cells that failed, the most frequent place first; each cell at its latest failure.

    Args:
        sweep: the sweep's directory.
        wanted: the ids of the cells that are told of.
    """
    found: dict[tuple[str, str], dict[str, Sequence[str]]] = {}
    first: dict[tuple[str, str], Failure] = {}
    told: set[str] = set()
    for entry in _entries(sweep):
        fresh = {cell: arguments for cell, arguments in entry.cells.items() if cell in wanted and cell not in told}
        if fresh:
            failure = entry.failure  # at one place, cells may have failed with a message each
            place = (failure.kind, failure.trace.replace(failure.message, "") or failure.message)
            first.setdefault(place, entry.failure)
            found.setdefault(place, {}).update(fresh)
            told |= fresh.keys()
    merged = [FailedCells(first[place], len(cells), cells) for place, cells in found.items()]
    return sorted(merged, key=lambda one: -one.count)


def _entries(sweep: Path) -> Iterator[FailedCells]:
    """All entries of a sweep, those of the latest job first; a file that is no such list is passed over."""
    jobs = [path for path in sweep.iterdir() if path.is_dir() and not path.is_symlink()]
    jobs.sort(key=lambda path: int(path.name) if path.name.isdecimal() else -1, reverse=True)
    for folder in [*jobs, sweep]:
        for path in sorted(folder.glob(f"{PREFIX}*{SUFFIX}")):
            if path.is_symlink() or not path.is_file():
                continue
            try:
                content = directory.read_json(path)
            except directory.BadRecord:
                continue
            yield from filter(None, map(_entry, content if isinstance(content, list) else []))


def _entry(content: Any) -> FailedCells | None:
    if not isinstance(content, dict) or not isinstance(content.get("cells"), dict):
        return None
    kind, message, trace = (content.get(name) for name in ("error_type", "error_message", "traceback"))
    cells = content["cells"]
    lists = all(isinstance(a, list) and all(isinstance(text, str) for text in a) for a in cells.values())
    if not isinstance(kind, str) or not isinstance(message, str) or not isinstance(trace, str) or not lists:
        return None
    return FailedCells(Failure(kind, message, trace), len(cells), cells)
