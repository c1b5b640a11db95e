"""Many small shards of a sweep -> few, without a moment at which a row is missing.

The joined shard is written first, as a job of its own with the highest number; only then are the old shards removed. A
stop in between leaves rows twice, of which readers take the later, equal one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from hw6.errors import NoResults
from hw6.store import directory, record, shards
from hw6.store.history import alike, maker, number_of
from hw6.store.lock import locked
from hw6.store.tries import best_tries, one_type
from hw6.words import counted, short

MOST_ROWS = 500_000  # of a joined shard: what is held in memory


def compact_below(path: Path) -> Iterator[str]:
    """Compact every sweep at or below a path; a line for each.

    Raises:
        NoResults: there is no such directory.
        Busy: a sweep is being run.
    """
    if not path.is_dir():
        raise NoResults(f"{path}: no such directory")
    for found in sorted(path.rglob(directory.PROVENANCE)):
        folder = found.parent
        with locked(folder):
            before = list(shards.shards_below(folder))
            after = compact(folder, before) if len(before) > 1 else len(before)
        yield f"{short(folder)}: {counted(len(before), 'shard')} -> {after:,}"


def compact(folder: Path, paths: Sequence[Path]) -> int:
    """Join shards of a sweep that is locked; how many there are then. Damaged shards stay where they are."""
    runs = record.runs(folder)
    groups: dict[int, list[Path]] = {}  # what other code has made stays apart
    for path in paths:
        groups.setdefault(alike(runs, maker(runs, number_of(folder, path))), []).append(path)
    return sum(_compact(folder, place, some) for place, some in groups.items())


def _compact(folder: Path, place: int, paths: Sequence[Path]) -> int:
    """Join the shards of one run; how many there are then."""
    read: list[tuple[pa.Table, Path]] = []
    written = kept = rows = 0
    for path in paths:
        try:
            read.append((shards.read_shard(path), path))
        except shards.DamagedShard:
            kept += 1
            continue
        rows += len(read[-1][0])
        if rows >= MOST_ROWS:
            written += _join(folder, place, read)
            read, rows = [], 0
    if read:
        written += _join(folder, place, read)
    return written + kept


def _join(folder: Path, place: int, read: Sequence[tuple[pa.Table, Path]]) -> int:
    if len(read) == 1:
        return 1
    tables = one_type(best_tries(read))
    table = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries().combine_chunks()
    number = directory.next_number(folder)
    record.give(folder, place, number)
    target = folder / str(number)
    target.mkdir()
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    shards.write_shard(target, columns)
    for _, path in read:
        path.unlink()
    return 1
