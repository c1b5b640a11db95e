"""Engines run the same pieces, and a death takes no neighbour along."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from hw6.engines.contract import Abilities, Engine, Orders, Piece, Stop, WorkerDied, cores
from hw6.engines.foreign import Foreign
from hw6.engines.jobs import DIRECTORY, chunk_node, hand_directory, job_overrides, typed_for_hydra
from hw6.engines.local import DEADLY, WORTH_WORKERS, Local, _run
from hw6.engines.workers import Task
from hw6.experiments.noop import EXPERIMENT as NOOP
from hw6.plan.plan import Axis, Block, Chunk, Plan
from hw6.plan.text import positions_of
from hw6.running.job import ChunkResult, run_chunk

PLAN = Plan((Block(NOOP, ("experiment=noop",), {"seed": 0}, (Axis("p", range(1, 9)),)),))


def orders(folder: Path, *, fail_fast: bool = False) -> Orders:
    return Orders(folder, PLAN, "plan-0123456789abcdef.json", 2, fail_fast)


def piece(number: int, *positions: int, failure: str | None = None) -> Piece:
    return Piece(number, Chunk(0, np.array(positions, dtype=np.int64)), failure=failure)


def config(*overrides: str) -> Any:
    return OmegaConf.create({"hydra": {"sweep": {"dir": "there"}, "overrides": {"hydra": list(overrides)}}})


@pytest.mark.parametrize("failure", [None, "a worker process was killed by SIGKILL", 'it\'s "odd", [really]: 5:7=3'])
def test_a_piece_survives_hydras_grammar(tmp_path: Path, failure: str | None) -> None:
    one = piece(7, 0, 1, 2, 5, failure=failure)
    texts = job_overrides(one, orders(tmp_path))
    assert texts[0] == "experiment=noop"
    parsed = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(texts[1:])}
    found = {key.removeprefix("chunk."): getattr(value, "text", value) for key, value in parsed.items()}
    assert found == chunk_node(one, orders(tmp_path))
    assert positions_of(found["cells"]).tolist() == [0, 1, 2, 5]
    assert found.get("failure") == failure


def test_the_directory_takes_the_place_of_the_one_that_was_typed(tmp_path: Path) -> None:
    given = config("hydra.sweep.subdir=${hydra.job.num}", f"{DIRECTORY}elsewhere")
    hand_directory(given, tmp_path / "it's")
    texts = typed_for_hydra(given)
    assert texts[0] == "hydra.sweep.subdir=${hydra.job.num}", "it is left unresolved"
    (override,) = OverridesParser.create().parse_overrides(texts[1:])
    assert str(getattr(override.value(), "text", override.value())) == str(tmp_path / "it's")
    assert given.hydra.sweep.dir == str(tmp_path / "it's")


@pytest.mark.parametrize(
    ("workers", "seconds", "slots"),
    [(3, 0.0, 3), (1, 1e9, 1), (None, WORTH_WORKERS / 2, 1), (None, WORTH_WORKERS, cores())],
)
def test_processes_are_worth_it_from_a_few_seconds_on(workers: int | None, seconds: float, slots: int) -> None:
    assert Local(None, None, config(), {}).slots(workers, seconds) == slots  # type: ignore[arg-type]


def test_this_machine_has_all_abilities() -> None:
    assert Local.abilities == Abilities(tells_of_ends=True, knows_this_process=True, gets_past_deaths=True)


@pytest.mark.parametrize(("count", "told"), [(7, 7), (None, 1)])
def test_a_system_that_tells_no_affinity_is_asked_for_its_processors(
    monkeypatch: pytest.MonkeyPatch, count: int | None, told: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert cores() == told


@pytest.mark.parametrize(("words", "most"), [(["p=3", "workers=4"], 100), (["p=3,4,5", "workers=1"], 1)])
def test_one_piece_or_one_worker_starts_no_process(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], most: int
) -> None:
    def refused(*arguments: object) -> None:
        raise AssertionError("a process is started")

    monkeypatch.setattr("hw6.plan.chunks.MOST_CELLS", most)
    monkeypatch.setattr("hw6.engines.local.run_calls", refused)
    assert command("-m", "experiment=noop", *words).status == 0


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of workers of each time that pieces ran in processes; here they all die."""
    seen: list[int] = []

    def run_calls(tasks: Iterable[Task], workers: int, finished: Callable[[Any, Any], Iterable[Task]]) -> None:
        seen.append(workers)
        waiting = list(tasks)
        while waiting:
            name, _ = waiting.pop()
            waiting += finished(name, WorkerDied("a worker process was killed by SIGKILL"))

    monkeypatch.setattr("hw6.engines.local.run_calls", run_calls)
    return seen


