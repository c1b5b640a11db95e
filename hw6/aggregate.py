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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hw6.errors import Hw6Error, NoResults
from hw6.store import directory, shards
from hw6.store.compact import compact_below
from hw6.store.record import runs
from hw6.store.tries import best_tries, one_type, sweep_of
from hw6.words import short

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
        raise NoResults(f"{path}: there is no record of a sweep here ({directory.PROVENANCE})")
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


def _frame(tables: Sequence[pa.Table | None], paths: Sequence[Path]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    read = [(table, path) for table, path in zip(tables, paths, strict=True) if table is not None]
    kept = best_tries(read)
    whole = pa.concat_tables(one_type(kept), promote_options="permissive").unify_dictionaries()
    large = [name for name in whole.column_names if _is_large(whole[name])]
    frame: pd.DataFrame = whole.drop_columns(large).to_pandas(split_blocks=True)
    for name in large:  # as floats, which pandas takes for integers with gaps, they would lose digits
        frame[name] = whole[name].to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    order = _column_order(list(frame.columns))
    return frame[order] if order != list(frame.columns) else frame


def _is_large(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(column.type) or not column.null_count:
        return False
    largest = pc.min_max(column).as_py()
    return bool(max(abs(largest["min"] or 0), abs(largest["max"] or 0)) > EXACT)


def _column_order(columns: Sequence[str]) -> list[str]:
    first = ["cell_id", "experiment", "status", "error_type", "error_message", "seconds"]
    return [name for name in first if name in columns] + [name for name in columns if name not in first]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (0, 1: damaged shards, 2: nothing there)."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m hw6.aggregate",
        description="Collect the rows of one or more sweeps into one table (Parquet and CSV) and summarise it.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a sweep, several, or a whole folder such as outputs")
    parser.add_argument("--compact", action="store_true", help="first join the shards of each sweep into few files")
    parser.add_argument("-o", "--output", metavar="NAME", help="where to write NAME.parquet and NAME.csv "
                        "(default: table, in the sweep's or the common folder)")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        if options.compact:
            for path in options.paths:
                for line in compact_below(Path(path)):
                    print(line)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            frame = load(options.paths)
        for warning in caught:
            print(f"hw6: {warning.message}", file=sys.stderr)
        _set_aside([Path(path) for path in frame.attrs["damaged"]])
        _write(frame, options)
    except Hw6Error as error:
        for line in error.lines:
            print(f"hw6: {line}", file=sys.stderr)
        return error.exit_status
    return 1 if frame.attrs["damaged"] else 0


def _set_aside(damaged: Sequence[Path]) -> None:
    """Move damaged shards of sweeps out of the way, so that their cells can run again."""
    for path in damaged:
        sweep = sweep_of(path)
        if (sweep / directory.PROVENANCE).exists():
            with suppress(OSError):  # a folder that can only be read stays as it is
                where = directory.set_aside(path, sweep)
                again = f"its cells run again with python -m hw6.run resume={short(sweep)}"
                print(f"hw6: {path.name}: set aside as {where}; {again}", file=sys.stderr)


def _write(frame: pd.DataFrame, options: Any) -> None:
    from hw6.figures.summary import summarise

    for line in summarise(frame):
        print(line)
    given = options.output.removesuffix(".parquet").removesuffix(".csv") if options.output else ""
    name = Path(given) if given else _common(options.paths) / "table"
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        for path, data in (
            (Path(f"{name}.parquet"), frame.to_parquet(index=False)),
            (Path(f"{name}.csv"), frame.to_csv(index=False).encode()),
        ):
            assert isinstance(data, bytes)
            directory.write_atomically(path, data)
            print(path)
    except OSError as error:
        raise NoResults(f"{name}: cannot be written ({error.strerror})") from error


def _common(paths: Sequence[str]) -> Path:
    folders = [Path(path) if Path(path).is_dir() else Path(path).parent for path in paths]
    return Path(os.path.commonpath([folder.absolute() for folder in folders])) if len(folders) > 1 else folders[0]


if __name__ == "__main__":
    sys.exit(main())
