"""Asking an experiment for more than its rows: prices, memory, refusals, its drawing; each answer is checked.

Raises, all of it: BadExperiment, which names the experiment and what it gave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from hw6.contract.drawing import Drawing
from hw6.contract.experiment import BadExperiment, Cells, Experiment
from hw6.errors import BadInput, described

Answer = TypeVar("Answer")


def numbers_of(experiment: Experiment, field: str, cells: Cells) -> np.ndarray:
    """What ``price``, ``memory`` or ``rows_of`` says of each cell, shape (cells,): finite and not below 0."""
    count = len(next(iter(cells.values())))
    answer = _asked(experiment, field, lambda: np.asarray(getattr(experiment, field)(cells)))
    if answer.dtype.kind not in "biuf" or answer.shape not in ((), (count,)):
        given = f"{answer.dtype} of shape {answer.shape}"
        raise BadExperiment(experiment.name, [f"{field} gives {given}, not a number for each of {count} cells"])
    if count and not (np.isfinite(answer).all() and np.min(answer) >= 0):
        wrong = answer[~(np.isfinite(answer) & (answer >= 0))] if answer.ndim else answer[None]
        raise BadExperiment(experiment.name, [f"{field} gives {wrong[0]} for a cell, not a number from 0 up"])
    return np.broadcast_to(answer, (count,))


def refusals_of(experiment: Experiment, cells: Cells) -> list[BadInput]:
    """What ``refuse`` says of a batch of cells."""
    found = _asked(experiment, "refuse", lambda: list(experiment.refuse(cells)))
    for one in found:
        if not isinstance(one, BadInput):
            raise BadExperiment(experiment.name, [f"refuse gives {one!r}, not a list of BadInput"])
    return found


def drawing_of(experiment: Experiment, values: Mapping[str, Sequence[Any]]) -> Drawing:
    """The drawing of a table with these values of each key."""
    found = _asked(experiment, "drawing", lambda: experiment.drawing(values))
    if not isinstance(found, Drawing):
        raise BadExperiment(experiment.name, [f"drawing must be a Drawing, not a {type(found).__name__}"])
    return found


def _asked(experiment: Experiment, field: str, call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises, SystemExit too: it is the author who is told
        raise BadExperiment(experiment.name, [f"{field} raises {': '.join(described(error))}"]) from error
