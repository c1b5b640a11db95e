"""What a sweep will cost before anything starts: time, memory, rows and bytes; and the refusal of what does not fit.

Times come from the experiment's own cost model. A dry run also runs a few cells and compares them with the model, which
takes the speed of this machine into account; an experiment without a model is timed on these cells alone.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw6.contract.answers import CellAnswers
from hw6.contract.asking import numbers_of
from hw6.contract.experiment import Cells, Experiment
from hw6.contract.keys import Integer, Integers
from hw6.errors import BadInput
from hw6.plan.chunks import Missing
from hw6.plan.plan import Chunk, Plan
from hw6.running.surroundings import one_thread, printed_to_log
from hw6.words import counted, duration

SAMPLE_SECONDS = 0.4  # what a dry run spends on cells of each experiment
LONG_WAIT = 0.05  # seconds: what is shorter tells nothing of whether cells wait
LONG_SECONDS = 20.0  # of one cell: more than a guess is worth
ID_BYTES, COLUMN_BYTES, FILE_BYTES = 20, 8.5, 12_000  # a row's id, each number in it, a chunk's files beside its rows
CHUNK_SECONDS, WORKER_SECONDS = 0.05, 0.6  # a Hydra job beside its cells; a process until it takes its first
PROCESS_BYTES = 90e6  # a process with everything loaded that a sweep of NumPy's alone needs
CELL_BYTES, ENTRY_BYTES = 300.0, 20.0  # of a chunk in memory: a cell (its id, its sentence), an entry of a row


@dataclass(frozen=True)
class Estimate:
    """What is to be run.

    Attributes:
        cells, done, chunks, rows: how many; ``done`` have their rows already and do not count in what follows.
        seconds: of one core for all missing cells.
        workers: processes.
        memory: bytes, all processes together.
        disk: bytes of the sweep's files.
        starting: seconds until the first cell runs, of the command and of each process.
    """

    cells: int
    done: int
    chunks: int
    rows: int
    seconds: float
    workers: int
    memory: float
    disk: float
    starting: float = 0.0

    @property
    def lines(self) -> list[str]:
        """The estimate for a person."""
        starting = self.starting + (WORKER_SECONDS if self.workers > 1 else 0.0)
        wall = starting + (self.seconds + self.chunks * CHUNK_SECONDS) / self.workers
        return [
            f"cells    {self.cells:,} ({self.done:,} done, {self.cells - self.done:,} to run)",
            f"chunks   {self.chunks:,} in {counted(self.workers, 'process', 'es')}",
            f"time     about {duration(wall)} ({duration(self.seconds)} of one core)",
            f"memory   about {self.memory / 1e6:,.0f} MB",
            f"rows     {self.rows:,}, about {self.disk / 1e6:,.1f} MB on disk",
        ]


def estimate(plan: Plan, missing: Missing, chunks: Sequence[Chunk], workers: int) -> Estimate:
    """The estimate for the missing cells of a plan, cut into chunks.

    Args:
        plan: the cells.
        missing: those to run.
        chunks: how they run.
        workers: processes that may run at once; one chunk needs one, however many there may be.
    """
    workers = min(workers, max(len(chunks), 1))
    rows, disk, largest = 0, 0.0, 0.0
    longest = [max((len(chunk) for chunk in chunks if chunk.block == i), default=0) for i in range(len(plan.blocks))]
    for block, positions, most in zip(plan.blocks, missing.positions, longest, strict=True):
        if len(positions):
            experiment, cells = block.experiment, block.cells(positions)
            number = int(np.sum(numbers_of(experiment, "rows_of", cells)))
            rows += number
            disk += number * (ID_BYTES + COLUMN_BYTES * (len(experiment.metrics) + len(block.axes) + 1))
            entries = number / len(positions) * (len(experiment.metrics) + len(experiment.keys) + 2)
            in_memory = most * (CELL_BYTES + ENTRY_BYTES * entries)
            largest = max(largest, float(np.max(numbers_of(experiment, "memory", cells))) + in_memory)
    memory = PROCESS_BYTES * (workers + (workers > 1)) + workers * largest
    files = len(chunks) * FILE_BYTES
    return Estimate(missing.total, missing.finished, len(chunks), rows, missing.seconds, workers, memory, disk + files)


def refuse_without_room(cost: Estimate, folder: Path) -> None:
    """Refuse a sweep that the disk or the memory cannot hold.

    Raises:
        BadInput: what it needs, what there is, and what to change.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if cost.disk > free:
        needs = f"{cost.rows:,} rows need about {cost.disk / 1e6:,.0f} MB of disk, and {free / 1e6:,.0f} MB are free"
        raise BadInput("hydra.sweep.dir", folder, needs, "sweep fewer cells, or choose another disk")
    there = available_memory()
    if cost.memory > there:
        needs = f"{cost.memory / 1e9:.1f} GB of memory are needed, and {there / 1e9:.1f} GB are available"
        raise BadInput("workers", cost.workers, needs, "use fewer workers, or smaller cells")


