"""TODO."""

from dataclasses import dataclass
from pathlib import Path

from study.config.run_config import RunConfig


@dataclass(frozen=True)
class Task:
    """A run to be trained.

    Attributes:
        config: its config.
        run_id: its full id.
        variant_id: the id of its variant.
        variant: what its variant is called.
        folder: where it will lie when it has ended.
        retry: whether it is to be taken up although it has ended: it failed, or lacks a test score that is wanted.
        extends: a complete run that differs in fewer epochs only and kept its checkpoint; None if there is none.
        path: the training loop that trains it, a key of `loops.LOOPS`.
    """

    config: RunConfig
    run_id: str
    variant_id: str
    variant: str
    folder: Path
    extends: Path | None = None
    retry: bool = False
    path: str = "general"
