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
from hw6.errors import BadInput, FailedCells, Hw6Error
from hw6.experiments.noop import EXPERIMENT as NOOP
from hw6.plan.plan import Axis, Block, Plan
from hw6.plan.text import positions_of
from hw6.running.job import run_chunk
from hw6.running.sweep import ChunkResult, Launch, Outcome, Settings, conduct

CONSTANTS = {"x": 0.5, "flag": False, "kind": "plain", "sizes": None, "inner.depth": 2}


@dataclass
class Launcher:
    """Runs chunks here, and remembers what it was asked to do."""

    plan: Plan
    own: bool = True
    replies: Callable[[int], Any] = lambda index: None
    calls: list[dict[str, Any]] = field(default_factory=list)

    def jobs(
        self, overrides: Sequence[Sequence[str]], first: int, folder: Path, workers: int, told: Callable[[Any], bool]
    ) -> list[Any]:
        self.calls.append({"jobs": overrides, "first": first, "folder": folder, "workers": workers})
        results = []
        for index, texts in enumerate(overrides):
            reply = self.replies(index)
            if reply is None:
                given = dict(text.lstrip("+").split("=", 1) for text in texts if text.startswith("+chunk."))
                place = folder / str(first + index)
                place.mkdir()
                block = self.plan.blocks[int(given["chunk.block"])]
                reply = run_chunk(block, positions_of(given["chunk.cells"].strip("'")), place)
            results.append(reply)
            if not told(reply):
                break
        return results


def noop_plan(p: range, seeds: range = range(1)) -> Plan:
    return Plan((Block("noop", ("experiment=noop",), {}, (Axis("seed", seeds), Axis("p", p))),))


def third_plan(n: Sequence[int]) -> Plan:
    return Plan((Block("third_party", ("experiment=third_party",), CONSTANTS, (Axis("n", tuple(n)),)),))


def try_run(plan: Plan, folder: Path, launcher: Launcher | None = None, **more: Any) -> Outcome | None:
    launcher = launcher or Launcher(plan)
    known = {"noop": NOOP, "third_party": THIRD_PARTY} | more.pop("experiments", {})
    settings = Settings(folder, **{"claimed": True, "changed": "keep", **more})
    return conduct(plan, known.__getitem__, settings, Launch(launcher.jobs, launcher.own))


def run(plan: Plan, folder: Path, launcher: Launcher | None = None, **more: Any) -> Outcome:
    outcome = try_run(plan, folder, launcher, **more)
    assert outcome is not None
    return outcome


pytestmark = pytest.mark.usefixtures("third_party")


def test_a_small_sweep_is_one_job(tmp_path: Path) -> None:
    plan = noop_plan(range(5, 200))
    launcher = Launcher(plan)
    outcome = run(plan, tmp_path / "s", launcher)
    assert (outcome.cells, outcome.ran, outcome.failed, outcome.lines) == (195, 195, 0, ())
    (call,) = launcher.calls
    assert len(call["jobs"]) == 1
    assert "+chunk.cells='0:195'" in call["jobs"][0]
    assert sorted(load(tmp_path / "s")["p"]) == list(range(5, 200))


def test_a_finished_sweep_launches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = noop_plan(range(3))
    run(plan, tmp_path / "s")
    launcher = Launcher(plan)
    outcome = run(plan, tmp_path / "s", launcher)
    assert launcher.calls == []
    assert (outcome.cells, outcome.ran) == (3, 0)
    assert "3 were done before" in capsys.readouterr().out


def test_a_widened_axis_runs_the_new_cells_alone(tmp_path: Path) -> None:
    run(noop_plan(range(4, 8)), tmp_path / "s")
    wider = noop_plan(range(2, 10), range(2))
    launcher = Launcher(wider)
    outcome = run(wider, tmp_path / "s", launcher)
    assert (outcome.cells, outcome.ran) == (16, 12)
    assert launcher.calls[0]["first"] == 1, "a number is never used twice"
    assert "+chunk.cells='0:2,6:16'" in launcher.calls[0]["jobs"][0]
    frame = load(tmp_path / "s")
    assert len(frame) == frame["cell_id"].nunique() == 16


