"""What the launcher does, kept apart so that other Hydra applications do not pay for its imports."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from hw6.sweep.workers import Job, run_jobs

if TYPE_CHECKING:
    from hydra_plugins.hw6.launcher import Hw6Launcher


def launch(launcher: Hw6Launcher, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run the jobs in this process or in ``launcher.workers`` processes."""
    setup_globals()

    def config_of(index: int) -> DictConfig:
        return _compose(launcher, list(job_overrides[index]), first + index, alone=len(job_overrides) == 1)

    Path(str(launcher.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    returns: list[Any] = [None] * len(job_overrides)

    def finished(index: int, result: Any) -> None:
        if isinstance(result, BaseException):  # the worker, not the job, failed
            failure = JobReturn(overrides=list(job_overrides[index]), status=JobStatus.FAILED)
            failure.return_value = result
            result = failure
        returns[index] = result
        launcher.report(getattr(result._return_value, "cells", 1))

    def job_of(index: int) -> Job:
        return Job(run_in_worker, (config_of(index), launcher.task_function))

    if launcher.workers > 1 and len(job_overrides) > 1:
        run_jobs(job_of, len(job_overrides), launcher.workers, finished)
    else:
        for index in range(len(job_overrides)):
            finished(index, _run(config_of(index), launcher.task_function, launcher.hydra_context))
    configure_log(launcher.config.hydra.hydra_logging, launcher.config.hydra.verbose)
    return returns


def _compose(launcher: Hw6Launcher, overrides: list[str], number: int, *, alone: bool) -> DictConfig:
    """The config of one job: that of its choice, composed once, with what is the job's own set in a copy."""
    own = [text for text in overrides if text.startswith("+chunk.")]
    shared = tuple(text for text in overrides if not text.startswith("+chunk."))
    if shared not in launcher.composed:
        loader = launcher.hydra_context.config_loader
        launcher.composed[shared] = loader.load_sweep_config(launcher.config, list(shared))
    config: DictConfig = launcher.composed[shared] if alone else copy.deepcopy(launcher.composed[shared])
    with open_dict(config):
        for text in own:
            key, _, value = text.removeprefix("+").partition("=")
            OmegaConf.update(config, key, int(value) if value.isdecimal() else value.strip("'"), force_add=True)
        config.hydra.overrides.task = overrides
        config.hydra.sweep.dir = launcher.config.hydra.sweep.dir
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
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
