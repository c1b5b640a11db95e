"""One owner at a time, also across hosts, and none that outlives its process."""

from __future__ import annotations

import errno
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


def test_a_lock_beats_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.store.lock.BEAT", 0.02)
    with locked(tmp_path):
        os.utime(tmp_path / NAME, (0, 0))
        wait_until = time.monotonic() + 5.0
        while (tmp_path / NAME).stat().st_mtime < 1e9 and time.monotonic() < wait_until:
            time.sleep(0.02)
        assert (tmp_path / NAME).stat().st_mtime > 1e9


def without_locks(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A system, or a file system, that has no flock."""
    if how == "no module":
        monkeypatch.setattr("hw6.store.lock.fcntl", None)
        return

    def refused(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("hw6.store.lock.fcntl.flock", refused)


@pytest.mark.parametrize("how", ["no module", "no locks"])
def test_where_there_are_no_locks_the_heartbeat_alone_says_who_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    without_locks(monkeypatch, how)
    with locked(tmp_path):
        assert owner(tmp_path) is not None
        with pytest.raises(Busy), locked(tmp_path):
            pass
    assert owner(tmp_path) is None
    (tmp_path / NAME).write_text(json.dumps({**json.loads((tmp_path / NAME).read_text()), "token": "left behind"}))
    assert owner(tmp_path) is not None, "it was killed a moment ago, for all that is known"
    os.utime(tmp_path / NAME, (time.time() - 2 * SILENCE,) * 2)
    assert owner(tmp_path) is None
    with locked(tmp_path):
        pass
