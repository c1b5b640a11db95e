"""What the sweep asks of an experiment. The sweep imports no experiment: the command hands it one of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from hw6.errors import BadInput
from hw6.schema import Key

Cells = Mapping[str, np.ndarray]


class Experiment(Protocol):
    """A function from a batch of cells to their rows, with what the sweep must know of it beforehand.

    ``hw6.experiments.base.Experiment`` is the implementation, and explains each attribute.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def keys(self) -> Mapping[str, Key]: ...  # noqa: D102
    @property
    def metrics(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def objective(self) -> str | None: ...  # noqa: D102
    @property
    def order(self) -> Sequence[str]: ...  # noqa: D102
    def rows(self, cells: Cells, /) -> Mapping[str, np.ndarray]: ...  # noqa: D102
    def refuse(self, cells: Cells, /) -> list[BadInput]: ...  # noqa: D102
    def price(self, cells: Cells, /) -> np.ndarray: ...  # noqa: D102
    def rows_of(self, cells: Cells, /) -> np.ndarray: ...  # noqa: D102
    def memory(self, cells: Cells, /) -> np.ndarray: ...  # noqa: D102


Value = Any  # a converted value of a key: int, float, bool, str, a tuple of int, or None
