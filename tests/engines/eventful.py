"""An experiment whose cells raise, kill their process or wait where a file says so, and say in which job they ran.

It is no part of what a cell is: a resumed sweep finds the same cells, whatever its files say by then.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hydra.core.hydra_config import HydraConfig

from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.keys import Integer, Real

FOLDER = "EVENTFUL"  # the environment's name for the directory of the files
DIE, RAISE, WAIT, BEGUN = "die", "raise", "wait", "begun"
ATTEMPTS = "attempts"
LOOK = 0.01  # seconds between a waiting cell's looks


@dataclass(frozen=True)
class Attempt:
    """One call of the experiment: the number of its Hydra job, its process, its cells."""

    number: int
    process: int
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Events:
    """What is to happen to the cells, by their ``p``, and what has happened."""

    folder: Path

    def tell(self, event: str, *cells: int) -> None:
        """Let an event happen to these cells, or say that it has happened."""
        for p in cells:
            (self.folder / f"{event}-{p}").touch()

    def forget(self) -> None:
        """Let nothing happen any more."""
        for event in (DIE, RAISE, WAIT, BEGUN):
            for path in self.folder.glob(f"{event}-*"):
                path.unlink()

    def told(self, event: str, p: int) -> bool:
        """Whether an event is to happen to a cell, or has happened."""
        return (self.folder / f"{event}-{p}").exists()

    def note(self, cells: list[int]) -> None:
        """Write down an attempt; several processes may do so at once."""
        line = f"{HydraConfig.get().job.num} {os.getpid()} {','.join(map(str, cells))}\n"
        with open(self.folder / ATTEMPTS, "ab", buffering=0) as file:
            file.write(line.encode())

    def attempts(self) -> Iterator[Attempt]:
        """All attempts so far, in order."""
        path = self.folder / ATTEMPTS
        for line in path.read_text().splitlines() if path.exists() else ():
            number, process, cells = line.split()
            yield Attempt(int(number), int(process), tuple(map(int, cells.split(","))))


def _rows(cells: Cells) -> Columns:
    events, widths = Events(Path(os.environ[FOLDER])), cells["p"].tolist()
    events.note(widths)
    for p in widths:
        if events.told(DIE, p):
            os.kill(os.getpid(), signal.SIGKILL)
        if events.told(WAIT, p):
            events.tell(BEGUN, p)
            while events.told(WAIT, p):
                time.sleep(LOOK)
        if events.told(RAISE, p):
            raise ArithmeticError("told to raise")
    return {"root": np.sqrt(cells["p"].astype(float))}


EXPERIMENT = Experiment(
    name="eventful",
    version=1,
    keys={
        "p": Integer(help="a number", minimum=0, default=1),
        "cost": Real(
            help="the seconds that a cell is said to cost; 8 make each cell a chunk", minimum=0.0, default=8.0
        ),
    },
    metrics={"root": "the root of p"},
    rows=_rows,
    price=lambda cells: cells["cost"].astype(float),
)
