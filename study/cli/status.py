"""`study status`: list the runs of a study and their states, read from the files alone."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from study.cli.arguments import key_values, study_folder
from study.config.names import ID_DIGITS
from study.config.run_config import check_name
from study.errors import StudyError
from study.records.changes import MEND, changes
from study.records.compacted import compacted_runs
from study.records.contract import CONFIG, OUTPUTS, PRUNED, STATUS, TWICE, WITH_RESULT
from study.records.jobs import queued, recorded_jobs
from study.records.status import read_status
from study.records.sweeps import recorded_runs
from study.records.unfinished import FREE, is_held, work_folders
from study.sweep.progress import console, duration

SHOWN = 40  # rows printed; further rows are only counted


@dataclass(frozen=True)
class RunState:
    """One row of `study status`.

    `stale` means running, but its process is gone; `planned` means that the run has no folder yet. Of runs in Slurm's
    jobs, `pending` means that the job has not come to it, and `lost` that the job is gone and the run has not ended.
    """

    run: str
    state: str
    detail: str = ""


def study_status(arguments: list[str]) -> int:
    """study status name=mine: count the runs by state and list those that are not complete, pruned ones last.

    It asks Slurm about the jobs of hydra/launcher=slurm: their runs may also be pending or lost.
    check=true compares the size and SHA-256 of all files of runs that have ended with the runs' seals. It names
    each file that has changed since its run ended. If a file has changed, it exits with 1.
    """
    given = key_values(arguments, {"name": "default", "check": "false"}, {"check": ("true", "false")})
    folder = study_folder(OUTPUTS / check_name(given["name"]))
    runs = sorted(_with_jobs(folder, run_states(folder)), key=lambda row: (row.state, row.run))
    counts = Counter(row.state for row in runs)
    console.print(f"{folder}: " + (", ".join(f"{n} {state}" for state, n in counts.items()) or "no runs"), markup=False)
    for line in _trained_twice(folder):
        console.print(f"  {line}", markup=False)
    listed = sorted((row for row in runs if row.state != "complete"), key=lambda row: row.state == PRUNED)
    for row in listed[:SHOWN]:
        console.print(f"  {row.state:<12} {row.run}  {row.detail}".rstrip(), markup=False)
    if len(listed) > SHOWN:
        console.print(f"  and {len(listed) - SHOWN} more")
    return _check_files(folder) if given["check"] == "true" else 0


def _check_files(folder: Path) -> int:
    """Print the files of a study's runs that do not match their seals; return 1 if there are any, else 0."""
    fitting = unfit = unsealed = 0
    for run in [*sorted(folder.glob("*-seed*-*")), *compacted_runs(folder).values()]:
        status = read_status(run)
        if status is not None and status["state"] not in (*WITH_RESULT, PRUNED):
            continue
        found = [f"{STATUS} (unreadable)"] if status is None else changes(run, status)
        unsealed += found is None
        fitting += found == []
        if found:
            unfit += 1
            console.print(f"  {'changed':<12} {run.name}  {', '.join(found)}", markup=False)
    line = f"{fitting + unfit} runs checked: {fitting} unchanged, {unfit} changed"
    if unsealed:
        line += f"; {unsealed} not checked (trained by an earlier version, without a seal)"
    console.print(line)
    if unfit:
        console.print(f"for the changed runs: {MEND}")
    return 1 if unfit else 0


def run_states(folder: Path) -> Iterator[RunState]:
    """Yield every run of a study: ended runs, runs in training, and planned runs that have not started."""
    seen = set()
    for path in folder.iterdir():
        status = read_status(path) if path.is_dir() and not path.name.startswith(".") else None
        if status:
            seen.add(path.name)
            yield RunState(path.name, status["state"], status.get("cause") or "")
    for name, row in compacted_runs(folder).items():
        seen.add(name)
        status = read_status(row)
        yield RunState(name, status["state"] if status else "damaged", "" if status else f"in {row.part.path}")
    for work in work_folders(folder):
        run, _, owner = work.name.rpartition("@")
        if run in seen:
            continue
        seen.add(run)
        status = read_status(work)
        state = "interrupted" if owner == FREE else "running" if is_held(work, time.time()) else "stale"
        yield RunState(run, state, _progress(work, status) if status else "")
    for run in sorted({run["folder"] for run in recorded_runs(folder)} - seen):
        yield RunState(run, "planned")


def _with_jobs(folder: Path, rows: Iterable[RunState]) -> Iterator[RunState]:
    """Yield the rows, with what Slurm says of the jobs of runs that nobody trains at the moment."""
    jobs = recorded_jobs(folder)
    states: dict[str, str] = {}
    if jobs:
        try:
            states = queued()
        except StudyError as error:
            console.print(f"  the jobs of {folder.name} are not known: {error}", markup=False)
            jobs = {}
    job_of = {run[:ID_DIGITS]: job for job, runs in jobs.items() for run in runs}  # the last job of each
    for row in rows:
        job = job_of.get(row.run.rpartition("-")[2])
        if job is None or row.state not in ("planned", "interrupted", "stale"):
            yield row
        elif job not in states:
            yield replace(row, state="lost", detail=f"job {job} is gone. The study's command trains the run")
        elif row.state != "stale":
            yield replace(row, state="pending", detail=f"job {job} is {states[job]}")
        else:
            yield row


def _trained_twice(folder: Path) -> Iterator[str]:
    """Yield lines on the runs that two commands trained: their number, and those whose bytes differ."""
    try:
        twice = [json.loads(line) for line in (folder / TWICE).read_text().splitlines()]
        unlike = {run["run"]: ", ".join(run["differing"]) for run in twice if run["differing"]}
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{folder / TWICE} cannot be read. It lists the runs that were trained twice"
        return
    yield f"{len(twice)} runs trained twice, {len(twice) - len(unlike)} of them with the same bytes"
    for run, files in unlike.items():
        yield f"{'different':<12} {run}  in {files}"


def _progress(work: Path, status: Mapping[str, Any]) -> str:
    try:
        trained = (work / "metrics.csv").read_bytes().count(b"\n") - 2
        epochs = yaml.safe_load((work / CONFIG).read_text())["epochs"]
        elapsed = (datetime.now(UTC) - datetime.fromisoformat(status["started"])).total_seconds()
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return ""
    trained = max(trained, 0)
    fresh = trained > 0 and not status.get("resumed")  # for a resumed run, the time since its start includes pauses
    left = f", about {duration(elapsed / trained * (epochs - trained))} left" if fresh else ""
    return f"epoch {trained} of {epochs}{left}"
