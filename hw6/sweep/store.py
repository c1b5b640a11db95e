"""The sweep directory: what is written, by whom, and what a reader may see.

    <sweep>/sweep.json            provenance: commands, config, versions, start and end (provenance.py)
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

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hw6.errors import BadInput, Hw6Error

SHARD_PREFIX, SHARD_SUFFIX = "rows-", ".parquet"
PROVENANCE, DAMAGED = "sweep.json", "damaged"


class DamagedShard(Hw6Error):
    """A shard whose bytes are not those that were written."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        super().__init__(f"{path}: {what}; its rows are left out")


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
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def digest_of(data: bytes | memoryview) -> str:
    """The digest in a shard's name: 16 hexadecimal digits of BLAKE2b."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def write_shard(folder: Path, columns: Mapping[str, pa.Array]) -> Path:
    """Write rows as one shard.

    Args:
        folder: an existing directory.
        columns: Arrow arrays of equal length (``arrow_column``).
    """
    table = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    sink = pa.BufferOutputStream()
    # Keys and texts repeat and shrink in a dictionary; metrics are all different, and trying costs time.
    repeated = [name for name, array in columns.items() if name != "cell_id" and _repeats(array)]
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", compression_level=1, use_dictionary=repeated, write_statistics=False
    ) as writer:
        writer.write_table(table)
    data = memoryview(sink.getvalue())
    path = folder / f"{SHARD_PREFIX}{digest_of(data)}{SHARD_SUFFIX}"
    write_atomically(path, data)
    return path


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one shard.

    Raises:
        DamagedShard: its bytes have changed since it was written, or it is no shard at all.
    """
    try:
        data = path.read_bytes()
        if path.name != f"{SHARD_PREFIX}{digest_of(data)}{SHARD_SUFFIX}":
            raise DamagedShard(path, "damaged (its content does not match its name)")
        return pq.ParquetFile(pa.BufferReader(data)).read(columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DamagedShard(path, f"cannot be read ({str(error).splitlines()[0]})") from error


def shards(folder: Path) -> Iterator[Path]:
    """All shards below a directory, in the order of their chunks; symbolic links are not followed."""

    def chunk_order(name: str) -> tuple[int, int | str]:
        return (0, int(name)) if name.isdecimal() else (1, name)

    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: str(chunk_order(entry.name)[1]).zfill(20))
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in {".hydra", DAMAGED}:
                yield from shards(Path(entry.path))
        elif (
            entry.name.startswith(SHARD_PREFIX)
            and entry.name.endswith(SHARD_SUFFIX)
            and entry.is_file(follow_symlinks=False)
        ):
            yield Path(entry.path)


def shards_in(folder: Path) -> list[Path]:
    """The shards of one job; none where it has not begun."""
    return list(shards(folder)) if folder.is_dir() else []


def next_number(folder: Path) -> int:
    """The first chunk number that was never used in this sweep."""
    used = [int(name) for name in os.listdir(folder) if name.isdecimal()] if folder.is_dir() else []
    return max(used, default=-1) + 1


def cell_ids(folder: Path) -> tuple[np.ndarray, np.ndarray, list[DamagedShard]]:
    """The sorted ids of all cells of a sweep that are done and of those that failed, and the damaged shards."""
    done, failed, damaged = [np.empty(0, dtype="S20")], [np.empty(0, dtype="S20")], []
    for path in shards(folder):
        try:
            table = read_shard(path, ["cell_id", "status"])
        except DamagedShard as error:
            damaged.append(error)
            continue
        ids, good = text_array(table["cell_id"]), is_done(table)
        done.append(ids[good])
        failed.append(ids[~good])
    return sorted_distinct(np.concatenate(done)), sorted_distinct(np.concatenate(failed)), damaged


def sorted_distinct(ids: np.ndarray) -> np.ndarray:
    """Ids in order, each once. NumPy's own unique hashes texts, which takes ten times as long as sorting them."""
    ids = np.sort(ids)
    first = np.ones(len(ids), dtype=bool)
    np.not_equal(ids[1:], ids[:-1], out=first[1:])
    return ids[first]


