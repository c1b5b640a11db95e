"""The command ``python -m hw6.plot`` and ``figure``: rows -> the figure of their experiment.

seaborn takes a second or two to import, so everything heavy is imported where it is used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hw6.errors import BadInput, Hw6Error, exit_status, nearest, tell
from hw6.words import common_folder

if TYPE_CHECKING:
    import pandas as pd

    from hw6.figures.draw import PaperFigure

FORMATS = ("png", "pdf", "svg")
EPILOG = """\
What is drawn follows what was swept: one axis with numbers gives curves, a second one a map (or a curve for each of its
values where they are few), seeds a band around the curve, and any other choice a curve or map of its own.

examples:
  python -m hw6.plot outputs/my_sweep                          the experiment's own figure, beside the results
  python -m hw6.plot outputs/my_sweep --metric train_mse       another metric; several with commas, one panel each
  python -m hw6.plot outputs/a outputs/b --output figures      two sweeps in one figure
  python -m hw6.plot outputs/my_sweep --output figure1.pdf     one file under a name of its own
  python -m hw6.plot outputs/my_sweep --where lambda.kind=tuned --x lambda.max
"""


def figure(
    frame: pd.DataFrame,
    *,
    metric: str | Sequence[str] | None = None,
    statistic: str = "median",
    band: str | None = None,
    x: str | None = None,
) -> PaperFigure:
    """The figure of a frame of one experiment; a notebook shows it, ``.savefig(...)`` writes it.

    Args:
        frame: rows as ``hw6.load`` gives them, or a part of them.
        metric: what to draw: a column, or several (a list, or one text with commas) for a panel each.
        statistic: "median" or "mean" over the seeds.
        band: "quartiles" (with the median), "95" or "se" (with the mean), "none"; None takes the first that fits.
        x: the swept key to draw against.

    Raises:
        NoResults: there is nothing to draw.
        BadInput: an argument does not fit the rows, or they hold more than one figure can show.
    """
    from hw6.figures.curves import curves
    from hw6.figures.draw import draw

    return draw(curves(frame, metric=metric, statistic=statistic, band=band, x=x))


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status (0, 1: damaged shards, 2: refused or nothing to draw)."""
    options = _parser().parse_args(argv)
    return exit_status(lambda: _plot(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hw6.plot",
        description="Draw the figure of one or more sweeps.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a sweep, several, or a whole folder such as outputs")
    parser.add_argument(
        "--metric", metavar="M", help="the column to draw, such as test_mse (default: what the experiment draws)"
    )
    parser.add_argument(
        "--x", metavar="KEY", help="the swept key to draw against, such as p (default: follows the sweep)"
    )
    parser.add_argument(
        "--where", metavar="KEY=VALUE", action="append", default=[], help="only rows with this value; may be repeated"
    )
    parser.add_argument(
        "--statistic", metavar="S", default="median", help="median (default) or mean over the seeds; near a peak the "
        "mean follows its largest seeds",
    )  # fmt: skip
    parser.add_argument(
        "--band", metavar="B", help="around the median: quartiles (default) or none; around the mean: 95 (default, the "
        "95 %% interval of the mean), se (standard error) or none",
    )  # fmt: skip
    parser.add_argument(
        "--output", metavar="PATH", help="the folder for the files (default: the sweep's), or one file: figure1.pdf"
    )
    parser.add_argument("--formats", metavar="F", help="png, pdf, svg, or several with commas (default: all three)")
    return parser


def _plot(options: argparse.Namespace) -> int:
    from hw6.aggregate import told_of_damage

    target, formats = _target(options)
    frame = told_of_damage(options.paths)
    damaged = bool(frame.attrs.get("damaged"))
    frame = _where(frame, options.where)
    names = sorted(map(str, frame["experiment"].unique()))
    if not formats and len(names) > 1:
        raise BadInput("output", target, f"must be a folder, as there is a figure each for {', '.join(names)}")
    refused: list[Hw6Error] = []
    for name in names:
        try:
            _write(frame[(frame["experiment"] == name).to_numpy(dtype=bool)], options, target, formats)
        except Hw6Error as error:  # the figures of other experiments are still drawn
            refused.append(error)
    for refusal in refused[1:]:
        tell(refusal)
    if refused:
        raise refused[0]
    return 1 if damaged else 0


def _target(options: argparse.Namespace) -> tuple[Path, list[str]]:
    """The folder of the figures and their formats; or one file, which tells its format, and no formats.

    Raises:
        BadInput: an unknown format, or formats for one file.
    """
    formats = list(dict.fromkeys(options.formats.split(","))) if options.formats is not None else list(FORMATS)
    for kind in formats:
        if kind not in FORMATS:
            raise BadInput("formats", kind, "must be one of " + ", ".join(FORMATS), nearest(kind, FORMATS))
    target = Path(options.output) if options.output else common_folder(options.paths)
    if not options.output or target.is_dir() or target.suffix[1:] not in FORMATS:
        return target, formats
    if options.formats is not None:
        raise BadInput("formats", options.formats, f"cannot go with one file, {target.name}")
    return target, []


def _write(frame: pd.DataFrame, options: argparse.Namespace, target: Path, formats: Sequence[str]) -> None:
    """Draw the figure of one experiment and write it in every format."""
    from hw6.figures.curves import curves
    from hw6.figures.draw import draw, render
    from hw6.store.directory import write_atomically

    data = curves(frame, metric=options.metric, statistic=options.statistic, band=options.band, x=options.x)
    drawn = draw(data)
    for path in [target / f"{data.name}.{kind}" for kind in formats] or [target]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, render(drawn, path.suffix[1:]))
        except OSError as error:
            raise BadInput("output", target, f"cannot be written ({error.strerror})") from error
        print(path)
    for note in data.notes:
        print(f"hw6: {note}", file=sys.stderr)


def _where(frame: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """The rows that have the wanted values.

    Raises:
        BadInput: not of the form KEY=VALUE, no such column, or no row has the value.
    """
    from hw6.figures.codes import column
    from hw6.figures.names import number

    for condition in conditions:
        key, equals, text = condition.partition("=")
        if not equals or key not in frame:
            allowed = "must be KEY=VALUE with a column of the table"
            raise BadInput("where", condition, allowed, nearest(key, map(str, frame.columns)))
        one = column(frame[key], key)
        try:
            matching = [
                code for code, value in enumerate(one.values) if value == (float(text) if one.numeric else text)
            ]
        except ValueError:
            matching = []
        if not matching:
            some = [number(value) for value in one.values[:10]]
            more = ", ..." if len(one.values) > len(some) else ""
            raise BadInput("where", condition, f"no row has this value; there are {', '.join(some)}{more}")
        frame = frame[one.codes == matching[0]]
    return frame


if __name__ == "__main__":
    sys.exit(main())
