"""What a logger records of a run: its parameters, a row of numbers per epoch, and its final scores."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from study.config.run_config import RunConfig
from study.records.contract import LOGGERS, WITH_RESULT

Row = Mapping[str, float | None]  # a row of metrics.csv
FINAL = "final"  # before the names of the scores of a run's final weights


@dataclass(frozen=True)
class LoggedRun:
    """What identifies a run.

    Attributes:
        config: its config.
        run_id: its full id.
        variant: the key of its variant.
        place: its folder outputs/<name>/<run>, whether or not it exists.
    """

    config: RunConfig
    run_id: str
    variant: str
    place: Path

    @property
    def study(self) -> str:
        """The name of its study."""
        return self.place.parent.name

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.place.name

    @property
    def folder(self) -> Path:
        """Where loggers write: outputs/<name>/loggers, absolute."""
        return self.place.parent.absolute() / LOGGERS

    def parameters(self) -> dict[str, Any]:
        """The config in one level, such as `data.split`, with the variant."""
        return {"variant": self.variant, **dict(_flat(vars(self.config)))}


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def numbers(row: Row) -> dict[str, float]:
    """The numbers of an epoch: those of its row that are not empty, and its gaps.

    `accuracy_gap` is train − val in percentage points, `loss_gap` val − train, as in the tables of the analysis.
    """
    found = {key: float(value) for key, value in row.items() if value is not None and key != "epoch"}
    if {"train_accuracy", "val_accuracy"} <= found.keys():
        found["accuracy_gap"] = 100 * (found["train_accuracy"] - found["val_accuracy"])
    if {"train_loss", "val_loss"} <= found.keys():
        found["loss_gap"] = found["val_loss"] - found["train_loss"]
    return found


def epoch_of(row: Row) -> int:
    """The epoch of a row."""
    return int(row["epoch"] or 0)


def rows_of(run: Traversable) -> list[Row]:
    """The rows of a run's metrics.csv; an empty cell is None. `run`: its folder, or what answers like one."""
    return _read(run, "metrics.csv")


def final_scores(run: Traversable, state: str) -> dict[str, float]:
    """The scores of a run's final weights, such as `final_test_accuracy`; empty if the run has no result."""
    found: dict[str, float] = {}
    for split in ("val", "test") if state in WITH_RESULT else ():
        for row in _read(run, f"{split}.csv") if (run / f"{split}.csv").is_file() else ():
            values = ((key, value) for key, value in row.items() if key != "count" and value is not None)
            found |= {f"{FINAL}_{split}_{key}": value for key, value in values}
    return found


def _read(run: Traversable, name: str) -> list[Row]:
    rows = csv.DictReader((run / name).read_text().splitlines())
    return [{key: float(value) if value else None for key, value in row.items() if key != "split"} for row in rows]
