"""What of a plan is missing, and the chunks in which it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hw6.contract.asking import numbers_of
from hw6.plan.plan import Block, Chunk, Plan

ONE_CHUNK = 2.0  # estimated seconds of a sweep that is not worth cutting
SHORTEST, LONGEST = 1.0, 8.0  # estimated seconds of a chunk; the longest bounds what an interruption costs
MOST_CELLS = 50_000  # in a chunk: bounds the memory of a chunk and the work lost with it
MOST_RANGES = 2_000  # in a chunk's text: Hydra reads it letter by letter


@dataclass(frozen=True)
class Missing:
    """The cells of a plan that are to be run.

    Attributes:
        positions: for each block of the plan, those to run.
        prices: for each block, the estimated seconds of these cells.
        total: the cells of the plan, those that have their rows included.
        seconds: the sum of all prices.
    """

    positions: Sequence[np.ndarray]
    prices: Sequence[np.ndarray]
    total: int
    seconds: float

    @property
    def cells(self) -> int:
        """The number of cells to run."""
        return sum(len(positions) for positions in self.positions)

    @property
    def finished(self) -> int:
        """The cells of the plan that have their rows."""
        return self.total - self.cells


def missing_cells(plan: Plan, finished: np.ndarray) -> Missing:
    """The cells of a plan whose ids are not in ``finished``; equal cells count once."""
    missing, total = [], 0
    for index, block in enumerate(plan.blocks):
        positions = block.distinct()
        earlier = [other for other in plan.blocks[:index] if block.may_overlap(other)]
        if earlier or len(finished):
            ids = block.ids(positions)
            for other in earlier:
                fresh = ~np.isin(ids, other.ids(np.arange(other.size)))
                positions, ids = positions[fresh], ids[fresh]
            total += len(positions)
            positions = positions[~np.isin(ids, finished, assume_unique=True)]
        else:
            total += len(positions)
        missing.append(positions)
    prices = [numbers_of(b.experiment, "price", b.cells(p)) for b, p in zip(plan.blocks, missing, strict=True)]
    return Missing(missing, prices, total, float(sum(price.sum() for price in prices)))


def cut_chunks(plan: Plan, missing: Missing, slots: int) -> list[Chunk]:
    """The chunks: long enough to be worth a job, short enough for all slots and for an interruption.

    Args:
        plan: the cells.
        missing: those to run.
        slots: how many chunks can run at once.
    """
    prices, target = missing.prices, float(np.clip(missing.seconds / (4 * slots), SHORTEST, LONGEST))
    if slots == 1 and missing.seconds < ONE_CHUNK:
        target = np.inf
    elif missing.seconds < SHORTEST * slots:  # the user asked for slots: each gets something, even if nothing costs
        prices = [price if missing.seconds else np.ones(len(price)) for price in prices]
        target = sum(float(price.sum()) for price in prices) / slots
    return [
        Chunk(index, part)
        for index, (positions, price) in enumerate(zip(missing.positions, prices, strict=True))
        for part in cut(plan.blocks[index], positions, price, target)
    ]


def cut(block: Block, positions: np.ndarray, seconds: np.ndarray, target: float) -> Iterator[np.ndarray]:
    """Cut rising positions of a block into parts of about ``target`` seconds each.

    A cut is moved back to the last change of the outermost possible axis where that costs at most half of the part:
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
