"""The table: the rows of one experiment with their drawing and their axes; each step gives a new table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hw6.contract.asking import drawing_of
from hw6.contract.drawing import Drawing
from hw6.contract.experiment import Experiment
from hw6.contract.metrics import Counts, Text
from hw6.errors import BadInput, NoResults
from hw6.figures.axes import swept
from hw6.figures.codes import Column, column

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one experiment.

    Attributes:
        frame: the rows.
        experiment: whose they are.
        drawing: how they are drawn; nothing is said there before ``finished``, as it follows from what was finished.
        metrics: what each metric is, as the experiment says or a step that replaced one.
        failed: the number of cells that failed and were finished nowhere else; ``finished`` counts them.
    """

    frame: pd.DataFrame
    experiment: Experiment
    drawing: Drawing
    metrics: Mapping[str, str]
    failed: int = 0

    def finished(self) -> Table:
        """The rows of finished cells, each once, with the drawing that goes with their values.

        Two sweeps may hold the same cell. Its rows are equal, and one that counted twice would weigh like two repeats.
        """
        rows = self.frame[done(self.frame)]
        again = rows["cell_id"].duplicated(keep=False).to_numpy(dtype=bool)
        if again.any():  # several rows of one cell differ in a metric; copies of a row in none
            metrics = [name for name in self.metrics if name in rows and name not in self.experiment.measured]
            copies = np.zeros(len(rows), dtype=bool)
            copies[again] = rows.loc[again, ["cell_id", *metrics]].duplicated().to_numpy(dtype=bool)
            rows = rows[~copies] if copies.any() else rows
        found = replace(self, frame=rows, failed=len(lost(self.frame)))
        if not len(rows):
            return found
        values = {one.key: one.values.tolist() for one in found.columns(self.experiment.keys)}
        return replace(found, drawing=drawing_of(self.experiment, values))

    def last_rows(self) -> Table:
        """Of each cell the last row alone, where the drawing wants no other."""
        last = self.drawing.last
        if last is None or last not in self.frame:
            return self
        place, cell = self.numbers(last), self.frame["cell_id"].factorize()[0]
        highest = np.full(int(cell.max(initial=-1)) + 1, -np.inf)
        np.fmax.at(highest, cell, place)
        return replace(self, frame=self.frame[place == highest[cell]])

    def filled(self) -> Table:
        """The axes that some rows carry in a metric moved into their key's column."""
        table = self
        for fill in self.drawing.fills:
            if {fill.when, fill.column} <= set(table.frame.columns):
                here = (table.frame[fill.when] == fill.equals).to_numpy(dtype=bool)
                if here.any():
                    old = table.numbers(fill.key) if fill.key in table.frame else np.full(len(here), np.nan)
                    new = np.where(here, table.numbers(fill.column), old)
                    table = replace(table, frame=table.frame.assign(**{fill.key: new}))
        return table

    @cached_property
    def axes(self) -> dict[str, Column]:
        """The swept columns, repeats among them: what the drawing draws against, then the keys in their order."""
        fills = [fill.key for fill in self.drawing.fills]
        keys = dict.fromkeys([*self.drawing.x, *self.drawing.index, *fills, *self.experiment.keys])
        return swept(self.columns(keys), self.drawing.repeats)

    @cached_property
    def drawable(self) -> tuple[str, ...]:
        """The metrics that are numbers (a truth value is 0 or 1), have any, and are no axis."""
        return tuple(name for name in self.metrics if name not in self.drawing.index and self._is_number(name))

    def _is_number(self, metric: str) -> bool:
        if isinstance(self.metrics[metric], (Text, Counts)) or metric not in self.frame:
            return False
        series = self.frame[metric]
        if series.dtype.kind not in "iufb":  # numbers with gaps may come back as objects
            try:
                self.numbers(metric)
            except (TypeError, ValueError):  # texts of an experiment that does not say so
                return False
        return bool(series.notna().any())

    def numbers(self, name: str) -> np.ndarray:
        """A column of numbers (rows,), NaN where a row has none."""
        return self.frame[name].to_numpy(dtype=np.float64, na_value=np.nan)

    def column(self, key: str) -> Column:
        """A column as codes; a metric that numbers rows is one of numbers whatever it came back as."""
        series = self.frame[key]
        if key in self.drawing.index and series.dtype.kind not in "iuf":
            series = self.frame.assign(**{key: self.numbers(key)})[key]
        return column(series, key)

    def columns(self, keys: Iterable[str]) -> list[Column]:
        """Those of these columns that there are, as codes."""
        return [self.column(key) for key in keys if key in self.frame]


def table_of(frame: pd.DataFrame) -> Table:
    """All rows of a frame, those of failed cells too.

    Raises:
        NoResults: there are no rows.
        BadInput: rows of several experiments, or of one of which nothing is known.
    """
    names = [str(name) for name in frame["experiment"].unique()] if len(frame) else []
    if not names:
        raise NoResults("there are no rows")
    if len(names) > 1:
        raise BadInput("experiment", ",".join(sorted(names)), "one table holds several experiments: take one at a time")
    experiment = _experiment(frame, names[0])
    return Table(frame, experiment, Drawing(), experiment.metrics)


def _experiment(frame: pd.DataFrame, name: str) -> Experiment:
    """The experiment of that name, or what the record of its rows says of it where its code is not to be had."""
    from hw6.contract.described import remembered
    from hw6.contract.registry import experiment_named

    try:
        return experiment_named(name)
    except BadInput:
        found = remembered(name, frame.attrs.get("experiments", {}).get(name))
        if found is None:
            allowed = "its code is not here, and no record of it came with the rows"
            raise BadInput("experiment", name, allowed, "take them from hw6.load, or hw6.register it") from None
        return found


def done(frame: pd.DataFrame) -> np.ndarray:
    """Which rows are of finished cells, (rows,)."""
    return (frame["status"] == "done").to_numpy(dtype=bool)


def lost(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell that failed and was finished nowhere else."""
    finished = done(frame)
    bad = frame[~finished].drop_duplicates("cell_id")
    return bad[~bad["cell_id"].isin(frame["cell_id"][finished])] if len(bad) else bad