def refuse_large_cells(plan: Plan, positions: Sequence[np.ndarray] | None = None) -> None:
    """Refuse cells of which this machine cannot hold a single one; names the key that makes the largest so large.

    Args:
        plan: the cells.
        positions: for each block those that are to run; None: all.

    Raises:
        BadInput: what it needs, what there is, and what to change.
    """
    there = available_memory()
    for block, run in zip(plan.blocks, positions or [np.arange(b.size) for b in plan.blocks], strict=True):
        if not len(run):
            continue
        cells = block.cells(run)
        need = numbers_of(block.experiment, "memory", cells) + PROCESS_BYTES
        worst = int(np.argmax(need))
        if need[worst] > there:
            cell = {key: values[worst : worst + 1] for key, values in cells.items()}
            key = _largest_part(block.experiment, cell)
            value = cell[key][0]
            size = f"one cell needs about {need[worst] / 1e9:.3g} GB of memory, and {there / 1e9:.3g} GB are available"
            raise BadInput(key, list(value) if isinstance(value, tuple) else value, size, f"take a smaller {key}")


def _largest_part(experiment: Experiment, cell: Mapping[str, np.ndarray]) -> str:
    """The key of a cell whose smallest value would save most memory."""
    found = {}
    for key, kind in experiment.keys.items():
        least = np.empty(1, dtype=object)
        if key in cell and cell[key][0] is not None:
            if isinstance(kind, Integer):
                least = np.array([kind.minimum])
            elif isinstance(kind, Integers):
                least[0] = (kind.minimum,) * kind.shortest
            else:
                continue
            with suppress(Exception):  # a combination that makes no sense tells nothing
                found[key] = float(numbers_of(experiment, "memory", {**cell, key: least})[0])
    return min(found, key=found.__getitem__) if found else next(iter(cell))


def available_memory() -> float:
    """Bytes that a new process can have without pushing others out."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass  # no Linux: the whole memory is the best that is known
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")  # nothing is known, and nothing refused


@dataclass(frozen=True)
class Calibration:
    """What a dry run found out about the cells of one block.

    Attributes:
        seconds: of one core for all of them.
        loading: seconds that a process spends once, before its first cell: packages are loaded, what cells share made.
    """

    seconds: float
    loading: float


def calibrated(experiment: Experiment, cells: Cells, prices: np.ndarray) -> Calibration:
    """The cost of cells whose modelled prices are ``prices``, corrected by a sample that is run.

    The sample is a stretch of neighbouring cells from the middle, which share work as in the sweep itself. The first
    cell is run before it, and is no part of it: what it costs more than the others is paid once. Cells that the model
    prices beyond ``LONG_SECONDS`` are not run for a guess: the model is taken at its word.
    """
    count = len(prices)
    total = float(prices.sum())
    if prices.min() > LONG_SECONDS:
        return Calibration(total, 0.0)
    first = _time(experiment, {key: values[:1] for key, values in cells.items()})
    if count == 1:
        return Calibration(first, 0.0)
    size = _affordable(prices, min(count - 1, 16))
    while True:
        start = 1 + (count - 1 - size) // 2
        sample = {key: values[start : start + size] for key, values in cells.items()}
        measured = _time(experiment, sample)
        if measured >= SAMPLE_SECONDS / 4 or size == count - 1:
            break
        size = min(count - 1, size * 4)
    modelled = float(numbers_of(experiment, "price", sample).sum())
    scale = measured / modelled if modelled > 0 else 0.0
    seconds = total * scale if modelled > 0 else measured * count / size
    return Calibration(seconds, max(first - (float(prices[0]) * scale or measured / size), 0.0))


def _affordable(prices: np.ndarray, most: int) -> int:
    """How many cells from the middle, at least one and at most ``most``, are worth running for a guess."""
    middle = prices[len(prices) // 2 :][:most]
    return max(1, min(most, int(np.searchsorted(np.cumsum(middle), 2 * SAMPLE_SECONDS))) if middle.sum() else most)


def _time(experiment: Experiment, cells: Cells) -> float:
    """Seconds of one core: a busy machine makes a process wait, and not its cells dearer. Cells that wait by themselves
    most of the time (for a disk, for another process) cost what a clock says.

    Of cells of which only the first have run, as these took long, the others are taken to cost as much.
    """
    count = ran = len(next(iter(cells.values())))
    waited = time.perf_counter()
    with one_thread(), printed_to_log(experiment.name):
        began = time.process_time()
        try:
            returned = experiment.rows(cells)
            if isinstance(returned, CellAnswers):
                ran = max(len(returned.rows), 1)
        except KeyboardInterrupt:
            raise
        except BaseException:  # a cell that fails costs what it costs; running the sweep will tell of it
            pass
        seconds, waited = time.process_time() - began, time.perf_counter() - waited
        return (waited if waited > LONG_WAIT and seconds < waited / 2 else seconds) * count / ran
