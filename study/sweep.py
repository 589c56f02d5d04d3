"""A whole command: plan every run, validate all before the first starts, leave finished ones alone, train the rest."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext
from omegaconf import DictConfig

from study import frozen, grid, identity, preload, progress
from study.compose import compose_all
from study.config import check_name
from study.errors import ConfigError, StudyError
from study.plan import Task, plan_runs

OUTPUTS = Path("outputs")
OWN_LAUNCHER = "basic"  # Hydra's default: our own workers train


def sweep(base: DictConfig, context: HydraContext, arguments: Sequence[str]) -> None:
    """Train all runs that a command line asks for and that are not there yet.

    Args:
        base: the config composed from the overrides that do not sweep.
        context: Hydra's, whose loader composes the config of each point.
        arguments: overrides of the command line.

    Raises:
        ConfigError: one or more points are not allowed; nothing has been trained.
        StudyError: the study's folder cannot be used.
        SystemExit: with 1 if a run failed, now or in an earlier sweep.
        KeyboardInterrupt: runs were stopped before their end.
    """
    multirun, loader = not {"-m", "--multirun"}.isdisjoint(sys.argv), context.config_loader
    check_name(base.name)
    own = base.hydra.runtime.choices["hydra/launcher"] == OWN_LAUNCHER
    if not own and base.on_failure == "stop":
        raise ConfigError("on_failure=stop: a launcher of Hydra's cannot be stopped; allowed: continue")
    points = grid.points(base, OverridesParser.create(config_loader=loader), arguments, multirun)
    if own and not base.dry_run and _worker_count(base.workers, base.threads, len(points)) > 1:
        preload.start_server()
    configs = compose_all(base, loader, points)
    study_folder = OUTPUTS / base.name
    plan = plan_runs(study_folder, configs, base.retry_failed)
    workers = _worker_count(base.workers, base.threads, len(plan.tasks))
    progress.say_plan(study_folder, plan)
    if base.dry_run:
        progress.say_dry_run(plan, workers)
        return
    states = {"failed"} if plan.failed else set()
    if plan.tasks:
        _check_writable(study_folder)
        if own and workers > 1:
            preload.tell_server(plan.tasks, base.loop)
        load_data_once(plan.tasks)
        from study.loops import choose_loops

        tasks = choose_loops(plan.tasks, base.loop, progress.say)
        frozen.freeze(study_folder, tasks)
        if own:
            from study.workers import train_all

            states |= {outcome.state for outcome in train_all(tasks, workers, base.on_failure == "stop")}
        else:
            from study.launching import launch

            states |= set(launch(base, context, tasks, progress.say))
    if "failed" in states:
        raise SystemExit(1)
    if "interrupted" in states:
        raise KeyboardInterrupt


def _check_writable(study_folder: Path) -> None:
    try:
        study_folder.mkdir(parents=True, exist_ok=True)
        probe = study_folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except FileExistsError:
        raise StudyError(f"{study_folder} is a file: move it elsewhere, or give another name=...") from None
    except OSError as error:
        raise StudyError(
            f"{study_folder} cannot be written to ({error.strerror}): run the command in a folder where you may write"
        ) from None


def load_data_once(tasks: Sequence[Task]) -> None:
    """Read the data of a sweep, fetched and checked, before any run starts: what is wrong with it is said once."""
    import torch

    from study.build import build_dataset
    from study.data import read_once

    for data in {identity.settings(task.config)["data"]: task.config.data for task in tasks}.values():
        read_once(build_dataset(data), data["root"], torch.device("cpu"))


def _worker_count(workers: int | None, threads: int, runs: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(workers or max(1, cores // max(1, threads)), runs)