def test_a_narrower_sweep_keeps_what_is_there(tmp_path: Path) -> None:
    run(noop_plan(range(8)), tmp_path / "s")
    outcome = run(noop_plan(range(2)), tmp_path / "s")
    assert (outcome.cells, outcome.ran) == (2, 0)
    assert len(load(tmp_path / "s")) == 8


def test_cells_of_two_blocks_run_once(tmp_path: Path) -> None:
    one = Block("noop", ("a=1",), {"seed": 0}, (Axis("p", range(4)),))
    two = Block("noop", ("a=2",), {"seed": 0}, (Axis("p", range(2, 6)),))
    outcome = run(Plan((one, two)), tmp_path / "s")
    assert (outcome.cells, outcome.ran) == (6, 6)
    assert sorted(load(tmp_path / "s")["p"]) == list(range(6))


def test_failures_are_rows_and_are_told_by_cause(tmp_path: Path) -> None:
    n = [1, RAISES, 2, INFINITE]
    with pytest.raises(FailedCells) as caught:
        run(third_plan(n), tmp_path / "s")
    lines = sorted(caught.value.args[0].splitlines())
    assert len(lines) == 2
    assert lines[0].startswith("1 failed: NonFiniteResult: total is inf (for example: python -m hw6.run ")
    assert lines[1].startswith("1 failed: OddNumberOut: n is 13 (for example: python -m hw6.run ")
    assert f"n={RAISES})" in lines[1]
    assert "experiment=third_party" in lines[1]
    frame = load(tmp_path / "s")
    assert frame["n"].tolist() == n
    assert frame["status"].tolist() == ["done", "failed", "done", "failed"]


def test_failed_cells_alone_are_tried_again(tmp_path: Path) -> None:
    with pytest.raises(FailedCells):
        run(third_plan([1, RAISES, 2]), tmp_path / "s")
    mended = changed(
        THIRD_PARTY, rows=lambda cells: {"total": cells["n"] * 1.0, "letters": cells["n"], "odd": cells["n"] > 0}
    )
    plan = third_plan([1, RAISES, 2])

    def answer(index: int) -> Any:
        from hw6.contract import registry

        registry._registered["third_party"] = mended
        return None

    launcher = Launcher(plan, replies=answer)
    outcome = run(plan, tmp_path / "s", launcher, experiments={"third_party": mended})
    assert (outcome.cells, outcome.ran, outcome.failed) == (3, 1, 0)
    frame = load(tmp_path / "s")
    assert len(frame) == 3
    assert set(frame["status"]) == {"done"}


def test_many_failures_of_one_cause_are_one_line(tmp_path: Path) -> None:
    plan = Plan((Block("third_party", (), {**CONSTANTS, "n": RAISES}, (Axis("inner.depth", range(40)),)),))
    plan = Plan(
        (changed(plan.blocks[0], constants={k: v for k, v in plan.blocks[0].constants.items() if k != "inner.depth"}),)
    )
    with pytest.raises(FailedCells) as caught:
        run(plan, tmp_path / "s")
    (line,) = caught.value.args[0].splitlines()
    assert line.startswith("40 failed: OddNumberOut")


