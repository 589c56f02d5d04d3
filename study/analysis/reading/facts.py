"""What the analysis knows of a run besides its tables: its variant, seed, data and versions."""

import hashlib
import json
import sys
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any

from study.analysis.reading.csv_files import AGAIN, DamagedError
from study.analysis.reading.seals import FITS
from study.config.names import completed
from study.config.run_config import RunConfig
from study.records.contract import CONFIG, STATUS
from study.records.existing import read_config
from study.seeds import label_of
from study.tasks import CLASSIFICATION, TASKS


def facts_of(path: Traversable, status: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `collect.Study.runs`, from status.json and config.yaml.

    Args:
        path: the run's folder, or what answers like it.
        status: the content of its status.json.

    Raises:
        DamagedError: a file lacks something that every run has.
    """
    config = read_config(path)
    if config is None:
        raise DamagedError(f"has no readable {CONFIG}; {AGAIN}")
    try:
        return _facts(path.name, status, config)
    except KeyError as error:
        raise DamagedError(f"has no {error} in {STATUS}, because an earlier version wrote it; {AGAIN}") from None
    except (TypeError, ValueError) as error:
        raise DamagedError(f"has values in {STATUS} that this project does not write ({error}); {AGAIN}") from None


def _facts(run: str, status: Mapping[str, Any], config: RunConfig) -> dict[str, Any]:
    task = status.get("task", CLASSIFICATION)  # earlier versions knew no other
    if task not in TASKS:
        raise ValueError(f"task {task}")
    return {
        "run": run,
        "variant": status["variant"],
        "reg": config.reg["option"],
        "lam": float("nan") if config.lam is None else config.lam,
        "takes_lam": status["takes_lam"],
        "setting": sys.intern(json.dumps(completed(status["setting"]))),
        "scope": config.reg.get("scope"),
        "seed": label_of(config.seed),
        "state": status["state"],
        "epochs": config.epochs,
        "epochs_trained": status.get("epochs_trained", config.epochs),
        "scored_epoch": status.get("scored_epoch", config.epochs),
        "data": config.data["option"],
        "split": config.data["split"],
        "path": status["path"],
        "threads": status["threads"],
        "numerics": status["numerics"],
        "checksums": hashlib.sha256(json.dumps(status["data_checksums"], sort_keys=True).encode()).hexdigest()[:12],
        "label_noise": config.data["label_noise"],
        "scored_train": min(config.score_train or sys.maxsize, int(status["images"]["train"])),
        "train_images": int(status["images"]["train"]),
        "val_images": int(status["images"]["val"]),
        "run_id": status["run_id"],
        "model_regularizers": ", ".join(_model_regularizers(status)),
        "seal": FITS,
        "task": task,
    }


def _model_regularizers(status: Mapping[str, Any]) -> list[str]:
    """The regularizers in a run's model, outside `reg`. Older runs do not record them: read the options of `mlp`."""
    names = {"model.dropout": "Dropout", "model.batch_norm": "BatchNorm"}
    setting = status["setting"]
    return status.get("model_regularizers", [name for key, name in names.items() if setting.get(key)])
