"""Resume, extend, retry, dry run, status, compaction: as a user types them."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from commands import Command

from hw6 import status as status_command
from hw6.aggregate import load, provenance
from hw6.aggregate import main as aggregate
from hw6.store import directory, shards
from hw6.store.code import SCHEME
from hw6.store.compact import compact_below
from hw6.store.lock import locked

NOOP = "experiment=noop"
HALF = ["data.n_train=20", "data.n_validation=5", "data.n_test=5", "p=5,10", "data.sigma=0.5,1e308"]


def widths(folder: Path) -> list[int]:
    return sorted(load(folder)["p"].tolist())


def test_resume_repeats_the_remembered_command(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "seed=1", "hydra.sweep.dir=s").status == 0
    shard = next(shards.shards_below(command.folder / "s"))
    shard.unlink()
    again = command("resume=s")
    assert again.status == 0, again.err
    assert "3 cells" in again.out
    assert widths(command.folder / "s") == [3, 4, 5]
    assert set(load(command.folder / "s")["seed"]) == {1}


def test_what_is_typed_beside_resume_takes_the_place_of_the_same_keys(command: Command) -> None:
    small = ["data.n_train=20", "data.n_validation=5", "data.n_test=5"]
    assert command("-m", "p=3:6", "lambda=tuned", *small, "hydra.sweep.dir=s").status == 0
    wider = command("resume=s", "p=3:8")
    assert wider.status == 0, wider.err
    assert "2 cells" in wider.out
    frame = load(command.folder / "s")
    assert sorted(frame["p"]) == [3, 4, 5, 6, 7]
    assert set(frame["lambda.kind"]) == {"tuned"}
    assert command("resume=s", "lambda=0.1").status == 0
    assert set(load(command.folder / "s")["lambda.kind"]) == {"tuned", "fixed"}


def test_latest_is_the_sweep_that_was_run_last(command: Command) -> None:
    assert command("-m", NOOP, "p=1,2").status == 0
    assert command("-m", NOOP, "p=7,8,9").status == 0
    assert command(NOOP, "p=5").status == 0  # a single run is no sweep
    again = command("resume=latest")
    assert again.status == 0, again.err
    assert "3 were done before" in again.out


@pytest.mark.parametrize("value", ["nowhere", "latest", ""])
def test_nothing_to_resume(command: Command, value: str) -> None:
    ran = command(f"resume={value}")
    assert ran.status == 2
    assert ran.lines[0].startswith("resume")
    assert (ran.files, ran.folders) == ([], [])


def test_another_experiments_directory_is_refused(command: Command) -> None:
    assert command("-m", NOOP, "p=1,2", "hydra.sweep.dir=s").status == 0
    ran = command("-m", "p=1,2", "hydra.sweep.dir=s")
    assert ran.status == 2
    assert "holds a sweep of noop, not of double_descent" in ran.lines[0]
    assert ran.files == []
    single = command("p=3", "hydra.run.dir=s")
    assert single.status == 2
    basic = command("-m", NOOP, "p=5,6", "hydra/sweeper=basic", "hydra.sweep.dir=s")
    assert basic.status == 2
    assert widths(command.folder / "s") == [1, 2]


def test_a_damaged_plan_is_written_again(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    (plan,) = (command.folder / "s").glob("plan-*.json")
    plan.write_text(plan.read_text().replace("3", "9"))
    next(shards.shards_below(command.folder / "s")).unlink()
    assert command("resume=s").status == 0
    assert widths(command.folder / "s") == [3, 4, 5]


def test_failed_cells_run_again_unless_told_otherwise(command: Command) -> None:
    first = command("-m", *HALF, "hydra.sweep.dir=s")
    assert first.status == 1
    assert first.lines[0].startswith("2 failed: NonFiniteResult")
    assert "python -m hw6.run" in first.lines[0]
    frame = load(command.folder / "s")
    assert (frame["status"] == "failed").sum() == 2
    assert len(load(command.folder / "s", failed=False)) == 2
    assert "0 cells" in command("resume=s", "retry=none").out
    again = command("resume=s")
    assert (again.status, "2 cells" in again.out) == (1, True)
    assert "4 cells" in command("resume=s", "retry=all").out
    assert len(load(command.folder / "s")) == 4


def test_fail_fast_stops_at_the_first_failing_chunk(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.plan.chunks.MOST_CELLS", 1)
    ran = command("-m", *HALF, "fail_fast=true", "hydra.sweep.dir=s")
    assert ran.status == 1
    assert "stopped" in ran.lines[-1]
    assert len(load(command.folder / "s")) < 4
    assert command("resume=s", "data.sigma=0.5").status == 0


def test_other_code_or_versions_leave_the_choice_to_the_user(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    path = command.folder / "s" / directory.PROVENANCE
    record = json.loads(path.read_text())
    record["runs"][0]["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(record))
    ran = command("resume=s", "p=3:8")
    assert ran.status == 2
    assert "numpy 1.0 then" in ran.lines[0]
    assert "changed=keep" in ran.lines[0]
    assert "2 cells" in command("resume=s", "p=3:8", "changed=keep").out
    record["runs"][0]["code"]["noop"] = f"{SCHEME}:" + "0" * 16
    record["runs"][0]["versions"] = {}
    path.write_text(json.dumps(record))
    assert "the code of noop" in command("resume=s").lines[0]
    assert "5 cells" in command("resume=s", "p=3:8", "changed=rerun").out


@pytest.mark.parametrize("way", [[], ["-m"], ["-m", "hydra/sweeper=basic"]])
def test_a_dry_run_prices_and_writes_nothing(command: Command, way: list[str]) -> None:
    ran = command(*way, NOOP, "p=5" if not way else "p=5,6,7", "dry_run=true")
    assert ran.status == 0, ran.err
    assert "nothing was run or written" in ran.out
    assert ran.out.splitlines()[0].split()[1] == ("1" if not way else "3")
    assert (ran.files, ran.folders) == ([], [])


def test_a_dry_run_counts_what_is_done(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    assert "8 (3 done, 5 to run)" in command("-m", NOOP, "p=3:11", "hydra.sweep.dir=s", "dry_run=true").out


def test_a_sweep_without_room_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.running.price.available_memory", lambda: 1e6)
    ran = command("-m", NOOP, "p=3:6")
    assert ran.status == 2
    assert "GB are available" in ran.lines[0]
    assert (ran.files, ran.folders) == ([], [])


def test_status_of_sweeps(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=all/done").status == 0
    assert command("-m", *HALF, "hydra.sweep.dir=all/half").status == 1
    assert command("-m", NOOP, "p=3:9", "hydra.sweep.dir=all/some").status == 0
    next(shards.shards_below(command.folder / "all" / "some")).unlink()
    (command.folder / "all" / "broken").mkdir()
    (command.folder / "all" / "broken" / directory.PROVENANCE).write_text("{")
    with locked(command.folder / "all" / "some"):
        assert status_command.main([str(command.folder / "all")]) == 1
    out, err = capsys.readouterr()
    assert "done: 3 of 3 cells done" in out
    assert "half: 2 of 4 cells done, 2 failed" in out
    assert "some: 0 of 6 cells done" in out
    assert "running: " in out
    assert "broken" in err
    assert status_command.main([str(command.folder / "all" / "some")]) == 0
    assert "6 missing (python -m hw6.run resume=" in capsys.readouterr().out
    assert status_command.main([str(command.folder / "nowhere")]) == 2
    (command.folder / "empty").mkdir()
    assert status_command.main([str(command.folder / "empty")]) == 2
    assert "no sweep of hw6 here" in capsys.readouterr().err


def test_a_narrower_plan_leaves_the_other_rows_counted(command: Command) -> None:
    assert command("-m", NOOP, "p=3:9", "hydra.sweep.dir=s").status == 0
    assert command("-m", NOOP, "p=3:5", "hydra.sweep.dir=s").status == 0
    found = status_command.status(command.folder / "s")
    assert (found.done, found.cells, found.left) == (6, 6, 0)
    assert found.speed == 0, "nothing runs"
    assert [line.rpartition("/")[2] for line in found.lines] == ["s: 6 of 6 cells done"]


def test_compacting(command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.plan.chunks.MOST_CELLS", 2)
    assert command("-m", NOOP, "p=3:12", "seed=0,1", "hydra.sweep.dir=s").status == 0
    before = load(command.folder / "s").sort_values("cell_id").reset_index(drop=True)
    assert len(list(shards.shards_below(command.folder / "s"))) == 9
    assert aggregate([str(command.folder / "s"), "--compact"]) == 0
    assert "9 shards -> 1" in capsys.readouterr().out
    after = load(command.folder / "s").sort_values("cell_id").reset_index(drop=True)
    assert after.equals(before[after.columns])
    assert "18 were done before" in command("resume=s").out
    with locked(command.folder / "s"):
        assert aggregate([str(command.folder / "s"), "--compact"]) == 2


def test_a_million_cells_are_a_set_difference(command: Command) -> None:
    """What is missing of a wide plan is found from ids alone (its time is measured in benchmarks/scale.py)."""
    from hw6.experiments.noop import EXPERIMENT
    from hw6.plan.chunks import missing_cells
    from hw6.plan.plan import Axis, Block, Plan

    block = Block(EXPERIMENT, (), {"seed": 0}, (Axis("p", range(1, 200_001)),))
    ids = block.ids(np.arange(block.size))
    holes = np.arange(0, block.size, 1000)
    missing = missing_cells(Plan((block,)), np.sort(np.delete(ids, holes)))
    assert missing.positions[0].tolist() == holes.tolist()
    assert (missing.total, missing.cells, missing.finished) == (200_000, 200, 199_800)


def test_every_run_is_recorded(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    assert command("resume=s", "p=3:8").status == 0
    first, second = provenance(command.folder / "s")
    assert (first["cells"], first["before"]) == (3, 0)
    assert (second["cells"], second["before"]) == (5, 3)
    assert second["typed"] == ["resume=s", "p=3:8"]
    assert second["ended"] is not None


# --- what only a mutated program showed -----------------------------------------------------------------------------


def test_retry_all_asks_no_question_after_an_upgrade(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    path = command.folder / "s" / directory.PROVENANCE
    record = json.loads(path.read_text())
    record["runs"][0]["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(record))
    ran = command("resume=s", "retry=all")
    assert ran.status == 0
    assert "3 cells" in ran.out


def test_a_record_that_cannot_be_read_is_a_refusal(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    (command.folder / "s" / directory.PROVENANCE).write_text("{")
    for words in (["-m", NOOP, "p=3:6", "hydra.sweep.dir=s"], ["resume=s"]):
        ran = command(*words)
        assert ran.status == 2
        assert "cannot be read" in ran.lines[0]


def test_status_counts_damaged_shards(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    shard = next(shards.shards_below(command.folder / "s"))
    shard.write_bytes(shard.read_bytes()[:-1])
    ran = command("s", module="hw6.status")
    assert ran.status == 1
    assert "1 damaged shard" in ran.out


def test_watching_ends_when_nothing_runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    slept: list[float] = []

    class Enough(Exception):
        pass

    real = time.sleep

    def sleep(seconds: float) -> None:
        if seconds < 1.0:  # somebody else's, such as a wait for git
            real(seconds)
            return
        slept.append(seconds)
        if len(slept) > 1:
            raise Enough

    monkeypatch.setattr("hw6.status.time.sleep", sleep)
    assert command("--watch", "s", module="hw6.status").status == 0
    assert slept == []
    with locked(command.folder / "s"), pytest.raises(Enough):
        command("--watch", "s", module="hw6.status")
    assert slept[0] > 0
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=other").status == 0
    with locked(command.folder / "s"), pytest.raises(Enough):
        command("--watch", "s", "other", module="hw6.status")
    assert len(slept) > 2, "one that runs is enough"


def test_the_speed_is_that_of_all_cells_since_the_command_began(command: Command) -> None:
    assert command("-m", *HALF, "hydra.sweep.dir=s").status == 1  # two cells done, two failed
    path = command.folder / "s" / directory.PROVENANCE
    record = json.loads(path.read_text())
    hours = 10.0
    began = datetime.now(UTC) - timedelta(hours=hours)
    record["runs"][0]["started"] = began.isoformat()
    path.write_text(json.dumps(record))
    with locked(command.folder / "s"):
        found = status_command.status(command.folder / "s")
    assert found.speed == pytest.approx(4 / (3600 * hours), rel=0.02)
    for shard in list(shards.shards_below(command.folder / "s")):
        shard.unlink()
    with locked(command.folder / "s"):
        assert status_command.status(command.folder / "s").speed == 0, "nothing is done yet"


def test_what_the_record_does_not_say_is_not_told(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    path = command.folder / "s" / directory.PROVENANCE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"runs": []}))
    assert command("s", module="hw6.status").out.splitlines() == ["s: 3 cells done"]


@pytest.mark.parametrize(("flags", "cleared"), [([], False), (["--watch"], True)])
def test_the_screen_is_cleared_only_to_watch(
    command: Command, monkeypatch: pytest.MonkeyPatch, flags: list[str], cleared: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=s").status == 0
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    assert status_command.main([*flags, str(command.folder / "s")]) == 0
    assert ("\033" in screen.getvalue()) is cleared
    assert "3 of 3 cells done" in screen.getvalue()


def test_a_link_to_a_sweep_is_not_followed(command: Command) -> None:
    assert command("-m", NOOP, "p=3:6", "hydra.sweep.dir=all/s").status == 0
    (command.folder / "others").mkdir()
    (command.folder / "others" / "link").symlink_to(command.folder / "all" / "s")
    assert command("others", module="hw6.status").status == 2
    (command.folder / "all" / "again").symlink_to(command.folder / "all" / "s")
    assert len(command("all", module="hw6.status").out.splitlines()) == 1


def test_compacting_leaves_a_damaged_shard_where_it_is(command: Command) -> None:
    for p in ("3:6", "3:9", "3:12"):
        assert command("-m", NOOP, f"p={p}", "hydra.sweep.dir=s").status == 0
    found = list(shards.shards_below(command.folder / "s"))
    assert len(found) == 3
    found[1].write_bytes(found[1].read_bytes()[:-1])
    (line,) = compact_below(command.folder / "s")
    assert line.endswith(": 3 shards -> 2")
    assert found[1].exists()


def test_a_resume_in_a_config_is_refused(command: Command) -> None:
    (command.folder / "mine").mkdir()
    text = "defaults: [config, _self_]\nresume: latest\n"
    (command.folder / "mine" / "going_on.yaml").write_text(text, encoding="utf-8")
    ran = command("-m", "--config-dir", "mine", "-cn", "going_on", NOOP, "p=3")
    assert ran.status == 2
    assert ran.lines[0].startswith("resume=latest: cannot stand in a config")


def test_a_config_folder_has_names_of_its_own(command: Command) -> None:
    (command.folder / "mine").mkdir()
    (command.folder / "mine" / "own.yaml").write_text("defaults: [config, _self_]\np: 7\n", encoding="utf-8")
    ran = command("--config-dir", "mine", "-cn", "own", "experiment=noop", "p=7")
    assert ran.status == 0, ran.err
    assert command("-cn", "own").status == 2, "without its folder the name is not known"
