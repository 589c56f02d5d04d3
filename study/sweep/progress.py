"""Show the progress of a command: one live display of all runs on a terminal, plain lines in a log."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from study.records.existing import Existing
from study.sweep.plan import Plan
from study.training.task import Task

if TYPE_CHECKING:
    from study.training.epochs import Outcome

console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # names are printed as they are


SHOWN = 10  # number of folders that are listed one by one
ROOM = 6  # lines of a terminal that are kept free for what is printed above the rows of runs


def say_plan(study_folder: Path, plan: Plan) -> None:
    """Print what is skipped and what will be trained."""
    for runs, what in (
        (plan.ended, "skipped (already complete)"),
        (plan.failed, "skipped (failed earlier). retry_failed=true trains it again"),
    ):
        for run in runs[:SHOWN]:
            console.print(f"{run.folder} {what}", markup=False)
        if len(runs) > SHOWN:
            console.print(f"and {len(runs) - SHOWN} more")
    counts = [f"{len(plan.ended)} already complete"]
    if plan.failed:
        counts.append(f"{len(plan.failed)} failed earlier")
    if plan.resumed:
        counts.append(f"{plan.resumed} to resume")
    counts.append(f"{len(plan.tasks) - plan.resumed} to run")
    console.print(f"{study_folder}: {', '.join(counts)}", markup=False)


def say(line: str) -> None:
    """Print a line about the sweep as a whole."""
    console.print(line, markup=False)


def say_dry_run(plan: Plan, workers: int) -> None:
    """Print which runs would be trained, and estimate the time from the epochs of complete runs."""
    if plan.tasks:  # in one piece, because `print` takes a third of a millisecond for each line
        console.out("\n".join(f"would train {task.folder}" for task in plan.tasks), highlight=False)
    seconds = seconds_per_epoch(plan.ended)
    if seconds and plan.tasks:
        epochs = sum(task.last_epoch for task in plan.tasks)
        left = duration(sum(seconds) / len(seconds) * epochs / workers)
        console.print(f"about {left} with {workers} runs at a time, estimated from {len(seconds)} complete runs")


def seconds_per_epoch(runs: Iterable[Existing]) -> list[float]:
    """Wall times of an epoch in seconds, for those complete runs that show it."""
    return [seconds for run in runs if (seconds := _seconds_per_epoch(run)) is not None]


def _seconds_per_epoch(run: Existing) -> float | None:
    """Wall time of an epoch in seconds, scoring included; None for a run that was resumed."""
    try:
        with (run.folder / "metrics.csv").open() as file:
            epochs = sum(1 for _ in file) - 2
        began, ended = (datetime.fromisoformat(run.status[key]) for key in ("started", "ended"))
    except (OSError, TypeError, KeyError, ValueError):
        return None
    return (ended - began).total_seconds() / epochs if epochs > 0 and not run.status.get("resumed") else None


class Display:
    """Shows runs done, running and failed, epochs, and the time left.

    On a terminal there is a row for each run in training, as far as there is room. Each run that ends gets a line.
    """

    def __init__(self, tasks: Sequence[Task], each_epoch: bool = True):
        self.tasks = tasks
        self.each_epoch = each_epoch and len(tasks) == 1
        self.epochs = [0] * len(tasks)  # trained so far; all epochs of a run once it has ended
        self.trained = 0  # their sum
        self.earlier = 0  # epochs that earlier commands trained, of runs that have resumed
        self.began: set[int] = set()  # runs that have shown an epoch
        self.failed = ""  # the last run that failed
        self.running: set[int] = set()
        self.count = {"done": 0, "failed": 0, "interrupted": 0}
        self.start = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs, {task.fields[left]}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self.total = sum(task.last_epoch for task in tasks)
        self.row = self.bar.add_task("", total=self.total, left="time left unknown")
        self.rows: dict[int, TaskID] = {}  # of the runs in training, as far as there is room

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def started(self, number: int) -> None:
        """Show that a run has started."""
        self.running.add(number)
        task = self.tasks[number]
        if len(self.tasks) > 1 and len(self.rows) < console.size.height - ROOM:
            self.rows[number] = self.bar.add_task(f"  {task.folder.name}", total=task.last_epoch, left="")
        if not console.is_terminal and len(self.tasks) > 1:
            self._print(f"started {task.folder}")
        self._refresh()

    def epoch(self, number: int, epoch: int, row: Mapping[str, Any]) -> None:
        """Show that a run has finished an epoch. The epochs of a single run are printed one by one."""
        if number not in self.began:
            self.began.add(number)
            self.earlier += max(epoch - 1, 0)
        self._count(number, epoch)
        if number in self.rows:
            scores = f"loss {row['train_loss']:.4f}, val {_main_score(row, 'val')}"
            self.bar.update(self.rows[number], completed=epoch, left=scores)
        if self.each_epoch:
            self._print(f"epoch {epoch:>3}  {_metrics(row)}" + (f"  {row['seconds']:.1f} s" if epoch else ""))
        self._refresh()

    def ended(self, number: int, outcome: "Outcome") -> None:
        """Show that a run has ended, in whatever state."""
        task = self.tasks[number]
        self.running.discard(number)
        if number in self.rows:
            self.bar.remove_task(self.rows.pop(number))
        self._count(number, task.last_epoch)
        self.count[outcome.state if outcome.state in self.count else "done"] += 1
        if outcome.state == "failed":
            self.failed = task.folder.name
        ended = sum(self.count.values())
        detail = outcome.cause if outcome.cause else _metrics(outcome.metrics or {})
        count = f"[{ended}/{len(self.tasks)}] " if len(self.tasks) > 1 else ""
        self._print(f"{count}{outcome.state} {task.folder}: {detail}")
        self._refresh()

    def say(self, line: str) -> None:
        """Print a line about the sweep as a whole."""
        self._print(line)

    def _count(self, number: int, epochs: int) -> None:
        self.trained += epochs - self.epochs[number]
        self.epochs[number] = epochs

    def _print(self, line: str) -> None:
        try:
            self.bar.console.print(line, markup=False)
        except OSError as error:  # for example, the output is redirected to a full disk
            error.filename = "the output of this command"
            raise

    def _refresh(self) -> None:
        elapsed = time.monotonic() - self.start
        now = self.trained - self.earlier  # epochs that this command has trained
        left = f"about {duration(elapsed / now * (self.total - self.trained))} left" if now else "time left unknown"
        parts = [f"{self.count['done']} of {len(self.tasks)} runs done, {len(self.running)} running"]
        if self.count["done"] and elapsed > 0:
            parts.append(f"{60 * self.count['done'] / elapsed:.3g} runs/min")
        if self.count["failed"]:
            parts.append(f"{self.count['failed']} failed (last: {self.failed})")
        self.bar.update(self.row, completed=self.trained, description=", ".join(parts), left=left)


def _metrics(row: Mapping[str, Any]) -> str:
    scores = f"train {_main_score(row, 'train')}, val {_main_score(row, 'val')}"
    return f"{scores}, loss {row['train_loss']:.4f} and {row['val_loss']:.4f}"


def _main_score(row: Mapping[str, Any], split: str) -> str:
    """The accuracy of a split; for regression, R²."""
    if row[f"{split}_accuracy"] is not None:
        return f"{row[f'{split}_accuracy']:.2%}"
    r2 = row[f"{split}_r2"]
    return "R² –" if r2 is None else f"R² {r2:.3f}"


def duration(seconds: float) -> str:
    """A time span in words."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
