"""Which run of a sweep made which rows, and by what code: what a later run compares before it adds rows to them.

A run is given the job numbers from ``first`` on, and those in ``also`` (rows that were joined later); a number is never
used twice. Rows whose code was changed since are asked about once: ``changed=keep`` accepts them, ``changed=rerun``
makes them again, however often it is interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from hw6.errors import Hw6Error
from hw6.store.code import Code, comparable
from hw6.store.record import runs

Run = Mapping[str, Any]


@dataclass(frozen=True)
class Now:
    """What makes rows now.

    Attributes:
        codes: by experiment.
        versions: of packages.
        files: by experiment, the file that it is in, where it is in one.
    """

    codes: Mapping[str, Code]
    versions: Mapping[str, str]
    files: Mapping[str, str]

    def differences(self, run: Run) -> list[str]:
        """What was otherwise in a run and may decide a row, in words."""
        changed = [
            f"{name} {before} then, {self.versions[name]} now"
            for name, before in run.get("versions", {}).items()
            if name in self.versions and self.versions[name] != before
        ]
        for name, before in run.get("code", {}).items():
            now = self.codes[name].digest if name in self.codes else None
            if now is not None and now != before and comparable(now, before):
                there, here = run.get("sources", {}).get(name), self.files.get(name)
                moved = f" (it was {there} then, and is {here} now)" if there and here and there != here else ""
                changed.append(f"the code of {name}{moved}")
        return changed


def changes(made: Sequence[Run], now: Now) -> list[str]:
    """What has changed since rows of a sweep were made and was not accepted yet; the latest such run speaks.

    Args:
        made: the record of a sweep that has rows, oldest first.
        now: what makes rows now.
    """
    for run in reversed(made):
        if run.get("ended") is not None and run.get("ran") == 0:
            continue  # it made no row
        if found := now.differences(run):
            return found
        if _settles(run):
            break
    return []


def _settles(run: Run) -> bool:
    """Whether nothing before a run needs to be asked about: that was accepted, or made again to the end.

    Records of earlier releases do not say, and went by the last run alone.
    """
    changed = run.get("changed")
    made = run.get("ran", 0) + run.get("before", 0)
    whole = run.get("ended") is not None and made >= run.get("cells", 0) and not run.get("outside")
    return changed is None or changed == "keep" or (changed == "rerun" and whole)


def made_now(made: Sequence[Run], now: Now) -> Callable[[int], bool]:
    """Which job numbers hold rows that the code of now has made."""
    same = [not now.differences(run) for run in made]
    return lambda number: same[maker(made, number)] if made else False


def maker(made: Sequence[Run], number: int) -> int:
    """The place in the record of the run that a job number belongs to.

    Runs of earlier releases do not say from where on: what no later run was given belongs to the last of them.
    """
    for place, run in enumerate(made):
        if number in run.get("also", ()):
            return place
    return max((place for place, run in enumerate(made) if run.get("first", 0) <= max(number, 0)), default=0)


def eras(folder: Path, made: Sequence[Run]) -> Callable[[Path], int]:
    """How often all rows of a sweep had been made again when a shard was written.

    A later era has the last word on a cell, even where it failed: what other code once made of it is no result of now.

    Args:
        folder: the sweep's directory.
        made: its record.
    """
    counts = list(accumulate(run.get("changed") == "rerun" for run in made))
    if not any(counts):
        return lambda path: 0
    return lambda path: counts[maker(made, number_of(folder, path))]


def outdated(folder: Path, made: Sequence[Run]) -> Callable[[Path, str], str]:
    """Which shards of a sweep hold rows of an earlier version of their experiment than its last run made.

    Args:
        folder: the sweep's directory.
        made: its record.

    Returns:
        for a shard and its experiment what is to be said of it; nothing where its rows are of the last version, or the
        record does not say.
    """
    versions = [
        {name: one.get("version") for name, one in run.get("experiments", {}).items() if isinstance(one, dict)}
        for run in made
    ]
    last = {name: version for run in versions for name, version in run.items()}

    def told(path: Path, name: str) -> str:
        version = versions[maker(made, number_of(folder, path))].get(name) if versions else None
        if version is None or version == last[name]:
            return ""
        return f"rows of {name} version {version} are left out: those of version {last[name]} are there"

    return told


def readable(folder: Path) -> Sequence[Run]:
    """The record of a sweep; nothing where it cannot be read."""
    with suppress(Hw6Error):
        return runs(folder)
    return []


def number_of(folder: Path, path: Path) -> int:
    """The number of the job that wrote a shard of a sweep; -1 where it has none."""
    name = path.relative_to(folder).parts[0]
    return int(name) if name.isdecimal() else -1


def alike(made: Sequence[Run], place: int) -> int:
    """The place of the last run of the same code and versions as the run at a place."""
    same = [index for index, run in enumerate(made) if _code(run) == _code(made[place])]
    return max(same, default=place)


def _code(run: Run) -> tuple[Any, Any]:
    return run.get("code", {}), run.get("versions", {})
