"""Write the files that describe a run's final weights: scores, sparsity, pruning, invariants."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from study.config.build import build_model
from study.config.run_config import RunConfig
from study.data import DataSet, Splits, load_splits
from study.measures.invariants import invariant_rows
from study.measures.regression import ScoredRegression
from study.measures.scoring import Scored, Scorer, score
from study.measures.sparsity import pruning_curve, pruning_rows, sparsity_rows
from study.records.changes import refuse_changed
from study.records.contract import LOG, MODEL, PREDICTIONS, STATUS
from study.records.files import append_whole, now, save_predictions, write_table, write_whole
from study.records.seal import seal_of, with_own_sum
from study.records.status import read_status
from study.training import general
from study.training.compiled import mlp
from study.training.placement import placed, splits_in_precision


def write_scores(
    folder: Path,
    epoch: int,
    model: nn.Module,
    score: Scorer,
    splits: Splits,
    val: Scored | ScoredRegression | None,
    test: bool,
) -> None:
    """Write val.csv, test.csv (without rows if there is no test set), predictions.npz and calibration.csv.

    A regression has no calibration.csv.

    Args:
        folder: the run's folder.
        epoch: the epoch of the weights.
        model: the model with the final weights.
        score: scores a model on a split.
        splits: the run's splits.
        val: the model's scores on the validation set, if known.
        test: whether the test set is scored; if not, there is no test.csv.
    """
    scored = {"val": val or score(model, splits.val)}
    if test and splits.test is not None:
        scored["test"] = score(model, splits.test)
    rows = {split: [_row(split, epoch, of_split)] for split, of_split in scored.items()}
    predictions = {split: vars(of_split.predictions()) for split, of_split in scored.items()}
    save_predictions(
        folder, {f"{split}_{key}": v.cpu().numpy() for split, p in predictions.items() for key, v in p.items()}
    )
    bins = [
        (split, epoch, *of_bin)
        for split, of_split in scored.items()
        if isinstance(of_split, Scored)
        for of_bin in of_split.calibration()
    ]
    if bins:
        write_table(folder, "calibration.csv", bins)
    for split in ("val", "test") if test else ("val",):  # test.csv last, because it shows that the test set was scored
        write_table(folder, f"{split}.csv", rows.get(split, []), splits.train.task)


def write_statistics(
    folder: Path, epoch: int, model: nn.Module, score: Scorer, splits: Splits, train: Scored | ScoredRegression | None
) -> None:
    """Write sparsity.csv, pruning.csv, pruning_curve.csv and invariants.csv.

    Args:
        folder: the run's folder.
        epoch: the epoch of the weights.
        model: the model with the final weights.
        score: scores a model on a split.
        splits: the run's splits.
        train: the model's scores on the training set, if known.
    """
    write_table(folder, "sparsity.csv", sparsity_rows(model, splits.clean, splits.support))
    write_table(folder, "pruning.csv", pruning_rows(model, epoch, {"val": splits.val}, score))
    write_table(folder, "pruning_curve.csv", pruning_curve(model, epoch, splits.val, score))
    write_table(folder, "invariants.csv", invariant_rows(model, train or score(model, splits.clean)))


def may_score_later(work: Path) -> bool:
    """Whether a folder has a complete run with its weights, so that the test set can be scored without training."""
    status = read_status(work)
    return status is not None and status["state"] == "complete" and (work / MODEL).is_file()


def score_later(config: RunConfig, work: Path, dataset: DataSet, device: torch.device) -> None:
    """Score the test set of a run that was a trial of a tuned study, with the weights that it kept.

    Args:
        config: the run's config.
        work: the run's folder.
        dataset: the run's data set.
        device: where to score.

    Raises:
        StudyError: the weights have changed since the run ended.
    """
    status = read_status(work) or {}
    refuse_changed(work, status, (MODEL,))
    splits = splits_in_precision(load_splits(dataset, config.data, config.seed, device), config.precision)
    model = placed(build_model(config.model, dataset), config.precision, device)
    model.load_state_dict(load_file(work / MODEL))
    # The loop of the run itself, if compiled code can be used here.
    compiled = status["path"] == mlp.PATH and mlp.unavailable() is None
    loop = mlp if compiled else general
    write_scores(work, status["scored_epoch"], model, partial(score, logits_of=loop.logits_of), splits, None, test=True)
    append_whole(work / LOG, f"{now()}  test set scored with the kept weights\n".encode())
    if status.get("seal"):  # only the files written now are sealed again; the others keep their seal
        rewritten = seal_of(work, ("val.csv", "test.csv", "calibration.csv", PREDICTIONS, LOG))
        resealed = with_own_sum(status | {"seal": status["seal"] | rewritten})
        write_whole(work / STATUS, json.dumps(resealed, indent=2) + "\n")


def _row(split: str, epoch: int, scored: Scored | ScoredRegression) -> list[Any]:
    """Make a row of val.csv or test.csv."""
    if isinstance(scored, ScoredRegression):
        of_split = scored.score()
        return [split, epoch, of_split.loss, None, of_split.count, None, None, of_split.r2, of_split.mae]
    found = scored.score()
    return [split, epoch, found.loss, found.accuracy, found.count, scored.ece(), scored.brier()]
