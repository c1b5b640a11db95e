"""What an engine is: where the pieces of a sweep run, and what it can do. The sweep asks, and never for a name.

An engine is handed pieces and tells of each as it ends; what is to be run in consequence comes back from that call
(``hw6.running.retry``). It neither knows what a sweep is nor decides what becomes of a failure.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hw6.plan.plan import Chunk, Plan


class WorkerDied(RuntimeError):
    """A process ended in the middle of a piece (killed, out of memory)."""


class Stop(Exception):
    """Nothing more is to be run; raised by what hears of the ends."""


@dataclass(frozen=True)
class Piece:
    """A chunk as one job of a sweep.

    Attributes:
        number: the job's number, never used twice in a sweep.
        chunk: the cells.
        deaths: how often a process died of it, or of the piece that it was cut from.
        failure: what killed the processes that tried this chunk of one cell: its row says so, and it is not run.
    """

    number: int
    chunk: Chunk
    deaths: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class Orders:
    """What all pieces of a sweep have in common.

    Attributes:
        folder: the sweep's directory.
        plan: its plan.
        plan_file: the name of the file in ``folder`` that holds the plan.
        slots: how many pieces run at once.
        code: by experiment, the digest of the code that is to make its rows.
        fail_fast: ``ended`` stops the sweep at the first piece with a failed cell: the fewer have begun by then, the
            better.
    """

    folder: Path
    plan: Plan
    plan_file: str
    slots: int
    fail_fast: bool = False
    code: Mapping[str, str] = field(default_factory=dict)


# Hears of a piece that ended and of its result or exception; says which pieces are to be run in consequence.
Ended = Callable[[Piece, Any], Sequence[Piece]]


@dataclass(frozen=True)
class Abilities:
    """What an engine can do.

    Attributes:
        tells_of_ends: ``ended`` is called as each piece ends, not when all have; ``fail_fast`` relies on it.
        knows_this_process: pieces can run in this process, which knows what was registered in it alone.
        gets_past_deaths: a piece that kills its process keeps no other piece from its rows: the sweep goes on without
            it, or does so when the same command is run again.
    """

    tells_of_ends: bool
    knows_this_process: bool
    gets_past_deaths: bool = False


class Engine(ABC):
    """Where pieces run."""

    abilities: Abilities

    def slots(self, workers: int | None, seconds: float) -> int:
        """How many pieces are to run at once.

        Args:
            workers: what the user asked for; None leaves it to the engine.
            seconds: the estimated time of all cells on one core.
        """
        return cores()

    @abstractmethod
    def run(self, pieces: Sequence[Piece], orders: Orders, ended: Ended) -> None:
        """Run pieces, and those that ``ended`` asks for, until there are none.

        Raises:
            Stop: from ``ended``; whatever was running has ended or been told to.
            Exception: the engine itself failed. A piece that fails is told to ``ended`` instead.
        """


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
