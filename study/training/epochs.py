"""The epochs of one run: train, score, record, save a checkpoint; and what is written when they end."""

import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from study.data import Splits
from study.loggers.following import Loggers
from study.measures.described import Described, describe
from study.measures.regression import ScoredRegression
from study.measures.scoring import Score, Scored, score
from study.measures.weights import is_histogram_epoch
from study.records.contract import CHECKPOINT, LABEL_NOISE, PART
from study.records.run_folder import RunFolder
from study.training import checkpoint
from study.training.checkpoint import Checkpoint
from study.training.general import penalty_and_gradient_ratio
from study.training.loop_choice import is_lockstep, loop_of
from study.training.results import write_scores, write_statistics
from study.training.rows import by_labels, in_words, of_regression
from study.training.state import PausedError, State
from study.training.task import Task


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its state, the cause, and its last metrics.

    The state is `complete`, `diverged`, `pruned`, `failed`, `interrupted` or `elsewhere`. `pruned` means that
    its task ended before its last epoch; it keeps its checkpoint. `elsewhere` means that the run has not ended, and
    another process trains it.
    """

    state: str
    cause: str | None = None
    metrics: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Trained:
    """What training for an epoch gave.

    Attributes:
        objective: as `general.train_epoch` returns it.
        seconds: that training took.
        scoring: seconds that the scores took, if they are known.
        train: scores of the training images that are scored each epoch, if they are known.
        val: the same for the validation images.
        gradient_norm: as `general.data_gradient_norm` returns it, if it is known.
        weights: describes the weights, if they are described together with those of other runs; called with whether
            histograms are wanted.
    """

    objective: float
    seconds: float
    scoring: float = 0.0
    train: Scored | ScoredRegression | None = None
    val: Scored | ScoredRegression | None = None
    gradient_norm: float | None = None
    weights: Callable[[bool], Sequence[Described]] | None = None


# Called with the number of an epoch and its row of metrics.csv. False stops the run there; it can be resumed later.
OnEpoch = Callable[[int, Mapping[str, Any]], bool]
# A run under way. In lockstep, it stops where others must train it for an epoch, and goes on with the result.
Epochs = Generator["Training", Trained, Outcome]

CHECKPOINT_SHARE = 0.01  # of the time of a run, after which no checkpoint is due; the last one may exceed it


class Training:
    """Trains the epochs of one run: train, score, record, save a checkpoint."""

    def __init__(
        self,
        task: Task,
        state: State,
        splits: Splits,
        folder: RunFolder,
        maker: Mapping[str, Any],
        loggers: Loggers,
        classes: int,
    ):
        config = task.config
        self.config, self.state, self.splits, self.folder, self.maker = config, state, splits, folder, maker
        self.loggers = loggers
        self.loop = loop_of(task.path)
        self.score = partial(score, logits_of=self.loop.logits_of)
        self.path, self.classes, self.until = task.path, classes, task.last_epoch
        self.in_lockstep = is_lockstep(task.path)
        self.companions = 1  # runs that this process trains together, itself included
        self.epoch = 0  # the last one trained
        self.scored_train = splits.clean.first(config.score_train)
        self.images = splits.available if config.budget == "steps" else None
        self.train: Scored | ScoredRegression | None = None  # scores after the last recorded epoch
        self.val: Scored | ScoredRegression | None = None
        state.under_way.learning_rate = state.optimizer.param_groups[0]["lr"]  # before training, that of the first step
        self.seconds = dict.fromkeys(("preparation", "training", "scoring", "statistics", "checkpoints"), 0.0)
        self.saved = time.perf_counter()  # when the last checkpoint was taken

    def run(self, start: Checkpoint | None, on_epoch: OnEpoch) -> Epochs:
        """Train from the start or a checkpoint, until its task ends, the loss diverges, or `on_epoch` stops."""
        config, regularizer = self.config, self.state.regularizer
        row = None
        self.loggers.start()
        if start is None:
            with regularizer.scored(self.state.model):
                row = self._record(0, None)
            on_epoch(0, row)
        else:
            checkpoint.restore(self.state, start)
            self.folder.log(f"resumes after epoch {start.epoch}")
            self.epoch = start.epoch
        self.seconds["preparation"] = time.perf_counter() - self.folder.began - sum(self.seconds.values())
        while self.epoch < self.until and not regularizer.stops:
            epoch = self.epoch + 1
            regularizer.start_epoch(epoch)
            if self.state.under_way.left is None:
                self.state.under_way.learning_rate = self.state.optimizer.param_groups[0]["lr"]
            try:
                trained = (yield self) if self.in_lockstep else self._train_epoch()
            except PausedError:
                self._save(epoch - 1)
                return self._interrupted(f"in epoch {epoch}", row)
            self.epoch = epoch
            self.seconds["training"] += trained.seconds
            self.seconds["scoring"] += trained.scoring
            with regularizer.scored(self.state.model):
                row = self._record(epoch, trained)
            if not all(math.isfinite(row[key]) for key in ("objective", "train_loss", "val_loss")):
                return self._end(Outcome("diverged", f"the loss became infinite or NaN in epoch {epoch}", row))
            go_on = on_epoch(epoch, row)
            # The work after the last epoch is short, so a checkpoint there is only useful for a longer run.
            last = epoch == config.epochs or regularizer.stops
            pruned = epoch == self.until and not last
            if config.keep_checkpoint if last else self._checkpoint_is_due() or pruned or not go_on:
                self._save(epoch)
            if not go_on and not last and not pruned:
                return self._interrupted(f"after epoch {epoch}", row)
        if self.epoch < config.epochs and not regularizer.stops:
            self.folder.note(epochs_trained=self.epoch)
            return self._end(Outcome("pruned", f"after epoch {self.epoch} of {config.epochs}", row))
        with regularizer.scored(self.state.model):
            self._finish(self.epoch)
        return self._end(Outcome("complete", metrics=row))

    def _train_epoch(self) -> Trained:
        began = time.perf_counter()
        objective = self.loop.train_epoch(self.state, self.splits.train, self.config.batch_size, self.images)
        return Trained(objective, time.perf_counter() - began)

    def _checkpoint_is_due(self) -> bool:
        """Whether the time between checkpoints is over. On a slow disk it is longer, so that they cost few percent."""
        now, taken = time.perf_counter(), self.seconds["checkpoints"]
        every = self.config.checkpoint_every
        share = CHECKPOINT_SHARE / self.companions
        return not every or (now - self.saved >= every and taken <= share * (now - self.folder.began))

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
        kept = outcome.state == "pruned" or (self.config.keep_checkpoint and outcome.state == "complete")
        with self._without_checkpoint(keep=kept):
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

    def _record(self, epoch: int, trained: Trained | None) -> dict[str, Any]:
        """Score an epoch and add it to the run's CSVs; return its row of metrics.csv. Epoch 0 was not trained."""
        model, regularizer = self.state.model, self.state.regularizer
        norm_of, seconds = self.loop.data_gradient_norm, trained.seconds if trained else 0.0
        with self._timed("scoring"):
            self.train = (trained and trained.train) or self.score(model, self.scored_train)
            self.val = (trained and trained.val) or self.score(model, self.splits.val)
            train, val = self.train.score(), self.val.score()
        if trained is not None and (norm := trained.gradient_norm) is not None:
            norm_of = lambda *_: norm  # noqa: E731
        with self._timed("statistics"):
            penalty, ratio = penalty_and_gradient_ratio(model, regularizer, self.splits.train, norm_of)
        row: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": train.loss,
            "train_accuracy": train.accuracy if isinstance(train, Score) else None,
            "val_loss": val.loss,
            "val_accuracy": val.accuracy if isinstance(val, Score) else None,
            "penalty": penalty,
            "objective": trained and trained.objective,
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
            drawn = chosen or is_histogram_epoch(epoch, self.config.epochs)
            described = trained and trained.weights and trained.weights(drawn)
            parameters = ((name, p.detach().cpu().numpy()) for name, p in model.named_parameters())
            self.folder.append_weights(epoch, described or (describe(name, w, drawn) for name, w in parameters))
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
