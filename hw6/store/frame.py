"""Shards -> one tidy frame: a row a cell (a row for every lambda of a path), numbers as numbers, choices as categories.

Reading runs no code from the results folder and follows no symbolic link out of it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hw6.contract.experiment import ROW_COLUMNS
from hw6.errors import Hw6Error, NoResults
from hw6.store import directory, shards
from hw6.store.history import Run, outdated, readable
from hw6.store.record import runs
from hw6.store.tries import best_tries, one_type, sweep_of
from hw6.words import counted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PathLike = str | os.PathLike[str]
EXACT = 2**53  # above it, floats skip integers
READERS = 4  # threads: reading and hashing release the interpreter


def load(paths: PathLike | Sequence[PathLike], *, failed: bool = True) -> pd.DataFrame:
    """All rows below one or several paths.

    Args:
        paths: a sweep, a job in it, a shard, a folder of sweeps, or several of these.
        failed: whether rows of failed cells are kept (status "failed", metrics missing).

    Returns:
        a frame with the columns cell_id, experiment, status, error_type, error_message, seconds, the keys under their
        dotted names, and the metrics. A cell that was tried more than once in a sweep has the rows of its best try.
        ``frame.attrs["damaged"]`` lists the shards that could not be read; each is warned about.
        ``frame.attrs["experiments"]`` says of each experiment what its latest record does (``hw6.contract.described``).

    Raises:
        NoResults: a path does not exist, or there is nothing below it.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = [shard for path in given for shard in _shards(Path(path))]
    if not found:
        where = ", ".join(str(path) for path in given) or "no path given"
        raise NoResults(f"{where}: no results of hw6 here (a sweep leaves {shards.SHARD_PREFIX}*{shards.SHARD_SUFFIX})")
    found = list(dict.fromkeys(path.resolve() for path in found))
    tables, damaged = _read(found)
    records = {sweep: readable(sweep) for sweep in dict.fromkeys(map(sweep_of, found))}
    frame = _frame(tables, found, records)
    if not failed:
        frame = frame[frame["status"] != "failed"].reset_index(drop=True)
    frame.attrs["damaged"] = damaged
    frame.attrs["experiments"] = _experiments(records.values())
    return frame


def provenance(path: PathLike) -> list[dict[str, Any]]:
    """The runs of a sweep, oldest first: commands, config, commit, versions, machine, start and end.

    Raises:
        NoResults: there is no record at this path.
        Hw6Error: it cannot be read.
    """
    found = runs(Path(path))
    if not found:
        raise NoResults(f"{path}: there is no record of a sweep here ({directory.PROVENANCE})")
    return found


def _experiments(records: Iterable[Sequence[Run]]) -> dict[str, Any]:
    """What the records of sweeps say of their experiments, the latest run of each."""
    found: dict[str, Any] = {}
    for made in records:
        for run in made:
            found |= run.get("experiments", {})
    return found


def _shards(path: Path) -> list[Path]:
    if not path.exists():
        raise NoResults(f"{path}: no such file or directory")
    if path.is_file():
        if not (path.name.startswith(shards.SHARD_PREFIX) and path.name.endswith(shards.SHARD_SUFFIX)):
            raise NoResults(f"{path}: is no shard of hw6 (rows-*.parquet); give the sweep's folder")
        return [path]
    try:
        return list(shards.shards_below(path))
    except OSError as error:
        raise NoResults(f"{path}: cannot be read ({error.strerror})") from error


def _read(paths: Sequence[Path]) -> tuple[list[pa.Table | None], list[str]]:
    """The tables of shards, None for a damaged one."""

    def read(path: Path) -> pa.Table | shards.DamagedShard:
        try:
            return shards.read_shard(path)
        except shards.DamagedShard as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        results = list(pool.map(read, paths))
    damaged = [str(path) for path, result in zip(paths, results, strict=True) if isinstance(result, Hw6Error)]
    for result in results:
        if isinstance(result, Hw6Error):
            warnings.warn(str(result), UserWarning, stacklevel=3)
    tables = [None if isinstance(result, Hw6Error) else result for result in results]
    if all(table is None for table in tables):
        raise NoResults("\n".join(str(result) for result in results))
    return tables, damaged


def _frame(
    tables: Sequence[pa.Table | None], paths: Sequence[Path], records: Mapping[Path, Sequence[Run]]
) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    read = [(table, path) for table, path in zip(tables, paths, strict=True) if table is not None]
    kept = best_tries(_of_last_version(read, records), records.__getitem__)
    whole = pa.concat_tables(one_type(kept), promote_options="permissive").unify_dictionaries()
    large = [name for name in whole.column_names if _is_large(whole[name])]
    frame: pd.DataFrame = whole.drop_columns(large).to_pandas(split_blocks=True)
    for name in large:  # as floats, which pandas takes for integers with gaps, they would lose digits
        frame[name] = whole[name].to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    order = _column_order(list(frame.columns))
    return frame[order] if order != list(frame.columns) else frame


def _of_last_version(
    read: Sequence[tuple[pa.Table, Path]], records: Mapping[Path, Sequence[Run]]
) -> list[tuple[pa.Table, Path]]:
    """Tables without the rows of earlier versions of an experiment in the same sweep, which are told of.

    They have other ids, so that nothing else would tell them from those of now.
    """
    old = {folder: outdated(folder, made) for folder, made in records.items()}
    kept, told = [], dict[str, int]()
    for table, path in read:
        folder = sweep_of(path)
        what = (
            old[folder](path, str(table["experiment"][0])) if len(table) and "experiment" in table.column_names else ""
        )
        if what:
            told[f"{folder}: {what}"] = told.get(f"{folder}: {what}", 0) + len(table)
            table = table.slice(0, 0)
        kept.append((table, path))
    for text, count in told.items():
        warnings.warn(text.replace("rows of", f"{counted(count, 'row')} of", 1), UserWarning, stacklevel=5)
    return kept


def _is_large(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(column.type) or not column.null_count:
        return False
    largest = pc.min_max(column).as_py()
    return bool(max(abs(largest["min"] or 0), abs(largest["max"] or 0)) > EXACT)


def _column_order(columns: Sequence[str]) -> list[str]:
    return [name for name in ROW_COLUMNS if name in columns] + [name for name in columns if name not in ROW_COLUMNS]
