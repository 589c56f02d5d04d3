"""One run, from its config to its folder: data, model, training, scoring, recording."""

import math
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from study.build import build_dataset, build_model, build_optimizer, choose_device, penalty_of
from study.config import RunConfig
from study.data import Part, Splits, load_splits
from study.errors import USER_ERRORS, one_line
from study.plan import Task
from study.randomness import Stream, global_stream, torch_generator
from study.recording import RunFolder
from study.regularizers import Regularizer, names_in_scope
from study.scoring import score
from study.training import PATH, gradient_ratio, train_epoch


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `complete`, `diverged` or `failed` (with its cause), and its last metrics."""

    state: str
    cause: str | None = None
    metrics: Mapping[str, Any] | None = None


def prepare_process(threads: int) -> None:
    """Make this process compute the same bytes every time: pinned threads, no denormals, deterministic kernels."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True, warn_only=True)


def train_run(task: Task, on_epoch: Callable[[int, Mapping[str, Any]], None]) -> Outcome:
    """Train one run and write its folder; whatever goes wrong is an outcome.

    Args:
        task: what to train, and where to.
        on_epoch: called after each epoch with its number and its row of metrics.csv.

    Returns:
        The outcome, which status.json holds as well unless even that could not be written.
    """
    config = task.config
    prepare_process(config.threads)
    device = choose_device(config.device)
    folder = None
    try:
        dataset = build_dataset(config.data)
        folder = RunFolder(
            task.folder,
            config,
            {
                "run_id": task.run_id,
                "variant": task.variant,
                "variant_id": task.variant_id,
                "device": _device_name(device),
                "threads": config.threads,
                "path": PATH,
                "data_checksums": dict(dataset.checksums),
            },
        )
        splits = load_splits(dataset, config.data, config.seed, device)
        folder.log(f"{len(splits.train)} training, {len(splits.val)} val images of {dataset.name} on {device}")
        with global_stream(config.seed, Stream.INITIALIZATION):
            model = build_model(config.model, dataset).to(device)
        with global_stream(config.seed, Stream.DROPOUT):
            outcome = _train(config, model, splits, folder, on_epoch)
    except KeyboardInterrupt:
        if folder is not None:
            folder.log("interrupted")
            folder.finish("interrupted")
        raise
    except Exception as error:
        cause = one_line(error) if isinstance(error, USER_ERRORS) else f"{type(error).__name__}: {one_line(error)}"
        outcome = Outcome("failed", cause)
        _record_failure(folder, cause, traceback.format_exc())
    return outcome


def _device_name(device: torch.device) -> str:
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def _record_failure(folder: RunFolder | None, cause: str, trace: str) -> None:
    if folder is None:
        return
    try:
        folder.finish("failed", cause, trace)
        folder.log(f"failed: {cause}\n{trace}")
    except OSError:
        pass  # the disk that made the run fail takes no status either; the command still reports the cause


def _train(
    config: RunConfig,
    model: nn.Module,
    splits: Splits,
    folder: RunFolder,
    on_epoch: Callable[[int, Mapping[str, Any]], None],
) -> Outcome:
    regularizer = _regularizer(config, model)
    optimizer = build_optimizer(config.optimizer, list(model.parameters()))
    order = torch_generator(config.seed, Stream.BATCH_ORDER)
    row = _record_epoch(0, None, 0.0, config, model, regularizer, optimizer, splits, folder)
    on_epoch(0, row)
    for epoch in range(1, config.epochs + 1):
        start = time.perf_counter()
        objective = train_epoch(model, regularizer, optimizer, splits.train, config.batch_size, order)
        seconds = time.perf_counter() - start  # reading the objective has waited for the device
        row = _record_epoch(epoch, objective, seconds, config, model, regularizer, optimizer, splits, folder)
        on_epoch(epoch, row)
        if not all(math.isfinite(row[key]) for key in ("objective", "train_loss", "val_loss")):
            cause = f"the loss stopped being finite in epoch {epoch}"
            folder.log(f"diverged: {cause}")
            folder.finish("diverged", cause)
            return Outcome("diverged", cause, row)
    _score_once(config.epochs, model, splits, folder)
    folder.log("complete")
    folder.finish("complete")
    return Outcome("complete", metrics=row)


def _regularizer(config: RunConfig, model: nn.Module) -> Regularizer:
    parameters = dict(model.named_parameters())
    scope = config.reg["scope"]
    names = names_in_scope(model, scope) if scope is not None else []
    return Regularizer(penalty_of(config.reg), config.lam, [parameters[name] for name in names])


def _record_epoch(
    epoch: int,
    objective: float | None,
    seconds: float,
    config: RunConfig,
    model: nn.Module,
    regularizer: Regularizer,
    optimizer: torch.optim.Optimizer,
    splits: Splits,
    folder: RunFolder,
) -> dict[str, Any]:
    """Score, and add an epoch to the run's CSVs; returns its row of metrics.csv."""
    (train, _), (val, _) = score(model, splits.train), score(model, splits.val)
    row = {
        "epoch": epoch,
        "train_loss": train.loss,
        "train_accuracy": train.accuracy,
        "val_loss": val.loss,
        "val_accuracy": val.accuracy,
        "penalty": float(regularizer.value()),
        "objective": objective,
        "gradient_ratio": gradient_ratio(model, regularizer, splits.train),
        "lam": config.lam,
        "learning_rate": optimizer.param_groups[0]["lr"],
        "seconds": round(seconds, 6),
    }
    folder.append("metrics.csv", [list(row.values())])
    parameters = ((name, p.detach().cpu().numpy()) for name, p in model.named_parameters())
    folder.append_weights(epoch, config.epochs, parameters)
    folder.log(
        f"epoch {epoch}: train {train.loss:.4f} nats {train.accuracy:.2%},"
        f" val {val.loss:.4f} nats {val.accuracy:.2%}, {seconds:.2f} s"
    )
    return row


def _score_once(epoch: int, model: nn.Module, splits: Splits, folder: RunFolder) -> None:
    """Score the test set, the only time in a run, and keep the predictions of val and test."""
    arrays: dict[str, np.ndarray] = {}
    parts: dict[str, Part] = {"val": splits.val} | ({"test": splits.test} if splits.test else {})
    for split, part in parts.items():
        scored, predictions = score(model, part)
        arrays |= {f"{split}_{key}": value.cpu().numpy() for key, value in vars(predictions).items()}
        if split == "test":
            folder.append("test.csv", [[split, epoch, scored.loss, scored.accuracy, scored.count]])
    folder.save_predictions(arrays)
