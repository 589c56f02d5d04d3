"""Hydra's door to regstudy: a sweeper that hands the command line to `study.sweep`.

Hydra finds plugins only in the namespace package `hydra_plugins`, and imports this module in every Hydra
application of the environment: nothing heavy is imported here.
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class StudySweeperConfig:
    """Selected by `hydra/sweeper: study` in conf/config.yaml."""

    _target_: str = "hydra_plugins.study_sweeper.StudySweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="study", node=StudySweeperConfig, provider="regstudy")


class StudySweeper(Sweeper):
    """Plans all runs of a command before the first starts, and trains them side by side."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra with the config composed from all overrides that do not sweep."""
        self.context = hydra_context
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Called by Hydra with the overrides of the command line."""
        from study.sweep.command import sweep

        return sweep(self.config, self.context, arguments)
