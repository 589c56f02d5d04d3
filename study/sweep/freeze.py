"""Record what each sweep is going to train when it starts, as one line in outputs/<name>/sweeps.jsonl."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.config.run_config import RunConfig
from study.errors import StudyError
from study.records.files import append_whole, now
from study.records.sweeps import SWEEPS, recorded_runs, with_shared
from study.sweep.fixed import Fixed
from study.training.task import Task


def freeze(
    study_folder: Path,
    tasks: Sequence[Task],
    fixed: Fixed,
    design: Mapping[str, Any] | None = None,
    suite: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Record a sweep in one write: its command line, what is fixed for the study, and every run.

    Args:
        study_folder: outputs/<name>.
        tasks: the runs.
        fixed: what the study keeps from its first run on.
        design: of seeds=auto, as `until_precise.Design.recorded` has it; None: the seeds were given.
        suite: the settings of a suite, each as status.json has it; empty for other studies.
    """
    kept: dict[str, Any] = {"primary": fixed.primary, "equivalence": fixed.margin, "task": fixed.task}
    kept |= {"hypotheses": fixed.hypotheses} if fixed.hypotheses else {}
    kept |= {"until": design} if design else {}
    kept |= {"suite": list(suite)} if suite else {}
    record = {"started": now(), "command": sys.argv[1:], **kept}
    runs = ({**vars(task), **_as_json(task)} for task in tasks)
    append_whole(study_folder / SWEEPS, (json.dumps(with_shared(record, runs)) + "\n").encode())


def _as_json(task: Task) -> dict[str, Any]:
    """The attributes of a task that JSON cannot hold as they are."""
    extends = task.extends and str(task.extends.absolute())
    return {"config": vars(task.config), "folder": task.folder.name, "extends": extends}


def recorded_task(study_folder: Path, run_id: str) -> Task:
    """Return a run as recorded by the last sweep that planned it.

    Raises:
        StudyError: no sweep has recorded it.
    """
    return recorded_tasks(study_folder, [run_id])[0]


def recorded_tasks(study_folder: Path, run_ids: Sequence[str]) -> list[Task]:
    """Return several runs, each as recorded by the last sweep that planned it.

    Raises:
        StudyError: no sweep has recorded one of them.
    """
    recorded = {run["run_id"]: run for run in recorded_runs(study_folder)}
    return [_as_task(study_folder, run_id, recorded.get(run_id)) for run_id in run_ids]


def _as_task(study_folder: Path, run_id: str, run: Mapping[str, Any] | None) -> Task:
    if run is None:
        raise StudyError(f"{study_folder / SWEEPS} has no run {run_id}. Start the run by the command of its sweep")
    made = {"config": RunConfig(**run["config"]), "folder": study_folder / run["folder"]}
    return Task(**{**run, **made, "extends": run["extends"] and Path(run["extends"])})
