"""W&B: one project per study, or WANDB_PROJECT; one W&B run per run, grouped by variant.

Its files are in outputs/<name>/loggers/wandb/. WANDB_MODE=offline keeps them there until `wandb sync`.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from study.errors import ConfigError
from study.loggers.logged import LoggedRun, Row, epoch_of, numbers

MODE, MODES = "WANDB_MODE", ("online", "offline", "shared", "disabled", "dryrun", "run")


def start(run: LoggedRun, rows: Sequence[Row]) -> "Recorded":
    """Start or resume the W&B run of a run, and add the epochs that it lacks. An offline record is written anew."""
    import wandb

    key = hashlib.sha256(f"{run.study} {run.run_id}".encode()).hexdigest()[:16]
    run.folder.mkdir(parents=True, exist_ok=True)
    with _without_questions():
        record = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or run.study,
            group=run.variant,
            name=run.name,
            id=key,
            dir=str(run.folder),
            config=run.parameters(),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True),
        )
    recorded = Recorded(record)
    for earlier in run.folder.glob(f"wandb/offline-run-*-{key}"):
        if record.offline and not os.path.samefile(earlier, os.path.dirname(record.dir)):
            shutil.rmtree(earlier)
    for row in rows:
        recorded.epoch(row)
    return recorded


def check_key() -> None:
    """Check that W&B knows an API key, or is offline.

    Raises:
        ConfigError: it would ask for one, or WANDB_MODE has a value that it does not know.
    """
    import wandb

    mode = os.environ.get(MODE)
    if mode and mode not in MODES:
        raise ConfigError(f"{MODE}={mode}: must be one of {', '.join(MODES)}, or not set. Example: {MODE}=offline")
    try:
        with _without_questions():
            wandb.login()
    except wandb.errors.UsageError:
        raise ConfigError(
            "logger=wandb: W&B knows no API key. Give wandb login once, or set WANDB_MODE=offline and send the records"
            " later with wandb sync"
        ) from None


@contextmanager
def _without_questions() -> Iterator[None]:
    """Let W&B see no terminal, where it would ask for a key and wait, and let it print nothing."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # nothing is sent to its makers about errors
    os.environ.setdefault("WANDB_SILENT", "true")
    before = sys.stdin
    with open(os.devnull) as nothing:
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before


class Recorded:
    """One W&B run while it gets epochs."""

    def __init__(self, record: Any):
        self.record = record
        self.first = record.step  # W&B has the epochs before it, from an earlier start of a run that is online

    def epoch(self, row: Row) -> None:
        """Add an epoch."""
        if epoch_of(row) >= self.first:
            self.record.log(numbers(row), step=epoch_of(row))

    def end(self, state: str, scores: Mapping[str, float]) -> None:
        """Add the final scores and the state to the summary, and finish."""
        self.record.summary.update({**scores, "state": state})
        self.record.finish(exit_code=0 if state in ("complete", "diverged") else 1)
