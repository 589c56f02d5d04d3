"""Rows and lines about the scores of an epoch, in the form of the run's files."""

from typing import Any

from study.data import Splits
from study.measures.regression import RegressionScore
from study.measures.scoring import Score, Scored


def of_regression(train: Score | RegressionScore, val: Score | RegressionScore) -> dict[str, float | None]:
    """The further columns of metrics.csv of a regression; none for a classification."""
    if not (isinstance(train, RegressionScore) and isinstance(val, RegressionScore)):
        return {}
    return {"train_r2": train.r2, "val_r2": val.r2, "train_mae": train.mae, "val_mae": val.mae}


def in_words(found: Score | RegressionScore) -> str:
    """The scores of a split, for the log."""
    if isinstance(found, Score):
        return f"{found.loss:.4f} nats {found.accuracy:.2%}"
    return f"MSE {found.loss:.4f}" + ("" if found.r2 is None else f" R² {found.r2:.4f}")


def by_labels(epoch: int, clean: Scored, splits: Splits) -> list[list[Any]]:
    """Make the rows of label_noise.csv for an epoch.

    `given`: all training images, scored by the labels used in training. `clean`: the same by their true labels.
    `flipped`: only the images with a flipped label, scored by that label. Their accuracy is the fraction memorized.
    """
    given = clean.by_other_labels(splits.train.labels[: len(clean.labels)])
    parts = {"given": given, "clean": clean, "flipped": given.only(splits.flipped[splits.flipped < len(clean.labels)])}
    rows = []
    for labels, scored in parts.items():
        if len(scored.labels):
            found = scored.score()
            rows.append([epoch, labels, found.loss, found.accuracy, found.count])
    return rows
