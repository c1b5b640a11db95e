"""One owner at a time for a sweep directory.

The owner holds an exclusive ``flock`` on ``<sweep>/.lock``, which the system takes back the moment the process ends,
however it ends. File systems that several hosts share do not always carry ``flock`` from one to the other; therefore
the file also names the owner (token, host, process, user) and its time is renewed every few seconds: a lock of another
host counts until its heartbeat has been silent for ``SILENCE``. Where a file system carries no ``flock`` at all, that
holds for this host too. Times are compared with those of the file system
itself, never with a clock of this host.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from hw6.errors import Hw6Error

try:
    import fcntl
except ImportError:  # no POSIX system: the heartbeat alone says whether somebody is there
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}  # of some shared file systems
BEAT = 5.0  # seconds between heartbeats
SILENCE = 60.0  # seconds without one after which another host's lock is stale


class Busy(Hw6Error):
    """Another process is running this sweep."""

    exit_status = 2


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    token: str
    host: str
    process: int
    user: str
    since: float

    def __str__(self) -> str:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"{self.user} on {self.host}, process {self.process}, since {started}"


def _self() -> Owner:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return Owner(secrets.token_hex(8), socket.gethostname(), os.getpid(), user, time.time())


def _read(descriptor: int) -> Owner | None:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return Owner(**json.loads(os.read(descriptor, 4096)))
    except (ValueError, TypeError, OSError):
        return None  # empty, or cut short by a machine that stopped: no owner


def owner(folder: Path) -> Owner | None:
    """Who is running this sweep now; None if nobody is."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        found = _read(descriptor)
        if found is None or not found.token:
            return None
        held = _held(descriptor)
        return found if held or _beats(found, descriptor, folder, locks=held is not None) else None
    finally:
        os.close(descriptor)


def _flock(descriptor: int, exclusive: bool) -> bool | None:
    """Take the lock; whether that went well, or None where there are no locks to take."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in NO_LOCKS else False
    return True


def _held(descriptor: int) -> bool | None:
    """Whether a process that this system knows of holds the lock; None where there are no locks."""
    free = _flock(descriptor, exclusive=False)
    if free:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    return None if free is None else not free


def _beats(found: Owner, descriptor: int, folder: Path, *, locks: bool) -> bool:
    """Whether the owner has renewed the lock lately, where that has to be asked."""
    if locks and found.host == socket.gethostname():
        return False  # flock speaks for this host
    probe = folder / f"{NAME}.{secrets.token_hex(6)}.tmp"
    try:
        probe.touch()
        now = probe.stat().st_mtime
    except OSError:
        now = time.time()  # a folder that can only be read
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return now - os.fstat(descriptor).st_mtime < SILENCE


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Own a sweep directory while the block runs.

    Raises:
        Busy: somebody else does; the message says who.
        OSError: nothing can be written there.
    """
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    stop = threading.Event()
    try:
        taken = _flock(descriptor, exclusive=True)
        if taken is False:
            raise _busy(folder, _read(descriptor))
        before = _read(descriptor)
        if before is not None and before.token and _beats(before, descriptor, folder, locks=taken is not None):
            raise _busy(folder, before)
        _write(descriptor, json.dumps(asdict(_self())))
        threading.Thread(target=_beat, args=(descriptor, stop), daemon=True).start()
        try:
            yield
        finally:
            stop.set()
            with suppress(OSError):
                _write(descriptor, json.dumps({**asdict(_self()), "token": ""}))
    finally:
        os.close(descriptor)


def _busy(folder: Path, found: Owner | None) -> Busy:
    who = str(found) if found is not None else "another process"
    return Busy(f"{folder}: is being run by {who}; wait for it, or choose another directory")


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _beat(descriptor: int, stop: threading.Event) -> None:
    while not stop.wait(BEAT):
        try:
            os.utime(descriptor)
        except OSError:
            return  # the folder is gone; whoever writes there next will say so
