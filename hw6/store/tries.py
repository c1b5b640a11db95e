"""Tables of several shards: the best try of each cell, and one type for each column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from hw6.store.directory import PROVENANCE
from hw6.store.history import Run, eras, readable
from hw6.store.shards import is_done, text_array


def best_tries(
    read: Sequence[tuple[pa.Table, Path]], record_of: Callable[[Path], Sequence[Run]] = readable
) -> list[pa.Table]:
    """Drop, within each sweep, the rows of tries of a cell that a later or successful one replaces.

    Args:
        read: tables, and the shards that they were read from.
        record_of: the record of a sweep, by its directory.
    """
    sweeps: dict[Path, list[int]] = {}
    for index, (_, path) in enumerate(read):
        sweeps.setdefault(sweep_of(path), []).append(index)
    tables = [table for table, _ in read]
    for folder, members in sweeps.items():
        if len(members) == 1:
            continue
        ids = np.concatenate([text_array(tables[index]["cell_id"]) for index in members])
        lengths = [len(tables[index]) for index in members]
        shard = np.repeat(np.arange(len(members)), lengths)
        done = np.concatenate([is_done(tables[index]) for index in members])
        era = eras(folder, record_of(folder))
        keep = _keep(ids, shard, done, np.repeat([era(read[index][1]) for index in members], lengths))
        if keep.all():
            continue
        for index, part in zip(members, np.split(keep, np.cumsum(lengths)[:-1]), strict=True):
            tables[index] = tables[index].filter(pa.array(part))
    return tables


def _keep(ids: np.ndarray, shard: np.ndarray, done: np.ndarray, era: np.ndarray) -> np.ndarray:
    """For each row, whether its shard is the best try of its cell: of the last era, successful, the latest."""
    words = np.ascontiguousarray(ids).view(np.uint8).reshape(len(ids), -1)
    padded = np.zeros((len(ids), 24), dtype=np.uint8)
    padded[:, : words.shape[1]] = words
    a, b, c = padded.view(np.uint64).T
    key = a * np.uint64(0x9E3779B97F4A7C15) ^ b * np.uint64(0xC2B2AE3D27D4EB4F) ^ c * np.uint64(0x165667B19E3779F9)
    _, cell = np.unique(key, return_inverse=True)
    score = shard + (done + 2 * era) * (shard.max() + 1)
    best = np.full(cell.max() + 1, -1)
    np.maximum.at(best, cell, score)
    keep: np.ndarray = score == best[cell]
    return keep


def sweep_of(shard: Path) -> Path:
    """The sweep that a shard belongs to: the nearest directory with a record, or the shard's own."""
    for folder in (shard.parent, shard.parent.parent):
        if (folder / PROVENANCE).exists():
            return folder
    return shard.parent


def one_type(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Tables in which a column that is a number here and text there (keys of two experiments) is text everywhere."""
    kinds: dict[str, set[str]] = {}
    for table in tables:
        for field in table.schema:
            number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
            kinds.setdefault(field.name, set()).add("number" if number else str(field.type))
    whole = {name for name in kinds if {pa.types.is_integer(t.schema.field(name).type) for t in tables
             if name in t.column_names} == {True, False} and kinds[name] == {"number"}}  # fmt: skip
    truths = {name for name, found in kinds.items() if found == {"number", "bool"}}
    clashing = {name for name, found in kinds.items() if len(found) > 1} - truths
    result = []
    for table in tables:
        for name in whole & set(table.column_names):  # beside fractions whole numbers are fractions, digits or not
            index = table.column_names.index(name)
            table = table.set_column(index, name, table[name].cast(pa.float64(), safe=False))
        for name in truths & set(table.column_names):  # a truth value among numbers is 1 or 0, as in NumPy
            if pa.types.is_boolean(table.schema.field(name).type):
                index = table.column_names.index(name)
                table = table.set_column(index, name, table[name].cast(pa.int64()))
        for name in clashing & set(table.column_names):
            index = table.column_names.index(name)
            table = table.set_column(index, name, table[name].cast(pa.string()).dictionary_encode())
        result.append(table)
    return result
