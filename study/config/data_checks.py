"""Check the group `data` of a config, also against the data set that it builds."""

from collections.abc import Mapping
from typing import Any

from study.config.build import asks_for_root, locate, reads_either_task
from study.config.group_checks import checked_group
from study.config.options import checked_arguments
from study.config.run_config import DATA_KEYS, HOLDOUT, SPLITS
from study.data import DataSet
from study.data.splits import available_count
from study.errors import ConfigError
from study.tasks import CLASSIFICATION, TASKS

STANDARDIZE = ("none", "dataset", "feature")


def checked_data(given: Mapping[str, Any], task: str | None) -> dict[str, Any]:
    """The group `data` with its arguments checked and complete. `task`: the one that was asked for, if any."""
    general = checked_arguments("data", _data_keys, {k: v for k, v in given.items() if k in DATA_KEYS})
    if general["split"] not in SPLITS:
        raise ConfigError(f"data.split={general['split']}: allowed: {', '.join(SPLITS)}")
    if not 0 <= general["label_noise"] < 1:
        raise ConfigError(
            f"data.label_noise={general['label_noise']}: must be at least 0 and below 1. Example: data.label_noise=0.2"
        )
    if general["standardize"] not in STANDARDIZE:
        raise ConfigError(f"data.standardize={general['standardize']}: allowed: {', '.join(STANDARDIZE)}")
    target = locate("data", given["_target_"])
    if reads_either_task(target):
        if None not in (task, given.get("task")) and task != given["task"]:
            raise ConfigError(f"task={task}: data.task={given['task']} contradicts it. Leave one out")
        given = {**given, "task": given.get("task") or task or CLASSIFICATION}
    supplied = ("root",) if asks_for_root(target) else 0
    own = checked_group("data", {k: v for k, v in given.items() if k not in DATA_KEYS}, supplied)
    return {**own, **general}


def _data_keys(
    root: str,
    split: str,
    val_size: int | None = None,
    train_size: int | None = None,
    label_noise: float = 0.0,
    standardize: str = "none",
    standardize_target: bool | None = True,
) -> None:
    """The keys that every data set has, as a signature. `checked_arguments` checks them against it."""


def checked_task(data: Mapping[str, Any], dataset: DataSet, task: str | None) -> dict[str, Any]:
    """Check a data set against the task that was asked for; return the keys of `data` that depend on the task."""
    if dataset.task not in TASKS:
        raise ConfigError(f"data={data['option']}: its task is {dataset.task}. Allowed: {', '.join(TASKS)}")
    if task not in (None, dataset.task):
        raise ConfigError(
            f"task={task}: data={data['option']} is for {dataset.task}. Leave task out, or choose other data. data=csv"
            " and data=arrays read either"
        )
    if dataset.task == CLASSIFICATION:
        return {"standardize_target": None}
    if data["label_noise"]:
        raise ConfigError(
            f"data.label_noise={data['label_noise']}: it flips labels to another class, and data={data['option']} is"
            " for regression. Leave it out"
        )
    return {"standardize_target": data["standardize_target"] is not False}


def check_sizes(data: Mapping[str, Any], dataset: DataSet) -> None:
    """Refuse sizes of the training or the validation set for which there are too few images, or the task needs more."""
    least = dataset.classes if dataset.task == CLASSIFICATION else 2  # R² requires two examples
    if data["val_size"] is not None:
        if data["split"] != HOLDOUT:
            raise ConfigError(
                f"data.val_size={data['val_size']}: with data.split={data['split']} the test set is the validation set."
                f" Leave it out, or set data.split={HOLDOUT}"
            )
        most = dataset.train_count - least
        if not least <= data["val_size"] <= most:
            raise ConfigError(f"data.val_size={data['val_size']}: must be from {least} to {most} for {dataset.name}")
    available = available_count(dataset, data)
    if data["train_size"] is not None and not least <= data["train_size"] <= available:
        held_out = "" if data["val_size"] is None else f" and data.val_size={data['val_size']}"
        raise ConfigError(
            f"data.train_size={data['train_size']}: must be from {least} to {available}"
            f" for {dataset.name} with data.split={data['split']}{held_out}"
        )