def is_done(table: pa.Table) -> np.ndarray:
    """For each row, whether its status is "done"."""
    status = table["status"].combine_chunks()
    names = status.dictionary.to_pylist()
    codes = status.indices  # read from its buffer: NumPy's own way to ask an Arrow array for its values loads pandas
    width = np.dtype(f"i{codes.type.bit_width // 8}")
    values = np.frombuffer(codes.buffers()[1], dtype=width)[codes.offset : codes.offset + len(codes)]
    done: np.ndarray = values == (names.index("done") if "done" in names else -1)
    return done


def set_aside(path: Path, sweep: Path) -> Path:
    """Move a damaged shard to ``<sweep>/damaged``, where nothing is read, and say where it is now."""
    folder = sweep / DAMAGED
    folder.mkdir(exist_ok=True)
    target = folder / f"{path.parent.name}-{path.name}.{secrets.token_hex(3)}"
    os.replace(path, target)
    return target


def text_array(column: pa.ChunkedArray) -> np.ndarray:
    """Ids of equal length as a NumPy array of bytes, without a Python object for each."""
    chunks = []
    for chunk in column.chunks:
        if len(chunk):
            offsets = np.frombuffer(chunk.buffers()[1], dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            data = np.frombuffer(chunk.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
            chunks.append(data.view(f"S{len(data) // len(chunk)}"))
    return np.concatenate(chunks) if chunks else np.empty(0, dtype="S20")


def claim(folder: Path) -> Path:
    """Create a directory that did not exist: of two sweeps that want one name, the second gets "<name>-2"."""
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


def arrow_column(values: np.ndarray) -> pa.Array:
    """One column as an Arrow array, without pandas and without a copy where memory is contiguous.

    Integers, floats and booleans keep their type, masked entries become null; bytes become text; objects become
    categories (text; None is null; tuples as JSON).
    """
    mask = mask_of(values)
    plain = np.ascontiguousarray(values if mask is None else np.ma.getdata(values))
    count = len(plain)
    valid = pa.py_buffer(np.packbits(~mask, bitorder="little")) if mask is not None and mask.any() else None
    if plain.dtype.kind == "S":
        offsets = np.arange(count + 1, dtype=np.int32) * plain.dtype.itemsize
        return pa.Array.from_buffers(pa.string(), count, [valid, pa.py_buffer(offsets), pa.py_buffer(plain)])
    if plain.dtype.kind == "b":
        return pa.Array.from_buffers(pa.bool_(), count, [valid, pa.py_buffer(np.packbits(plain, bitorder="little"))])
    if plain.dtype.kind in "iuf":
        kind = pa.float64() if plain.dtype.kind == "f" else pa.int64()
        plain = plain.astype(np.float64 if plain.dtype.kind == "f" else np.int64, copy=False)
        return pa.Array.from_buffers(kind, count, [valid, pa.py_buffer(plain)])
    return categories(values.tolist())


def mask_of(values: np.ndarray) -> np.ndarray | None:
    """The mask of a masked array, None for any other; NumPy loads numpy.ma only where there is one."""
    return None if type(values) is np.ndarray else np.ma.getmaskarray(values)


def _repeats(array: pa.Array) -> bool:
    """Whether a dictionary may make a column smaller: not for floats, nor for integers that only rise."""
    if pa.types.is_integer(array.type) and not array.null_count:
        values = np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset : array.offset + len(array)]
        return not bool(np.all(values[1:] > values[:-1]))
    return not pa.types.is_floating(array.type)


def categories(values: Iterable[object]) -> pa.Array:
    """Texts as an Arrow dictionary array; None is null."""
    seen: dict[object, int] = {}
    codes = np.fromiter((-1 if v is None else seen.setdefault(v, len(seen)) for v in values), dtype=np.int32)
    names = [value if isinstance(value, str) else json.dumps(value) for value in seen]
    return _dictionary(codes, names)


def constant_category(text: str | None, count: int) -> pa.Array:
    """One text, or null, for every row."""
    return _dictionary(np.full(count, -1 if text is None else 0, dtype=np.int32), [] if text is None else [text])


def _dictionary(codes: np.ndarray, names: Sequence[str]) -> pa.Array:
    data = "".join(names).encode()
    offsets = np.cumsum([0] + [len(name.encode()) for name in names], dtype=np.int32)
    texts = pa.Array.from_buffers(pa.string(), len(names), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    missing = codes < 0
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    codes = np.where(missing, 0, codes).astype(np.int32)
    indices = pa.Array.from_buffers(pa.int32(), len(codes), [valid, pa.py_buffer(codes)])
    return pa.DictionaryArray.from_arrays(indices, texts)
