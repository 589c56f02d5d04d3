"""What a command shows while it works: one live display over all runs on a terminal, plain lines in a log."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from study.plan import Task

if TYPE_CHECKING:
    from study.run import Outcome

console = Console(highlight=False, soft_wrap=True)


def say_plan(study_folder: Path, tasks: Sequence[Task], ended: Sequence[Path]) -> None:
    """Say what is left alone and what will be trained."""
    for folder in ended[:10]:
        console.print(f"{folder} is there already: left alone", markup=False)
    if len(ended) > 10:
        console.print(f"and {len(ended) - 10} more")
    console.print(f"{study_folder}: {len(ended)} there already, {len(tasks)} to run", markup=False)


class Display:
    """Runs done, running and failed, epochs, and the time left; a line for every run that ends."""

    def __init__(self, tasks: Sequence[Task]):
        self.tasks = tasks
        self.epochs = [0] * len(tasks)  # trained so far, all of them once a run has ended
        self.running: set[int] = set()
        self.count = {"done": 0, "failed": 0}
        self.start = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs, {task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.total = sum(task.config.epochs for task in tasks)
        self.row = self.bar.add_task("", total=self.total, left="time left unknown")

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def started(self, number: int) -> None:
        """A run has begun."""
        self.running.add(number)
        self._refresh()

    def epoch(self, number: int, epoch: int, row: Mapping[str, Any]) -> None:
        """A run has finished an epoch; a single run's are printed one by one."""
        self.epochs[number] = epoch
        if len(self.tasks) == 1:
            self._print(f"epoch {epoch:>3}  {_metrics(row)}" + (f"  {row['seconds']:.1f} s" if epoch else ""))
        self._refresh()

    def ended(self, number: int, outcome: "Outcome") -> None:
        """A run has ended, one way or another."""
        task = self.tasks[number]
        self.running.discard(number)
        self.epochs[number] = task.config.epochs
        self.count["failed" if outcome.state == "failed" else "done"] += 1
        ended = self.count["done"] + self.count["failed"]
        detail = outcome.cause if outcome.cause else _metrics(outcome.metrics or {})
        self._print(f"[{ended}/{len(self.tasks)}] {outcome.state} {task.folder}: {detail}")
        self._refresh()

    def _print(self, line: str) -> None:
        self.bar.console.print(line, markup=False)

    def _refresh(self) -> None:
        trained = sum(self.epochs)
        elapsed = time.monotonic() - self.start
        left = f"about {_duration(elapsed / trained * (self.total - trained))} left" if trained else "time left unknown"
        failed = f", {self.count['failed']} failed" if self.count["failed"] else ""
        self.bar.update(
            self.row,
            completed=trained,
            description=f"{self.count['done']} of {len(self.tasks)} runs done, {len(self.running)} running{failed}",
            left=left,
        )


def _metrics(row: Mapping[str, Any]) -> str:
    return (
        f"train {row['train_accuracy']:.2%}, val {row['val_accuracy']:.2%},"
        f" loss {row['train_loss']:.4f} and {row['val_loss']:.4f}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