def test_what_killed_its_process_gets_one_of_its_own(command: Command, calls: list[int]) -> None:
    """The mark stands while pieces run in this process; found there, this process died of one."""
    folder = command.folder / "s"
    words = ("-m", "experiment=noop", "workers=1", "hydra.sweep.dir=s")
    assert command(*words, "p=3").status == 0
    assert not (folder / DEADLY).exists()
    (folder / DEADLY).touch()
    assert command(*words, "p=3,4").status == 1
    assert calls == [1]
    assert (folder / DEADLY).exists(), "and it is not forgotten"


def test_a_death_of_a_worker_is_remembered(command: Command, calls: list[int]) -> None:
    words = ("-m", "experiment=noop", "workers=2", "hydra.sweep.dir=s")
    assert command(*words, "p=3,4").status == 1
    assert (command.folder / "s" / DEADLY).exists()
    assert command(*words, "p=3").status == 1, "one piece alone"
    assert calls == [2, 2]


def test_the_mark_is_there_while_pieces_run_here(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def run(*arguments: object) -> JobReturn:
        seen.append((command.folder / "s" / DEADLY).exists())
        raise KeyboardInterrupt

    monkeypatch.setattr("hw6.engines.local._run", run)
    assert command("-m", "experiment=noop", "p=3", "hydra.sweep.dir=s").status == 130
    assert seen == [True]
    assert not (command.folder / "s" / DEADLY).exists(), "a process that can still tidy up has not died"


@pytest.mark.usefixtures("third_party")
def test_what_only_this_process_knows_runs_here_all_the_same(command: Command, calls: list[int]) -> None:
    words = ("-m", "experiment=third_party", "hydra.sweep.dir=s")
    assert command(*words, "n=3").status == 0
    (command.folder / "s" / DEADLY).touch()
    assert command(*words, "n=3,4").status == 0
    assert calls == []


def test_a_job_knows_its_number_and_its_id(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra's own interpolations of a job mean under hw6's engine what they mean under Hydra's."""
    seen: list[tuple[str, int]] = []

    def run(config: DictConfig, *arguments: Any) -> JobReturn:
        seen.append((config.hydra.job.id, config.hydra.job.num))
        return _run(config, *arguments)

    monkeypatch.setattr("hw6.engines.local._run", run)
    for p in ("p=3", "p=4"):
        assert command("-m", "experiment=noop", p, "hydra.sweep.dir=s").status == 0
    assert seen == [("0", 0), ("1", 1)]


@pytest.mark.parametrize("text", ["x_${hydra.job.num}", "${hydra.job.id}", "same", "/elsewhere", "../${hydra.job.num}"])
def test_a_directory_of_a_job_is_called_by_its_number(command: Command, text: str) -> None:
    """By other names a resumed sweep would begin at 0 again, in directories that are taken."""
    ran = command("-m", "experiment=noop", "p=3", "hydra.sweep.dir=s", f"hydra.sweep.subdir={text}")
    assert (ran.status, ran.files) == (2, [])
    (line,) = ran.lines
    assert line.startswith(f"hydra.sweep.subdir={text}: must be ${{hydra.job.num}}")


def test_another_launcher_gets_pieces_for_all_cores() -> None:
    engine = Foreign(lambda: None, config())
    assert engine.slots(1, 0.0) == cores()
    assert engine.abilities == Abilities(tells_of_ends=False, knows_this_process=False, gets_past_deaths=False)


class Launcher:
    """A launcher of Hydra's that runs pieces here, and gives up a round in which a deadly cell is run."""

    def __init__(self, folder: Path, deadly: int | None = None, before: bool = False) -> None:
        self.folder, self.deadly, self.before = folder, deadly, before
        self.rounds: list[tuple[int, list[str]]] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        if self.before:
            raise RuntimeError("no such queue")
        self.rounds.append((initial_job_idx, [texts[-1] for texts in job_overrides]))
        returns = []
        for number, texts in enumerate(job_overrides, initial_job_idx):
            node = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(list(texts[1:]))}
            positions = positions_of(str(node["chunk.cells"]))
            failure = node.get("chunk.failure")
            (self.folder / str(number)).mkdir()
            if self.deadly in positions and failure is None:
                raise RuntimeError("a worker was terminated\nwith many lines")
            text = None if failure is None else str(failure)
            done = JobReturn(status=JobStatus.COMPLETED)
            done.return_value = run_chunk(PLAN.blocks[0], positions, self.folder / str(number), text)
            returns.append(done)
        return returns


def finish(engine: Engine, pieces: list[Piece], folder: Path) -> tuple[list[Any], list[Piece]]:
    from hw6.running.retry import instead

    results: list[Any] = []
    seen: list[Piece] = []
    numbers = iter(range(len(pieces), 100))

    def ended(one: Piece, result: Any) -> list[Piece]:
        seen.append(one)
        if isinstance(result, WorkerDied) and (others := instead(one, result, numbers)):
            return others
        results.append(result)
        return []

    engine.run(pieces, orders(folder), ended)
    return results, seen


def test_a_death_under_another_launcher_takes_no_cell_along(tmp_path: Path) -> None:
    """The launcher gives up a whole round; what is stored is kept, and the deadly cell is alone in the end."""
    launcher = Launcher(tmp_path, deadly=5)
    results, seen = finish(
        Foreign(lambda: launcher, config()), [piece(0, 0, 1), piece(1, 4, 5), piece(2, 6, 7)], tmp_path
    )
    assert sum(result.cells for result in results) == 6
    assert {cause for result in results for cause in result.failures} == {
        ("WorkerDied", "RuntimeError: a worker was terminated")
    }
    assert [one.number for one in seen if one.chunk.positions.tolist() == [0, 1]] == [0], "done once, and not again"
    assert len({one.number for one in seen}) == len(seen)
    first, second, *suspects = launcher.rounds
    assert (first[0], len(first[1])) == (0, 3), "all go at once as long as nobody died"
    assert (second[0], len(second[1])) == (2, 1), "what had not begun comes before the parts of what died"
    assert [len(texts) for _, texts in suspects] == [1] * len(suspects), "a suspect runs alone"
    assert [number for number, _ in suspects] == sorted(number for number, _ in suspects)


def test_pieces_whose_numbers_have_a_gap_go_to_a_launcher_apart(tmp_path: Path) -> None:
    """It numbers its jobs from the first one on."""
    launcher = Launcher(tmp_path)
    pieces = [piece(1, 0), piece(2, 1), piece(5, 2), piece(6, 3), piece(8, 4)]
    results, seen = finish(Foreign(lambda: launcher, config()), pieces, tmp_path)
    assert [(number, len(texts)) for number, texts in launcher.rounds] == [(1, 2), (5, 2), (8, 1)]
    assert [one.number for one in seen] == [1, 2, 5, 6, 8]
    assert [result.cells for result in results] == [1] * 5


def test_to_stop_at_a_failure_pieces_are_handed_over_by_rounds(tmp_path: Path) -> None:
    """As many at a time as there are slots; those of the last round have run and are told of too."""
    launcher = Launcher(tmp_path)
    told: list[int] = []

    def ended(one: Piece, result: Any) -> list[Piece]:
        told.append(one.number)
        if one.number == 2:
            raise Stop
        return []

    pieces = [piece(number, number) for number in range(7)]
    with pytest.raises(Stop):
        Foreign(lambda: launcher, config()).run(pieces, orders(tmp_path, fail_fast=True), ended)
    assert [(number, len(texts)) for number, texts in launcher.rounds] == [(0, 2), (2, 2)]
    assert told == [0, 1, 2, 3]


def test_a_launcher_that_cannot_launch_is_not_the_cells_fault(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such queue"):
        finish(Foreign(lambda: Launcher(tmp_path, before=True), config()), [piece(0, 0)], tmp_path)


def test_a_result_and_a_piece_travel() -> None:
    result = ChunkResult(3, {("ValueError", "x"): (1, "p=3")})
    assert pickle.loads(pickle.dumps(result)) == result
    one = pickle.loads(pickle.dumps(piece(3, 1, 2)))
    assert (one.number, one.chunk.positions.tolist()) == (3, [1, 2])
