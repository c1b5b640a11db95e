"""What is missing of a plan, in how many processes, and in which chunks it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hw6.sweep.contract import Experiment
from hw6.sweep.plan import Chunk, Plan, cut, distinct, may_overlap

WORTH_WORKERS = 4.0  # estimated seconds: below that, starting processes costs more than it saves
ONE_CHUNK = 2.0  # estimated seconds of a sweep that is not worth cutting
SHORTEST, LONGEST = 1.0, 8.0  # estimated seconds of a chunk; the longest bounds what an interruption costs


@dataclass(frozen=True)
class Work:
    """What is to be run.

    Attributes:
        missing: for each block of the plan, the positions to run.
        prices: for each block, the estimated seconds of these cells.
        total: the cells of the plan, those that have their rows included.
        seconds: the sum of all prices.
    """

    missing: Sequence[np.ndarray]
    prices: Sequence[np.ndarray]
    total: int
    seconds: float

    @property
    def cells(self) -> int:
        """The number of cells to run."""
        return sum(len(positions) for positions in self.missing)


def work_to_do(plan: Plan, named: Callable[[str], Experiment], done: np.ndarray) -> Work:
    """The cells of a plan whose ids are not in ``done``; equal cells count once."""
    missing, total = [], 0
    for index, block in enumerate(plan.blocks):
        experiment = named(block.experiment)
        positions = distinct(block, experiment)
        earlier = [other for other in plan.blocks[:index] if may_overlap(block, other)]
        if earlier or len(done):
            ids = block.ids(positions, experiment.keys, experiment.version)
            for other in earlier:
                fresh = ~np.isin(ids, other.ids(np.arange(other.size), experiment.keys, experiment.version))
                positions, ids = positions[fresh], ids[fresh]
            total += len(positions)
            positions = positions[~np.isin(ids, done, assume_unique=True)]
        else:
            total += len(positions)
        missing.append(positions)
    prices = [named(b.experiment).price(b.cells(p)) for b, p in zip(plan.blocks, missing, strict=True)]
    return Work(missing, prices, total, float(sum(price.sum() for price in prices)))


def worker_count(asked: int | None, seconds: float, own: bool) -> int:
    """The processes for this much work; a launcher that is not ours decides itself, and gets chunks for all cores."""
    if asked is not None and own:
        return asked
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if seconds >= WORTH_WORKERS or not own else 1


def cut_work(plan: Plan, work: Work, workers: int) -> list[Chunk]:
    """The chunks: long enough to be worth a job, short enough for all workers and for an interruption."""
    prices, target = work.prices, float(np.clip(work.seconds / (4 * workers), SHORTEST, LONGEST))
    if workers == 1 and work.seconds < ONE_CHUNK:
        target = np.inf
    elif work.seconds < SHORTEST * workers:  # the user asked for workers: each gets something, even if nothing costs
        prices = [price if work.seconds else np.ones(len(price)) for price in prices]
        target = sum(float(price.sum()) for price in prices) / workers
    return [
        Chunk(index, part)
        for index, (positions, price) in enumerate(zip(work.missing, prices, strict=True))
        for part in cut(plan.blocks[index], positions, price, target)
    ]
