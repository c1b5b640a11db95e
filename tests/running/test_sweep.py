"""A sweep is a set of cells and a table of rows; running it fills what is missing."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import Command
from hypothesis import given
from hypothesis import strategies as st
from recipes import INFINITE, RAISES, SMALL, THIRD_PARTY

from hw6.aggregate import load, provenance
from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.keys import Integer
from hw6.engines import contract as engines
from hw6.errors import BadInput, Hw6Error
from hw6.experiments.noop import EXPERIMENT as NOOP
from hw6.plan.chunks import cut_chunks, missing_cells
from hw6.plan.plan import Axis, Block, Plan
from hw6.plan.text import ranges_text
from hw6.running import price
from hw6.running.job import ChunkResult, run_chunk, stored_result
from hw6.running.outcome import Outcome
from hw6.running.price import (
    Estimate,
    available_memory,
    calibrated,
    estimate,
    refuse_large_cells,
    refuse_without_room,
)
from hw6.running.sweep import Options, sweep
from hw6.store import shards
from hw6.store.directory import StoreFailed
from hw6.store.record import Command as Typed

CONSTANTS = {"x": 0.5, "flag": False, "kind": "plain", "sizes": None, "inner.depth": 2}


@dataclass
class Engine(engines.Engine):
    """Runs pieces here, and remembers what it was asked to do."""

    replies: Callable[[int], Any] = lambda index: None
    abilities: engines.Abilities = field(default_factory=lambda: engines.Abilities(True, True))
    asked: list[engines.Piece] = field(default_factory=list)
    orders: list[engines.Orders] = field(default_factory=list)

    def slots(self, workers: int | None, seconds: float) -> int:
        return workers or 1 if self.abilities.tells_of_ends else super().slots(workers, seconds)

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
    options = Options(folder, **{"named": True, "changed": "keep", **more})
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
    first = run(noop_plan(range(2)), tmp_path / "now", named=False)
    second = run(noop_plan(range(2)), tmp_path / "now", named=False)
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
    engine = Engine(abilities=engines.Abilities(False, False))
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


# --- what a sweep says ----------------------------------------------------------------------------------------------


def test_the_commonest_cause_is_told_first(tmp_path: Path) -> None:
    blocks = tuple(Block(THIRD_PARTY, (), {**CONSTANTS, "x": x}, (Axis("n", (RAISES, INFINITE, 1)),)) for x in (0, 1))
    extra = Block(THIRD_PARTY, (), {**CONSTANTS, "x": 2}, (Axis("n", (INFINITE,)),))
    outcome = run(Plan((*blocks, extra)), tmp_path / "s")
    assert (outcome.cells, outcome.ran, outcome.failed) == (7, 7, 5)
    assert [line.split(":")[0] for line in outcome.lines] == ["3 failed", "2 failed"]


def test_a_sweep_ends_with_what_it_did_and_what_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    began = time.perf_counter() - 7200.0
    run(noop_plan(range(3)), tmp_path / "a b", began=began)
    wanted = ["3 cells in 2.0 h: a b", "next: python -m hw6.aggregate 'a b'; python -m hw6.plot 'a b'"]
    assert capsys.readouterr().out.splitlines() == wanted
    run(noop_plan(range(4)), tmp_path / "a b", began=began)
    assert capsys.readouterr().out.startswith("1 cell in 2.0 h, 3 were done before: a b\n")
    run(noop_plan(range(5)), tmp_path / "a b", quiet=True)
    assert capsys.readouterr() == ("", "")


def test_every_run_says_how_many_cells_it_found_and_how_many_are_anothers(tmp_path: Path) -> None:
    for widths in (range(8), range(2), range(6, 9)):
        run(noop_plan(widths), tmp_path / "s")
    names = ("cells", "before", "outside", "ran", "failed")
    assert [tuple(entry[name] for name in names) for entry in provenance(tmp_path / "s")] == [
        (8, 0, 0, 8, 0),
        (2, 2, 6, 0, 0),
        (3, 2, 6, 1, 0),
    ]


@pytest.mark.parametrize("named", [True, False])
def test_the_way_on_names_the_directory_unless_the_command_did(tmp_path: Path, named: bool) -> None:
    typed = Typed(("-m", "p=3"), ("-m", "name='a b'"))
    engine = Engine(replies=lambda index: OSError(28, "No space left on device"))
    with pytest.raises(StoreFailed) as caught:
        run(noop_plan(range(3)), tmp_path / "s", engine, named=named, command=typed)
    told, _, way = str(caught.value).partition("; to go on: python -m hw6.run ")
    assert told == f"{tmp_path / 's'}: No space left on device; what was finished is stored"
    words = shlex.split(way)
    assert words[:2] == ["-m", "name='a b'"]
    assert [word.startswith("hydra.sweep.dir=") for word in words[2:]] == [True] * (not named)
    assert all(Path(word.partition("=")[2]).resolve() == tmp_path / "s" for word in words[2:])


# --- a sweep that is stopped ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("something odd"), "something odd"),
        (StoreFailed("rows cannot be written (gone)"), "rows cannot be written (gone)"),
    ],
)
@pytest.mark.parametrize("tells", [True, False])
def test_where_nothing_can_be_written_nothing_more_is_tried(
    tmp_path: Path, error: Exception, says: str, tells: bool
) -> None:
    plan = Plan(tuple(Block(NOOP, (), {"seed": seed}, (Axis("p", range(3)),)) for seed in range(4)))
    abilities = engines.Abilities(tells, True)
    engine = Engine(replies=lambda index: error if index == 1 else None, abilities=abilities)
    with pytest.raises(StoreFailed, match=r"what was finished is stored; to go on: python -m hw6\.run") as caught:
        run(plan, tmp_path / "s", engine)
    assert f"{tmp_path / 's'}: {says};" in str(caught.value)
    assert len(engine.asked) == 2
    assert len(load(tmp_path / "s")) == 3
    assert run(plan, tmp_path / "s").ran == 9


def test_an_engine_that_cannot_reach_the_disk_is_told_alike(tmp_path: Path) -> None:
    def broken(index: int) -> Any:
        raise OSError(5, "Input/output error")

    with pytest.raises(StoreFailed, match="Input/output error; what was finished is stored"):
        run(noop_plan(range(3)), tmp_path / "s", Engine(replies=broken))


def test_a_record_that_was_harmed_on_the_way_is_no_reason_to_fail(tmp_path: Path) -> None:
    def harm(index: int) -> None:
        (tmp_path / "s" / "sweep.json").write_text("{")

    outcome = run(noop_plan(range(3)), tmp_path / "s", Engine(replies=harm))
    assert (outcome.ran, outcome.lines) == (3, ())


def test_a_failed_chunk_is_no_failed_cell_to_stop_at(tmp_path: Path) -> None:
    plan = Plan(tuple(Block(NOOP, (), {"seed": seed}, (Axis("p", range(3)),)) for seed in range(3)))
    engine = Engine(replies=lambda index: ValueError("odd") if index == 0 else None)
    assert run(plan, tmp_path / "s", engine, fail_fast=True).ran == 6


@pytest.mark.parametrize(("tells", "shown"), [(True, [3, 6, 9]), (False, [])])
def test_progress_is_told_where_the_engine_tells_of_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells: bool, shown: list[int]
) -> None:
    totals: list[int] = []
    monkeypatch.setattr("hw6.running.progress._Lines.__call__", lambda self, cells: totals.append(cells))
    plan = Plan(tuple(Block(NOOP, (), {"seed": n}, (Axis("p", range(n)),)) for n in (3, 6, 9)))
    run(plan, tmp_path / "s", Engine(abilities=engines.Abilities(tells, True)))
    assert totals == shown


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match=r"hydra\.sweep\.dir=.*cannot be written \(Not a directory\)"):
        run(noop_plan(range(3)), tmp_path / "file" / "s")


@pytest.mark.parametrize(
    ("workers", "knows", "says"),
    [(None, True, ""), (1, True, ""), (2, True, "workers=2"), (None, False, "workers=auto"), (1, False, "workers=1")],
)
def test_what_only_this_process_knows_runs_in_it_alone(
    tmp_path: Path, workers: int | None, knows: bool, says: str
) -> None:
    engine = Engine(abilities=engines.Abilities(True, knows))
    if says:
        with pytest.raises(BadInput, match=f"^{says}: experiment third_party is registered in this process alone"):
            run(third_plan([1, 2]), tmp_path / "s", engine, workers=workers)
        assert engine.asked == []
    else:
        run(third_plan([1, 2]), tmp_path / "s", engine, workers=workers)
        assert engine.orders[0].slots == 1


# --- a chunk --------------------------------------------------------------------------------------------------------


class Clock:
    """The clocks of the process, which run while an experiment does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, name, lambda: self.now)


