"""What every engine must do, as its user sees it: real sweeps in real processes, and what they leave behind.

An engine joins by a subclass of five lines (``test_every_engine.py``): what is typed for it, its class, whose declared
abilities say what it can save, and whether what is typed gives pieces processes of their own.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from commands import Command
from contract.faults import finish, kill, start, wait_for, written
from engines import eventful
from engines.eventful import DIE, RAISE, WAIT, Attempt, Events
from recipes import SMALL, assert_same_rows, install_package

from hw6.aggregate import load
from hw6.engines.contract import Engine, cores
from hw6.store import shards

CELLS = 8
DEADLY = 5
APART, TOGETHER = "cost=8", "cost=0.1"  # a chunk a cell; as few chunks as there are slots
Jobs = dict[int, tuple[str, ...]]
SWEEPS = {
    "double_descent": (*SMALL, "p=2:9", "seed=0,1", "lambda=0.1,tuned"),
    "third_party": ("experiment=third_party", "n=3:9", "flag=false,true", "kind=fancy,plain"),
}


@dataclass(frozen=True)
class Sweep:
    """A sweep of the eventful experiment in one directory, started again and again."""

    folder: Path
    events: Events
    words: tuple[str, ...]

    def typed(self, *more: str, cells: int = CELLS) -> list[str]:
        """What is typed for it."""
        return ["experiment=eventful", f"p=0:{cells}", *more]

    def run(self, *more: str, cells: int = CELLS) -> subprocess.CompletedProcess[str]:
        """Run what is missing of it; no traceback reaches the terminal, however it ends."""
        ended = finish(self.folder, *self.typed(*self.words, *more, cells=cells))
        assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr
        return ended

    @property
    def rows(self) -> pd.DataFrame:
        return load(self.folder).sort_values("p")

    @property
    def stored(self) -> set[int]:
        """The cells that are done."""
        frame = self.rows if written(self.folder) else pd.DataFrame({"p": [], "status": []})
        return set(frame.loc[frame["status"] == "done", "p"].tolist())

    @property
    def jobs(self) -> Jobs:
        """The shards in the directory of each job, by its number."""
        folders = [path for path in self.folder.iterdir() if path.name.isdecimal()]
        return {int(path.name): tuple(sorted(one.name for one in shards.shards_in(path))) for path in folders}


def told(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of hw6 on standard error."""
    return [line for line in ended.stderr.splitlines() if line.startswith("hw6: ")]


