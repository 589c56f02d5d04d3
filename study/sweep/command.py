"""One command: plan every run, check all of them before the first starts, skip complete ones, train the rest."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from study.config.devices import ALLOWED, CUDA, KINDS, Devices, as_text, devices_here, kind_of
from study.config.hydra_settings import OWN_LAUNCHER, RAY, SLURM
from study.config.points import grid
from study.config.points.compose import Composer
from study.config.run_config import ResolvedRun
from study.errors import ConfigError, StudyError, faults
from study.loggers import choice
from study.records.contract import OUTPUTS
from study.records.unfinished import finish_removals
from study.sweep import freeze, preload, progress
from study.sweep.asked import Asked
from study.sweep.fixed import Fixed
from study.sweep.plan import Plan, plan_runs
from study.sweep.preload import load_data_once
from study.sweep.temporary import remove_abandoned
from study.sweep.tuned import tune_and_compare
from study.sweep.until_precise import Design, add_seeds, check_design
from study.training.task import Task


def sweep(base: DictConfig, context: HydraContext, arguments: Sequence[str]) -> None:
    """Train all runs that a command line asks for, except those that are already complete.

    Args:
        base: the config composed from the overrides that do not sweep.
        context: Hydra's context; its loader composes the config of each point.
        arguments: overrides of the command line.

    Raises:
        ConfigError: one or more points are not allowed; no run was trained.
        StudyError: the study's folder cannot be used.
        MachineFaultError: a fault of the machine stopped the sweep; its runs can be resumed.
        SystemExit: with exit status 1 if a run failed, now or in an earlier sweep.
        KeyboardInterrupt: runs were stopped before their end.
    """
    try:
        _sweep(base, context, arguments)
    except Exception as error:
        if isinstance(error, StudyError) or not faults.is_fault(error):
            raise
        raise faults.stopping(error) from error


def _sweep(base: DictConfig, context: HydraContext, arguments: Sequence[str]) -> None:
    asked = Asked.by(base, context, arguments)
    remove_abandoned()
    command = Command(asked)
    command.suite = asked.checked_suite(command.composer)
    if asked.until is not None:
        add_seeds(command, asked.until, asked.points)
    elif asked.tuning is None:
        command.train_each(asked.points())
    else:
        tune_and_compare(command, asked.tuning, asked.fixed())
    command.end()


class Command:
    """Trains the runs of one command line, in one step or in several."""

    fixed: Fixed  # known with the first runs, whose data set has a task

    def __init__(self, asked: Asked):
        base = asked.base
        self.base, self.context = base, asked.context
        self.composer = Composer(asked.context.config_loader, asked.parser)
        self.study_folder = OUTPUTS / base.name
        self.launcher = base.hydra.runtime.choices["hydra/launcher"]
        self.own = self.launcher == OWN_LAUNCHER
        self.design: Design | None = None
        self.loops_by: Sequence[Task] = ()  # runs by which the loops are chosen; empty: those that are trained
        self.suite: list[Mapping[str, Any]] = []  # the settings of a suite
        self.states: set[str] = set()
        self.warned: set[str] = set()  # a tuned study trains in several steps, and each loads the data
        logger: Any = base.logger
        logger = OmegaConf.to_container(logger) if OmegaConf.is_config(logger) else logger
        self.loggers = choice.chosen(logger, start=not base.dry_run)
        if not self.own and base.on_failure == "stop":
            raise ConfigError("on_failure=stop: a Hydra launcher cannot be stopped. Allowed: continue")
        if not base.wait and self.launcher != SLURM:
            raise ConfigError("wait=false: only jobs of hydra/launcher=slurm go on without this command. Leave it out")
        if self.launcher == SLURM and not base.dry_run:
            from study.sweep.launchers.slurm import check_slurm

            check_slurm(base.hydra.launcher)
        if self.launcher == RAY:
            from study.sweep.launchers.ray_cluster import check_ray

            check_ray(base)

    @property
    def dry_run(self) -> bool:
        """Whether the command only prints what it would train."""
        return self.base.dry_run

    def say(self, line: str) -> None:
        """Print a line about the sweep as a whole."""
        progress.say(line)

    def compose_each(self, parts: Sequence[tuple[DictConfig, Sequence[grid.Point]]]) -> list[ResolvedRun]:
        """Return the resolved runs of the points of several experiments, without a check of their design."""
        return self._compose(parts, test=True, fixed=False)

    def compose(self, points: Sequence[grid.Point], test: bool = True) -> list[ResolvedRun]:
        """Return the resolved runs of points. `test`: whether they score the test set."""
        return self._compose([(self.base, points)], test)

    def train(
        self, points: Sequence[grid.Point], test: bool = True, until: Sequence[int | None] | None = None
    ) -> list[str]:
        """Train the missing runs of some points; return the id of each point's run.

        Args:
            points: the runs.
            test: whether they score the test set.
            until: for each point the epoch after which its run is pruned; None: it is trained to its end.

        Raises:
            KeyboardInterrupt: runs were stopped before their end.
        """
        return self.train_each([(self.base, points)], test, until)

    def train_each(
        self,
        parts: Sequence[tuple[DictConfig, Sequence[grid.Point]]],
        test: bool = True,
        until: Sequence[int | None] | None = None,
    ) -> list[str]:
        """Do the same as `train` for the points of several experiments, each with its base config."""
        base, count = self.base, sum(len(points) for _, points in parts)
        if self.own and not base.dry_run and _worker_count(base.workers, base.threads, count) > 1:
            preload.start_server()
        runs = self._compose(parts, test)
        plan = plan_runs(self.study_folder, runs, base.retry_failed, _longest(runs, until), self.suite)
        devices = self.devices()
        workers = self.workers(len(plan.tasks), devices)
        progress.say_plan(self.study_folder, plan)
        if base.dry_run:
            progress.say_dry_run(plan, workers)
        else:
            states = {"failed"} if plan.failed else set()
            states |= self._train_tasks(plan, workers, devices) if plan.tasks else set()
            self.states |= states
            if "interrupted" in states:
                raise KeyboardInterrupt
        return [run.run_id for run in runs]

    def choose_loops_for(self, runs: Sequence[ResolvedRun]) -> None:
        """Choose the loops of all variants by some runs, so that they do not depend on which of these have ended."""
        self.loops_by = [Task.of(run, "", self.study_folder) for run in runs]

    def _compose(
        self, parts: Sequence[tuple[DictConfig, Sequence[grid.Point]]], test: bool, fixed: bool = True
    ) -> list[ResolvedRun]:
        runs = self.composer.compose_each(parts)
        self.fixed = Fixed.by(self.base, self.study_folder, [run.task for run in runs])
        if fixed:
            check_design(self.design, self.study_folder)
        return runs if test else [replace(run, config=replace(run.config, test=False)) for run in runs]

    def workers(self, runs: int, devices: Devices | None) -> int:
        """The number of processes that train so many runs side by side."""
        return _worker_count(self.base.workers, self.base.threads, runs, len(devices.names) if devices else 1)

    def devices(self) -> Devices | None:
        """The devices that this command trains on; None if a launcher's jobs train, on devices of their own.

        Raises:
            ConfigError: this machine has no such device, or cards are numbered for jobs.
        """
        device: Any = self.base.device
        device = OmegaConf.to_container(device) if OmegaConf.is_config(device) else device
        if self.own:
            try:
                return devices_here(device)
            except RuntimeError as error:
                raise ConfigError(f"device={as_text(device)}: {error}. {ALLOWED}") from None
        if device not in ("auto", *KINDS):
            raise ConfigError(
                f"device={as_text(device)}: hydra/launcher={self.launcher} decides which cards its jobs have, and they"
                f" use all of these. Give device={kind_of(device)}"
            )
        return None

    def _train_tasks(self, plan: Plan, workers: int, devices: Devices | None) -> set[str]:
        base, tasks = self.base, plan.tasks
        _check_writable(self.study_folder)
        finish_removals(self.study_folder)
        if self.own and workers > 1:
            preload.tell_server(tasks, base.loop, devices.kind if devices else base.device)
        load_data_once(tasks, self._warn)
        # Here and below, not above: they import torch, while the server of the workers already loads its own.
        import torch

        from study.training.loop_choice import choose_loops, narrowed

        loops_by = self.loops_by or tasks
        side_by_side = self.workers(len(loops_by), devices) if self.own else None
        chosen = choose_loops(loops_by, base.loop, progress.say, base.lockstep, side_by_side)
        if self.loops_by:
            path_of = {task.variant_id: task.path for task in chosen}
            chosen = [replace(task, path=path_of[task.variant_id]) for task in tasks]
        tasks = tuple(chosen)
        if devices is not None and devices.kind == CUDA and torch.cuda.is_available():
            tasks = tuple(narrowed(tasks, torch.cuda.mem_get_info(devices.names[0])[0], progress.say))
        tasks = tuple(replace(task, loggers=self.loggers) for task in tasks) if self.loggers else tasks
        design = self.design.recorded if self.design else None
        freeze.freeze(self.study_folder, tasks, self.fixed, design, self.suite)
        if self.own:
            from study.sweep.workers import train_all

            outcomes = train_all(tasks, workers, base.on_failure == "stop", devices=devices, fill=base.workers is None)
            return {outcome.state for outcome in outcomes}
        if self.launcher == SLURM:
            from study.sweep.launchers.slurm import train_by_slurm

            return set(train_by_slurm(base, tasks, plan.ended, progress.say))
        if self.launcher == RAY:
            from study.sweep.launchers.ray_tasks import train_by_ray

            return set(train_by_ray(base, tasks, progress.say))
        from study.sweep.launchers.hydra_jobs import launch

        return set(launch(base, self.context, tasks, progress.say))

    def _warn(self, line: str) -> None:
        if line not in self.warned:
            self.warned.add(line)
            progress.say(line)

    def end(self) -> None:
        """Exit with 1 if a run failed, now or in an earlier sweep."""
        if "failed" in self.states:
            raise SystemExit(1)


def _longest(runs: Sequence[ResolvedRun], until: Sequence[int | None] | None) -> dict[str, int | None]:
    """By run id, the epoch after which a run is pruned. Trials with equal values share a run: the longest counts."""
    longest: dict[str, int | None] = {}
    for run, last in zip(runs, until or [None] * len(runs), strict=True):
        other = longest.get(run.run_id, last)
        longest[run.run_id] = None if last is None or other is None else max(last, other)
    return longest


def _check_writable(study_folder: Path) -> None:
    beside = study_folder.parent.iterdir() if study_folder.parent.is_dir() and not study_folder.exists() else ()
    for other in beside:
        if other.name.casefold() == study_folder.name.casefold():
            raise StudyError(
                f"name={study_folder.name}: {other} differs from it only in upper and lower case, and some systems do"
                f" not distinguish these. Give name={other.name}, or another name"
            )
    try:
        study_folder.mkdir(parents=True, exist_ok=True)
        probe = study_folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except FileExistsError:
        raise StudyError(f"{study_folder} is a file. Move it elsewhere, or give another name=...") from None
    except OSError as error:
        if faults.is_fault(error):
            raise OSError(error.errno, error.strerror, str(study_folder)) from error
        raise StudyError(
            f"{study_folder} cannot be written to ({error.strerror}). Run the command in a folder where you may write"
        ) from None


def _worker_count(workers: int | None, threads: int, runs: int, devices: int = 1) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(workers or max(devices, cores // max(1, threads)), runs)
