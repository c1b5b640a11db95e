"""What the sweeper does, kept apart so that other Hydra applications do not pay for its imports."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from hw6.errors import BadInput
from hw6.experiments.registry import experiment_named, is_of_this_process
from hw6.schema import RUN_KEYS
from hw6.sweep.conduct import Launch, Outcome, Settings, conduct
from hw6.sweep.grammar import quoted
from hw6.sweep.resolve import Composer, make_plan
from hydra_plugins.hw6.launcher import Hw6Launcher

DIRECTORY = "hydra.sweep.dir="
OWN_LAUNCHER = "hydra_plugins.hw6.launcher.Hw6Launcher"


def sweep(
    params: Mapping[str, Any],
    arguments: Sequence[str],
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
) -> Outcome | None:
    """Run a sweep through Hydra's launcher."""
    loader = context.config_loader
    composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(overrides: list[str]) -> DictConfig:
        # What is typed and not swept stands in Hydra's own composed config already: composing costs 50 ms.
        same = set(overrides) <= set(arguments)
        result = _for_jobs(config, overrides) if same else loader.load_sweep_config(config, overrides)
        composed[tuple(overrides)] = result
        return result

    @cache
    def options(group: str) -> list[str]:
        return loader.get_group_options(group)

    named = [f"{key}={value}" for key, value in params.items()]
    plan = make_plan(named, arguments, Composer(compose, options, experiment_named, loader))
    claimed = any(text.startswith(DIRECTORY) for text in config.hydra.overrides.hydra)
    own = str(config.hydra.launcher._target_) == OWN_LAUNCHER

    def jobs(
        overrides: Sequence[Sequence[str]], first: int, folder: Path, workers: int, told: Callable[[Any], bool]
    ) -> list[Any]:
        _set_directory(config, folder)
        launcher = Plugins.instance().instantiate_launcher(context, task_function, config)
        if own:  # by name: Hydra's scan for plugins may have made the class a second time
            launcher = cast(Hw6Launcher, launcher)
            launcher.workers, launcher.composed = workers, composed
            launcher.told = lambda returned: told(_result(returned))
        return [_result(returned) for returned in launcher.launch(overrides, initial_job_idx=first)]

    run = {name: key.convert(name, config[name]) for name, key in RUN_KEYS.items()}
    local = sorted({block.experiment for block in plan.blocks if is_of_this_process(block.experiment)})
    if local and (not own or run["workers"] not in (None, 1)):
        allowed = f"experiment {local[0]} is registered in this process alone"
        hint = "workers=1, or announce it by an entry point of the group hw6.experiments"
        raise BadInput("workers", config.workers, allowed, hint)
    if local:
        run["workers"] = 1
    settings = Settings(Path(config.hydra.sweep.dir).absolute(), claimed, **run)
    return conduct(plan, experiment_named, settings, Launch(jobs, own))


def _for_jobs(config: DictConfig, overrides: list[str]) -> DictConfig:
    """The sweep's config as that of a job with these overrides."""
    result = copy.deepcopy(config)
    with open_dict(result):
        result.hydra.overrides.task = overrides
        result.hydra.job.override_dirname = ",".join(overrides)
    return result


def _set_directory(config: DictConfig, folder: Path) -> None:
    """Hand the sweep's directory to every job, whatever launcher composes its config."""
    with open_dict(config):
        config.hydra.sweep.dir = str(folder)
        kept = [text for text in config.hydra.overrides.hydra if not text.startswith(DIRECTORY)]
        config.hydra.overrides.hydra = [*kept, f"{DIRECTORY}{quoted(str(folder))}"]


def _result(returned: JobReturn) -> Any:
    return returned.return_value if returned.status == JobStatus.COMPLETED else returned._return_value