def unpriced(rows: Callable[[Cells], Columns], **changes: Any) -> Experiment:
    return Experiment("plain", 1, {"n": Integer(help="a number")}, {"y": "a number"}, rows, **changes)


def batches(clock: Clock, folder: Path, cells: int, seconds: float, **changes: Any) -> list[int]:
    """The sizes of the batches in which cells of so many seconds run."""
    sizes: list[int] = []

    def rows(cells: Cells) -> Columns:
        sizes.append(len(cells["n"]))
        clock.now += seconds * len(cells["n"])
        return {"y": cells["n"] * 1.0}

    block = Block(unpriced(rows, **changes), (), {}, (Axis("n", range(cells)),))
    folder.mkdir()
    result = run_chunk(block, np.arange(cells), folder)
    assert (result.cells, result.failures) == (cells, {})
    assert sorted(len(shards.read_shard(path)) for path in shards.shards_in(folder)) == sorted(sizes)
    assert load(folder)["n"].sort_values().tolist() == list(range(cells))
    return sizes


def test_cells_of_unknown_cost_run_in_batches_of_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, "perf_counter")
    assert batches(clock, tmp_path / "slow", 80, 0.5) == [64, 10, 6], "five seconds each"
    assert batches(clock, tmp_path / "slower", 67, 100.0) == [64, 1, 1, 1], "an interruption costs no more than a cell"
    assert batches(clock, tmp_path / "few", 5, 0.0) == [5]
    assert batches(clock, tmp_path / "free", 70_000, 0.0) == [64, 64_000, 5_936], "no wild guess from a tiny batch"
    priced = batches(clock, tmp_path / "priced", 200, 0.5, price=lambda cells: np.full(len(cells["n"]), 1e-9))
    assert priced == [200], "what has a price was cut by it"


