"""Where rows come from is told beside them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command

import hw6
from hw6.aggregate import load, provenance
from hw6.contract.registry import experiment_named
from hw6.errors import Hw6Error
from hw6.plan.text import block_from_json
from hw6.store import record as record
from hw6.store.directory import BadRecord
from hw6.store.record import Commit, close


def test_a_record_tells_what_is_needed_to_do_it_again(command: Command) -> None:
    import hydra
    import omegaconf
    import pyarrow

    command.sweep("experiment=noop", "p=3:6", "seed=0,1", into="there")
    (run,) = provenance(command.folder / "there")
    assert run["typed"] == ["-m", "experiment=noop", "p=3:6", "seed=0,1", "hydra.sweep.dir=there"]
    assert run["expanded"] == ["-m", "experiment=noop", "p=range(3,6)", "seed=0,1", "hydra.sweep.dir=there"]
    assert (run["cells"], run["ran"], run["failed"]) == (6, 6, 0)
    versions = run["versions"]
    assert versions["numpy"] == np.__version__
    assert versions["pyarrow"] == pyarrow.__version__
    assert versions["omegaconf"] == omegaconf.__version__
    assert hydra.__version__ in versions.values()
    assert "python" in versions
    assert run["machine"]["cores"] >= 1
    assert run["machine"]["host"]
    assert Path(run["directory"]) == command.folder
    started, ended = datetime.fromisoformat(run["started"]), datetime.fromisoformat(run["ended"])
    assert started.utcoffset() is not None
    assert started <= ended


def test_what_was_recorded_gives_the_same_cells_again(command: Command) -> None:
    frame = command.sweep("experiment=noop", "p=3:6", "lambda=0.1,tuned", "experiment=double_descent", into="there")
    (run,) = provenance(command.folder / "there")
    again = command(*run["expanded"][:-1], "hydra.sweep.dir=again")
    assert again.status == 0
    assert set(load(command.folder / "again")["cell_id"]) == set(frame["cell_id"])
    found: set[bytes] = set()
    for content in run["blocks"]:
        block = block_from_json(content, experiment_named(content["experiment"]))
        found |= set(block.ids(np.arange(block.size)).tolist())
    assert {digest.decode() for digest in found} == set(frame["cell_id"])


def test_every_run_of_a_sweep_is_told(command: Command) -> None:
    for widths in ("p=3:5", "p=3:7", "p=3:7"):
        command.sweep("experiment=noop", widths, into="there")
    runs = hw6.provenance(command.folder / "there")
    assert [(run["cells"], run["ran"]) for run in runs] == [(2, 2), (4, 2), (4, 0)]
    assert [run["started"] for run in runs] == sorted(run["started"] for run in runs)


def test_a_single_run_is_told_too(command: Command) -> None:
    assert command("experiment=noop", "p=4", "hydra.run.dir=one").status == 0
    (run,) = provenance(command.folder / "one")
    assert run["typed"] == ["experiment=noop", "p=4", "hydra.run.dir=one"]
    assert (run["cells"], run["ran"], run["failed"]) == (1, 1, 0)
    assert run["ended"]


def test_failures_are_counted(command: Command, third_party: None) -> None:
    assert command("-m", "experiment=third_party", "n=12:16", "hydra.sweep.dir=there").status == 1
    (run,) = provenance(command.folder / "there")
    assert (run["cells"], run["ran"], run["failed"]) == (4, 4, 3)


def test_no_record_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(Hw6Error, match="nothing"):
        provenance(tmp_path / "nothing")
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(Hw6Error):
        provenance(tmp_path)


def test_the_commit_is_that_of_the_code() -> None:
    folder = Path(hw6.__file__).parent
    wanted = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    with record.Commit() as commit:
        found = commit.read()
    if wanted.returncode:
        assert found == {"commit": None, "dirty": None}
    else:
        assert found["commit"] == wanted.stdout.strip()
        assert found["dirty"] in {True, False}


def test_a_machine_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with record.Commit() as commit:
        assert commit.read() == {"commit": None, "dirty": None}


def test_the_time_is_utc_to_the_millisecond() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", record.now())


def test_a_record_is_plain_json_with_a_format(tmp_path: Path) -> None:
    record.append(tmp_path, {"typed": [], "ended": None})
    record.append(tmp_path, {"typed": ["ü"], "ended": None})
    record.close(tmp_path, {"cells": 3})
    content = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    assert content["runs"][0] == {"typed": [], "ended": None}
    assert content["runs"][1]["cells"] == 3
    assert content["runs"][1]["ended"]


def test_a_command_with_blanks_is_recorded_as_it_was_typed(command: Command, awkward_path: Path) -> None:
    from hw6 import run_sweep

    run_sweep(["experiment=noop", "p=3,4"], directory=awkward_path / "sweep")
    (run,) = provenance(awkward_path / "sweep")
    assert shlex.split(shlex.join(run["typed"])) == run["typed"]


def test_asking_for_the_commit_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that is stopped on the way must not leave the user's repository locked."""
    git = tmp_path / "git"
    git.write_text(f"#!/bin/sh\necho $GIT_OPTIONAL_LOCKS > {shlex.quote(str(tmp_path / 'told'))}\nexec sleep 60\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with Commit():
        deadline = time.monotonic() + 10.0
        while not (tmp_path / "told").exists() or not (tmp_path / "told").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert (tmp_path / "told").read_text() == "0\n"


def fake_git(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    git = folder / "git"
    git.write_text(f"#!/bin/sh\n{script}\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("script", "commit", "dirty"),
    [
        ("echo 0123abcd", "0123abcd", False),
        ("echo 0123abcd-dirty", "0123abcd", True),
        ("echo no repository >&2; exit 128", None, None),
    ],
)
def test_what_git_says_is_a_commit_and_whether_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, commit: str | None, dirty: bool | None
) -> None:
    fake_git(tmp_path, monkeypatch, script)
    with Commit() as asked:
        assert asked.read() == {"commit": commit, "dirty": dirty}


def test_a_git_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(tmp_path, monkeypatch, "exec sleep 600")
    started: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    class Hurried(real):  # type: ignore[type-arg, misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

        def communicate(self, input: Any = None, timeout: float | None = None) -> Any:
            return super().communicate(input, None if timeout is None else min(timeout, 0.05))

    monkeypatch.setattr(subprocess, "Popen", Hurried)
    with Commit() as asked:
        assert asked.read() == {"commit": None, "dirty": None}
        assert started[0].returncode is not None
    with Commit():
        pass  # nobody asks for the answer
    assert started[1].returncode is not None
    assert started[1].stdout is not None
    assert started[1].stdout.closed


GOOD: dict[str, Any] = {
    "typed": ["a"],
    "expanded": ["b"],
    "blocks": [{"experiment": "noop"}],
    "versions": {"numpy": "1"},
    "code": {"noop": "2:0"},
    "cells": 3,
    "before": 0,
    "outside": 0,
    "started": "now",
}
BAD: list[tuple[str, Any]] = [
    *((name, value) for name in ("typed", "expanded") for value in ("a", [3], ["a", None], {"a": 1}, 3)),
    *(("blocks", value) for value in ("a", [3], [{}], [{"experiment": 3}], [{"experiment": "noop"}, None])),
    *((name, value) for name in ("versions", "code") for value in (["a"], "a", 3)),
    *((name, value) for name in ("cells", "before", "outside") for value in ("3", 1.5, [3], None)),
    ("started", 3.0),
]


@pytest.mark.parametrize("missing", [None, *GOOD])
def test_what_is_absent_from_a_record_is_no_harm(tmp_path: Path, missing: str | None) -> None:
    run = {name: value for name, value in GOOD.items() if name != missing}
    record.append(tmp_path, run)
    assert record.runs(tmp_path) == [run]


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{name}={value!r}" for name, value in BAD])
def test_a_record_of_other_types_is_none_of_ours(tmp_path: Path, name: str, value: Any) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"runs": [GOOD, {**GOOD, name: value}, GOOD]}))
    with pytest.raises(BadRecord, match="this is no record of hw6"):
        record.runs(tmp_path)


@pytest.mark.parametrize("content", [[], 3, {"runs": {}}, {"runs": None}, {"runs": [3]}, {"runs": ["a"]}])
def test_a_file_of_that_name_that_is_something_else_is_none_of_ours(tmp_path: Path, content: Any) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(BadRecord):
        record.runs(tmp_path)


def test_the_end_is_written_into_the_last_run_alone(tmp_path: Path) -> None:
    record.append(tmp_path, {**GOOD, "ended": None})
    record.append(tmp_path, {**GOOD, "ended": None, "cells": 4})
    record.close(tmp_path, {"ran": 2})
    first, second = record.runs(tmp_path)
    assert first == {**GOOD, "ended": None}
    assert {**second, "ended": None} == {**GOOD, "ended": None, "cells": 4, "ran": 2}
    assert datetime.fromisoformat(second["ended"]).utcoffset() is not None


def test_the_end_of_a_record_that_is_gone_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="is gone"):
        close(tmp_path, {"ran": 1})
