"""An experiment that does nothing but give a row: what remains is the cost of the framework."""

from __future__ import annotations

from hw6.experiments.base import Cells, Columns, Experiment
from hw6.schema import Integer


def rows(cells: Cells) -> Columns:
    """One row a cell, without a metric."""
    return {}


EXPERIMENT = Experiment(
    name="noop",
    version=1,
    keys={
        "p": Integer(help="a number, as in the other experiments", minimum=1),
        "seed": Integer(help="a number, as in the other experiments"),
    },
    metrics={},
    rows=rows,
    order=("seed", "p"),
)
