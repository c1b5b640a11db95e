"""An experiment that does nothing but give a row: what remains is the cost of the framework."""

from __future__ import annotations

from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.keys import Integer


def rows(cells: Cells) -> Columns:
    """One row a cell, without a metric."""
    return {}


EXPERIMENT = Experiment(
    name="noop",
    version=1,
    keys={
        "p": Integer(help="a number", minimum=1, default=100),
        "seed": Integer(help="a number", default=0),
    },
    metrics={},
    rows=rows,
    order=("seed", "p"),
)
