"""One owner at a time, also across hosts, and none that outlives its process."""

from __future__ import annotations

import errno
import getpass
import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hw6.store.lock import BEAT, NAME, SILENCE, Busy, locked, owner


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


def test_a_lock_that_another_host_gave_back_is_free_at_once(tmp_path: Path) -> None:
    foreign(tmp_path, 0.0)
    (tmp_path / NAME).write_text((tmp_path / NAME).read_text().replace('"token": "x"', '"token": ""'))
    assert owner(tmp_path) is None
    with locked(tmp_path):
        assert owner(tmp_path) is not None


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


# --- small print ----------------------------------------------------------------------------------------------------


def test_nobody_has_to_wait_long_and_a_late_heartbeat_is_forgiven() -> None:
    assert 10 * BEAT <= SILENCE <= 60.0


@pytest.mark.parametrize(("age", "counts"), [(0.9, True), (1.1, False)])
def test_silence_is_measured_on_the_file_systems_clock(tmp_path: Path, age: float, counts: bool) -> None:
    foreign(tmp_path, age * SILENCE)
    assert (owner(tmp_path) is not None) == counts
    assert os.listdir(tmp_path) == [NAME], "what was written to ask for the time is gone"


@pytest.mark.parametrize(("age", "counts"), [(0.5, True), (2.0, False)])
def test_a_folder_that_can_only_be_read_is_asked_with_the_clock_of_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, counts: bool
) -> None:
    def refused(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    foreign(tmp_path, age * SILENCE)
    monkeypatch.setattr(Path, "touch", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    assert (owner(tmp_path) is not None) == counts


def test_a_long_owner_is_replaced_as_a_whole(tmp_path: Path) -> None:
    foreign(tmp_path, 2 * SILENCE)
    content = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps({**content, "user": "a" * 2000}))
    os.utime(tmp_path / NAME, (time.time() - 2 * SILENCE,) * 2)
    with locked(tmp_path):
        held = owner(tmp_path)
        assert held is not None
        assert held.user == getpass.getuser()
        assert json.loads((tmp_path / NAME).read_text())["process"] == os.getpid()
    assert json.loads((tmp_path / NAME).read_text())["token"] == ""


def test_a_lock_that_is_held_and_torn_is_somebodys(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / NAME).write_text("")
        assert owner(tmp_path) is None
        with pytest.raises(Busy, match="is being run by another process") as caught, locked(tmp_path):
            pass
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no database")])
def test_an_owner_without_a_name_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def unknown() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    with locked(tmp_path):
        held = owner(tmp_path)
        assert held is not None
        assert held.user == str(os.getuid())
    monkeypatch.delattr(os, "getuid")
    with locked(tmp_path):
        held = owner(tmp_path)
        assert held is not None
        assert held.user == "somebody"


def test_who_holds_it_is_told_in_words(tmp_path: Path) -> None:
    before = time.time()
    with locked(tmp_path):
        held = owner(tmp_path)
        assert held is not None
        assert before - 1.0 <= held.since <= time.time() + 1.0
        day = time.strftime("%Y-%m-%d", time.localtime(held.since))
        assert str(held).startswith(f"{held.user} on {held.host}, process {os.getpid()}, since {day} ")


def test_the_heart_stops_with_the_block(tmp_path: Path) -> None:
    """Its descriptor is another file's soon."""
    before = set(threading.enumerate())
    with locked(tmp_path):
        (heart,) = set(threading.enumerate()) - before
        assert heart.daemon, "it keeps no process alive"
    heart.join(30.0)
    assert not heart.is_alive()
    assert owner(tmp_path) is None


def test_a_heart_whose_folder_is_gone_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(descriptor: int) -> None:
        raise OSError(errno.ESTALE, "stale")

    monkeypatch.setattr("hw6.store.lock.BEAT", 0.0)
    monkeypatch.setattr("hw6.store.lock.os.utime", gone)
    before = set(threading.enumerate())
    with locked(tmp_path):
        for heart in set(threading.enumerate()) - before:
            heart.join(30.0)
            assert not heart.is_alive()


def test_no_lock_is_left_open(tmp_path: Path) -> None:
    """Ever so many questions take no descriptor."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("no Linux")
    foreign(tmp_path, 0.0)
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        owner(tmp_path)
        with pytest.raises(Busy), locked(tmp_path):
            pass
    assert len(list(descriptors.iterdir())) == before


def test_everybody_may_read_who_runs_a_sweep_and_nobody_else_may_write(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        with locked(tmp_path):
            assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o644
    finally:
        os.umask(mask)


def test_two_may_ask_at_once_and_neither_is_taken_for_the_owner(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with locked(tmp_path):
        text = (tmp_path / NAME).read_text()
    (tmp_path / NAME).write_text(text.replace('"token": ""', '"token": "left behind"'))
    with open(tmp_path / NAME, "rb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert owner(tmp_path) is None
