"""hw6's launcher: chunks in this process or in local worker processes, each config choice composed once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    """Runs jobs here (``workers`` 1) or in processes; ``told`` hears of each that ends and says whether to go on."""

    def __init__(self) -> None:
        self.workers = 1
        self.told: Callable[[JobReturn], bool] = lambda returned: True
        self.composed: dict[tuple[str, ...], DictConfig] = {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their returns in order."""
        from hydra_plugins.hw6._launch import launch

        return launch(self, job_overrides, initial_job_idx)
