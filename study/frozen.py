"""What a sweep was going to train, as it was when the sweep started: a line for each in outputs/<name>/sweeps.jsonl."""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from study import recording
from study.config import RunConfig
from study.errors import StudyError
from study.faults import is_fault
from study.plan import Task

SWEEPS = "sweeps.jsonl"


def freeze(study_folder: Path, tasks: Sequence[Task], primary: str) -> None:
    """Record a sweep, in one write: its command line, the measure that the study decides by, and every run."""
    record = {
        "started": recording.now(),
        "command": sys.argv[1:],
        "primary": primary,
        "runs": [
            {**asdict(task), "folder": task.folder.name, "extends": task.extends and str(task.extends.absolute())}
            for task in tasks
        ],
    }
    recording.append_whole(study_folder / SWEEPS, (json.dumps(record) + "\n").encode())


def recorded_primaries(study_folder: Path) -> list[str]:
    """The measures that the sweeps of a study were to decide by, in their order, each once."""
    return list(dict.fromkeys(record["primary"] for record in _records(study_folder) if "primary" in record))


def recorded_runs(study_folder: Path) -> list[dict[str, Any]]:
    """The runs of all sweeps of a study, in their order; none where nothing that can be read is recorded."""
    return [run for record in _records(study_folder) for run in record.get("runs", [])]


def _records(study_folder: Path) -> list[dict[str, Any]]:
    try:
        lines = (study_folder / SWEEPS).read_text().splitlines()
    except (OSError, ValueError) as error:
        if is_fault(error):
            raise
        return []
    records = []
    for line in lines:
        with suppress(ValueError):  # half a line, of a command that was killed while it wrote
            records.append(json.loads(line))
    return records


def recorded_task(study_folder: Path, run_id: str) -> Task:
    """A run as the last sweep that planned it has recorded it.

    Raises:
        StudyError: no sweep has.
    """
    found = [run for run in recorded_runs(study_folder) if run["run_id"] == run_id]
    if not found:
        raise StudyError(f"{study_folder / SWEEPS} has no run {run_id}: start it by its sweep's command")
    run = found[-1]
    made = {"config": RunConfig(**run["config"]), "folder": study_folder / run["folder"]}
    return Task(**{**run, **made, "extends": run["extends"] and Path(run["extends"])})
