"""A task: everything that a process needs to train one run of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.config.run_config import ResolvedRun, RunConfig


@dataclass(frozen=True)
class Task:
    """A run to train.

    Attributes:
        config: the run's config.
        run_id: the run's full id.
        variant_id: the id of its variant.
        budget_free_id: the id that it shares with runs that differ only in the number of epochs.
        variant: the key of its variant.
        takes_lam: whether the regularizer uses the config's λ.
        may_grow: whether a longer run starts with the same epochs as this one.
        setting: the settings, other than those of `reg`, that may differ between variants.
        folder: the run's folder once it has ended.
        retry: whether to train it although it has ended, because it failed or lacks a test score.
        extends: folder of a complete run that differs only in having fewer epochs and has kept its checkpoint; None if
            there is none.
        path: the training loop of the run, a key of `loop_choice.LOOPS`.
        loggers: names of the loggers that follow the run, keys of `loggers.choice.TOOLS`.
        until: the epoch after which training stops for now, and the run is pruned; None: the last of its budget. It is
            no part of the run's identity: a later task with a larger `until` continues the run from its checkpoint.
    """

    config: RunConfig
    run_id: str
    variant_id: str
    budget_free_id: str
    variant: str
    takes_lam: bool
    may_grow: bool
    setting: Mapping[str, Any]
    folder: Path
    extends: Path | None = None
    retry: bool = False
    path: str = "general"
    loggers: Sequence[str] = ()
    until: int | None = None

    @property
    def last_epoch(self) -> int:
        """The last epoch that is trained, unless the run ends before."""
        return self.until or self.config.epochs

    @classmethod
    def of(cls, run: ResolvedRun, variant: str, folder: Path, **how: Any) -> "Task":
        """Make the task of a resolved run. `how`: the attributes that say how it is trained."""
        ids = (run.run_id, run.variant_id, run.budget_free_id)
        return cls(run.config, *ids, variant, run.takes_lam, run.may_grow, run.setting, folder, **how)
