"""TensorBoard: one folder of event files per run, outputs/<name>/loggers/tensorboard/<run>/."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from study.loggers.logged import LoggedRun, Row, epoch_of, numbers


def start(run: LoggedRun, rows: Sequence[Row]) -> "Events":
    """Write the event files of a run anew, with its epochs so far."""
    folder = run.folder / "tensorboard" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("events.out.tfevents.*"):
        earlier.unlink()
    events = Events(folder)
    events.writer.add_text("config", "".join(f"    {key}: {value}\n" for key, value in run.parameters().items()))
    for row in rows:
        events.add(row)
    events.writer.flush()
    return events


class Events:
    """The event files of one run."""

    def __init__(self, folder: Path):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))
        self.last = 0

    def epoch(self, row: Row) -> None:
        """Add an epoch; TensorBoard can show it at once."""
        self.add(row)
        self.writer.flush()

    def add(self, row: Row) -> None:
        """Add an epoch."""
        self.last = epoch_of(row)
        for name, value in numbers(row).items():
            self.writer.add_scalar(name, value, self.last)

    def end(self, state: str, scores: Mapping[str, float]) -> None:
        """Add the final scores at the last epoch, and close the files."""
        for name, value in scores.items():
            self.writer.add_scalar(name, value, self.last)
        self.writer.add_text("state", state)
        self.writer.close()
