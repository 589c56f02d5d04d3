"""The file contract: the files that a run writes, their names and their columns."""

from pathlib import Path

from study.measures import weights
from study.tasks import REGRESSION

OUTPUTS = Path("outputs")  # holds one folder per study
CONTRACT = 1  # version of the file layout; readers refuse other versions
STATUS, CONFIG, LOG, PREDICTIONS = "status.json", "config.yaml", "run.log", "predictions.npz"
CHECKPOINT, MODEL = "checkpoint.pt", "model.safetensors"  # only while needed, or when kept on request
ANALYSIS, LEDGER = "analysis", "ledger.csv"  # in a study's folder: tables and figures; the looks at test scores
LOGGERS = "loggers"  # in a study's folder: the records of TensorBoard, MLflow and W&B
TWICE = "twice.jsonl"  # in a study's folder: one line for each run that was trained once more than needed
WITH_RESULT = ("complete", "diverged")  # states: divergence is a result, so the run is not trained again
PRUNED = "pruned"  # state: a search stopped the run before its last epoch. It may continue from its checkpoint
PART = ".part"  # suffix of incomplete files
COLUMNS: dict[str, tuple[str, ...]] = {
    "metrics.csv": (
        *("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "penalty", "objective"),
        *("gradient_ratio", "lam", "learning_rate", "seconds"),
    ),
    "weights.csv": ("epoch", "parameter", *weights.STATISTICS),
    "ranks.csv": ("epoch", "parameter", "effective_rank"),
    "histogram.csv": ("epoch", "parameter", "bin_left", "bin_right", "count"),
    **dict.fromkeys(("val.csv", "test.csv"), ("split", "epoch", "loss", "accuracy", "count", "ece", "brier")),
    "calibration.csv": ("split", "epoch", "bin_left", "bin_right", "count", "confidence", "accuracy"),
    "sparsity.csv": (
        *("parameter", "count", "zero_fraction", *(f"below_{threshold:g}" for threshold in weights.THRESHOLDS)),
        *("hoyer", "gini", "units", "dead_units", "support_precision", "support_recall"),
    ),
    "label_noise.csv": ("epoch", "labels", "loss", "accuracy", "count"),
    "invariants.csv": ("measure", "parameter", "value"),
    "pruning_curve.csv": (*("split", "epoch", "fraction", "largest", "removed", "count", "loss", "accuracy"),),
    "pruning.csv": (*("split", "epoch", "threshold", "removed", "count", "effective_parameters", "loss", "accuracy"),),
}
# Further columns of a regression, after the others. Accuracy, ECE and Brier score are empty there.
OF_REGRESSION: dict[str, tuple[str, ...]] = {
    "metrics.csv": ("train_r2", "val_r2", "train_mae", "val_mae"),
    **dict.fromkeys(("val.csv", "test.csv"), ("r2", "mae")),
}
# Columns at the end that files of earlier versions lack; they are read as empty.
ADDED = {"sparsity.csv": ("support_precision", "support_recall")}
GROWING = (
    "metrics.csv",
    "weights.csv",
    "ranks.csv",
    "histogram.csv",
)  # get rows during training; the others are written once
LABEL_NOISE = "label_noise.csv"  # also gets rows during training, in runs with label noise
FILES = (STATUS, CONFIG, LOG, PREDICTIONS, CHECKPOINT, MODEL, *COLUMNS)
STATUS_KINDS = {  # types of the values that readers use from status.json
    **dict.fromkeys(("state", "run_id", "variant", "variant_id", "budget_free_id", "path", "device", "started"), str),
    "task": str,
    **dict.fromkeys(("setting", "data_checksums", "images", "versions"), dict),
    **dict.fromkeys(("threads", "numerics", "epochs_trained", "scored_epoch", "resumed"), int),
    **dict.fromkeys(("takes_lam", "may_grow"), bool),
}
SEALED = tuple(name for name in FILES if name != STATUS)  # status.json holds the seal itself


def columns_of(name: str, task: str) -> tuple[str, ...]:
    """The columns of a CSV in a run of a task."""
    return COLUMNS[name] + (OF_REGRESSION.get(name, ()) if task == REGRESSION else ())
