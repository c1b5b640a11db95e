"""The sweep directory: what is written, by whom, and what a reader may see.

    <sweep>/sweep.json            provenance: commands, config, versions, start and end (record.py)
    <sweep>/plan-<digest>.json    the blocks of a plan
    <sweep>/<number>/             one Hydra job: .hydra/, a log and its shard
    <sweep>/<number>/rows-<digest>.parquet
    <sweep>/damaged/              shards that were found altered, under other names
    <sweep>/.lock                 who is running the sweep (lock.py)

A shard is complete or absent: it is written under a temporary name, flushed to the disk and renamed. Its name carries
a digest of its bytes, so that a shard that was cut short or altered is recognised by anyone who reads it, and two
shards have one name only if they are equal. A shard is never changed, and a number is never used twice. Reading runs
no code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hw6.errors import BadInput, Hw6Error, NoResults

try:
    import fcntl
except ImportError:  # no POSIX system
    fcntl = None  # type: ignore[assignment]

PROVENANCE, DAMAGED = "sweep.json", "damaged"


class BadRecord(Hw6Error):
    """A file that says what a sweep is and cannot be read: nothing is run or written there."""

    exit_status = 2


class StoreFailed(Hw6Error):
    """Rows cannot be written: the disk is full, or the directory is gone."""


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that it is there as a whole or not at all, whenever the machine stops."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            _to_disk(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except PermissionError:  # systems on which a folder cannot be opened: the file itself is on the disk
        return
    try:
        _to_disk(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # file systems whose folders need no flushing
            raise
    finally:
        os.close(folder)


def _to_disk(descriptor: int) -> None:
    """Wait until the disk has it. On macOS fsync stops at the drive's cache, and F_FULLFSYNC goes on."""
    full = getattr(fcntl, "F_FULLFSYNC", None) if fcntl is not None else None
    if full is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full)


def digest_of(data: bytes | memoryview) -> str:
    """The digest in a shard's name: 16 hexadecimal digits of BLAKE2b."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def next_number(folder: Path) -> int:
    """The first chunk number that was never used in this sweep."""
    used = [int(name) for name in os.listdir(folder) if name.isdecimal()] if folder.is_dir() else []
    return max(used, default=-1) + 1


def set_aside(path: Path, sweep: Path) -> Path:
    """Move a damaged shard to ``<sweep>/damaged``, where nothing is read, and say where it is now."""
    folder = sweep / DAMAGED
    folder.mkdir(exist_ok=True)
    target = folder / f"{path.parent.name}-{path.name}.{secrets.token_hex(3)}"
    os.replace(path, target)
    return target


def within(folder: Path) -> Path | None:
    """The sweep, or the single run, that a directory lies inside of; None where there is none."""
    return next((parent for parent in folder.absolute().parents if (parent / PROVENANCE).is_file()), None)


def beside(folder: Path) -> Path:
    """A default directory; where a sweep has taken the name of one of its parents, below "<parent>-2" instead."""
    while (sweep := within(folder)) is not None:
        folder = sweep.with_name(f"{sweep.name}-2") / folder.absolute().relative_to(sweep)
    return folder


def claim(folder: Path) -> Path:
    """Create a directory that did not exist: of two sweeps that want one name, the second gets "<name>-2"."""
    folder = beside(folder)
    for number in range(1, 10_000):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            candidate.parent.mkdir(parents=True, exist_ok=True)
            candidate.mkdir()
            return candidate
        except FileExistsError:
            if candidate.parent.exists() and not candidate.parent.is_dir():
                break
        except OSError as error:
            raise unwritable(folder, error) from error
    raise BadInput("hydra.sweep.dir", folder, "cannot be created", "choose another directory")


def unwritable(folder: Path, error: OSError) -> BadInput:
    """The refusal of a directory into which nothing can be written."""
    return BadInput("hydra.sweep.dir", folder, f"cannot be written ({error.strerror})", "choose another directory")


def sweeps_below(path: Path) -> Iterator[Path]:
    """The sweeps at or below a path; symbolic links are not followed.

    Raises:
        NoResults: there is no such directory.
    """
    if not path.is_dir():
        raise NoResults(f"{path}: no such directory")
    if (path / PROVENANCE).is_file():
        yield path
        return
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from sweeps_below(Path(entry.path))


def write_plan(blocks: Sequence[object], folder: Path) -> str:
    """Write a plan under a name made from its content, so that a wider plan never replaces the one that ran."""
    data = json.dumps(blocks, separators=(",", ":")).encode()
    name = f"plan-{digest_of(data)}.json"
    path = folder / name
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)
    return name


def write_json(path: Path, content: object) -> None:
    """Write a JSON file atomically."""
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """The content of a JSON file that hw6 wrote.

    Raises:
        BadRecord: it is not there or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadRecord(f"{path}: cannot be read ({error})") from error
