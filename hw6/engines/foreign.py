"""Pieces through any launcher of Hydra's (joblib, submitit, ...), which runs them as its jobs and tells at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hw6.engines.contract import Abilities, Ended, Engine, Orders, Piece, WorkerDied
from hw6.engines.jobs import hand_directory, job_overrides, result_of
from hw6.running.job import stored_result


class Foreign(Engine):
    """A launcher of Hydra's.

    Args:
        make_launcher: a new launcher from the sweep's config.
        config: that config.
    """

    abilities = Abilities(obeys_workers=False, tells_of_ends=False, knows_this_process=False)

    def __init__(self, make_launcher: Callable[[], Any], config: DictConfig) -> None:
        self.make_launcher, self.config = make_launcher, config

    def run(self, pieces: Sequence[Piece], orders: Orders, ended: Ended) -> None:
        """See Engine. What is to be run in consequence of a round goes into the next one."""
        hand_directory(self.config, orders.folder)
        while pieces:
            results = self._round(pieces, orders)
            ends = zip(pieces, results, strict=True)
            pieces = [other for piece, result in ends for other in ended(piece, result)]

    def _round(self, pieces: Sequence[Piece], orders: Orders) -> Sequence[Any]:
        jobs = [job_overrides(piece, orders) for piece in pieces]
        try:
            returned = self.make_launcher().launch(jobs, initial_job_idx=pieces[0].number)
        except Exception as error:
            started = [orders.folder / str(piece.number) for piece in pieces]
            if not any(folder.exists() for folder in started):
                raise  # no job has begun: it is the launcher that failed
            return [_what_became(piece, folder, error) for piece, folder in zip(pieces, started, strict=True)]
        return [result_of(one) for one in returned]


def _what_became(piece: Piece, folder: Path, error: Exception) -> Any:
    """Of a piece in a round that the launcher gave up (a process died): what it stored, or that it was lost."""
    return stored_result(folder, len(piece.chunk)) or WorkerDied(f"{type(error).__name__}: {error}".splitlines()[0])
