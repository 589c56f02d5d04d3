"""Hydra plugin: a sweeper that passes the command line to `study.sweep`.

Hydra finds plugins only in the namespace package `hydra_plugins`. Every Hydra application in the environment imports
this module, so it must not import anything slow.
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class StudySweeperConfig:
    """The config of the sweeper, selected by `hydra/sweeper: study` in conf/config.yaml."""

    _target_: str = "hydra_plugins.study_sweeper.StudySweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="study", node=StudySweeperConfig, provider="regstudy")


class StudySweeper(Sweeper):
    """Plans all runs of a command before the first one starts, and trains them in parallel."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the context and the config. Hydra composes the config from all overrides that do not sweep."""
        self.context = hydra_context
        self.config = config
        self.instead = getattr(task_function, "sweep", None)  # of study plan

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep. Hydra passes the overrides of the command line."""
        from study.sweep.command import sweep  # every Hydra application imports this module

        return (self.instead or sweep)(self.config, self.context, arguments)
