"""The command ``python -m hw6.aggregate``: the rows of sweeps as one table, and a summary of it."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hw6.errors import NoResults, exit_status
from hw6.store import directory
from hw6.store.compact import compact_below
from hw6.store.frame import load, provenance
from hw6.store.record import way_on
from hw6.store.tries import sweep_of
from hw6.words import common_folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load", "main", "provenance"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (0, 1: damaged shards, 2: nothing there)."""
    parser = argparse.ArgumentParser(
        prog="python -m hw6.aggregate",
        description="Collect the rows of one or more sweeps into one table (Parquet and CSV) and summarise it.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a sweep, several, or a whole folder such as outputs")
    parser.add_argument("--compact", action="store_true", help="first join the shards of each sweep into few files")
    parser.add_argument("-o", "--output", metavar="NAME", help="where to write NAME.parquet and NAME.csv "
                        "(default: table, in the sweep's or the common folder)")  # fmt: skip
    options = parser.parse_args(arguments)
    return exit_status(lambda: _aggregate(options))


def _aggregate(options: argparse.Namespace) -> int:
    if options.compact:
        for path in options.paths:
            for line in compact_below(Path(path)):
                print(line)
    frame = told_of_damage(options.paths)
    _set_aside([Path(path) for path in frame.attrs["damaged"]])
    _write(frame, options)
    return 1 if frame.attrs["damaged"] else 0


def told_of_damage(paths: Sequence[str]) -> pd.DataFrame:
    """``load`` for a command: shards that cannot be read are told on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        frame = load(paths)
    for warning in caught:
        print(f"hw6: {warning.message}", file=sys.stderr)
    return frame


def _set_aside(damaged: Sequence[Path]) -> None:
    """Move damaged shards of sweeps out of the way, so that their cells can run again."""
    for path in damaged:
        sweep = sweep_of(path)
        if (sweep / directory.PROVENANCE).exists():
            with suppress(OSError):  # a folder that can only be read stays as it is
                where = directory.set_aside(path, sweep)
                again = f"its cells run again with {way_on(sweep)}"
                print(f"hw6: {path.name}: set aside as {where}; {again}", file=sys.stderr)


def _write(frame: pd.DataFrame, options: argparse.Namespace) -> None:
    from hw6.figures.summary import summarise

    for line in summarise(frame):
        print(line)
    given = options.output.removesuffix(".parquet").removesuffix(".csv") if options.output else ""
    name = Path(given) if given else common_folder(options.paths) / "table"
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


if __name__ == "__main__":
    sys.exit(main())
