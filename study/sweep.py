"""A whole command: plan every run, validate all before the first starts, leave finished ones alone, train the rest."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from study import grid, identity, progress
from study.config import RunConfig, check_name, resolve
from study.errors import USER_ERRORS, ConfigError, StudyError, one_line
from study.plan import Task, plan_runs

OUTPUTS = Path("outputs")


def sweep(base: DictConfig, loader: ConfigLoader, arguments: Sequence[str]) -> None:
    """Train all runs that a command line asks for and that are not there yet.

    Args:
        base: the config composed from the overrides that do not sweep.
        loader: composes the config of each point.
        arguments: overrides of the command line.

    Raises:
        ConfigError: one or more points are not allowed; nothing has been trained.
        StudyError: the study's folder cannot be used.
        SystemExit: with 1 if a run failed.
    """
    multirun = not {"-m", "--multirun"}.isdisjoint(sys.argv)
    if base.hydra.runtime.choices["hydra/launcher"] != "basic":
        raise ConfigError("hydra/launcher: study trains side by side by itself (workers=N); leave the launcher out")
    check_name(base.name)
    points = grid.points(base, OverridesParser.create(config_loader=loader), arguments, multirun)
    configs = _compose_all(base, loader, points)
    study_folder = OUTPUTS / base.name
    tasks, complete = plan_runs(study_folder, configs)
    progress.say_plan(study_folder, tasks, complete)
    if not tasks:
        return
    _check_writable(study_folder)
    _load_data_once(tasks)
    from study.workers import train_all

    outcomes = train_all(tasks, _worker_count(base.workers, base.threads, len(tasks)))
    if any(outcome.state != "complete" and outcome.state != "diverged" for outcome in outcomes):
        raise SystemExit(1)


def _compose_all(base: DictConfig, loader: ConfigLoader, points: Sequence[grid.Point]) -> list[RunConfig]:
    """The config of every point; one error lists all bad points."""
    configs, errors = [], {}
    hydra_overrides = list(base.hydra.overrides.hydra)
    for point in points:
        try:
            cfg = loader.load_configuration(base.hydra.job.config_name, [*hydra_overrides, *point], RunMode.RUN)
            choices = dict(cfg.hydra.runtime.choices)
            with open_dict(cfg):
                del cfg["hydra"]
            configs.append(resolve(cfg, choices))
        except USER_ERRORS as error:
            errors.setdefault(one_line(error), []).append(" ".join(point))
    if errors:
        lines = [
            line if len(points) == 1 else f"{line}  [{where[0]}{f' and {len(where) - 1} more' if where[1:] else ''}]"
            for line, where in errors.items()
        ]
        raise ConfigError("\n".join(lines))
    return configs


def _check_writable(study_folder: Path) -> None:
    try:
        study_folder.mkdir(parents=True, exist_ok=True)
        probe = study_folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StudyError(
            f"{study_folder} cannot be written to ({error.strerror}): run the command in a folder where you may write"
        ) from None


def _load_data_once(tasks: Sequence[Task]) -> None:
    """Fetch and check the data before any worker starts, so that what is wrong with it is said once."""
    from study.build import build_dataset

    for data in {identity.settings(task.config)["data"]: task.config.data for task in tasks}.values():
        build_dataset(data).read(Path(data["root"]).expanduser())


def _worker_count(workers: int | None, threads: int, runs: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(workers or max(1, cores // threads), runs)