def test_a_chunk_that_breaks_is_told_and_the_others_are_stored(tmp_path: Path) -> None:
    plan = Plan(tuple(Block("noop", (), {"seed": seed}, (Axis("p", range(3)),)) for seed in range(3)))
    launcher = Launcher(plan, replies=lambda index: MemoryError("no room\nreally") if index == 1 else None)
    with pytest.raises(FailedCells) as caught:
        run(plan, tmp_path / "s", launcher)
    assert caught.value.args[0].splitlines() == [
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
    plan = noop_plan(range(12))
    launcher = Launcher(plan)
    run(plan, tmp_path / "s", launcher, workers=3, experiments={"noop": priced})
    assert launcher.calls[0]["workers"] == 3
    assert len(launcher.calls[0]["jobs"]) >= 3


def test_other_launchers_decide_on_processes_themselves(tmp_path: Path) -> None:
    priced: Experiment = changed(NOOP, price=lambda cells: np.full(len(cells["p"]), 1.0))
    plan = noop_plan(range(12))
    launcher = Launcher(plan, own=False)
    run(plan, tmp_path / "s", launcher, experiments={"noop": priced})
    assert len(launcher.calls[0]["jobs"]) > 1


def test_an_expensive_sweep_is_cut_into_chunks_of_seconds(tmp_path: Path) -> None:
    priced: Experiment = changed(NOOP, price=lambda cells: np.full(len(cells["p"]), 2.0))
    plan = noop_plan(range(24))
    launcher = Launcher(plan)
    run(plan, tmp_path / "s", launcher, workers=1, experiments={"noop": priced})
    jobs = launcher.calls[0]["jobs"]
    assert len(jobs) >= 6, "no chunk is longer than 8 s"


def test_an_interrupted_sweep_says_how_to_go_on(tmp_path: Path) -> None:
    plan = noop_plan(range(4))

    def interrupt(index: int) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(Hw6Error, match=r"to go on: python -m hw6\.run") as caught:
        run(plan, tmp_path / "s", Launcher(plan, replies=interrupt))
    assert caught.value.exit_status == 130
    assert run(plan, tmp_path / "s").ran == 4


@pytest.mark.parametrize(("retry", "ran"), [("failed", 1), ("none", 0), ("all", 3)])
def test_what_is_tried_again_is_the_users_to_say(tmp_path: Path, retry: str, ran: int) -> None:
    plan = third_plan([1, RAISES, 2])
    with pytest.raises(FailedCells):
        run(plan, tmp_path / "s")
    launcher = Launcher(plan)
    if ran:
        with pytest.raises(FailedCells):
            run(plan, tmp_path / "s", launcher, retry=retry)
    else:
        assert run(plan, tmp_path / "s", launcher, retry=retry).ran == 0
    cells = [text for call in launcher.calls for job in call["jobs"] for text in job if "chunk.cells" in text]
    assert cells == {"failed": ["+chunk.cells='1:2'"], "none": [], "all": ["+chunk.cells='0:3'"]}[retry]
    frame = load(tmp_path / "s")
    assert len(frame) == frame["cell_id"].nunique() == 3


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = noop_plan(range(7))
    launcher = Launcher(plan)
    assert try_run(plan, tmp_path / "s", launcher, dry_run=True) is None
    assert launcher.calls == []
    assert list(tmp_path.iterdir()) == []
    assert "7 to run" in capsys.readouterr().out


def test_fail_fast_stops_at_the_first_failure_and_keeps_what_ran(tmp_path: Path) -> None:
    blocks = tuple(Block("third_party", (), {**CONSTANTS, "n": n}, ()) for n in (1, RAISES, 2, 3))
    plan = Plan(blocks)
    with pytest.raises(FailedCells, match="2 cells not run"):
        run(plan, tmp_path / "s", fail_fast=True)
    assert sorted(load(tmp_path / "s")["n"]) == [1, RAISES]
    with pytest.raises(FailedCells):
        run(plan, tmp_path / "s")
    assert sorted(load(tmp_path / "s")["n"]) == [1, 2, 3, RAISES]


def test_rows_of_other_code_are_not_mixed_in_silence(tmp_path: Path) -> None:
    run(third_plan([1, 2]), tmp_path / "s")
    other = {"third_party": changed(THIRD_PARTY, rows=lambda cells: {"total": cells["n"] * 1.0})}
    with pytest.raises(BadInput, match=r"changed=keep.*changed=rerun"):
        run(third_plan([1, 2, 3]), tmp_path / "s", changed="stop", experiments=other)
    assert run(third_plan([1, 2]), tmp_path / "s", changed="stop").ran == 0


def test_experiments_do_not_share_a_directory(tmp_path: Path) -> None:
    run(noop_plan(range(2)), tmp_path / "s")
    with pytest.raises(BadInput, match="holds a sweep of noop, not of third_party"):
        run(third_plan([1]), tmp_path / "s")


def test_a_chunk_result_travels(tmp_path: Path) -> None:
    import pickle

    result = ChunkResult(3, {("ValueError", "x"): (1, "p=3")})
    assert pickle.loads(pickle.dumps(result)) == result
