"""Which runs a sweep needs, which of them are there already, and what the new ones are called."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from study import identity
from study.config import RunConfig
from study.errors import StudyError
from study.recording import CONFIG, read_status

# Divergence is a result: such a run is not trained again.
ENDED = ("complete", "diverged")


@dataclass(frozen=True)
class Task:
    """A run to be trained: its config, its full id, the id and the key of its variant, and its folder."""

    config: RunConfig
    run_id: str
    variant_id: str
    variant: str
    folder: Path


@dataclass(frozen=True)
class Existing:
    """A run whose folder is there, in whatever state."""

    folder: Path
    status: dict[str, Any]
    config: RunConfig | None


def existing_runs(study_folder: Path) -> dict[str, Existing]:
    """The runs in a study's folder by their full id; other folders are passed over."""
    runs = {}
    for folder in sorted(study_folder.glob("*-seed*-*")):
        status = read_status(folder)
        if status and {"run_id", "variant", "variant_id"} <= status.keys():
            runs[status["run_id"]] = Existing(folder, status, read_config(folder))
    return runs


def read_config(folder: Path) -> RunConfig | None:
    """The config of a run folder, None where it cannot be read."""
    try:
        values = yaml.load((folder / CONFIG).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return RunConfig(**{field.name: values[field.name] for field in fields(RunConfig)})
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None


def plan_runs(study_folder: Path, configs: Sequence[RunConfig]) -> tuple[list[Task], list[Path]]:
    """What is to be trained, and what is there already.

    Points with one run id are one run. Runs are found by their id, never by their name. A variant keeps the key
    that its first run was given; a new one is named by what varies among all runs of the study.

    Args:
        study_folder: outputs/<name>.
        configs: one for each point of the sweep.

    Returns:
        Tasks to train, and the folders of runs that have ended already.

    Raises:
        StudyError: a folder is in the way that is not the run it is named after.
    """
    wanted: dict[str, RunConfig] = {}
    for config in configs:
        wanted.setdefault(identity.run_id(config), config)
    existing = existing_runs(study_folder)
    known = [run.config for run in existing.values() if run.config is not None]
    varying = identity.varying_keys([*known, *configs])
    key_of = {run.status["variant_id"]: run.status["variant"] for run in existing.values()}

    tasks, ended = [], []
    for run_id, config in wanted.items():
        run = existing.get(run_id)
        if run is not None and run.status["state"] in ENDED:
            ended.append(run.folder)
            continue
        variant = identity.variant_id(config)
        if variant not in key_of:
            key = identity.variant_key(config, varying)
            if key in key_of.values():  # other settings that look alike once they are fit for a file name
                key = f"{key}-{variant[:6]}"
            key_of[variant] = key
        folder = run.folder if run else study_folder / identity.run_folder_name(key_of[variant], config, run_id)
        if run is None and folder.exists():
            raise StudyError(f"{folder} is in the way: it is not the run it is named after; move it elsewhere")
        tasks.append(Task(config, run_id, variant, key_of[variant], folder))
    return tasks, ended
