"""sweeps.jsonl of a study: what each sweep was going to train, a line for each."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from study.errors.faults import is_fault

SWEEPS = "sweeps.jsonl"


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
