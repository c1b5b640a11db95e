"""A sweep is a set of cells and a table of rows; running it fills what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes import INFINITE, RAISES, THIRD_PARTY

from hw6.aggregate import load
from hw6.contract.experiment import Experiment
from hw6.engines import contract as engines
from hw6.errors import BadInput, Hw6Error
from hw6.experiments.noop import EXPERIMENT as NOOP
from hw6.plan.plan import Axis, Block, Plan
from hw6.plan.text import ranges_text
from hw6.running.job import ChunkResult, run_chunk
from hw6.running.outcome import Outcome
from hw6.running.sweep import Options, sweep

CONSTANTS = {"x": 0.5, "flag": False, "kind": "plain", "sizes": None, "inner.depth": 2}


@dataclass
class Engine(engines.Engine):
    """Runs pieces here, and remembers what it was asked to do."""

    replies: Callable[[int], Any] = lambda index: None
    abilities: engines.Abilities = field(default_factory=lambda: engines.Abilities(True, True, True))
    asked: list[engines.Piece] = field(default_factory=list)
    orders: list[engines.Orders] = field(default_factory=list)

    def slots(self, workers: int | None, seconds: float) -> int:
        return workers or 1 if self.abilities.obeys_workers else super().slots(workers, seconds)

    def run(
        self,
        pieces: Sequence[engines.Piece],
        orders: engines.Orders,
        ended: engines.Ended,
    ) -> None:
        self.orders.append(orders)
        waiting = list(pieces)
        for index, piece in enumerate(waiting):
            self.asked.append(piece)
            reply = self.replies(index)
            if reply is None:
                place = orders.folder / str(piece.number)
                place.mkdir()
                block = orders.plan.blocks[piece.chunk.block]
                reply = run_chunk(block, piece.chunk.positions, place, piece.failure)
            waiting += ended(piece, reply)

    @property
    def cells(self) -> list[str]:
        """The positions of every piece, in order."""
        return [ranges_text(piece.chunk.positions) for piece in self.asked]


def noop_plan(p: range, seeds: range = range(1), experiment: Experiment = NOOP) -> Plan:
    return Plan((Block(experiment, ("experiment=noop",), {}, (Axis("seed", seeds), Axis("p", p))),))


def third_plan(n: Sequence[int], experiment: Experiment = THIRD_PARTY) -> Plan:
    return Plan((Block(experiment, ("experiment=third_party",), CONSTANTS, (Axis("n", tuple(n)),)),))


def try_run(plan: Plan, folder: Path, engine: Engine | None = None, **more: Any) -> Outcome | None:
    options = Options(folder, **{"claimed": True, "changed": "keep", **more})
    return sweep(plan, options, engine or Engine())


def run(plan: Plan, folder: Path, engine: Engine | None = None, **more: Any) -> Outcome:
    outcome = try_run(plan, folder, engine, **more)
    assert outcome is not None
    return outcome


pytestmark = pytest.mark.usefixtures("third_party")


def test_a_small_sweep_is_one_job(tmp_path: Path) -> None:
    plan = noop_plan(range(5, 200))
    engine = Engine()
    outcome = run(plan, tmp_path / "s", engine)
    assert (outcome.cells, outcome.ran, outcome.failed, outcome.lines) == (195, 195, 0, ())
    assert engine.cells == ["0:195"]
    assert sorted(load(tmp_path / "s")["p"]) == list(range(5, 200))


def test_a_finished_sweep_launches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = noop_plan(range(3))
    run(plan, tmp_path / "s")
    engine = Engine()
    outcome = run(plan, tmp_path / "s", engine)
    assert engine.asked == []
    assert (outcome.cells, outcome.ran) == (3, 0)
    assert "3 were done before" in capsys.readouterr().out


def test_a_widened_axis_runs_the_new_cells_alone(tmp_path: Path) -> None:
    run(noop_plan(range(4, 8)), tmp_path / "s")
    wider = noop_plan(range(2, 10), range(2))
    engine = Engine()
    outcome = run(wider, tmp_path / "s", engine)
    assert (outcome.cells, outcome.ran) == (16, 12)
    assert engine.asked[0].number == 1, "a number is never used twice"
    assert engine.cells == ["0:2,6:16"]
    frame = load(tmp_path / "s")
    assert len(frame) == frame["cell_id"].nunique() == 16


def test_a_narrower_sweep_keeps_what_is_there(tmp_path: Path) -> None:
    run(noop_plan(range(8)), tmp_path / "s")
    outcome = run(noop_plan(range(2)), tmp_path / "s")
    assert (outcome.cells, outcome.ran) == (2, 0)
    assert len(load(tmp_path / "s")) == 8


def test_cells_of_two_blocks_run_once(tmp_path: Path) -> None:
    one = Block(NOOP, ("a=1",), {"seed": 0}, (Axis("p", range(4)),))
    two = Block(NOOP, ("a=2",), {"seed": 0}, (Axis("p", range(2, 6)),))
    outcome = run(Plan((one, two)), tmp_path / "s")
    assert (outcome.cells, outcome.ran) == (6, 6)
    assert sorted(load(tmp_path / "s")["p"]) == list(range(6))


def test_failures_are_rows_and_are_told_by_cause(tmp_path: Path) -> None:
    n = [1, RAISES, 2, INFINITE]
    outcome = run(third_plan(n), tmp_path / "s")
    assert (outcome.cells, outcome.ran, outcome.failed) == (4, 4, 2)
    lines = sorted(outcome.lines)
    assert len(lines) == 2
    assert lines[0].startswith("1 failed: NonFiniteResult: total is inf (for example: python -m hw6.run ")
    assert lines[1].startswith("1 failed: OddNumberOut: n is 13 (for example: python -m hw6.run ")
    assert f"n={RAISES})" in lines[1]
    assert "experiment=third_party" in lines[1]
    frame = load(tmp_path / "s")
    assert frame["n"].tolist() == n
    assert frame["status"].tolist() == ["done", "failed", "done", "failed"]


def test_failed_cells_alone_are_tried_again(tmp_path: Path) -> None:
    assert run(third_plan([1, RAISES, 2]), tmp_path / "s").failed == 1
    mended = changed(
        THIRD_PARTY, rows=lambda cells: {"total": cells["n"] * 1.0, "letters": cells["n"], "odd": cells["n"] > 0}
    )
    outcome = run(third_plan([1, RAISES, 2], mended), tmp_path / "s")
    assert (outcome.cells, outcome.ran, outcome.failed) == (3, 1, 0)
    frame = load(tmp_path / "s")
    assert len(frame) == 3
    assert set(frame["status"]) == {"done"}


def test_many_failures_of_one_cause_are_one_line(tmp_path: Path) -> None:
    plan = Plan((Block(THIRD_PARTY, (), {**CONSTANTS, "n": RAISES}, (Axis("inner.depth", range(40)),)),))
    plan = Plan(
        (changed(plan.blocks[0], constants={k: v for k, v in plan.blocks[0].constants.items() if k != "inner.depth"}),)
    )
    (line,) = run(plan, tmp_path / "s").lines
    assert line.startswith("40 failed: OddNumberOut")


def test_a_chunk_that_breaks_is_told_and_the_others_are_stored(tmp_path: Path) -> None:
    plan = Plan(tuple(Block(NOOP, (), {"seed": seed}, (Axis("p", range(3)),)) for seed in range(3)))
    engine = Engine(replies=lambda index: MemoryError("no room\nreally") if index == 1 else None)
    assert list(run(plan, tmp_path / "s", engine).lines) == [
        "a chunk failed: MemoryError: no room",
        "stopped: 3 cells not run",
    ]
    assert sorted(load(tmp_path / "s")["seed"].unique()) == [0, 2]
    outcome = run(plan, tmp_path / "s")
    assert (outcome.cells, outcome.ran, outcome.failed) == (9, 3, 0)


def test_a_default_directory_is_claimed_by_making_it(tmp_path: Path) -> None:
    first = run(noop_plan(range(2)), tmp_path / "now", claimed=False)
    second = run(noop_plan(range(2)), tmp_path / "now", claimed=False)
    assert (first.folder, second.folder) == (tmp_path / "now", tmp_path / "now-2")
    assert second.ran == 2


def test_a_damaged_shard_is_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = noop_plan(range(4))
    run(plan, tmp_path / "s")
    (shard,) = (tmp_path / "s").rglob("rows-*.parquet")
    shard.write_bytes(shard.read_bytes()[:-3])
    outcome = run(plan, tmp_path / "s")
    assert outcome.ran == 4
    assert shard.name in capsys.readouterr().err
    assert not shard.exists(), "it is set aside, and no reader meets it again"
    assert load(tmp_path / "s")["p"].tolist() == [0, 1, 2, 3]


def test_the_directory_must_be_a_sweeps_or_empty(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(BadInput, match=r"hydra\.sweep\.dir"):
        run(noop_plan(range(2)), tmp_path / "photos")
    assert os.listdir(tmp_path / "photos") == ["a.jpg"]
    with pytest.raises(BadInput, match="not a directory"):
        run(noop_plan(range(2)), tmp_path / "photos" / "a.jpg")
    (tmp_path / "empty").mkdir()
    assert run(noop_plan(range(2)), tmp_path / "empty").ran == 2


@pytest.mark.parametrize("price", [0.0, 1e-3, 5.0])
def test_every_worker_that_was_asked_for_gets_something(tmp_path: Path, price: float) -> None:
    priced: Experiment = changed(NOOP, price=lambda cells: np.full(len(cells["p"]), price))
    engine = Engine()
    run(noop_plan(range(12), experiment=priced), tmp_path / "s", engine, workers=3)
    assert engine.orders[0].slots == 3
    assert len(engine.asked) >= 3


def test_other_launchers_decide_on_processes_themselves(tmp_path: Path) -> None:
    priced: Experiment = changed(NOOP, price=lambda cells: np.full(len(cells["p"]), 1.0))
    engine = Engine(abilities=engines.Abilities(False, False, False))
    run(noop_plan(range(12), experiment=priced), tmp_path / "s", engine, workers=1)
    assert engine.orders[0].slots == engines.cores()
    assert len(engine.asked) > 1


def test_an_expensive_sweep_is_cut_into_chunks_of_seconds(tmp_path: Path) -> None:
    priced: Experiment = changed(NOOP, price=lambda cells: np.full(len(cells["p"]), 2.0))
    engine = Engine()
    run(noop_plan(range(24), experiment=priced), tmp_path / "s", engine, workers=1)
    assert len(engine.asked) >= 6, "no chunk is longer than 8 s"


def test_an_interrupted_sweep_says_how_to_go_on(tmp_path: Path) -> None:
    plan = noop_plan(range(4))

    def interrupt(index: int) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(Hw6Error, match=r"to go on: python -m hw6\.run") as caught:
        run(plan, tmp_path / "s", Engine(replies=interrupt))
    assert caught.value.exit_status == 130
    assert run(plan, tmp_path / "s").ran == 4


@pytest.mark.parametrize(("retry", "ran"), [("failed", 1), ("none", 0), ("all", 3)])
def test_what_is_tried_again_is_the_users_to_say(tmp_path: Path, retry: str, ran: int) -> None:
    plan = third_plan([1, RAISES, 2])
    run(plan, tmp_path / "s")
    engine = Engine()
    outcome = run(plan, tmp_path / "s", engine, retry=retry)
    assert (outcome.ran, outcome.failed) == (ran, int(ran > 0))
    assert engine.cells == {"failed": ["1:2"], "none": [], "all": ["0:3"]}[retry]
    frame = load(tmp_path / "s")
    assert len(frame) == frame["cell_id"].nunique() == 3


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = noop_plan(range(7))
    engine = Engine()
    assert try_run(plan, tmp_path / "s", engine, dry_run=True) is None
    assert engine.asked == []
    assert list(tmp_path.iterdir()) == []
    assert "7 to run" in capsys.readouterr().out


def test_fail_fast_stops_at_the_first_failure_and_keeps_what_ran(tmp_path: Path) -> None:
    blocks = tuple(Block(THIRD_PARTY, (), {**CONSTANTS, "n": n}, ()) for n in (1, RAISES, 2, 3))
    plan = Plan(blocks)
    assert run(plan, tmp_path / "s", fail_fast=True).lines[-1] == "stopped: 2 cells not run"
    assert sorted(load(tmp_path / "s")["n"]) == [1, RAISES]
    assert run(plan, tmp_path / "s").ran == 3
    assert sorted(load(tmp_path / "s")["n"]) == [1, 2, 3, RAISES]


def test_rows_of_other_code_are_not_mixed_in_silence(tmp_path: Path) -> None:
    run(third_plan([1, 2]), tmp_path / "s")
    other = changed(THIRD_PARTY, rows=lambda cells: {"total": cells["n"] * 1.0})
    with pytest.raises(BadInput, match=r"changed=keep.*changed=rerun"):
        run(third_plan([1, 2, 3], other), tmp_path / "s", changed="stop")
    assert run(third_plan([1, 2]), tmp_path / "s", changed="stop").ran == 0


def test_experiments_do_not_share_a_directory(tmp_path: Path) -> None:
    run(noop_plan(range(2)), tmp_path / "s")
    with pytest.raises(BadInput, match="holds a sweep of noop, not of third_party"):
        run(third_plan([1]), tmp_path / "s")


def test_a_chunk_result_travels(tmp_path: Path) -> None:
    import pickle

    result = ChunkResult(3, {("ValueError", "x"): (1, "p=3")})
    assert pickle.loads(pickle.dumps(result)) == result


def test_a_piece_that_kills_its_process_is_tried_once_more_then_halved_then_told(tmp_path: Path) -> None:
    """Whatever the engine: the sweep decides what becomes of a death."""
    deadly = 5

    def dies(index: int) -> Any:
        piece = engine.asked[index]
        killed = deadly in piece.chunk.positions and piece.failure is None
        return engines.WorkerDied("a worker process was killed by SIGKILL") if killed else None

    engine = Engine(replies=dies)
    outcome = run(noop_plan(range(8)), tmp_path / "s", engine)
    assert engine.cells == ["0:8", "0:8", "0:4", "4:8", "4:6", "6:8", "4:5", "5:6", "5:6"]
    assert len({piece.number for piece in engine.asked}) == len(engine.asked), "a number is never used twice"
    assert (outcome.cells, outcome.ran, outcome.failed) == (8, 8, 1)
    assert outcome.lines[0].startswith("1 failed: WorkerDied: a worker process was killed by SIGKILL")
    frame = load(tmp_path / "s")
    assert frame["p"][frame["status"] == "failed"].tolist() == [deadly]


def test_a_death_while_a_failed_row_is_written_ends_the_trying(tmp_path: Path) -> None:
    engine = Engine(replies=lambda index: engines.WorkerDied("again"))
    outcome = run(noop_plan(range(1)), tmp_path / "s", engine)
    assert len(engine.asked) == 3
    assert outcome.lines == ("a chunk failed: WorkerDied: again", "stopped: 1 cell not run")
