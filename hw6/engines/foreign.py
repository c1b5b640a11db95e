"""Pieces through any launcher of Hydra's (joblib, submitit, ...), which runs them as its jobs and tells at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hw6.engines.contract import Abilities, Ended, Engine, Orders, Piece, Stop, WorkerDied
from hw6.engines.jobs import hand_directory, job_overrides, result_of
from hw6.running.job import stored_result

NOT_BEGUN = object()


class Foreign(Engine):
    """A launcher of Hydra's. It may run jobs in this process: that it gets past a death cannot be known beforehand.

    Args:
        make_launcher: a new launcher from the sweep's config.
        config: that config.
    """

    abilities = Abilities(tells_of_ends=False, knows_this_process=False)

    def __init__(self, make_launcher: Callable[[], Any], config: DictConfig) -> None:
        self.make_launcher, self.config = make_launcher, config

    def run(self, pieces: Sequence[Piece], orders: Orders, ended: Ended) -> None:
        """See Engine. A piece that may have killed a process runs alone, so that the next death has one author.

        What a launcher is given runs to its end. A sweep that is to stop at the first failure is therefore handed over
        by rounds, and all pieces of a round are told of before it stops.
        """
        hand_directory(self.config, orders.folder)
        waiting, stop = list(pieces), None
        while waiting and stop is None:
            batch = _together(waiting, orders.slots if orders.fail_fast else len(waiting))
            waiting = waiting[len(batch) :]
            for piece, result in self._round(batch, orders):
                try:
                    waiting += [piece] if result is NOT_BEGUN else ended(piece, result)
                except Stop as error:
                    stop = error
            waiting.sort(key=lambda piece: piece.number)
        if stop is not None:
            raise stop

    def _round(self, batch: Sequence[Piece], orders: Orders) -> list[tuple[Piece, Any]]:
        """What became of each piece of a batch that goes to the launcher at once."""
        jobs = [job_overrides(piece, orders) for piece in batch]
        try:
            returned = self.make_launcher().launch(jobs, initial_job_idx=batch[0].number)
        except Exception as error:  # a process died, and the launcher gave up the whole batch
            folders = [orders.folder / str(piece.number) for piece in batch]
            if not any(folder.exists() for folder in folders):
                raise  # no job has begun: it is the launcher that failed
            return [
                (piece, _what_became(piece, folder, orders, error))
                for piece, folder in zip(batch, folders, strict=True)
            ]
        return list(zip(batch, map(result_of, returned), strict=True))


def _together(waiting: Sequence[Piece], most: int) -> list[Piece]:
    """The first pieces, at most so many, that can go to the launcher at once: it numbers its jobs without gaps."""
    batch = [waiting[0]]
    while len(batch) < min(most, len(waiting)) and not (batch[-1].deaths or waiting[len(batch)].deaths):
        if waiting[len(batch)].number != batch[-1].number + 1:
            break
        batch.append(waiting[len(batch)])
    return batch


def _what_became(piece: Piece, folder: Path, orders: Orders, error: Exception) -> Any:
    """Of a piece in a batch that was given up: what it stored, or that it had not begun, or that it was lost."""
    if not folder.exists():
        return NOT_BEGUN
    stored = stored_result(folder, orders.plan.blocks[piece.chunk.block], piece.chunk.positions)
    return stored or WorkerDied(f"{type(error).__name__}: {error}".splitlines()[0])