def test_failures_of_all_batches_are_counted_and_the_first_is_the_example(tmp_path: Path) -> None:
    def rows(cells: Cells) -> Columns:
        if (cells["n"] % 50 == 49).any():
            raise ValueError("unlucky")
        return {"y": cells["n"] * 1.0}

    block = Block(unpriced(rows), ("experiment=plain", "name='a b'"), {}, (Axis("n", range(200)),))
    result = run_chunk(block, np.arange(40, 200), tmp_path)
    assert result == ChunkResult(160, {("ValueError", "unlucky"): (4, ["experiment=plain", "name='a b'", "n=49"])})


def test_rows_that_cannot_be_written_are_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = Block(NOOP, (), {"seed": 0}, (Axis("p", range(3)),))
    with pytest.raises(StoreFailed, match=r"^rows cannot be written \(No such file or directory\)"):
        run_chunk(block, np.arange(3), tmp_path / "gone")


def test_a_job_that_did_not_report_is_known_by_its_rows(tmp_path: Path) -> None:
    block, positions = Block(THIRD_PARTY, (), CONSTANTS, (Axis("n", (1, RAISES, 2)),)), np.arange(3)
    assert stored_result(tmp_path / "0", block, positions) is None
    (tmp_path / "0").mkdir()
    assert stored_result(tmp_path / "0", block, positions) is None
    run_chunk(block, positions[2:], tmp_path / "0")
    assert stored_result(tmp_path / "0", block, positions) is None
    failures = run_chunk(block, positions[:2], tmp_path / "0").failures
    assert stored_result(tmp_path / "0", block, positions) == ChunkResult(3, failures)
    assert failures["OddNumberOut", "n is 13"][1][-1] == "n=13"


