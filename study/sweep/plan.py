"""Which runs a sweep needs, which of them are already complete, and what the new ones are called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.config.names import run_folder_name, settings, variant_key, varying_keys
from study.config.run_config import ResolvedRun, RunConfig, arguments
from study.errors import StudyError
from study.records.contract import CHECKPOINT, FILES, PART, WITH_RESULT
from study.records.existing import Existing, existing_runs
from study.training.task import Task


@dataclass(frozen=True)
class Plan:
    """What a sweep has to do.

    Attributes:
        tasks: runs to train, in the order of the sweep; those that were interrupted among them.
        resumed: how many of the tasks go on from a checkpoint.
        ended: runs that are complete or diverged.
        failed: runs that failed earlier and are not to be tried again.
    """

    tasks: tuple[Task, ...]
    resumed: int
    ended: tuple[Existing, ...]
    failed: tuple[Existing, ...]


def plan_runs(study_folder: Path, runs: Sequence[ResolvedRun], retry_failed: bool = False) -> Plan:
    """What is to be trained, and what is there already.

    Points with one run id are one run. Runs are found by their id, never by their name. A variant keeps the key
    that its first run was given; a new one is named by what varies among all runs of the study.

    Args:
        study_folder: outputs/<name>.
        runs: one for each point of the sweep.
        retry_failed: whether runs that failed earlier are trained again.

    Raises:
        StudyError: a folder is in the way that is not the run it is named after.
    """
    wanted: dict[str, ResolvedRun] = {}
    for resolved in runs:
        wanted.setdefault(resolved.run_id, resolved)
    existing = existing_runs(study_folder)
    extendable = _extendable(existing.values())
    known = [_settings_of(run.config, run.status) for run in existing.values() if run.config is not None]
    varying = varying_keys([*known, *(resolved.settings for resolved in runs)])
    key_of = {run.status["variant_id"]: run.status["variant"] for run in existing.values()}

    tasks: list[Task] = []
    ended: list[Existing] = []
    failed: list[Existing] = []
    resumed = 0
    for run_id, resolved in wanted.items():
        run, config = existing.get(run_id), resolved.config
        state = run.status["state"] if run and run.folder == run.published else None
        untested = run is not None and run.status["state"] == "complete" and lacks_test(config, run.folder, run.status)
        if run is not None and ((state in WITH_RESULT and not untested) or (state == "failed" and not retry_failed)):
            (ended if state in WITH_RESULT else failed).append(run)
            continue
        variant = resolved.variant_id
        if variant not in key_of:
            lam = config.lam if resolved.takes_lam else None
            key = variant_key(config.reg["option"], lam, resolved.settings, varying)
            if key in key_of.values():  # other settings that look alike once they are fit for a file name
                key = f"{key}-{variant[:6]}"
            key_of[variant] = key
        folder = run.published if run else study_folder / run_folder_name(key_of[variant], config.seed, run_id)
        if run is None:
            _check_free(folder)
        shorter = [known for known in extendable.get(resolved.budget_free_id, ()) if known[0] < config.epochs]
        extends = max(shorter)[1] if shorter else None
        failed_under_way = run is not None and run.status["state"] == "failed" and retry_failed
        retry = state == "failed" or failed_under_way or untested
        tasks.append(Task.of(resolved, key_of[variant], folder, extends=extends, retry=retry))
        resumed += run is not None and (run.folder / CHECKPOINT).is_file()
    return Plan(tuple(tasks), resumed, tuple(ended), tuple(failed))


def lacks_test(config: RunConfig, folder: Path, status: Mapping[str, Any]) -> bool:
    """Whether a complete run was a trial, which does not score the test set, where that is wanted.

    The seal says so, if there is one: it is renewed when all that belongs to a test score has been written.
    """
    seal = status.get("seal")
    tested = "test.csv" in seal if isinstance(seal, dict) else (folder / "test.csv").is_file()
    return config.test and not tested


def _check_free(folder: Path) -> None:
    """A run that was killed in its first moments leaves a folder without a status; anything else is not ours."""
    foreign = [p.name for p in folder.iterdir() if p.name not in FILES and p.suffix != PART] if folder.is_dir() else []
    if foreign or (folder.exists() and not folder.is_dir()):
        raise StudyError(f"{folder} is not the run that its name says. Move it elsewhere")


def _settings_of(config: RunConfig, status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a run that is there; options of the model that its regularizer set are not in its status.json."""
    written = status.get("setting", {})
    return settings(config, [key for key in arguments(config.model) if written and f"model.{key}" not in written])


def _extendable(runs: Iterable[Existing]) -> dict[str, list[tuple[int, Path]]]:
    """Complete runs with a kept checkpoint: budget and folder, by the id without the budget.

    That id is the one that the run was trained under: code of the user's may have changed since.
    """
    result: dict[str, list[tuple[int, Path]]] = {}
    for run in runs:
        status = run.status
        identity = status.get("budget_free_id") if status.get("may_grow") else None
        kept = status["state"] == "complete" and (run.folder / CHECKPOINT).is_file()
        if identity is not None and kept and run.config is not None:
            result.setdefault(identity, []).append((run.config.epochs, run.folder))
    return result
