"""Axes, cells, ids, chunks: the arithmetic of a sweep. Nothing here touches the disk.

A *block* is all cells of one choice of config groups: the product of its axes, in the order of the axes, the last one
fastest. A cell is named by its position in that product. A *chunk* is a set of positions, written as ranges
("0:195,200:210"), so that a plan of a million cells is a few lines of text and what is missing may have holes.

The **id** of a cell is the first 20 hexadecimal digits of BLAKE2b (digest of 10 bytes) of the canonical JSON text

    {"experiment":NAME,"keys":{KEY:VALUE,...},"version":VERSION}

with keys sorted, no blanks, ASCII, floats in their shortest form, tuples as lists. Keys added to an experiment after
its first release are left out while they have the value that reproduces what was computed before (``Key.omitted_at``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hw6.schema import Key
from hw6.sweep.contract import Experiment, Value

ID_DIGITS = 20
MOST_CELLS = 50_000  # in a chunk: bounds the memory of a chunk and the work lost with it
MOST_RANGES = 2_000  # in a chunk's text: Hydra reads it letter by letter


@dataclass(frozen=True)
class Axis:
    """One swept key and its distinct values in the order in which they are run.

    A key "#name" is hidden: it counts the values of a swept key that interpolates others; the key itself is derived.
    """

    key: str
    values: Sequence[Value]

    @property
    def hidden(self) -> bool:
        """Whether the axis is no key of the cells."""
        return self.key.startswith("#")

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
        experiment: the experiment's name.
        overrides: the overrides, in Hydra's grammar, that every cell shares (choices and constants).
        constants: the keys that are equal in every cell.
        axes: the swept keys, outermost first.
        derived: keys that follow the axes.
    """

    experiment: str
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

    def ids(self, positions: np.ndarray, keys: Mapping[str, Key], version: int) -> np.ndarray:
        """The ids of the cells at these positions, as an array of 20 ASCII bytes each."""
        codes = self.codes(positions)
        count = len(positions)
        texts: dict[str, list[str] | str] = {}
        for key, value in self.constants.items():
            texts[key] = _entry(key, value, keys)
        for axis in self.axes:
            if axis.hidden:
                continue
            texts[axis.key] = _texts(axis.key, axis.values, codes[axis.key], keys)
        for derived in self.derived:
            texts[derived.key] = _texts(derived.key, derived.values, self._derived_codes(derived, codes, count), keys)
        return _digests(self.experiment, version, texts, count)


@dataclass(frozen=True)
class Chunk:
    """A part of the plan that runs as one Hydra job."""

    block: int
    positions: np.ndarray = field(repr=False)


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