def alive(group: int) -> list[str]:
    """The processes of a group that have not ended, by their command lines."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, owner, *_ = stat.read_text().rpartition(")")[2].split()
            if int(owner) == group and state != "Z":
                found.append((stat.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has just ended
            continue
    return found


class EngineSuite:
    """Inherit it as ``class TestMine(EngineSuite)``.

    Attributes:
        words: what a user types for the engine.
        engine: its class.
        processes: what is typed gives pieces processes of their own from the start, two at a time or more: the command
            outlives a death. An ability is an engine's, this is a sweep's: one slot of ``Local`` is the command itself.
    """

    words: tuple[str, ...]
    engine: type[Engine]
    processes: bool

    @pytest.fixture
    def sweep(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: None) -> Iterator[Sweep]:
        """A sweep under this engine; its experiments are installed for this process and those that it starts."""
        from hydra.core.config_store import ConfigStore

        install_package(tmp_path / "site", "eventful", "engines.eventful:EXPERIMENT")
        events = Events(tmp_path / "events")
        events.folder.mkdir()
        monkeypatch.setenv(eventful.FOLDER, str(events.folder))
        yield Sweep(tmp_path / "sweep", events, self.words)
        ConfigStore.instance().repo.get("experiment", {}).pop("eventful.yaml", None)

    @pytest.mark.parametrize("name", list(SWEEPS))
    @pytest.mark.slow
    def test_its_rows_are_those_of_one_process(self, command: Command, sweep: Sweep, name: str) -> None:
        whole = command.sweep(*SWEEPS[name], "workers=1")
        ended = finish(sweep.folder, *SWEEPS[name], *self.words)
        assert (ended.returncode, told(ended)) == (0, []), ended.stderr
        assert_same_rows(load(sweep.folder), whole)
        assert written(sweep.folder) == len(whole)
        assert len(sweep.jobs) > 1 or not self.processes, "it has several pieces"

    def test_a_cell_that_raises_is_a_row_and_its_neighbours_are_done(self, sweep: Sweep) -> None:
        sweep.events.tell(RAISE, 3, 6)
        ended = sweep.run(TOGETHER)
        assert ended.returncode == 1
        (line,) = told(ended)
        assert "2 failed: ArithmeticError: told to raise" in line
        assert "python -m hw6.run experiment=eventful" in line
        frame = sweep.rows
        assert frame["p"].tolist() == list(range(CELLS))
        assert set(frame.loc[frame["status"] == "failed", "p"]) == {3, 6}

    @pytest.mark.slow
    @pytest.mark.parametrize("cost", [APART, TOGETHER])
    def test_a_cell_that_kills_its_process(self, sweep: Sweep, cost: str) -> None:
        """Where pieces have processes of their own, it is a row that says so, and every other cell has its own.

        Where they run in the command, the command dies with it, and what was stored counts. An engine that gets past
        deaths comes to the same rows when the same command is run again; under another one it dies at the same place
        again, loses nothing, and ``workers=2`` instead of that engine goes on.
        """
        sweep.events.tell(DIE, DEADLY)
        ended = sweep.run(cost)
        if not self.processes:
            assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGKILL, "", "")
            before = sweep.stored
            assert cost == TOGETHER or before == set(range(DEADLY)), "chunks run in order"
            ended = sweep.run(cost)
            if not self.engine.abilities.gets_past_deaths:
                assert (ended.returncode, ended.stderr) == (-signal.SIGKILL, "")
                assert sweep.stored == before
                ended = finish(sweep.folder, *sweep.typed(cost, "workers=2"))
        assert ended.returncode == 1, ended.stderr
        (line,) = told(ended)
        assert "1 failed: WorkerDied: " in line
        assert "python -m hw6.run experiment=eventful" in line
        frame = sweep.rows
        assert frame["p"].tolist() == list(range(CELLS))
        assert set(frame.loc[frame["status"] == "failed", "p"]) == {DEADLY}
        assert written(sweep.folder) == CELLS, "a row was doubled"

    @pytest.mark.slow
    def test_ctrl_c(self, command: Command, sweep: Sweep) -> None:
        held = (4, 5) if self.processes else (4,)
        sweep.events.tell(WAIT, *held)
        process = start(sweep.folder, *sweep.typed(*self.words, APART))
        try:
            wait_for(lambda: process.poll() is not None or all(sweep.events.told(eventful.BEGUN, p) for p in held))
            wait_for(lambda: process.poll() is not None or written(sweep.folder) >= held[0])
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=60)
            wait_for(lambda: not alive(process.pid))
        finally:
            kill(process)
        assert process.returncode == 130, err
        assert "Traceback" not in out + err
        (line,) = [line for line in err.splitlines() if line.strip()]
        assert "what was finished is stored; to go on: python -m hw6.run" in line
        before = sweep.stored
        assert set(range(held[0])) <= before
        assert not set(held) & before
        sweep.events.forget()
        again = sweep.run(APART)
        assert (again.returncode, told(again)) == (0, []), again.stderr
        assert f"{CELLS - len(before)} cell" in again.stdout
        assert_same_rows(sweep.rows, command.sweep(*sweep.typed(APART, "workers=1")))
        assert written(sweep.folder) == CELLS, "a row was doubled"

    @pytest.mark.slow
    def test_fail_fast_leaves_the_rest_for_later(self, sweep: Sweep) -> None:
        cells = 4 * max(cores(), 2)
        sweep.events.tell(RAISE, 0)
        ended = sweep.run(APART, "fail_fast=true", cells=cells)
        assert ended.returncode == 1
        first, last = told(ended)
        assert "1 failed: ArithmeticError" in first
        assert last.endswith("not run")
        ran = written(sweep.folder)
        assert len(sweep.jobs) < cells, "chunks were begun after the failure was known"
        assert ran < cells
        sweep.events.forget()
        assert sweep.run(APART, cells=cells).returncode == 0
        assert sweep.stored == set(range(cells))
        assert written(sweep.folder) == cells + 1, "what failed ran twice, and nothing else"

    @pytest.mark.slow
    def test_no_job_number_is_used_twice(self, sweep: Sweep) -> None:
        """After failures, deaths, resumes and a wider axis a directory is that of one attempt at one chunk."""
        sweep.events.tell(RAISE, 0)
        sweep.events.tell(DIE, 3)
        first = self._run_with_new_numbers(sweep, 4, {})
        second = self._run_with_new_numbers(sweep, 4, first)  # what failed is tried again, and fails again
        assert sweep.stored <= {1, 2}
        sweep.events.forget()
        jobs = self._run_with_new_numbers(sweep, 8, second)
        assert sweep.stored == set(range(8))
        attempts: dict[int, Attempt] = {}
        for attempt in sweep.events.attempts():
            begun = attempts.setdefault(attempt.number, attempt)
            assert attempt.process == begun.process, "two processes in one directory"
            assert set(attempt.cells) <= set(begun.cells), "two chunks in one directory"
        assert set(attempts) <= set(jobs)
        for number, names in jobs.items():
            assert len(names) <= 1
            for name in names:
                stored = shards.read_shard(sweep.folder / str(number) / name, ["p"])["p"].to_pylist()
                assert number not in attempts or sorted(stored) == sorted(attempts[number].cells)

    def _run_with_new_numbers(self, sweep: Sweep, cells: int, before: Jobs) -> Jobs:
        ended = sweep.run(TOGETHER, cells=cells)
        assert ended.returncode in (0, 1, -signal.SIGKILL)
        jobs = sweep.jobs
        assert {number: jobs[number] for number in before} == before, "a job of an earlier run was touched again"
        assert min(set(jobs) - set(before)) > max(before, default=-1), "a number below one that was given"
        return jobs
