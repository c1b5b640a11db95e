"""The command ``python -m hw6.status``: what of each sweep is done, running, failed; usable while it runs."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hw6.contract.files import is_reference
from hw6.contract.registry import experiment_names
from hw6.errors import Hw6Error, NoResults, exit_status, tell
from hw6.store import directory, failures, shards
from hw6.store.lock import Owner, owner
from hw6.store.record import CHOICE, call_of, runs, way_on
from hw6.words import RUN, counted, duration, safe, short, unquoted

WATCH_EVERY = 2.0  # seconds between looks with --watch


@dataclass(frozen=True)
class Status:
    """A sweep at one moment.

    Attributes:
        folder: its directory.
        cells: those of its last plan and those that earlier plans left beside it; None where the record is silent.
        done, failed: cells with rows.
        damaged: shards that cannot be read.
        owner: who runs it now, or None.
        speed: cells a second since the running command began; 0 where nothing runs.
        ended: when its last run ended, or None.
    """

    folder: Path
    cells: int | None
    done: int
    failed: int
    damaged: int
    owner: Owner | None
    speed: float
    ended: str | None

    @property
    def left(self) -> int:
        """Cells without a row."""
        return max((self.cells or 0) - self.done - self.failed, 0)

    @property
    def lines(self) -> list[str]:
        """The status for a person."""
        of = f" of {self.cells:,}" if self.cells is not None else ""
        state = f"{short(self.folder)}: {self.done:,}{of} cells done"
        state += f", {self.failed:,} failed" if self.failed else ""
        state += f", {counted(self.damaged, 'damaged shard')}" if self.damaged else ""
        if self.owner is None:
            rest = f", {self.left:,} missing ({way_on(self.folder)})" if self.left else ""
            return [state + rest]
        remaining = f", {duration(self.left / self.speed)} left" if self.speed else ""
        return [state, f"  running: {self.owner}, {self.speed:,.0f} cells/s{remaining}"]


def status(folder: Path) -> Status:
    """The status of one sweep.

    Raises:
        Hw6Error: its record cannot be read.
    """
    record = runs(folder)
    last = record[-1] if record else {}
    now = datetime.now(UTC)
    done, failed, damaged = shards.cell_ids(folder)
    failures = len(set(failed.tolist()) - set(done.tolist())) if len(failed) else 0
    running = owner(folder)
    speed = 0.0
    if running is not None and "started" in last:
        seconds = (now - datetime.fromisoformat(last["started"])).total_seconds()
        speed = max(len(done) + failures - last.get("before", 0), 0) / max(seconds, 1e-3)
    cells = last["cells"] + last.get("outside", 0) if "cells" in last else None
    return Status(folder, cells, len(done), failures, len(damaged), running, speed, last.get("ended"))


def _look(sweeps: Sequence[Path]) -> tuple[list[Status], list[Hw6Error]]:
    """The status of each sweep, and what is wrong with those whose record cannot be read."""
    found: list[Status] = []
    broken: list[Hw6Error] = []
    for sweep in sweeps:
        try:
            found.append(status(sweep))
        except Hw6Error as error:
            broken.append(error)
    return found, broken


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (0, 1: a shard is damaged, 2: no sweep there)."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m hw6.status", description="Tell what of each sweep is done, running and failed."
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", default=["outputs"], help="sweeps or folders (outputs)")
    parser.add_argument("--watch", action="store_true", help="keep it on the screen until nothing runs any more")
    parser.add_argument(
        "--failures", action="store_true", help="why cells failed: tracebacks, and how to run one alone"
    )
    options = parser.parse_args(arguments)
    paths = [Path(path) for path in options.paths]
    return exit_status(lambda: _tell_failures(paths) if options.failures else _tell_of(paths, watch=options.watch))


def _tell_of(paths: Sequence[Path], *, watch: bool) -> int:
    """Print the status of all sweeps below some paths, with ``watch`` until nothing runs any more."""
    while True:
        sweeps = _sweeps(paths)
        found, broken = _look(sweeps)
        if watch and sys.stdout.isatty():
            print("\033[2J\033[H", end="")  # clears the screen
        for one in found:
            print("\n".join(one.lines), flush=True)
        for error in broken:
            tell(error)
        if not watch or not any(one.owner for one in found):
            return 1 if broken or any(one.damaged for one in found) else 0
        time.sleep(WATCH_EVERY)


def _sweeps(paths: Sequence[Path]) -> list[Path]:
    sweeps = [sweep for path in paths for sweep in directory.sweeps_below(path)]
    if not sweeps:
        raise NoResults(f"{', '.join(map(str, paths))}: no sweep of hw6 here")
    return sweeps


def _tell_failures(paths: Sequence[Path]) -> int:
    """Print why the failed cells of all sweeps below some paths failed."""
    for sweep in _sweeps(paths):
        done, failed, _ = shards.cell_ids(sweep)
        ids = {cell.decode() for cell in set(failed.tolist()) - set(done.tolist())}
        told = failures.read(sweep, ids)
        print(f"{short(sweep)}: {counted(len(ids), 'failed cell')}")
        for entry in told:
            failure = entry.failure
            print(f"\n{entry.count:,} failed: {safe(failure.kind)}: {safe(failure.message)}")
            print("".join(f"  {safe(line)}\n" for line in failure.trace.splitlines()), end="")
            cell, arguments = next(iter(entry.cells.items()))
            print(f"to run one of them alone ({safe(cell)}):\n  {safe(_command(arguments))}")
        rest = len(ids) - sum(entry.count for entry in told)
        if rest:
            print(f"\n{counted(rest, 'more failed cell')}: see error_type and error_message in its table")
    return 0


def _command(arguments: Sequence[str]) -> str:
    """What runs a cell alone; of an experiment that no command finds, the call that does."""
    chosen = [text.removeprefix(CHOICE) for text in arguments if text.startswith(CHOICE)]
    if chosen and not is_reference(unquoted(chosen[0])) and chosen[0] not in experiment_names():
        return call_of(arguments)
    return f"{RUN} {shlex.join(arguments)}"


if __name__ == "__main__":
    sys.exit(main())
