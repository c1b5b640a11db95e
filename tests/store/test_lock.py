"""One owner at a time, also across hosts, and none that outlives its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hw6.store.lock import NAME, SILENCE, Busy, locked, owner


def foreign(folder: Path, age: float) -> None:
    """A lock of another host whose last heartbeat is ``age`` seconds old."""
    lock = folder / NAME
    lock.write_text(json.dumps({"token": "x", "host": "elsewhere", "process": 7, "user": "ada", "since": 0.0}))
    os.utime(lock, (time.time() - age, time.time() - age))


def test_the_owner_is_known_while_it_holds_the_lock(tmp_path: Path) -> None:
    assert owner(tmp_path) is None
    with locked(tmp_path):
        held = owner(tmp_path)
        assert held is not None
        assert held.process == os.getpid()
        with pytest.raises(Busy, match=f"process {os.getpid()}"), locked(tmp_path):
            pass
    assert owner(tmp_path) is None
    with locked(tmp_path):
        pass


def test_a_process_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from hw6.store.lock import locked\nwith locked(pathlib.Path(sys.argv[1])): os.abort()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False)
    assert (tmp_path / NAME).exists()
    assert owner(tmp_path) is None
    with locked(tmp_path):
        pass


def test_another_hosts_lock_counts_while_its_heart_beats(tmp_path: Path) -> None:
    foreign(tmp_path, 0.0)
    held = owner(tmp_path)
    assert held is not None
    assert "ada on elsewhere" in str(held)
    with pytest.raises(Busy, match="ada on elsewhere"), locked(tmp_path):
        pass


def test_a_silent_lock_is_taken_over(tmp_path: Path) -> None:
    foreign(tmp_path, 2 * SILENCE)
    assert owner(tmp_path) is None
    with locked(tmp_path):
        held = owner(tmp_path)
        assert held is not None
        assert held.host != "elsewhere"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": 1}'])
def test_a_torn_lock_is_no_lock(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with locked(tmp_path):
        assert owner(tmp_path) is not None


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "target")
    with pytest.raises(OSError), locked(tmp_path):
        pass
    assert (tmp_path / "target").read_text() == "mine"
