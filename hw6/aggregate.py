"""The command ``python -m hw6.aggregate``, and ``load``: shards -> one tidy frame.

One row a cell (a row for every lambda with ``lambda=path``), numbers as numbers, choices as categories. Reading runs no
code from the results folder and follows no symbolic link out of it.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hw6.errors import Hw6Error, NoResults
from hw6.sweep import store
from hw6.sweep.provenance import runs

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PathLike = str | os.PathLike[str]
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

    Raises:
        NoResults: a path does not exist, or there is nothing below it.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = [shard for path in given for shard in _shards(Path(path))]
    if not found:
        where = ", ".join(str(path) for path in given) or "no path given"
        raise NoResults(f"{where}: no results of hw6 here (a sweep leaves {store.SHARD_PREFIX}*{store.SHARD_SUFFIX})")
    found = list(dict.fromkeys(path.resolve() for path in found))
    tables, damaged = _read(found)
    frame = _frame(tables, found)
    if not failed:
        frame = frame[frame["status"] != "failed"].reset_index(drop=True)
    frame.attrs["damaged"] = damaged
    return frame


def provenance(path: PathLike) -> list[dict[str, Any]]:
    """The runs of a sweep, oldest first: commands, config, commit, versions, machine, start and end.

    Raises:
        NoResults: there is no record at this path.
        Hw6Error: it cannot be read.
    """
    found = runs(Path(path))
    if not found:
        raise NoResults(f"{path}: there is no record of a sweep here ({store.PROVENANCE})")
    return found


def _shards(path: Path) -> list[Path]:
    if not path.exists():
        raise NoResults(f"{path}: no such file or directory")
    if path.is_file():
        return [path]
    try:
        return list(store.shards(path))
    except OSError as error:
        raise NoResults(f"{path}: cannot be read ({error.strerror})") from error


def _read(paths: Sequence[Path]) -> tuple[list[pa.Table | None], list[str]]:
    """The tables of shards, None for a damaged one."""

    def read(path: Path) -> pa.Table | store.DamagedShard:
        try:
            return store.read_shard(path)
        except store.DamagedShard as error:
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


def _frame(tables: Sequence[pa.Table | None], paths: Sequence[Path]) -> pd.DataFrame:
    import pyarrow as pa

    read = [(table, path) for table, path in zip(tables, paths, strict=True) if table is not None]
    kept = _best_tries(read)
    whole = pa.concat_tables(_one_type(kept), promote_options="permissive").unify_dictionaries()
    frame: pd.DataFrame = whole.to_pandas(split_blocks=True, self_destruct=True)
    order = _column_order(list(frame.columns))
    return frame[order] if order != list(frame.columns) else frame


def _one_type(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Tables in which a column that is a number here and text there (keys of two experiments) is text everywhere."""
    import pyarrow as pa

    kinds: dict[str, set[str]] = {}
    for table in tables:
        for field in table.schema:
            number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
            kinds.setdefault(field.name, set()).add("number" if number else str(field.type))
    clashing = {name for name, found in kinds.items() if len(found) > 1}
    result = []
    for table in tables:
        for name in clashing & set(table.column_names):
            index = table.column_names.index(name)
            table = table.set_column(index, name, table[name].cast(pa.string()).dictionary_encode())
        result.append(table)
    return result


def _column_order(columns: Sequence[str]) -> list[str]:
    first = ["cell_id", "experiment", "status", "error_type", "error_message", "seconds"]
    return [name for name in first if name in columns] + [name for name in columns if name not in first]


def _best_tries(read: Sequence[tuple[pa.Table, Path]]) -> list[pa.Table]:
    """Drop, within each sweep, the rows of tries of a cell that a later or successful one replaces."""
    import numpy as np
    import pyarrow as pa

    sweeps: dict[Path, list[int]] = {}
    for index, (_, path) in enumerate(read):
        sweeps.setdefault(_sweep_of(path), []).append(index)
    tables = [table for table, _ in read]
    for members in sweeps.values():
        if len(members) == 1:
            continue
        ids = np.concatenate([store.text_array(tables[index]["cell_id"]) for index in members])
        lengths = [len(tables[index]) for index in members]
        shard = np.repeat(np.arange(len(members)), lengths)
        done = np.concatenate([store.is_done(tables[index]) for index in members])
        keep = _keep(ids, shard, done)
        if keep.all():
            continue
        for index, part in zip(members, np.split(keep, np.cumsum(lengths)[:-1]), strict=True):
            tables[index] = tables[index].filter(pa.array(part))
    return tables


def _keep(ids: Any, shard: Any, done: Any) -> Any:
    """For each row, whether its shard is the best try of its cell: successful before failed, then the latest."""
    import numpy as np

    words = np.ascontiguousarray(ids).view(np.uint8).reshape(len(ids), -1)
    padded = np.zeros((len(ids), 24), dtype=np.uint8)
    padded[:, : words.shape[1]] = words
    a, b, c = padded.view(np.uint64).T
    key = a * np.uint64(0x9E3779B97F4A7C15) ^ b * np.uint64(0xC2B2AE3D27D4EB4F) ^ c * np.uint64(0x165667B19E3779F9)
    _, cell = np.unique(key, return_inverse=True)
    score = shard + done * (shard.max() + 1)
    best = np.full(cell.max() + 1, -1)
    np.maximum.at(best, cell, score)
    return score == best[cell]


def _sweep_of(shard: Path) -> Path:
    """The sweep that a shard belongs to: the nearest directory with a record, or the shard's own."""
    for folder in (shard.parent, shard.parent.parent):
        if (folder / store.PROVENANCE).exists():
            return folder
    return shard.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (0, 1: damaged shards, 2: nothing there)."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m hw6.aggregate",
        description="Collect the rows of one or more sweeps into one table (Parquet and CSV) and summarise it.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a sweep, several, or a whole folder such as outputs")
    parser.add_argument("-o", "--output", metavar="NAME", help="where to write NAME.parquet and NAME.csv "
                        "(default: table, in the sweep's or the common folder)")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            frame = load(options.paths)
        for warning in caught:
            print(f"hw6: {warning.message}", file=sys.stderr)
        _write(frame, options)
    except Hw6Error as error:
        for line in error.lines:
            print(f"hw6: {line}", file=sys.stderr)
        return error.exit_status
    return 1 if frame.attrs["damaged"] else 0


def _write(frame: pd.DataFrame, options: Any) -> None:
    from hw6.summary import summarise

    for line in summarise(frame):
        print(line)
    name = Path(options.output).with_suffix("") if options.output else _common(options.paths) / "table"
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        for path, data in (
            (name.with_suffix(".parquet"), frame.drop(columns=[]).to_parquet(index=False)),
            (name.with_suffix(".csv"), frame.to_csv(index=False).encode()),
        ):
            assert isinstance(data, bytes)
            store.write_atomically(path, data)
            print(path)
    except OSError as error:
        raise NoResults(f"{name}: cannot be written ({error.strerror})") from error


def _common(paths: Sequence[str]) -> Path:
    folders = [Path(path) if Path(path).is_dir() else Path(path).parent for path in paths]
    return Path(os.path.commonpath([folder.absolute() for folder in folders])) if len(folders) > 1 else folders[0]


if __name__ == "__main__":
    sys.exit(main())
