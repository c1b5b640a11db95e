"""Pieces in this process, or in local worker processes; each config choice is composed once."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from hw6.contract.registry import is_of_this_process
from hw6.engines.contract import Abilities, Ended, Engine, Orders, Piece, WorkerDied, cores
from hw6.engines.jobs import chunk_node, hand_directory, job_overrides, result_of
from hw6.engines.workers import Call, Task, run_calls

WORTH_WORKERS = 4.0  # estimated seconds: below that, starting processes costs more than it saves
DEADLY = ".deadly"  # in a sweep's directory while pieces run in this process, and for good once a process died of one


class Local(Engine):
    """This machine.

    One slot is this process, until a piece kills it. The sweep's directory remembers that: run again, its pieces get
    processes of their own.

    Args:
        context, task_function, config: what Hydra hands to a launcher.
        composed: the configs of choices that were composed already, by their overrides.
    """

    abilities = Abilities(tells_of_ends=True, knows_this_process=True, gets_past_deaths=True)

    def __init__(
        self,
        context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
        composed: dict[tuple[str, ...], DictConfig],
    ) -> None:
        self.context, self.task_function, self.config, self.composed = context, task_function, config, composed

    def slots(self, workers: int | None, seconds: float) -> int:
        """What was asked for; otherwise all cores for a sweep that is worth it."""
        return workers or (cores() if seconds >= WORTH_WORKERS else 1)

    def run(self, pieces: Sequence[Piece], orders: Orders, ended: Ended) -> None:
        """See Engine."""
        hand_directory(self.config, orders.folder)
        setup_globals()
        try:
            if (orders.slots > 1 and len(pieces) > 1) or _is_deadly(orders):
                self._in_processes(pieces, orders, ended)
            else:
                self._here(pieces, orders, ended)
        finally:
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)

    def _here(self, pieces: Sequence[Piece], orders: Orders, ended: Ended) -> None:
        waiting, alone, deadly = deque(pieces), len(pieces) == 1, orders.folder / DEADLY
        deadly.touch()
        try:
            while waiting:
                piece = waiting.popleft()
                returned = _run(self._config(piece, orders, alone=alone), self.task_function, self.context)
                waiting += ended(piece, result_of(returned))
        finally:
            with suppress(OSError):  # the directory may be gone; the sweep finds out by itself
                deadly.unlink()

    def _in_processes(self, pieces: Sequence[Piece], orders: Orders, ended: Ended) -> None:
        def call(piece: Piece) -> Call:
            return Call(run_in_worker, (self._config(piece, orders), self.task_function))

        def tasks(some: Iterable[Piece]) -> list[Task]:
            return [(piece, partial(call, piece)) for piece in some]

        def finished(piece: Piece, result: Any) -> list[Task]:
            # An exception here is Hydra's or the worker's: the experiment's own are rows by now.
            if isinstance(result, WorkerDied):
                with suppress(OSError):
                    (orders.folder / DEADLY).touch()
            return tasks(ended(piece, result_of(result) if isinstance(result, JobReturn) else result))

        run_calls(tasks(pieces), orders.slots, finished)

    def _config(self, piece: Piece, orders: Orders, *, alone: bool = False) -> DictConfig:
        """The config of one job: that of its choice, composed once, with what is the job's own set in a copy."""
        shared = orders.plan.blocks[piece.chunk.block].overrides
        if shared not in self.composed:
            self.composed[shared] = self.context.config_loader.load_sweep_config(self.config, list(shared))
        config: DictConfig = self.composed[shared] if alone else copy.deepcopy(self.composed[shared])
        with open_dict(config):
            config.chunk = chunk_node(piece, orders)
            config.hydra.overrides.task = job_overrides(piece, orders)
            config.hydra.sweep.dir = str(orders.folder)
            config.hydra.job.id = str(piece.number)
            config.hydra.job.num = piece.number
        return config


def _is_deadly(orders: Orders) -> bool:
    """Whether a process died of a piece of this sweep before, and others than this one can run its pieces."""
    return (orders.folder / DEADLY).exists() and not any(
        is_of_this_process(block.experiment.name) for block in orders.plan.blocks
    )


def launch(
    context: HydraContext, task_function: TaskFunction, config: DictConfig, jobs: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Run any jobs of Hydra's, those of other sweepers than hw6's, here and one after another."""
    setup_globals()
    Path(str(config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    returns = []
    for number, overrides in enumerate(jobs, first):
        one = context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(one):
            one.hydra.job.id, one.hydra.job.num = str(number), number
        returns.append(_run(one, task_function, context))
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    return returns


def _run(config: DictConfig, task_function: TaskFunction, context: HydraContext) -> JobReturn:
    return run_job(
        hydra_context=context,
        task_function=task_function,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def run_in_worker(config: DictConfig, task_function: TaskFunction) -> JobReturn:
    """One job in a fresh process, which builds its own callbacks from the config."""
    from hydra import version
    from hydra._internal.callbacks import Callbacks

    version.setbase(config.hydra.runtime.version_base)
    setup_globals()
    return _run(config, task_function, HydraContext(config_loader=None, callbacks=Callbacks(config)))  # type: ignore[arg-type]
