"""What the launcher does, kept apart so that other Hydra applications do not pay for its imports."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from hw6.sweep.plan import positions_of, ranges_text
from hw6.sweep.workers import Job, Task, WorkerDied, run_jobs

if TYPE_CHECKING:
    from hydra_plugins.hw6.launcher import Hw6Launcher

CHUNK, CELLS, FAILURE = "+chunk.", "+chunk.cells=", "+chunk.failure="


class Stop(Exception):
    """Nothing more is to be run."""


@dataclass(frozen=True)
class Attempt:
    """A chunk, its job number, and how often a worker has died of it or of the chunk it was cut from."""

    overrides: tuple[str, ...]
    number: int
    deaths: int = 0


def launch(launcher: Hw6Launcher, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run the jobs in this process or in ``launcher.workers`` processes; stops where the sweep wants to stop."""
    setup_globals()
    Path(str(launcher.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    numbers = itertools.count(first)
    attempts = [Attempt(tuple(overrides), next(numbers)) for overrides in job_overrides]
    returns: list[JobReturn] = []

    def keep(returned: JobReturn) -> None:
        returns.append(returned)
        if not launcher.told(returned):
            raise Stop

    try:
        if launcher.workers > 1 and len(attempts) > 1:
            _in_processes(launcher, attempts, numbers, keep)
        else:
            for attempt in attempts:
                keep(_here(launcher, attempt, alone=len(attempts) == 1))
    except Stop:
        pass
    configure_log(launcher.config.hydra.hydra_logging, launcher.config.hydra.verbose)
    return returns


def _in_processes(
    launcher: Hw6Launcher, attempts: Sequence[Attempt], numbers: Iterator[int], keep: Callable[[JobReturn], None]
) -> None:
    """A chunk of which a worker dies is tried once more, then cut in halves until the cell at fault is alone."""

    def task(attempt: Attempt) -> Task:
        return attempt, partial(_job, launcher, attempt)

    def finished(attempt: Attempt, result: Any) -> list[Task]:
        if isinstance(result, WorkerDied):
            again = _after_death(attempt, numbers)
            if not again:
                keep(_here(launcher, _failed(attempt, result, next(numbers))))
            return [task(other) for other in again]
        if isinstance(result, BaseException):  # Hydra, not the experiment, raised
            failure = JobReturn(overrides=list(attempt.overrides), status=JobStatus.FAILED)
            failure.return_value = result
            result = failure
        keep(result)
        return []

    run_jobs([task(attempt) for attempt in attempts], launcher.workers, finished)


def _after_death(attempt: Attempt, numbers: Iterator[int]) -> list[Attempt]:
    """What is run instead of a chunk that killed its worker; nothing, where it is one cell that did so again."""
    if attempt.deaths == 0:
        return [Attempt(attempt.overrides, next(numbers), 1)]
    positions = positions_of(_cells(attempt))
    if len(positions) == 1:
        return []
    middle = len(positions) // 2
    rest = [text for text in attempt.overrides if not text.startswith(CELLS)]
    return [
        Attempt((*rest, f"{CELLS}'{ranges_text(part)}'"), next(numbers), attempt.deaths + 1)
        for part in (positions[:middle], positions[middle:])
    ]


def _cells(attempt: Attempt) -> str:
    return next(text for text in attempt.overrides if text.startswith(CELLS)).removeprefix(CELLS).strip("'")


def _failed(attempt: Attempt, death: WorkerDied, number: int) -> Attempt:
    """A job that writes the row of a failed cell without running it."""
    return Attempt((*attempt.overrides, f"{FAILURE}'{death}'"), number)


def _job(launcher: Hw6Launcher, attempt: Attempt) -> Job:
    return Job(run_in_worker, (_compose(launcher, attempt), launcher.task_function))


def _here(launcher: Hw6Launcher, attempt: Attempt, *, alone: bool = False) -> JobReturn:
    return _run(_compose(launcher, attempt, alone=alone), launcher.task_function, launcher.hydra_context)


def _compose(launcher: Hw6Launcher, attempt: Attempt, *, alone: bool = False) -> DictConfig:
    """The config of one job: that of its choice, composed once, with what is the job's own set in a copy."""
    own = [text for text in attempt.overrides if text.startswith(CHUNK)]
    shared = tuple(text for text in attempt.overrides if not text.startswith(CHUNK))
    if shared not in launcher.composed:
        loader = launcher.hydra_context.config_loader
        launcher.composed[shared] = loader.load_sweep_config(launcher.config, list(shared))
    config: DictConfig = launcher.composed[shared] if alone else copy.deepcopy(launcher.composed[shared])
    with open_dict(config):
        for text in own:
            key, _, value = text.removeprefix("+").partition("=")
            OmegaConf.update(config, key, int(value) if value.isdecimal() else value.strip("'"), force_add=True)
        config.hydra.overrides.task = list(attempt.overrides)
        config.hydra.sweep.dir = launcher.config.hydra.sweep.dir
        config.hydra.job.id = str(attempt.number)
        config.hydra.job.num = attempt.number
    return config


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
