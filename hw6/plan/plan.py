"""Axes, blocks, plans: the cells of a sweep, frozen before anything runs.

A *block* is all cells of one choice of config groups: the product of its axes, in the order of the axes, the last one
fastest. A cell is named by its position in that product. A *chunk* is a set of positions, written as ranges
("0:195,200:210"), so that a plan of a million cells is a few lines of text and what is missing may have holes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hw6.contract.experiment import Experiment
from hw6.contract.keys import Value
from hw6.plan.ids import digests, entries, entry


@dataclass(frozen=True)
class Axis:
    """One swept key and its distinct values in the order in which they are run.

    Attributes:
        key: the swept key.
        values: its values.
        hidden: the values are only numbered here (0, 1, ...): they interpolate other keys, and what they come to is
            derived.
    """

    key: str
    values: Sequence[Value]
    hidden: bool = False

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Derived:
    """A key that follows other keys (``data.n_test=${p}``): its value for each combination of the axes it follows."""

    key: str
    axes: tuple[str, ...]
    values: Sequence[Value]


@dataclass(frozen=True)
class Block:
    """All cells of one choice of config groups.

    Attributes:
        experiment: what the cells are cells of.
        overrides: the overrides, in Hydra's grammar, that every cell shares (choices and constants).
        constants: the keys that are equal in every cell.
        axes: the swept keys, outermost first.
        derived: keys that follow the axes.
    """

    experiment: Experiment
    overrides: tuple[str, ...]
    constants: Mapping[str, Value]
    axes: tuple[Axis, ...] = ()
    derived: tuple[Derived, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values on each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def size(self) -> int:
        """The number of positions (cells, before equal ones are dropped)."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    def codes(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """For each axis, the index into its values of every position (positions: int64, any shape (m,))."""
        if not self.axes:
            return {}
        indices = np.unravel_index(positions, self.shape)
        return {axis.key: index for axis, index in zip(self.axes, indices, strict=True)}

    def cells(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """The cells at these positions as columns, a column a key; constants take no memory."""
        codes = self.codes(positions)
        count = len(positions)
        columns = {key: np.broadcast_to(column([value]), (count,)) for key, value in self.constants.items()}
        for axis in self.axes:
            if not axis.hidden:
                columns[axis.key] = column(axis.values)[codes[axis.key]]
        for derived in self.derived:
            columns[derived.key] = column(derived.values)[self._derived_codes(derived, codes, count)]
        return dict(sorted(columns.items()))

    def _derived_codes(self, derived: Derived, codes: Mapping[str, np.ndarray], count: int) -> np.ndarray:
        index = np.zeros(count, dtype=np.int64)
        lengths = {axis.key: len(axis) for axis in self.axes}
        for key in derived.axes:
            index = index * lengths[key] + codes[key]
        return index

    def ids(self, positions: np.ndarray) -> np.ndarray:
        """The ids of the cells at these positions, as an array of 20 ASCII bytes each."""
        codes, keys = self.codes(positions), self.experiment.keys
        count = len(positions)
        texts: dict[str, list[str] | str] = {key: entry(key, value, keys) for key, value in self.constants.items()}
        for axis in self.axes:
            if not axis.hidden:
                texts[axis.key] = entries(axis.key, axis.values, codes[axis.key], keys)
        for derived in self.derived:
            texts[derived.key] = entries(derived.key, derived.values, self._derived_codes(derived, codes, count), keys)
        return digests(self.experiment.name, self.experiment.version, texts, count, keys)

    def distinct(self) -> np.ndarray:
        """The positions without repeated cells.

        Axes hold distinct values, so that cells can only be equal where a key follows the axes.
        """
        positions = np.arange(self.size, dtype=np.int64)
        if not self.derived:
            return positions
        _, first = np.unique(self.ids(positions), return_index=True)
        return np.sort(first)

    def may_overlap(self, other: Block) -> bool:
        """Whether two blocks can have a cell in common: no key that is constant in both tells them apart."""
        if self.experiment.name != other.experiment.name:
            return False
        common = self.constants.keys() & other.constants.keys()
        return all(self.constants[key] == other.constants[key] for key in common)


@dataclass(frozen=True)
class Chunk:
    """A part of the plan that runs as one job: positions of one of its blocks."""

    block: int
    positions: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Plan:
    """The cells of a sweep, frozen before anything runs."""

    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """The number of positions of all blocks."""
        return sum(block.size for block in self.blocks)


def column(values: Sequence[Value]) -> np.ndarray:
    """Values of one key as an array: int64, float64, bool, or objects (text, tuples, null)."""
    if isinstance(values, range):
        return values.start + values.step * np.arange(len(values), dtype=np.int64)  # stop may be beyond 64 bits
    kinds = {type(value) for value in values}
    if kinds == {int}:
        return np.array(values, dtype=np.int64)
    if kinds <= {float} or kinds == {bool}:
        return np.array(values)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    for index, value in enumerate(values):  # numpy would spread tuples of equal length over a second dimension
        array[index] = value
    return array