@pytest.mark.parametrize(("rows", "ending"), [(6, ""), (7, "  ... 7 rows")])
def test_of_many_rows_of_one_cell_the_first_are_shown(command: Command, rows: int, ending: str) -> None:
    ran = command(*SMALL, "p=3", "lambda=path", f"lambda.num={rows}", "hydra.run.dir=one")
    assert ran.status == 0, ran.err
    lines = dict(line.split(None, 1) for line in ran.out.splitlines())
    frame = load(command.folder / "one")
    assert len(frame) == rows
    assert lines["test_mse"] == "  ".join(f"{value:.6g}" for value in frame["test_mse"][:6]) + ending
    assert lines["1"] == "cell: one"
    assert "error_type" not in lines, "what holds nothing is not shown"


# --- what it will cost ----------------------------------------------------------------------------------------------


def asked(**changes: Any) -> Estimate:
    given = {"cells": 1200, "done": 200, "chunks": 20, "rows": 3000, "seconds": 4.0, "workers": 2}
    return Estimate(**{**given, "memory": 150e6, "disk": 2.5e6, "starting": 1.0, **changes})


def test_an_estimate_as_a_person_reads_it() -> None:
    assert asked().lines == [
        "cells    1,200 (200 done, 1,000 to run)",
        "chunks   20 in 2 processes",
        "time     about 4.1 s (4.0 s of one core)",
        "memory   about 150 MB",
        "rows     3,000, about 2.5 MB on disk",
    ]
    assert asked(workers=1).lines[1:3] == ["chunks   20 in 1 process", "time     about 6.0 s (4.0 s of one core)"]


