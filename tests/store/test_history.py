"""Which run made which rows: asked about once, accepted or made again to the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import Command

from hw6.aggregate import load
from hw6.store.code import Code
from hw6.store.history import Now, alike, changes, made_now, maker

FILE = """
import hw6

@hw6.experiment(metrics={"y": "a number"})
def fickle(k: int = 5):
    return {"y": FACTOR * k}

FACTOR = 1.0
"""


def now(digest: str) -> Now:
    return Now({"x": Code(f"3:{digest}", {})}, {}, {})


def run(digest: str, first: int = 0, changed: str = "stop", **more: Any) -> dict[str, Any]:
    return {
        "code": {"x": f"3:{digest}"},
        "first": first,
        "changed": changed,
        "ended": "then",
        "ran": 3,
        "cells": 9,
    } | more


@pytest.mark.parametrize(
    ("runs", "digest", "asks"),
    [
        ([run("a")], "a", False),
        ([run("a")], "b", True),
        ([run("a"), run("b", 1, "keep")], "b", False),
        ([run("a"), run("b", 1, "keep")], "a", True),
        ([run("a"), run("b", 1, "keep"), run("b", 2)], "b", False),
        ([run("a"), run("b", 1, "rerun")], "b", True),
        ([run("a"), run("b", 1, "rerun", ran=9)], "b", False),
        ([run("a"), run("b", 1, "rerun", ran=3, before=6)], "b", False),
        ([run("a"), run("b", 1, "rerun", ran=9, outside=2)], "b", True),
        ([run("a"), run("b", 1, "rerun", ran=9, ended=None)], "b", True),
        ([run("a"), run("b", 1, "keep", ran=0)], "a", False),
        ([run("a"), run("b", 1, "keep", ran=0)], "b", True),
    ],
)
def test_rows_of_other_code_are_asked_about_until_that_is_settled(
    runs: list[dict[str, Any]], digest: str, asks: bool
) -> None:
    assert bool(changes(runs, now(digest))) is asks


def test_a_job_belongs_to_the_run_that_was_given_its_number() -> None:
    runs = [run("a", 0), run("b", 3, also=[9]), run("a", 5)]
    assert [maker(runs, number) for number in (0, 2, 3, 4, 5, 8, 9, 10)] == [0, 0, 1, 1, 2, 2, 1, 2]
    assert [made_now(runs, now("b"))(number) for number in (2, 4, 5, 9)] == [False, True, False, True]
    assert [alike(runs, place) for place in range(3)] == [2, 1, 2]
    assert not made_now([], now("a"))(0)


def test_a_record_of_an_earlier_release_goes_by_its_last_run() -> None:
    runs: list[dict[str, Any]] = [{"code": {"x": "3:a"}}, {"code": {"x": "3:b"}}]
    assert maker(runs, 0) == 1
    assert changes(runs, now("b")) == []
    assert changes(runs, now("a")) == ["the code of x"]


def test_a_folder_that_an_earlier_release_began_tells_its_rows_from_later_ones() -> None:
    old: dict[str, Any] = {"code": {"x": "3:a"}}
    runs = [old, {"code": {"x": "3:b"}}, run("c", 4, "rerun", ran=1)]
    assert [maker(runs, number) for number in (-1, 0, 3, 4, 9)] == [1, 1, 1, 2, 2]
    assert [made_now(runs, now("c"))(number) for number in (0, 3, 4)] == [False, False, True]
    assert changes(runs, now("c")) == ["the code of x"], "an interrupted rerun settles nothing"
    assert maker([old, old], -1) == 1, "a single run's rows are those of its last run"


@pytest.fixture
def fickle(command: Command) -> Command:
    (command.folder / "fickle.py").write_text(FILE)
    assert command("-m", "experiment=fickle.py:fickle", "k=1:4", "hydra.sweep.dir=s").status == 0
    return command


def edit(folder: Path, factor: float) -> None:
    (folder / "fickle.py").write_text(FILE.replace("FACTOR = 1.0", f"FACTOR = {factor}"))


def resume(command: Command, *words: str) -> Any:
    return command("resume=s", "experiment=fickle.py:fickle", *words)


def test_what_was_kept_can_still_be_made_again(fickle: Command) -> None:
    edit(fickle.folder, 2.0)
    assert resume(fickle).status == 2
    assert "1 cell in" in resume(fickle, "k=1:5", "changed=keep").out
    assert sorted(load(fickle.folder / "s")["y"]) == [1.0, 2.0, 3.0, 8.0]
    assert "0 cells" in resume(fickle).out, "what was accepted is not asked about again"
    assert "3 cells in" in resume(fickle, "changed=rerun").out, "those of the code before alone"
    assert sorted(load(fickle.folder / "s")["y"]) == [2.0, 4.0, 6.0, 8.0]
    assert "0 cells" in resume(fickle, "changed=rerun").out


def test_what_fails_when_it_is_made_again_is_no_result_of_before(fickle: Command) -> None:
    (fickle.folder / "fickle.py").write_text(FILE.replace("FACTOR * k}", "FACTOR / (k - 2)}"))
    ran = resume(fickle, "changed=rerun")
    assert ran.status == 1
    frame = load(fickle.folder / "s").sort_values("k")
    assert frame["status"].tolist() == ["done", "failed", "done"]
    assert frame["y"].tolist()[0::2] == [-1.0, 1.0]
    told = fickle("s", module="hw6.status").out
    assert "2 of 3 cells done, 1 failed" in told
    assert "1 cell in" in resume(fickle).out, "and is tried again"


def test_making_again_goes_on_where_it_was_interrupted(fickle: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(fickle.folder, 2.0)
    with monkeypatch.context() as patch:
        patch.setattr("hw6.plan.chunks.MOST_CELLS", 1)
        from hw6.running import job

        ran = job.run_chunk
        calls = iter([0, 1])

        def stopping(*arguments: Any, **named: Any) -> Any:
            if next(calls):
                raise KeyboardInterrupt
            return ran(*arguments, **named)

        patch.setattr("hw6.running.job.run_chunk", stopping)
        assert resume(fickle, "changed=rerun").status == 130
    assert resume(fickle).status == 2, "two kinds of rows are there"
    assert "2 cells in" in resume(fickle, "changed=rerun").out
    assert sorted(load(fickle.folder / "s")["y"]) == [2.0, 4.0, 6.0]
    assert "0 cells" in resume(fickle).out


def test_rows_of_an_earlier_version_are_not_counted_beside_those_of_the_last(fickle: Command) -> None:
    text = FILE.replace('"a number"}', '"a number"}, version=2').replace("FACTOR = 1.0", "FACTOR = 2.0")
    (fickle.folder / "fickle.py").write_text(text)
    assert "3 cells in" in resume(fickle, "changed=keep").out
    with pytest.warns(UserWarning, match="3 rows of fickle version 1 are left out: those of version 2 are there"):
        frame = load(fickle.folder / "s")
    assert sorted(frame["y"]) == [2.0, 4.0, 6.0]
    told = fickle("s", module="hw6.aggregate")
    assert "fickle: 3 cells" in told.out
    assert "3 rows of fickle version 1 are left out" in told.err


def test_joined_shards_are_still_known_by_their_code(fickle: Command) -> None:
    edit(fickle.folder, 2.0)
    assert resume(fickle, "k=1:5", "changed=keep").status == 0
    assert resume(fickle, "k=1:6").status == 0
    compacted = fickle("--compact", "s", module="hw6.aggregate")
    assert "3 shards -> 2" in compacted.out
    assert "3 cells in" in resume(fickle, "changed=rerun").out
    assert sorted(load(fickle.folder / "s")["y"]) == [2.0, 4.0, 6.0, 8.0, 10.0]
