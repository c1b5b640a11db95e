"""hw6's sweeper: composes a plan from the overrides and hands it to ``hw6.running.sweep``."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Optional

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


@dataclass
class SweeperConf:
    """The sweeper's config node.

    Attributes:
        params: overrides of a named sweep, in Hydra's grammar; what is typed wins over them.
    """

    _target_: str = "hydra_plugins.hw6.sweeper.Hw6Sweeper"
    params: Optional[dict[str, Any]] = None  # noqa: UP045 - OmegaConf reads the annotation


ConfigStore.instance().store(group="hydra/sweeper", name="hw6", node=SweeperConf, provider="hw6")


class Hw6Sweeper(Sweeper):
    """The thin end of ``hw6.running.sweep``; hw6 is imported where a sweep runs, not in every Hydra application."""

    def __init__(self, params: Optional[dict[str, Any]] = None) -> None:  # noqa: UP045
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.hydra_context: HydraContext = hydra_context
        self.task_function: TaskFunction = task_function
        self.config: DictConfig = config

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, cut, run; returns the outcome.

        Raises:
            CompactHydraException: the application is not hw6's own.
        """
        from hw6.command.planning import Composer, make_plan
        from hw6.contract.keys import RUN_KEYS
        from hw6.engines.jobs import DIRECTORY, refuse_subdir, typed_for_hydra
        from hw6.running.job import Job
        from hw6.running.sweep import Options, sweep

        config, job = self.config, self.task_function
        if not isinstance(job, Job):
            raise CompactHydraException(
                "hydra/sweeper=hw6 runs hw6's own experiments; this application is another one: "
                "leave hydra/sweeper=hw6 out, or make it an experiment of hw6 (an entry point of hw6.experiments)"
            )
        refuse_subdir(config)
        loader = self.hydra_context.config_loader
        composed: dict[tuple[str, ...], DictConfig] = {}
        # Of the repository itself: the loader would copy it for each group, which takes 5 ms.
        options = getattr(loader, "repository", loader).get_group_options
        composer = Composer(self._compose(arguments, composed), cache(options), loader)
        plan = make_plan([f"{key}={value}" for key, value in self.params.items()], arguments, composer)
        launcher = self._launcher()
        # By what it offers, not by its class: Hydra's scan for plugins may have made hw6's class a second time.
        engine = launcher.engine(composed) if hasattr(launcher, "engine") else self._foreign()
        named = any(text.startswith(DIRECTORY) for text in typed_for_hydra(config))
        run = {name: key.convert(name, config[name]) for name, key in RUN_KEYS.items()}
        folder = Path(config.hydra.sweep.dir).absolute()
        options = Options(folder, named, **run, quiet=job.quiet, command=job.command, began=job.began)
        return sweep(plan, options, engine)

    def _foreign(self) -> Any:
        from hw6.engines.foreign import Foreign

        return Foreign(self._launcher, self.config)

    def _launcher(self) -> Any:
        return Plugins.instance().instantiate_launcher(self.hydra_context, self.task_function, self.config)

    def _compose(
        self, arguments: list[str], composed: dict[tuple[str, ...], DictConfig]
    ) -> Callable[[list[str]], DictConfig]:
        """How to compose a choice; what was composed is kept for the jobs."""

        def compose(overrides: list[str]) -> DictConfig:
            # What is typed and not swept stands in Hydra's own composed config already: composing costs 50 ms.
            same = set(overrides) <= set(arguments)
            loader = self.hydra_context.config_loader
            result = self._as_of_a_job(overrides) if same else loader.load_sweep_config(self.config, overrides)
            composed[tuple(overrides)] = result
            return result

        return compose

    def _as_of_a_job(self, overrides: list[str]) -> DictConfig:
        """The sweep's config as that of a job with these overrides."""
        result = copy.deepcopy(self.config)
        with open_dict(result):
            result.hydra.overrides.task = overrides
            result.hydra.job.override_dirname = ",".join(overrides)
        return result
