"""One run, from its config to its folder: build data and model, train, score, and write the files."""

import math
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
from study.data import Splits, load_splits
from study.errors import USER_ERRORS, faults, one_line
from study.loggers.following import Loggers
from study.loggers.logged import LoggedRun
from study.measures.regression import ScoredRegression
from study.measures.scoring import Score, Scored, score
from study.measures.weights import is_histogram_epoch
from study.randomness import Stream, global_stream, torch_generator
from study.records.claims import is_lost
from study.records.contract import CHECKPOINT, LABEL_NOISE, LOG, PART
from study.records.files import append_whole, now
from study.records.run_folder import RunFolder
from study.training import checkpoint
from study.training.checkpoint import Checkpoint
from study.training.general import penalty_and_gradient_ratio
from study.training.loop_choice import LOOPS, devices_for
from study.training.model_regularizers import model_regularizers
from study.training.placement import placed, splits_in_precision
from study.training.process import prepare_process
from study.training.results import may_score_later, score_later, write_scores, write_statistics
from study.training.rows import by_labels, in_words, of_regression
from study.training.state import PausedError, State, never
from study.training.task import Task


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its state, the cause, and its last metrics.

    The state is `complete`, `diverged`, `failed`, `interrupted` or `elsewhere`. `elsewhere` means that the run has not
    ended, and another process trains it.
    """

    state: str
    cause: str | None = None
    metrics: Mapping[str, Any] | None = None


CHECKPOINT_SHARE = 0.01  # of the time of a run, after which no checkpoint is due; the last one may exceed it

# Called with the number of an epoch and its row of metrics.csv. False stops the run there; it can be resumed later.
OnEpoch = Callable[[int, Mapping[str, Any]], bool]


def train_run(
    task: Task,
    work: Path,
    on_epoch: OnEpoch,
    pause: Callable[[], bool] = never,
    device: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train one run and write its files. An error of the run gives an outcome and raises nothing.

    An interrupted run resumes from its checkpoint. This requires that `checkpoint.made_by` is equal: device, threads,
    training loop and versions of libraries.

    Args:
        task: the run.
        work: the folder to write; this process must have a claim on it.
        on_epoch: called after each epoch; returns whether to continue.
        pause: asked between two steps; returns whether to stop there, with a checkpoint. The compiled loop ends its
            epoch first, which takes seconds.
        device: the device to train on, as torch names it; None: the first of `devices_for`.
        say: called with a line about a logger that failed.

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
                outcome = _Training(task, state, splits, folder, maker, loggers).run(start, on_epoch)
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


class _Training:
    """Trains the epochs of one run: train, score, record, save a checkpoint."""

    def __init__(
        self,
        task: Task,
        state: State,
        splits: Splits,
        folder: RunFolder,
        maker: Mapping[str, Any],
        loggers: Loggers,
    ):
        config = task.config
        self.config, self.state, self.splits, self.folder, self.maker = config, state, splits, folder, maker
        self.loggers = loggers
        self.loop = LOOPS[task.path]
        self.score = partial(score, logits_of=self.loop.logits_of)
        self.scored_train = splits.clean.first(config.score_train)
        self.images = splits.available if config.budget == "steps" else None
        self.train: Scored | ScoredRegression | None = None  # scores after the last recorded epoch
        self.val: Scored | ScoredRegression | None = None
        state.under_way.learning_rate = state.optimizer.param_groups[0]["lr"]  # before training, that of the first step
        self.seconds = dict.fromkeys(("preparation", "training", "scoring", "statistics", "checkpoints"), 0.0)
        self.saved = time.perf_counter()  # when the last checkpoint was taken

    def run(self, start: Checkpoint | None, on_epoch: OnEpoch) -> Outcome:
        """Train from the start or a checkpoint until the budget ends, the loss diverges, or `on_epoch` stops it."""
        config, regularizer = self.config, self.state.regularizer
        epoch, row = 0, None
        self.loggers.start()
        if start is None:
            with regularizer.scored(self.state.model):
                row = self._record(0, None, 0.0)
            on_epoch(0, row)
        else:
            checkpoint.restore(self.state, start)
            self.folder.log(f"resumes after epoch {start.epoch}")
            epoch = start.epoch
        self.seconds["preparation"] = time.perf_counter() - self.folder.began - sum(self.seconds.values())
        while epoch < config.epochs and not regularizer.stops:
            epoch += 1
            regularizer.start_epoch(epoch)
            before = self.seconds["training"]
            if self.state.under_way.left is None:
                self.state.under_way.learning_rate = self.state.optimizer.param_groups[0]["lr"]
            try:
                with self._timed("training"):
                    objective = self.loop.train_epoch(self.state, self.splits.train, config.batch_size, self.images)
            except PausedError:
                self._save(epoch - 1)
                return self._interrupted(f"in epoch {epoch}", row)
            with regularizer.scored(self.state.model):
                row = self._record(epoch, objective, self.seconds["training"] - before)
            if not all(math.isfinite(row[key]) for key in ("objective", "train_loss", "val_loss")):
                return self._end(Outcome("diverged", f"the loss became infinite or NaN in epoch {epoch}", row))
            go_on = on_epoch(epoch, row)
            # The work after the last epoch is short, so a checkpoint there is only useful for a longer run.
            last = epoch == config.epochs or regularizer.stops
            if config.keep_checkpoint if last else self._checkpoint_is_due() or not go_on:
                self._save(epoch)
            if not go_on and not last:
                return self._interrupted(f"after epoch {epoch}", row)
        with regularizer.scored(self.state.model):
            self._finish(epoch)
        return self._end(Outcome("complete", metrics=row))

    def _checkpoint_is_due(self) -> bool:
        """Whether the time between checkpoints is over. On a slow disk it is longer, so that they cost few percent."""
        now, taken = time.perf_counter(), self.seconds["checkpoints"]
        every = self.config.checkpoint_every
        return not every or (now - self.saved >= every and taken <= CHECKPOINT_SHARE * (now - self.folder.began))

    def _save(self, epoch: int) -> None:
        with self._timed("checkpoints"):
            checkpoint.save(self.folder.path, epoch, self.folder.sizes(), self.state, self.maker)
        self.saved = time.perf_counter()

    def _interrupted(self, where: str, row: Mapping[str, Any] | None) -> Outcome:
        self.folder.log(f"interrupted {where}")
        self.loggers.end("interrupted")
        self.folder.finish("interrupted")
        return Outcome("interrupted", f"stopped {where}", row)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Add the time of the block to a part. The block must read its result, so that the device has finished."""
        began = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - began

    def _end(self, outcome: Outcome) -> Outcome:
        self.folder.note(seconds={part: round(seconds, 6) for part, seconds in self.seconds.items()})
        self.folder.log(outcome.state + (f": {outcome.cause}" if outcome.cause else ""))
        self.loggers.end(outcome.state)
        with self._without_checkpoint(keep=self.config.keep_checkpoint and outcome.state == "complete"):
            self.folder.finish(outcome.state, outcome.cause)
        return outcome

    @contextmanager
    def _without_checkpoint(self, keep: bool) -> Iterator[None]:
        """Remove the checkpoint. If the block, which ends the run, fails, restore it, so that the run can resume."""
        checkpoint = self.folder.path / CHECKPOINT
        aside = checkpoint.with_name(f".{CHECKPOINT}{PART}")
        if keep or not checkpoint.exists():
            yield
            return
        os.replace(checkpoint, aside)
        try:
            yield
        except BaseException:
            os.replace(aside, checkpoint)
            raise
        aside.unlink()

    def _record(self, epoch: int, objective: float | None, seconds: float) -> dict[str, Any]:
        """Score an epoch and add it to the run's CSVs; return its row of metrics.csv."""
        model, regularizer = self.state.model, self.state.regularizer
        with self._timed("scoring"):
            self.train, self.val = self.score(model, self.scored_train), self.score(model, self.splits.val)
            train, val = self.train.score(), self.val.score()
        with self._timed("statistics"):
            penalty, ratio = penalty_and_gradient_ratio(
                model, regularizer, self.splits.train, self.loop.data_gradient_norm
            )
        row: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": train.loss,
            "train_accuracy": train.accuracy if isinstance(train, Score) else None,
            "val_loss": val.loss,
            "val_accuracy": val.accuracy if isinstance(val, Score) else None,
            "penalty": penalty,
            "objective": objective,
            "gradient_ratio": ratio,
            "lam": regularizer.lam,
            "learning_rate": self.state.under_way.learning_rate,
            "seconds": round(seconds, 6),
            **of_regression(train, val),
        }
        self.folder.append("metrics.csv", [list(row.values())])
        if isinstance(self.train, Scored) and self.config.data["label_noise"]:
            self.folder.append(LABEL_NOISE, by_labels(epoch, self.train, self.splits))
        regularizer.after_epoch(epoch, row, model)
        chosen = regularizer.selects and (regularizer.chosen_epoch(epoch) == epoch or regularizer.stops)
        with self._timed("statistics"):
            parameters = ((name, p.detach().cpu().numpy()) for name, p in model.named_parameters())
            drawn = chosen or is_histogram_epoch(epoch, self.config.epochs)
            self.folder.append_weights(epoch, parameters, drawn)
        self.folder.log(f"epoch {epoch}: train {in_words(train)}, val {in_words(val)}, {seconds:.2f} s")
        self.loggers.epoch(row)
        return row

    def _finish(self, epoch: int) -> None:
        """Score the final weights, and write the files about them."""
        model, regularizer, folder = self.state.model, self.state.regularizer, self.folder
        chosen, train, val = regularizer.chosen_epoch(epoch), self.train, self.val
        if regularizer.selects:
            regularizer.choose(model)
            train, val = None, None
            folder.log(f"the final weights are those of epoch {chosen}, the best of {epoch}")
        with self._timed("scoring"):
            write_scores(folder.path, chosen, model, self.score, self.splits, val, self.config.test)
        with self._timed("statistics"):
            whole = train if self.scored_train is self.splits.clean else None
            write_statistics(folder.path, chosen, model, self.score, self.splits, whole)
        if self.config.keep_model:
            checkpoint.save_model(folder.path, model)
        folder.note(epochs_trained=epoch, scored_epoch=chosen)
