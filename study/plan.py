"""Which runs a sweep needs, which of them are there already, and what the new ones are called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from study import claims, identity
from study.config import RunConfig
from study.errors import ConfigError, StudyError
from study.recording import CHECKPOINT, CONFIG, FILES, PART, read_status

# Divergence is a result: such a run is not trained again.
ENDED = ("complete", "diverged")


@dataclass(frozen=True)
class Task:
    """A run to be trained.

    Attributes:
        config: its config.
        run_id: its full id.
        variant_id: the id of its variant.
        variant: what its variant is called.
        folder: where it will lie when it has ended.
        retry: whether it is to be taken up although it has ended: it failed, or lacks a test score that is wanted.
        extends: a complete run that differs in fewer epochs only and kept its checkpoint; None if there is none.
        path: the training loop that trains it, a key of `loops.LOOPS`.
    """

    config: RunConfig
    run_id: str
    variant_id: str
    variant: str
    folder: Path
    extends: Path | None = None
    retry: bool = False
    path: str = "general"


@dataclass(frozen=True)
class Existing:
    """A run whose folder is there, in whatever state.

    Attributes:
        folder: where its files are: in its place, or under way.
        published: its place.
        status: the content of status.json.
        config: its config, None where it cannot be read.
    """

    folder: Path
    published: Path
    status: dict[str, Any]
    config: RunConfig | None


@dataclass(frozen=True)
class Plan:
    """What a sweep has to do.

    Attributes:
        tasks: runs to train, in the order of the sweep; those that were interrupted among them.
        resumed: how many of the tasks go on from a checkpoint.
        ended: folders of runs that are complete or diverged.
        failed: folders of runs that failed earlier and are not to be tried again.
    """

    tasks: tuple[Task, ...]
    resumed: int
    ended: tuple[Path, ...]
    failed: tuple[Path, ...]


def existing_runs(study_folder: Path) -> dict[str, Existing]:
    """The runs in a study's folder, those under way included, by their full id; other folders are passed over."""
    runs = {}
    for folder in [*claims.work_folders(study_folder), *sorted(study_folder.glob("*-seed*-*"))]:
        status = read_status(folder)
        if status and {"run_id", "variant", "variant_id"} <= status.keys():
            published = study_folder / folder.name.rpartition("@")[0] if "@" in folder.name else folder
            runs[status["run_id"]] = Existing(folder, published, status, read_config(folder))
    return runs


def read_config(folder: Path) -> RunConfig | None:
    """The config of a run folder, None where it cannot be read."""
    try:
        values = yaml.load((folder / CONFIG).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        known = [field.name for field in fields(RunConfig)]
        config = RunConfig(**{key: value for key, value in values.items() if key in known})
        return config if _is_sound(config) else None
    except (OSError, yaml.YAMLError, ValueError, AttributeError, TypeError, RecursionError):
        return None


def _is_sound(config: RunConfig) -> bool:
    """Whether a config that was read has the form of those that are written, by this version."""
    whole = (config.seed, config.epochs, config.batch_size, config.threads)
    groups = (config.data, config.model, config.optimizer, config.reg)
    return (
        all(isinstance(value, int) for value in whole)
        and isinstance(config.lam, int | float | None)
        and all(isinstance(group.get("option"), str) for group in groups)
        and all("_target_" in group or isinstance(group.get("parts"), list) for group in groups)
        and {"split", "train_size", "label_noise"} <= config.data.keys()
        and bool({"parts", "schedule"} & config.reg.keys())  # not of a version before these
    )


def plan_runs(study_folder: Path, configs: Sequence[RunConfig], retry_failed: bool = False) -> Plan:
    """What is to be trained, and what is there already.

    Points with one run id are one run. Runs are found by their id, never by their name. A variant keeps the key
    that its first run was given; a new one is named by what varies among all runs of the study.

    Args:
        study_folder: outputs/<name>.
        configs: one for each point of the sweep.
        retry_failed: whether runs that failed earlier are trained again.

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
    extendable = _extendable(existing.values())

    tasks, ended, failed, resumed = [], [], [], 0
    for run_id, config in wanted.items():
        run = existing.get(run_id)
        state = run.status["state"] if run and run.folder == run.published else None
        untested = run is not None and run.status["state"] == "complete" and lacks_test(config, run.folder)
        if (state in ENDED and not untested) or (state == "failed" and not retry_failed):
            (ended if state in ENDED else failed).append(run.folder)
            continue
        variant = identity.variant_id(config)
        if variant not in key_of:
            key = identity.variant_key(config, varying)
            if key in key_of.values():  # other settings that look alike once they are fit for a file name
                key = f"{key}-{variant[:6]}"
            key_of[variant] = key
        folder = run.published if run else study_folder / identity.run_folder_name(key_of[variant], config, run_id)
        if run is None:
            _check_free(folder)
        shorter = [known for known in extendable.get(identity.budget_free_id(config), ()) if known[0] < config.epochs]
        extends = max(shorter)[1] if shorter else None
        failed_under_way = run is not None and run.status["state"] == "failed" and retry_failed
        retry = state == "failed" or failed_under_way or untested
        tasks.append(Task(config, run_id, variant, key_of[variant], folder, extends, retry=retry))
        resumed += run is not None and (run.folder / CHECKPOINT).is_file()
    return Plan(tuple(tasks), resumed, tuple(ended), tuple(failed))


def lacks_test(config: RunConfig, folder: Path) -> bool:
    """Whether a complete run was a trial, which does not score the test set, where that is wanted.

    The seal says so, if there is one: it is renewed when all that belongs to a test score has been written.
    """
    seal = (read_status(folder) or {}).get("seal")
    tested = "test.csv" in seal if isinstance(seal, dict) else (folder / "test.csv").is_file()
    return config.test and not tested


def _check_free(folder: Path) -> None:
    """A run that was killed in its first moments leaves a folder without a status; anything else is not ours."""
    foreign = [p.name for p in folder.iterdir() if p.name not in FILES and p.suffix != PART] if folder.is_dir() else []
    if foreign or (folder.exists() and not folder.is_dir()):
        raise StudyError(f"{folder} is in the way: it is not the run it is named after; move it elsewhere")


def _may_grow(config: RunConfig) -> bool:
    """Whether a longer run begins as this one did: nothing of it depends on the budget, or chose an epoch by then."""
    from study.build import build_regularizer, reg_parts

    try:
        parts = [(part, build_regularizer(part)) for part in reg_parts(config)]
    except ConfigError:  # a user's own code that is gone
        return False
    return all(part["schedule"] == "constant" and not regularizer.selects for part, regularizer in parts)


def _extendable(runs: Iterable[Existing]) -> dict[str, list[tuple[int, Path]]]:
    """Complete runs with a kept checkpoint: budget and folder, by the id without the budget."""
    result: dict[str, list[tuple[int, Path]]] = {}
    for run in runs:
        kept = run.status["state"] == "complete" and run.config and (run.folder / CHECKPOINT).is_file()
        if kept and _may_grow(run.config):
            result.setdefault(identity.budget_free_id(run.config), []).append((run.config.epochs, run.folder))
    return result
