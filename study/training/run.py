"""One run, from its config to its folder: build data and model, train, score, and write the files."""

import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from study.config.build import (
    build_combined,
    build_dataset,
    build_model,
    build_optimizer,
    build_schedule,
    steps_per_epoch,
)
from study.config.identity import NUMERICS
from study.data import load_splits
from study.errors import USER_ERRORS, faults, one_line
from study.loggers.following import Loggers
from study.loggers.logged import LoggedRun
from study.randomness import Stream, global_stream, torch_generator
from study.records.claims import is_lost
from study.records.contract import LOG
from study.records.files import append_whole, now
from study.records.run_folder import RunFolder
from study.training import checkpoint
from study.training.epochs import Epochs, OnEpoch, Outcome, Training
from study.training.loop_choice import devices_for
from study.training.model_regularizers import model_regularizers
from study.training.placement import placed, splits_in_precision
from study.training.process import prepare_process
from study.training.results import may_score_later, score_later
from study.training.state import State, never
from study.training.task import Task


def begin_run(
    task: Task,
    work: Path,
    on_epoch: OnEpoch,
    pause: Callable[[], bool] = never,
    device: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Epochs:
    """Train one run and write its files. An error of the run gives an outcome and raises nothing.

    An interrupted run resumes from its checkpoint. This requires that `checkpoint.made_by` is equal: device, threads,
    training loop and versions of libraries.

    Args:
        task: the run.
        work: the folder to write; this process must have a claim on it.
        on_epoch: called after each epoch; returns whether to continue.
        pause: asked between two steps; returns whether to stop there, with a checkpoint. The compiled loop and lockstep
            end their epoch first, which takes seconds.
        device: the device to train on, as torch names it; None: the first of `devices_for`.
        say: called with a line about a logger that failed.

    Yields:
        Of a run in lockstep, itself, where an epoch is due.

    Returns:
        The outcome, as status.json has it.

    Raises:
        KeyboardInterrupt: the user stopped the process at once; the run is marked as interrupted.
        MachineFaultError: a fault of the machine stopped the run. It is marked as interrupted if that can be written.
    """
    config = task.config
    folder = None
    try:
        chosen = prepare_process(config.threads, device or devices_for(task).names[0])
        dataset = build_dataset(config.data)
        if may_score_later(work):
            score_later(config, work, dataset, chosen)
            with _loggers(task, work, say) as loggers:
                loggers.start()
                loggers.end("complete")
            return Outcome("complete", "its test set was scored")
        maker = checkpoint.made_by(chosen, config.threads, task.path)
        start = checkpoint.load(work, maker)
        facts = {
            "run_id": task.run_id,
            "variant": task.variant,
            "variant_id": task.variant_id,
            "budget_free_id": task.budget_free_id,
            "may_grow": task.may_grow,
            "device": _device_name(chosen),
            "threads": config.threads,
            "path": task.path,
            "takes_lam": task.takes_lam,
            "setting": dict(task.setting),
            "numerics": NUMERICS,
            "data_checksums": dict(dataset.checksums),
            "task": dataset.task,
            "class_names": list(dataset.class_names),
        }
        if start is None and task.extends is not None:
            start = checkpoint.load_shorter(task.extends, maker, config.epochs)
        folder = RunFolder(
            work, config, facts, sizes=start.sizes if start else None, rows=start.rows if start else None
        )
        splits = splits_in_precision(load_splits(dataset, config.data, config.seed, chosen), config.precision)
        folder.note(images=splits.counts())
        folder.log(
            f"{len(splits.train)} training and {len(splits.val)} validation images of {dataset.name}, on {chosen},"
            f" by the training loop {task.path}"
        )
        with global_stream(config.seed, Stream.INITIALIZATION):
            model = build_model(config.model, dataset)
        model = placed(model, config.precision, chosen)
        own = model_regularizers(config, dataset, splits.train, folder.log)
        folder.note(model_regularizers=own)
        folder.write_notes()
        if own:
            folder.log(f"regularizers inside the model: {', '.join(own)}")
        with global_stream(config.seed, Stream.DROPOUT):
            optimizer = build_optimizer(config.optimizer, dict(model.named_parameters()))
            steps = steps_per_epoch(config.data, dataset, config.batch_size, config.budget)
            state = State(
                model,
                build_combined(config, model, dataset.classes),
                optimizer,
                torch_generator(config.seed, Stream.BATCH_ORDER),
                build_schedule(config.schedule, optimizer, config.epochs, steps),
                config.clip_norm,
                pause=pause,
            )
            with _loggers(task, work, say) as loggers:
                outcome = yield from Training(task, state, splits, folder, maker, loggers, dataset.classes).run(
                    start, on_epoch
                )
    except KeyboardInterrupt:
        _record_interruption(folder, "interrupted")
        raise
    except (Exception, SystemExit) as error:  # the user's code may try to end the program
        if is_lost(work):
            return Outcome("elsewhere", "another process has taken it over")
        if faults.is_fault(error) or _is_of_own_files(error, work):
            fault = faults.stopping(error, task.folder)
            _record_interruption(folder, f"interrupted: {fault}\n{traceback.format_exc()}")
            raise fault from error
        cause = one_line(error) if isinstance(error, USER_ERRORS) else f"{type(error).__name__}: {one_line(error)}"
        outcome = Outcome("failed", cause)
        try:
            _record_failure(folder, cause, traceback.format_exc())
        except OSError as fault:  # the failure is lost, but the run fails again when it is trained again
            raise faults.stopping(fault, task.folder) from error
    return outcome


def _loggers(task: Task, work: Path, say: Callable[[str], None]) -> Loggers:
    """The loggers of a run. A warning of one goes to run.log and to `say`; like the logger, it may fail."""

    def warn(line: str) -> None:
        with suppress(OSError):
            append_whole(work / LOG, f"{now()}  {line}\n".encode())
        say(f"{task.folder}: {line}")

    return Loggers(task.loggers, LoggedRun(task.config, task.run_id, task.variant, task.folder), work, warn)


def _is_of_own_files(error: BaseException, work: Path) -> bool:
    """Whether a run cannot use its own files. Whatever the reason, this is never the fault of the run's config."""
    return isinstance(error, OSError) and Path(str(error.filename)).is_relative_to(work)


def _record_interruption(folder: RunFolder | None, line: str) -> None:
    if folder is None:
        return
    with suppress(OSError):  # on a full disk the status cannot be written; it stays `running`, without an owner
        folder.finish("interrupted")
        folder.log(line)


def _device_name(device: torch.device) -> str:
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def _record_failure(folder: RunFolder | None, cause: str, trace: str) -> None:
    if folder is None:
        return
    folder.finish("failed", cause, trace)
    folder.log(f"failed: {cause}\n{trace}")
