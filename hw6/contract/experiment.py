"""What an experiment is: a function from a batch of cells to their rows, right from the moment it is made.

Both sides are plain columns, so that an experiment needs to know neither Hydra nor the sweep:

    rows(cells) -> columns
        ``cells``    a mapping from each key that the batch's cells have to an array with one entry a cell, read-only
        ``columns``  a mapping from each metric to an array with one entry a row; where a cell has other than one
                     row, the entry "cell" holds for each row the position of its cell in the batch

A row must depend on its own cell alone, to the last bit, whatever else is in the batch. What ``rows`` returns is
checked where it is taken (``hw6.running.returned``); what is wrong with it is a failed row that says so. Instead of
columns it may be the answers of the cells one by one (``hw6.contract.answers``), as a function of one cell gives them
(``hw6.contract.per_cell``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hw6.contract.answers import CellAnswers
from hw6.contract.drawing import Drawing
from hw6.contract.keys import UNSET, Key
from hw6.contract.shorthand import Shorthand
from hw6.errors import BadInput, described, shortened, written

Cells = Mapping[str, np.ndarray]
Columns = Mapping[str, np.ndarray]
# The columns of every row that no key and no metric gives.
ROW_COLUMNS = ("cell_id", "experiment", "status", "error_type", "error_message", "seconds")
PLAIN = Drawing()


def no_refusals(cells: Cells) -> list[BadInput]:
    """An experiment whose keys may be combined freely."""
    return []


def unpriced(cells: Cells) -> np.ndarray:
    """An experiment whose cells cost next to nothing."""
    return np.broadcast_to(np.float64(0.0), (len(next(iter(cells.values()))),))


def one_row(cells: Cells) -> np.ndarray:
    """An experiment that gives one row a cell."""
    return np.broadcast_to(np.int64(1), (len(next(iter(cells.values()))),))


@dataclass(frozen=True)
class Experiment:
    """An experiment, as the sweep, the table and the figure see it.

    Attributes:
        name: what ``experiment=`` selects; the column ``experiment``.
        version: part of every cell's id. Raise it when the numbers of any row change.
        keys: the dotted keys that it reads, with their types, ranges and defaults. Some may exist only in some choices
            of a config group (``lambda.value`` in ``lambda=fixed``); all others are in every cell.
        metrics: the columns that ``rows`` gives, with a line of explanation each: numbers or truth values, unless it
            is a ``Text`` or ``Counts`` (``hw6.contract.metrics``).
        rows: from a batch of cells to their rows (see the head of this module).
        objective: the metric that a job returns to Hydra's optimising sweepers unless the user names another.
        order: keys from the outermost to the innermost: the order in which ``rows`` wants cells side by side.
            A chunk is cut between values of the first ones where that is possible.
        refuse: mistakes that take more than one key to see, for a batch of cells.
        price: estimated seconds of one core for each cell of a batch.
        rows_of: the number of rows of each cell.
        memory: the bytes that each cell needs while it runs, over those of an idle process.
        measured: the metrics that are measured (times, memory): they may differ from run to run.
        defaults: for an experiment outside this package: its keys with their defaults, as they would stand in
            ``conf/experiment/<name>.yaml`` (a "defaults" entry may list config groups). Left out, the keys' own
            defaults are taken (``config``).
        drawing: the figure as data; or a function to it from the distinct values of each key in a table, in order.
        shorthands: numbers that may be typed for a choice of a config group.
        finite: whether a nan or an infinity in a metric is a failure of its cell.

    Raises:
        BadExperiment: what is wrong with the arguments, in a line.
    """

    name: str
    version: int
    keys: Mapping[str, Key]
    metrics: Mapping[str, str]
    rows: Callable[[Cells], Columns | CellAnswers]
    objective: str | None = None
    order: Sequence[str] = ()
    refuse: Callable[[Cells], list[BadInput]] = no_refusals
    price: Callable[[Cells], np.ndarray] = unpriced
    rows_of: Callable[[Cells], np.ndarray] = one_row
    memory: Callable[[Cells], np.ndarray] = unpriced
    measured: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] | None = None
    drawing: Callable[[Mapping[str, Sequence[Any]]], Drawing] = PLAIN
    shorthands: tuple[Shorthand, ...] = ()
    finite: bool = True

    def __post_init__(self) -> None:
        """Refuse what would only be found out, or never, when cells run."""
        from hw6.contract.checks import mistakes_of

        try:
            wrong = mistakes_of(self)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an argument so odd that asking it anything raises
            wrong = [f"an argument is of another kind than it should be: {': '.join(described(error))}"]
        if wrong:
            raise BadExperiment(str(self.name), wrong)

    @property
    def config(self) -> Mapping[str, Any] | None:
        """Its keys with their values where nobody gives any, nested; None where some have none."""
        own = {name: key.default for name, key in self.keys.items() if key.default is not UNSET}
        if self.defaults is None:
            return nested(self._plain(own)) if len(own) == len(self.keys) else None
        given = flat({name: value for name, value in self.defaults.items() if name != "defaults"})
        if "defaults" in self.defaults:  # groups bring the other keys, and their defaults
            return {"defaults": self.defaults["defaults"], **nested(self._plain(given))}
        return nested(self._plain(own | given))

    def _plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as a config can hold them: in the types of their keys, lists for tuples."""
        found = {name: self.keys[name].convert(name, v) if is_given(v) else v for name, v in values.items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


class BadExperiment(BadInput, ValueError):
    """An experiment whose parts do not fit together; told in one line."""

    def __init__(self, name: str, mistakes: Sequence[str]) -> None:
        super().__init__(f"experiment {shortened(name)}", None, shortened("; ".join(mistakes)))

    @property
    def lines(self) -> list[str]:
        """One line, whatever the author's own texts hold."""
        return [" ".join(written(str(self)).split())]


def is_given(value: Any) -> bool:
    """Whether a default says what it is; "???" is for the user to give, and an interpolation for the config."""
    return not (isinstance(value, str) and (value == "???" or "${" in value))


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested dictionaries: {"a.b": 1} is {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The inverse of ``nested``."""
    values: dict[str, Any] = {}
    for name, value in tree.items():
        values |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return values
