"""Rows in, rows out: shards that are complete or absent, and recognised where they were altered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hw6.errors import Hw6Error
from hw6.store.directory import DAMAGED, digest_of, write_atomically
from hw6.store.history import eras, number_of, readable

SHARD_PREFIX, SHARD_SUFFIX = "rows-", ".parquet"


class DamagedShard(Hw6Error):
    """A shard whose bytes are not those that were written."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        super().__init__(f"{path}: {what}; its rows are left out")


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


def shards_below(folder: Path) -> Iterator[Path]:
    """All shards below a directory, in the order of their chunks and of writing; symbolic links are not followed."""

    def order(entry: os.DirEntry[str]) -> tuple[str, int, str]:
        if entry.name.startswith(SHARD_PREFIX):
            return SHARD_PREFIX.zfill(20), entry.stat(follow_symlinks=False).st_mtime_ns, entry.name
        return (str(int(entry.name)) if entry.name.isdecimal() else entry.name).zfill(20), 0, ""

    with os.scandir(folder) as entries:
        found = sorted(entries, key=order)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in {".hydra", DAMAGED}:
                yield from shards_below(Path(entry.path))
        elif (
            entry.name.startswith(SHARD_PREFIX)
            and entry.name.endswith(SHARD_SUFFIX)
            and entry.is_file(follow_symlinks=False)
        ):
            yield Path(entry.path)


def shards_in(folder: Path) -> list[Path]:
    """The shards of one job; none where it has not begun."""
    return list(shards_below(folder)) if folder.is_dir() else []


def cell_ids(
    folder: Path, wanted: Callable[[int], bool] | None = None
) -> tuple[np.ndarray, np.ndarray, list[DamagedShard]]:
    """The sorted ids of all cells of a sweep that are done and of those that failed, and the damaged shards.

    Args:
        folder: the sweep's directory.
        wanted: which jobs, by their numbers; None: all.
    """
    era, damaged = eras(folder, readable(folder)), []
    found: dict[int, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for path in shards_below(folder):
        if wanted is not None and not wanted(number_of(folder, path)):
            continue
        try:
            table = read_shard(path, ["cell_id", "status"])
        except DamagedShard as error:
            damaged.append(error)
            continue
        ids, good = text_array(table["cell_id"]), is_done(table)
        done, failed = found.setdefault(era(path), ([], []))
        done.append(ids[good])
        failed.append(ids[~good])
    return *_standing(found), damaged


def _standing(found: Mapping[int, tuple[Sequence[np.ndarray], Sequence[np.ndarray]]]) -> tuple[np.ndarray, np.ndarray]:
    """The ids that are done and those that failed; where cells were made again, by what came of that."""
    none = np.empty(0, dtype="S20")
    done = failed = none
    for era in sorted(found, reverse=True):
        good, bad = (sorted_distinct(np.concatenate([none, *some])) for some in found[era])
        if len(done) or len(failed):
            known = np.concatenate([done, failed])
            good, bad = (ids[~np.isin(ids, known)] for ids in (good, bad))
        done, failed = np.concatenate([done, good]), np.concatenate([failed, bad])
    return sorted_distinct(done), sorted_distinct(failed)


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


def text_array(column: pa.ChunkedArray) -> np.ndarray:
    """Ids of equal length as a NumPy array of bytes, without a Python object for each."""
    chunks = []
    for chunk in column.chunks:
        if len(chunk):
            offsets = np.frombuffer(chunk.buffers()[1], dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            data = np.frombuffer(chunk.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
            chunks.append(data.view(f"S{len(data) // len(chunk)}"))
    return np.concatenate(chunks) if chunks else np.empty(0, dtype="S20")


def _repeats(array: pa.Array) -> bool:
    """Whether a dictionary may make a column smaller: not for floats, nor for integers that only rise."""
    if pa.types.is_integer(array.type) and not array.null_count:
        values = np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset : array.offset + len(array)]
        return not bool(np.all(values[1:] > values[:-1]))
    return not pa.types.is_floating(array.type)