def estimated(experiment: Experiment, cells: int, workers: int, chunk: int = 10**9, keys: int = 1) -> Estimate:
    plan = Plan((Block(experiment, (), {}, (Axis("n", range(cells)),)),))
    missing = missing_cells(plan, np.empty(0, dtype="S20"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hw6.plan.chunks.MOST_CELLS", chunk)
        return estimate(plan, missing, cut_chunks(plan, missing, 1), workers)


def nothing(cells: Cells) -> Columns:
    return {"y": cells["n"] * 1.0}


@given(st.integers(1, 50), st.integers(1, 9), st.integers(1, 6))
def test_what_is_counted_is_counted_exactly(cells: int, workers: int, chunk: int) -> None:
    experiment = unpriced(nothing, rows_of=lambda cells: cells["n"] + 1)
    found = estimated(experiment, cells, workers, chunk)
    assert (found.cells, found.done, found.rows) == (cells, 0, cells * (cells + 1) // 2)
    assert found.chunks >= -(-cells // chunk)
    assert found.workers == min(workers, found.chunks), "one chunk needs one process, however many there may be"


def test_memory_is_that_of_all_processes_with_the_largest_cell_in_each() -> None:
    def of(workers: int, bytes_of: Callable[[Cells], np.ndarray], chunk: int = 10) -> float:
        return estimated(unpriced(nothing, memory=bytes_of), 100, workers, chunk).memory

    def small(cells: Cells) -> np.ndarray:
        return np.zeros(len(cells["n"]))

    def large(cells: Cells) -> np.ndarray:
        return np.where(cells["n"] == 70, 1e9, 0.0)

    for workers in (1, 2, 4):
        assert of(workers, large) - of(workers, small) == pytest.approx(workers * 1e9)
    one, two, four = (of(workers, small) for workers in (1, 2, 4))
    assert four - two == pytest.approx((two - one) / 2 * 2, rel=0.6)
    assert two - one > one, "beside the workers there is the process that started them"
    assert of(1, small, chunk=100) > of(1, small, chunk=10), "and a chunk is held as a whole"


def test_nothing_left_costs_nothing() -> None:
    plan = noop_plan(range(3))
    finished = np.sort(plan.blocks[0].ids(np.arange(3)))
    found = estimate(plan, missing_cells(plan, finished), [], 4)
    assert (found.cells, found.done, found.chunks, found.rows, found.seconds, found.workers) == (3, 3, 0, 0, 0.0, 1)
    assert found.disk == 0.0


def test_the_disk_takes_about_what_was_said(tmp_path: Path) -> None:
    """Numbers that do not shrink, in a few shards."""

    def rows(cells: Cells) -> Columns:
        return {f"y{i}": np.random.default_rng(i).random(len(cells["n"])) for i in range(4)}

    metrics = {f"y{i}": "a number" for i in range(4)}
    experiment = Experiment("plain", 1, {"n": Integer(help="a number")}, metrics, rows)
    said = estimated(experiment, 20_000, 1).disk
    folder = tmp_path / "0"
    folder.mkdir()
    run_chunk(Block(experiment, (), {}, (Axis("n", range(20_000)),)), np.arange(20_000), folder)
    there = sum(path.stat().st_size for path in folder.iterdir())
    assert there / 2 <= said <= there * 2
    many = estimated(experiment, 100, 1, chunk=10)
    assert many.disk - estimated(experiment, 100, 1).disk == pytest.approx((many.chunks - 1) * price.FILE_BYTES)


def test_what_does_not_fit_is_refused_and_what_just_fits_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []

    def usage(place: Path) -> SimpleNamespace:
        looked.append(place)
        return SimpleNamespace(free=5_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(price, "available_memory", lambda: 3e9)
    folder = tmp_path / "not" / "yet"
    refuse_without_room(asked(disk=5e6, memory=3e9), folder)
    with pytest.raises(BadInput, match="3,000 rows need about 7 MB of disk, and 5 MB are free"):
        refuse_without_room(asked(disk=7e6), folder)
    with pytest.raises(BadInput, match=r"workers=2: 4\.0 GB of memory are needed, and 3\.0 GB are available"):
        refuse_without_room(asked(memory=4e9), folder)
    assert set(looked) == {tmp_path}


def test_the_memory_that_is_there_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "MemTotal:  9000 kB\nMemFree:  7 kB\nMemAvailable:    5000 kB\nBuffers: 3 kB\n"
    monkeypatch.setattr(Path, "read_text", lambda self: text)
    assert available_memory() == 5000 * 1024

    def missing(self: Path) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__)
    assert available_memory() == 4096 * 1000

    def unknown(name: str) -> int:
        raise ValueError

    monkeypatch.setattr(os, "sysconf", unknown)
    assert available_memory() == float("inf")


def test_the_largest_cell_is_refused_and_the_key_that_makes_it_so_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"n": Integer(help="a number"), "width": Integer(help="a width"), "x": NOOP.keys["p"]}
    experiment = Experiment(
        "plain", 1, keys, {}, lambda cells: {}, memory=lambda cells: 1e9 * cells["width"] + 1e6 * cells["n"]
    )
    plan = Plan((Block(experiment, (), {"n": 5, "x": 1}, (Axis("width", (2, 9, 3)),)),))
    monkeypatch.setattr(price, "available_memory", lambda: 9e9 + 5e6 + price.PROCESS_BYTES)
    refuse_large_cells(plan)
    monkeypatch.setattr(price, "available_memory", lambda: 9e9 + 5e6)
    with pytest.raises(BadInput, match=r"width=9: one cell needs about .* GB of memory.*take a smaller width"):
        refuse_large_cells(plan)


# --- a model and this machine ---------------------------------------------------------------------------------------


@dataclass
class Machine:
    """An experiment whose cells take known times on the clock of the process, the first of all some more."""

    clock: Clock
    costs: np.ndarray
    loading: float = 0.0
    model: Callable[[np.ndarray], np.ndarray] | None = None
    ran: list[list[int]] = field(default_factory=list)

    def rows(self, cells: Cells) -> Columns:
        self.clock.now += float(self.costs[cells["n"]].sum()) + (self.loading if not self.ran else 0.0)
        self.ran.append(cells["n"].tolist())
        raise RuntimeError("a cell that fails costs what it costs")

    def calibrated(self) -> price.Calibration:
        model, costs = self.model, self.costs
        more = {} if model is None else {"price": lambda cells: model(costs[cells["n"]])}
        experiment = unpriced(self.rows, **more)
        cells = {"n": np.arange(len(costs))}
        return calibrated(experiment, cells, experiment.price(cells))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, "process_time")


@pytest.mark.parametrize("count", [2, 3, 17, 18, 500])
@pytest.mark.parametrize("cost", [1e-4, 1 / 128, 0.5])
@pytest.mark.parametrize("model", [None, lambda costs: costs * 3.0], ids=["no model", "a wrong model"])
def test_the_sum_of_equal_cells_is_found_by_a_sample(
    clock: Clock, count: int, cost: float, model: Callable[[np.ndarray], np.ndarray] | None
) -> None:
    machine = Machine(clock, np.full(count, cost), 7.0, model)
    found = machine.calibrated()
    assert found.seconds == pytest.approx(count * cost)
    assert found.loading == pytest.approx(7.0)
    assert machine.ran[0] == [0]
    for sample in machine.ran[1:]:
        assert sample == list(range(sample[0], sample[0] + len(sample))), "neighbours share work as in the sweep"
        assert sample[0] > 0, "the first cell has been run"
        assert abs((sample[0] - 1) - (count - 1 - sample[-1])) <= 1, "they are in the middle"
    if cost == 0.5 and model is not None:
        assert sum(map(len, machine.ran)) == 2, "a guess is worth a second and no more"
    if cost == 1e-4:
        assert len(machine.ran[-1]) == count - 1, "what costs little is run until it can be measured"


def test_a_sample_goes_on_until_there_is_something_to_measure(clock: Clock) -> None:
    machine = Machine(clock, np.full(5000, 1 / 512))
    machine.calibrated()
    assert [len(sample) for sample in machine.ran] == [1, 16, 64], "a tenth of a second will do"


def test_a_model_gives_the_shape_and_the_sample_the_scale(clock: Clock) -> None:
    costs = np.linspace(0.001, 0.02, 300)
    found = Machine(clock, costs, 2.0, lambda given: given / 5.0).calibrated()
    assert found.seconds == pytest.approx(costs.sum())
    assert found.loading == pytest.approx(2.0)


def test_a_sample_of_dear_cells_is_as_long_as_the_model_allows(clock: Clock) -> None:
    machine = Machine(clock, np.full(100, 0.25), 0.0, lambda given: given)
    assert machine.calibrated().seconds == pytest.approx(25.0)
    assert [len(sample) for sample in machine.ran] == [1, 3]


def test_one_cell_is_its_own_sample(clock: Clock) -> None:
    machine = Machine(clock, np.array([3.0]), 1.0, lambda given: given)
    assert machine.calibrated() == price.Calibration(4.0, 0.0)


def test_cells_that_take_long_are_not_run_for_a_guess(clock: Clock) -> None:
    machine = Machine(clock, np.array([21.0, 22.0]), 1.0, lambda given: given)
    assert machine.calibrated() == price.Calibration(43.0, 0.0)
    assert machine.ran == []
    mixed = Machine(clock, np.array([1.0, 22.0]), 1.0, lambda given: given)
    mixed.calibrated()
    assert mixed.ran[0] == [0]


def test_a_first_cell_that_costs_less_than_the_others_says_nothing_of_loading(clock: Clock) -> None:
    assert Machine(clock, np.array([0.0, *[0.5] * 9])).calibrated().loading == 0.0


def test_a_dry_run_adds_up_what_its_blocks_cost(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two blocks of 30 s and 60 s, each of which takes 20 s to begin."""
    one, two = (Machine(clock, np.full(30, cost), 20.0) for cost in (1.0, 2.0))
    plan = Plan(
        tuple(
            Block(
                Experiment(name, 1, {"n": Integer(help="a number")}, {}, machine.rows), (), {}, (Axis("n", range(30)),)
            )
            for name, machine in (("one", one), ("two", two))
        )
    )
    assert try_run(plan, tmp_path / "s", dry_run=True, began=time.perf_counter() - 10.0) is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cells    60 (0 done, 60 to run)"
    assert lines[2] == "time     about 2 min (2 min of one core)"
    assert lines[-1] == "dry run: nothing was run or written"
