"""Follow the runs of a study by their files. Each look reads only what has been added since the one before."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from study.records.compacted import compacted_runs
from study.records.contract import CONFIG, LOG, STATUS, columns_of
from study.records.status import read_status
from study.records.sweeps import recorded_runs
from study.records.unfinished import FREE, is_held, work_folders
from study.tasks import CLASSIFICATION, REGRESSION

METRICS = "metrics.csv"
CURVES = ("epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy")
LOG_LINES = 200  # of a run's log, from its end


class GrowingRun:
    """A run that has not ended: its place, machine and budget, and its curves so far."""

    def __init__(self, path: Path):
        self.path = path
        self.run, _, self.owner = path.name.rpartition("@")
        self.status: dict[str, Any] = {}
        self.epochs: int | None = None
        self.read = 0  # bytes of metrics.csv
        self.curves: dict[str, list[float | None]] = {}

    def look(self) -> None:
        """Read what is new. A file that cannot be read now is read at the next look."""
        if "images" not in self.status:  # written once the data are there
            self.status = read_status(self.path) or {}
        try:
            if self.epochs is None:
                self.epochs = int(yaml.safe_load((self.path / CONFIG).read_text(encoding="utf-8"))["epochs"])
            with (self.path / METRICS).open("rb") as file:
                file.seek(self.read)
                added = file.read()
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            return
        whole = added[: added.rfind(b"\n") + 1]
        rows = [line.split(",") for line in whole.decode(errors="replace").splitlines()]
        if self.read == 0:
            rows = rows[1:]  # the header
        self.read += len(whole)
        columns = columns_of(METRICS, self.status.get("task", CLASSIFICATION))
        wanted = [*CURVES, *(("train_r2", "val_r2") if self.status.get("task") == REGRESSION else ())]
        for row in rows:
            values = dict(zip(columns, row, strict=False))
            for name in wanted:
                self.curves.setdefault(name, []).append(_number(values.get(name, "")))

    def shown(self) -> dict[str, Any]:
        """What the page shows of the run."""
        state = "interrupted" if self.owner == FREE else "running" if is_held(self.path, time.time()) else "stale"
        trained = max(len(self.curves.get("epoch", [])) - 1, 0)
        machine = {key: self.status[key] for key in ("device", "threads", "path") if key in self.status}
        return {
            "run": self.run,
            "state": state,
            "epoch": trained,
            "epochs": self.epochs,
            "seconds": self._seconds_per_epoch(trained),
            "machine": {**self.status.get("owner", {}), **machine},
            "versions": self.status.get("versions", {}),
            "curves": self.curves,
        }

    def _seconds_per_epoch(self, trained: int) -> float | None:
        """Wall time of an epoch; None before the first one, and for a resumed run, whose start was before a pause."""
        try:
            if not trained or self.status.get("resumed"):
                return None
            elapsed = datetime.now(UTC) - datetime.fromisoformat(self.status["started"])
        except (KeyError, ValueError, TypeError):
            return None
        return round(elapsed.total_seconds() / trained, 3)


class Following:
    """A study that is followed."""

    def __init__(self, study_folder: Path):
        self.folder = study_folder
        self.growing: dict[str, GrowingRun] = {}  # by folder name
        self.ended: dict[str, dict[str, Any]] = {}  # state and cause of each run that has ended
        self.listed = 0  # when the study's folder had last changed, the last time that it was listed
        self.planned: set[str] = set()
        self.plans = ""  # identity of the file that lists them

    def look(self) -> dict[str, Any]:
        """Return what the study's files show now, as plain values that JSON can hold.

        Returns:
            `runs`: those that have not ended, each with `run, state, epoch, epochs, seconds, machine, versions,
            curves`; `counts` by state; `failed`: runs with their cause; `left`: seconds to the end, None before the
            first epoch.
        """
        self._look_at_ended()
        folders = {path.name: path for path in work_folders(self.folder)}
        self.growing = {
            name: self.growing.get(name) or GrowingRun(path)
            for name, path in folders.items()
            if name.rpartition("@")[0] not in self.ended
        }
        for run in self.growing.values():
            run.look()
        runs = [run.shown() for run in self.growing.values()]
        waiting = self._planned() - set(self.ended) - {run["run"] for run in runs}
        counts: dict[str, int] = {}
        for state in (*(run["state"] for run in self.ended.values()), *(run["state"] for run in runs)):
            counts[state] = counts.get(state, 0) + 1
        if waiting:
            counts["planned"] = len(waiting)
        failed = [{"run": run, "cause": of["cause"]} for run, of in self.ended.items() if of["state"] == "failed"]
        return {
            "runs": sorted(runs, key=lambda run: str(run["run"])),
            "counts": counts,
            "failed": failed,
            "left": _left(runs, len(waiting)),
            "version": self.version(),
        }

    def version(self) -> str:
        """Return a text that changes when a run ends."""
        return f"{len(self.ended)}"

    def log_of(self, run: str) -> str | None:
        """Return the last lines of a run's log; None if the study has no such run, or it has no log."""
        places = [found.path for found in self.growing.values() if found.run == run]
        if run in self.ended:
            places.append(self.folder / run)
        for place in places:
            try:
                lines = (place / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            return "\n".join(lines[-LOG_LINES:])
        return None

    def _look_at_ended(self) -> None:
        """Read the state of each run that has ended since the last look; forget those that are trained again."""
        if (changed := self.folder.stat().st_mtime_ns) == self.listed:
            return
        there = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        compacted = compacted_runs(self.folder)
        names = {path.name for path in there} | set(compacted)
        self.ended = {run: of for run, of in self.ended.items() if run in names}
        for path in there:
            if path.name not in self.ended and (path / STATUS).is_file() and (status := read_status(path)):
                self.ended[path.name] = {"state": status["state"], "cause": status.get("cause") or ""}
        for run in compacted.keys() - self.ended.keys():
            self.ended[run] = {"state": "complete", "cause": ""}
        self.listed = changed

    def _planned(self) -> set[str]:
        """Return the runs that the study's sweeps have planned; read again only if their record has changed."""
        record = self.folder / "sweeps.jsonl"
        try:
            found = record.stat()
        except OSError:
            return self.planned
        if (identity := f"{found.st_size} {found.st_mtime_ns}") != self.plans:
            self.plans, self.planned = identity, {run["folder"] for run in recorded_runs(self.folder)}
        return self.planned


def _left(runs: Iterable[dict[str, Any]], waiting: int) -> float | None:
    """Estimate the seconds to the end of the study from the epochs of the runs in training."""
    running = [run for run in runs if run["state"] == "running" and run["seconds"] and run["epochs"]]
    if not running:
        return None
    seconds = sum(run["seconds"] for run in running) / len(running)
    epochs = sum(run["epochs"] - run["epoch"] for run in running) + waiting * max(run["epochs"] for run in running)
    return round(seconds * epochs / len(running))


def _number(text: str) -> float | None:
    """A cell as a number that JSON can hold; None for an empty cell, and for infinite and undefined values."""
    try:
        value = float(text)
    except ValueError:
        return None
    return float(f"{value:.5g}") if abs(value) < float("inf") else None
