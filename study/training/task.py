"""A run to be trained: what a sweep hands to whoever trains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.config.run_config import ResolvedRun, RunConfig


@dataclass(frozen=True)
class Task:
    """A run to be trained.

    Attributes:
        config: its config.
        run_id: its full id.
        variant_id: the id of its variant.
        budget_free_id: the id that it shares with runs of other numbers of epochs.
        variant: what its variant is called.
        takes_lam: whether the config's λ has a meaning.
        may_grow: whether a longer run begins as this one did.
        setting: what else tells variants apart, apart from the regularizer.
        folder: where it will lie when it has ended.
        retry: whether it is to be taken up although it has ended: it failed, or lacks a test score that is wanted.
        extends: a complete run that differs in fewer epochs only and kept its checkpoint; None if there is none.
        path: the training loop that trains it, a key of `loop_choice.LOOPS`.
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

    @classmethod
    def of(cls, run: ResolvedRun, variant: str, folder: Path, **how: Any) -> "Task":
        """The task of a resolved run; `how` are the attributes that say how it is trained."""
        setting = {key: value for key, value in run.settings.items() if not key.startswith("reg.")}
        ids = (run.run_id, run.variant_id, run.budget_free_id)
        return cls(run.config, *ids, variant, run.takes_lam, run.may_grow, setting, folder, **how)
