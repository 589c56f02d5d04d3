"""sweeps.jsonl of a study: one line per sweep, with the runs that it was given."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from study.errors.faults import is_fault
from study.tasks import CLASSIFICATION

SWEEPS = "sweeps.jsonl"


def recorded_primaries(study_folder: Path) -> list[str]:
    """The primary measures named by the sweeps of a study, in order, without duplicates."""
    return list(dict.fromkeys(record["primary"] for record in _records(study_folder) if "primary" in record))


def recorded_task_of(study_folder: Path) -> str | None:
    """Classification or regression, for which the study's first sweep was; None if there was no sweep."""
    return next((record.get("task", CLASSIFICATION) for record in _records(study_folder)), None)


def recorded_runs(study_folder: Path) -> list[dict[str, Any]]:
    """The runs of all sweeps of a study, in order; empty if there is no readable record."""
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
        with suppress(ValueError):  # an incomplete line, from a command that was killed during a write
            records.append(json.loads(line))
    return records
