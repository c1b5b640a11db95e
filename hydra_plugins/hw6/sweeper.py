"""hw6's sweeper: cuts a sweep into chunks, each of which any Hydra launcher runs as one job."""

from dataclasses import dataclass
from typing import Any, Optional

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


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
    """The thin end of ``hw6.sweep.conduct``."""

    def __init__(self, params: Optional[dict[str, Any]] = None) -> None:  # noqa: UP045
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        self.hydra_context: HydraContext = hydra_context
        self.task_function: TaskFunction = task_function
        self.config: DictConfig = config

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, cut, launch; returns the outcome."""
        from hydra_plugins.hw6._sweep import sweep

        return sweep(self.params, arguments, self.hydra_context, self.task_function, self.config)
