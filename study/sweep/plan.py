"""Plan a sweep: which runs it needs, which of them are already complete, and the names of the new ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from study.config.names import differing, run_folder_name, settings, told_apart, variant_key, varying_keys
from study.config.run_config import ResolvedRun, RunConfig, arguments
from study.errors import StudyError
from study.records.contract import CHECKPOINT, FILES, PART, PRUNED, WITH_RESULT
from study.records.existing import Existing, existing_runs
from study.training.task import Task


@dataclass(frozen=True)
class Plan:
    """The plan of a sweep.

    Attributes:
        tasks: runs to train, in the order of the sweep, interrupted runs included.
        resumed: how many of the tasks resume from a checkpoint.
        ended: runs that are complete or diverged, or were pruned after the epoch to which they would be trained.
        failed: runs that failed earlier and are not trained again.
    """

    tasks: tuple[Task, ...]
    resumed: int
    ended: tuple[Existing, ...]
    failed: tuple[Existing, ...]


def plan_runs(
    study_folder: Path,
    runs: Sequence[ResolvedRun],
    retry_failed: bool = False,
    until: Mapping[str, int | None] | None = None,
    suite: Sequence[Mapping[str, Any]] = (),
) -> Plan:
    """Find out which runs to train, and which runs the study already has.

    Points with the same run id are one run. Runs are found by their id, never by their name. A variant keeps the key
    of its first run. The key of a new variant contains the settings that vary among all runs of the study; of those in
    which the settings of a suite differ, only the ones that tell them apart.

    Args:
        study_folder: outputs/<name>.
        runs: one for each point of the sweep.
        retry_failed: whether runs that failed earlier are trained again.
        until: by run id, the epoch after which a run is pruned; None, or no entry: it is trained to its end.
        suite: the settings of a suite.

    Raises:
        StudyError: the folder of a new run exists and holds something else; or a run must be scored, and is compacted.
    """
    wanted: dict[str, ResolvedRun] = {}
    for resolved in runs:
        wanted.setdefault(resolved.run_id, resolved)
    existing = existing_runs(study_folder)
    extendable = _extendable(existing.values())
    known = [_settings_of(run.config, run.status) for run in existing.values() if run.config is not None]
    each = {id(resolved.settings): resolved.settings for resolved in runs}  # most runs share theirs
    telling = {key for setting in told_apart(suite) for key in setting}
    implied = set(differing(suite)) - telling
    varying = [key for key in varying_keys([*known, *each.values()]) if key not in implied]
    key_of = {run.status["variant_id"]: run.status["variant"] for run in existing.values()}
    keys = set(key_of.values())
    taken = {path.name.casefold() for path in study_folder.iterdir()} if study_folder.is_dir() else set()

    tasks: list[Task] = []
    ended: list[Existing] = []
    failed: list[Existing] = []
    resumed = 0
    for run_id, resolved in wanted.items():
        run, config = existing.get(run_id), resolved.config
        state = run.status["state"] if run and run.is_published else None
        untested = run is not None and run.status["state"] == "complete" and lacks_test(config, run.folder, run.status)
        if run is not None and untested and run.is_compacted:
            raise StudyError(
                f"{run.folder} is compacted, and its test set is not scored yet. Give study expand"
                f" name={study_folder.name} first, then the same command again"
            )
        last = (until or {}).get(run_id) or config.epochs
        reached = state == PRUNED and run is not None and run.status["epochs_trained"] >= last
        has_result = reached or (state in WITH_RESULT and not untested)
        if run is not None and (has_result or (state == "failed" and not retry_failed)):
            (ended if has_result else failed).append(run)
            continue
        variant = resolved.variant_id
        if variant not in key_of:
            lam = config.lam if resolved.takes_lam else None
            key = variant_key(config.reg["option"], lam, resolved.settings, varying)
            if key in keys:  # settings that differ can give the same text in a file name
                key = f"{key}-{variant[:6]}"
            key_of[variant] = key
            keys.add(key)
        folder = run.published if run else study_folder / run_folder_name(key_of[variant], config.seed, run_id)
        if run is None and folder.name.casefold() in taken:
            _check_free(folder)
        shorter = [known for known in extendable.get(resolved.budget_free_id, ()) if known[0] < config.epochs]
        extends = max(shorter)[1] if shorter else None
        failed_under_way = run is not None and run.status["state"] == "failed" and retry_failed
        leftover = run is None and folder.is_dir()  # of a run that an earlier version was killed in at its start
        retry = state == "failed" or failed_under_way or untested or leftover
        how = {"extends": extends, "retry": retry, "until": last if last < config.epochs else None}
        tasks.append(Task.of(resolved, key_of[variant], folder, **how))
        resumed += run is not None and (run.folder / CHECKPOINT).is_file()
    return Plan(tuple(tasks), resumed, tuple(ended), tuple(failed))


def lacks_test(config: RunConfig, folder: Traversable, status: Mapping[str, Any]) -> bool:
    """Whether a complete run lacks the test score that its config requires.

    The trials of a tuned study do not score the test set. If the run has a seal, the seal decides: it is renewed only
    after all files of a test score have been written.
    """
    seal = status.get("seal")
    tested = "test.csv" in seal if isinstance(seal, dict) else (folder / "test.csv").is_file()
    return config.test and not tested


def _check_free(folder: Path) -> None:
    """Refuse a folder with foreign files. One with files of a run is free: a run killed at its start leaves it."""
    foreign = [p.name for p in folder.iterdir() if p.name not in FILES and p.suffix != PART] if folder.is_dir() else []
    if foreign or (folder.exists() and not folder.is_dir()):
        raise StudyError(f"{folder} is not the run that its name says. Move it elsewhere")


def _settings_of(config: RunConfig, status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of an existing run, without the model options that its regularizer set.

    These options are the ones that are missing in its status.json.
    """
    written = status.get("setting", {})
    return settings(config, [key for key in arguments(config.model) if written and f"model.{key}" not in written])


def _extendable(runs: Iterable[Existing]) -> dict[str, list[tuple[int, Path]]]:
    """Map the id without the budget to the complete runs with a kept checkpoint: epochs and folder of each.

    The id is read from status.json and not computed again, because the user's code may have changed since the run.
    """
    result: dict[str, list[tuple[int, Path]]] = {}
    for run in runs:
        status = run.status
        identity = status.get("budget_free_id") if status.get("may_grow") else None
        kept = status["state"] == "complete" and (run.folder / CHECKPOINT).is_file()
        if identity is not None and kept and run.config is not None and isinstance(run.folder, Path):
            result.setdefault(identity, []).append((run.config.epochs, run.folder))
    return result
