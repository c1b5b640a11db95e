"""hw6's launcher: an engine for hw6's sweeper; for any other one job after another in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class LauncherConf:
    """The launcher's config node; it has no options: ``workers=N`` is a key of hw6."""

    _target_: str = "hydra_plugins.hw6.launcher.Hw6Launcher"


ConfigStore.instance().store(group="hydra/launcher", name="hw6", node=LauncherConf, provider="hw6")


class Hw6Launcher(Launcher):
    """The thin end of ``hw6.engines.local``."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def engine(self, composed: dict[tuple[str, ...], DictConfig]) -> Any:
        """The engine behind this launcher; ``composed`` holds configs of choices by their overrides."""
        from hw6.engines.local import Local

        return Local(self.hydra_context, self.task_function, self.config, composed)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their returns in order."""
        from hw6.engines.local import launch

        return launch(self.hydra_context, self.task_function, self.config, job_overrides, initial_job_idx)