def canonical(value: Value) -> str:
    """A value as canonical JSON."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)


def cell_id(experiment: str, version: int, values: Mapping[str, Value], keys: Mapping[str, Key]) -> str:
    """The id of one cell from its resolved values (see the head of this module)."""
    texts: dict[str, list[str] | str] = {key: _entry(key, value, keys) for key, value in values.items()}
    digest: bytes = _digests(experiment, version, texts, 1)[0]
    return digest.decode()


def _entry(key: str, value: Value, keys: Mapping[str, Key]) -> str:
    return "" if value == keys[key].omitted_at else f"{canonical(key)}:{canonical(value)},"


def _texts(key: str, values: Sequence[Value], codes: np.ndarray, keys: Mapping[str, Key]) -> list[str]:
    """The JSON entry of one key for each cell; values outside the range of the codes are never looked at."""
    low, high = int(codes.min()), int(codes.max()) + 1
    if isinstance(values, range):  # integers, which JSON writes as Python does
        start, omitted = canonical(key) + ":", keys[key].omitted_at
        table = ["" if value == omitted else f"{start}{value}," for value in values[low:high]]
    else:
        table = [_entry(key, value, keys) for value in values[low:high]]
    return [table[code] for code in (codes - low).tolist()]


def _digests(experiment: str, version: int, texts: Mapping[str, list[str] | str], count: int) -> np.ndarray:
    """Hash prefix + entries in sorted order + suffix; what is equal in all cells is joined only once."""
    pieces: list[list[str] | str] = [f'{{"experiment":{canonical(experiment)},"keys":{{']
    for key in sorted(texts):
        entry = texts[key]
        if isinstance(entry, str) and isinstance(pieces[-1], str):
            pieces[-1] += entry
        else:
            pieces.append(entry)
    suffix = f'}},"version":{version}}}'
    columns = [piece if isinstance(piece, list) else [piece] * count for piece in pieces]
    digest = hashlib.blake2b
    size = ID_DIGITS // 2
    ids = np.empty(count, dtype=f"S{ID_DIGITS}")
    for index, parts in enumerate(zip(*columns, strict=True)):
        text = "".join(parts)
        text = text.removesuffix(",") + suffix
        ids[index] = digest(text.encode("ascii"), digest_size=size).hexdigest().encode("ascii")
    return ids


def distinct(block: Block, experiment: Experiment) -> np.ndarray:
    """The positions of a block without repeated cells.

    Axes hold distinct values, so that cells can only be equal where a key follows the axes.
    """
    positions = np.arange(block.size, dtype=np.int64)
    if not block.derived:
        return positions
    _, first = np.unique(block.ids(positions, experiment.keys, experiment.version), return_index=True)
    return np.sort(first)


def may_overlap(block: Block, other: Block) -> bool:
    """Whether two blocks can have a cell in common: no key that is constant in both tells them apart."""
    if block.experiment != other.experiment:
        return False
    common = block.constants.keys() & other.constants.keys()
    return all(block.constants[key] == other.constants[key] for key in common)


def ranges_text(positions: np.ndarray) -> str:
    """Rising positions as text: "0:195,200:210"."""
    if not len(positions):
        return ""
    breaks = np.flatnonzero(np.diff(positions) != 1)
    starts = positions[np.concatenate(([0], breaks + 1))]
    stops = positions[np.concatenate((breaks, [len(positions) - 1]))] + 1
    return ",".join(f"{start}:{stop}" for start, stop in zip(starts.tolist(), stops.tolist(), strict=True))


def positions_of(text: str) -> np.ndarray:
    """The positions that ``ranges_text`` wrote."""
    pieces = [piece.split(":") for piece in text.split(",") if piece]
    return np.concatenate(
        [np.empty(0, dtype=np.int64)] + [np.arange(int(start), int(stop), dtype=np.int64) for start, stop in pieces]
    )


def cut(block: Block, positions: np.ndarray, seconds: np.ndarray, target: float) -> Iterator[np.ndarray]:
    """Cut rising positions of a block into chunks of about ``target`` seconds each.

    A cut is moved back to the last change of the outermost possible axis where that costs at most half of the chunk:
    cells that differ in inner axes alone share work.
    """
    total = np.cumsum(seconds)
    ranges = np.cumsum(np.diff(positions, prepend=positions[:1]) != 1)  # the number of the range that a cell is in
    strides = np.cumprod((1, *block.shape[::-1]))[::-1][1:]  # positions for one step of each axis
    start = 0
    while start < len(positions):
        before = total[start - 1] if start else 0.0
        stop = int(np.searchsorted(total, before + target, side="right"))
        narrow = int(np.searchsorted(ranges, ranges[start] + MOST_RANGES, side="left"))
        stop = min(max(stop, start + 1), start + MOST_CELLS, max(narrow, start + 1), len(positions))
        if stop < len(positions):
            stop = _aligned(positions, strides, start, stop)
        yield positions[start:stop]
        start = stop


def _aligned(positions: np.ndarray, strides: np.ndarray, start: int, stop: int) -> int:
    earliest = start + (stop - start + 1) // 2
    for stride in strides:
        window = positions[earliest : stop + 1] // stride
        changes = np.flatnonzero(np.diff(window))
        if len(changes):
            return int(earliest + changes[-1] + 1)
    return stop
