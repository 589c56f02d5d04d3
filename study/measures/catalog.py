"""The measures of a run: names, units, and which direction is better."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from study.errors import ConfigError
from study.measures.weights import STATISTICS
from study.tasks import CLASSIFICATION, REGRESSION

NATS, MSE = "nats", "MSE"  # units of the loss of a classification and of a regression


@dataclass(frozen=True)
class Measure:
    """One number of a run at one epoch.

    Attributes:
        name: a column of `gaps.at_epoch`.
        label: name for axes and headers.
        unit: unit of the stored values. `nats` stands for the unit of the loss; see `measures_of`.
        better: 1 if larger is better, -1 if smaller is better, 0 if neither is.
        selectable: whether a choice may use it. Test scores are not allowed, and neither are gaps: fitting less
            shrinks a gap.
        task: the only task that has the measure; empty if both have it.
    """

    name: str
    label: str
    unit: str
    better: int
    selectable: bool = False
    task: str = ""

    @property
    def words(self) -> str:
        """The label inside a sentence: with a small first letter."""
        return self.label[0].lower() + self.label[1:]

    @property
    def factor(self) -> int:
        """The factor from stored values to displayed values."""
        return 100 if self.unit == "fraction" else 1

    @property
    def shown_unit(self) -> str:
        """The unit of displayed values."""
        return "%" if self.unit == "fraction" else self.unit

    @property
    def difference_unit(self) -> str:
        """The unit of displayed differences."""
        return "points" if self.unit == "fraction" else self.unit


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("train_accuracy", "Training accuracy", "fraction", 1, task=CLASSIFICATION),
        Measure("val_accuracy", "Validation accuracy", "fraction", 1, selectable=True, task=CLASSIFICATION),
        Measure("test_accuracy", "Test accuracy", "fraction", 1, task=CLASSIFICATION),
        Measure("accuracy_gap", "Accuracy gap", "points", -1, task=CLASSIFICATION),
        Measure("train_loss", "Training loss", NATS, -1),
        Measure("val_loss", "Validation loss", NATS, -1, selectable=True),
        Measure("test_loss", "Test loss", NATS, -1),
        Measure("loss_gap", "Loss gap", NATS, -1),
        Measure("val_ece", "Validation ECE", "fraction", -1, task=CLASSIFICATION),
        Measure("val_brier", "Validation Brier score", "", -1, task=CLASSIFICATION),
        Measure("test_ece", "Test ECE", "fraction", -1, task=CLASSIFICATION),
        Measure("test_brier", "Test Brier score", "", -1, task=CLASSIFICATION),
        Measure("train_r2", "Training R²", "", 1, task=REGRESSION),
        Measure("val_r2", "Validation R²", "", 1, selectable=True, task=REGRESSION),
        Measure("test_r2", "Test R²", "", 1, task=REGRESSION),
        Measure("train_mae", "Training MAE", "", -1, task=REGRESSION),
        Measure("val_mae", "Validation MAE", "", -1, selectable=True, task=REGRESSION),
        Measure("test_mae", "Test MAE", "", -1, task=REGRESSION),
        Measure("weights_l1", "Σ|w|", "", -1),
        Measure("weights_l2", "‖w‖₂", "", -1),
        Measure("abs_max", "Maximum |w|", "", -1),
        Measure("zero_fraction", "w = 0", "fraction", 1),
        Measure("near_zero_fraction", "|w| < 0.001", "fraction", 1),
        Measure("support_precision", "Support precision", "fraction", 1),
        Measure("support_recall", "Support recall", "fraction", 1),
    )
}
RANKS = ("stable_rank", "effective_rank")  # of each weight matrix
INVARIANTS = {  # of the whole network, with their labels
    "path_norm_l1": "ℓ1 path norm",
    "path_norm_l2": "ℓ2 path norm",
    "in_out": "Σ‖in‖‖out‖",
    "margin_q10": "10 % quantile of the margin",
    "margin_median": "Median margin",
    "margin_q10_over_path_norm_l1": "10 % quantile of the margin / ℓ1 path norm",
    "margin_q10_over_path_norm_l2": "10 % quantile of the margin / ℓ2 path norm",
    "margin_median_over_path_norm_l1": "Margin / ℓ1 path norm",
    "margin_median_over_path_norm_l2": "Margin / ℓ2 path norm",
}
OF_WEIGHTS = ("weights_l1", "weights_l2", "abs_max", "zero_fraction", "near_zero_fraction")
OF = " of "  # between a statistic and its parameter: `kurtosis of hidden.0.weight`
# What a regression has in place of a measure of classification.
COUNTERPART = {
    **{f"{split}_accuracy": f"{split}_loss" for split in ("train", "val", "test")},
    "accuracy_gap": "loss_gap",
}


@dataclass(frozen=True)
class Main:
    """The scores by which the tables of a task compare variants.

    Attributes:
        train: the score of the training set.
        val: the score of the validation set.
        gap: the gap between the two.
        sign: the gap is `sign` × (train − val), so that a positive gap means overfitting.
        words: the validation score in sentences.
    """

    train: str
    val: str
    gap: str
    sign: int
    words: str


MAIN = {
    CLASSIFICATION: Main("train_accuracy", "val_accuracy", "accuracy_gap", 1, "validation accuracy"),
    REGRESSION: Main("train_loss", "val_loss", "loss_gap", -1, "validation loss"),
}


@lru_cache
def measures_of(task: str) -> Mapping[str, Measure]:
    """The measures of a task by name, in order. The unit of a loss is nats, or, for regression, MSE."""
    own = {name: measure for name, measure in MEASURES.items() if measure.task in ("", task)}
    if task == CLASSIFICATION:
        return own
    return {name: replace(m, unit=MSE) if m.unit == NATS else m for name, m in own.items()}


def in_task(name: str, task: str) -> str:
    """The name of a column in a task: for regression, the loss in place of the accuracy."""
    return COUNTERPART.get(name, name) if task == REGRESSION else name


def check_primary(name: str | None, task: str) -> str:
    """Return the name of a study's primary measure if its task has it; the default of the task for None.

    Raises:
        ConfigError: there is no such measure.
    """
    if name is None:
        return MAIN[task].val
    if name not in measures_of(task):
        reason = f"a measure of {MEASURES[name].task}, and this is a {task}; " if name in MEASURES else ""
        raise ConfigError(f"primary={name}: {reason}allowed: {', '.join(measures_of(task))}")
    return name


def check_described(name: str, task: str, key: str) -> str:
    """Return the name of something that describes a run: a measure, an invariant, or a statistic of one parameter.

    Args:
        name: such as `val_accuracy`, `path_norm_l2` or `kurtosis of hidden.0.weight`.
        task: classification or regression.
        key: the key of the config that names it, for the message.

    Raises:
        ConfigError: there is no such thing.
    """
    statistic, of, parameter = name.partition(OF)
    if (of and parameter and statistic in (*STATISTICS, *RANKS)) or name in (*measures_of(task), *INVARIANTS):
        return name
    raise ConfigError(
        f"{key}={name}: allowed: {', '.join((*measures_of(task), *INVARIANTS))}; or a column of weights.csv of one"
        " parameter. Example: kurtosis of hidden.0.weight"
    )


def described(name: str, task: str) -> Measure:
    """What `check_described` allows, as a measure. Of what describes weights, neither direction is better (0)."""
    found = measures_of(task).get(name) or Measure(name, INVARIANTS.get(name, name.replace("_", " ")), "", 0)
    return replace(found, better=0) if name in OF_WEIGHTS else found


def check_equivalence(margin: float | None) -> float | None:
    """Return the margin of equivalence of a study, in the unit of displayed differences; None: no margin.

    Raises:
        ConfigError: it is not a finite number above 0.
    """
    if margin is not None and not 0 < margin < math.inf:
        raise ConfigError(f"equivalence={margin:g}: must be a finite number above 0, or null. Example: equivalence=0.3")
    return margin


def check_selectable(name: str | None, task: str) -> str:
    """Return the name of a measure if a tuned study of a task may choose by it; the default of the task for None.

    Raises:
        ConfigError: it is a test score, a gap, or no measure of the task.
    """
    if name is None:
        return MAIN[task].val
    allowed = [known for known, measure in measures_of(task).items() if measure.selectable]
    if name in allowed:
        return name
    reason = ""
    if name.startswith("test"):
        reason = "the test set must not take part in a choice; "
    elif name.endswith("gap"):
        reason = "a model that fits less has a smaller gap; "
    elif name in MEASURES and name not in measures_of(task):
        reason = f"a measure of {MEASURES[name].task}, and this is a {task}; "
    raise ConfigError(f"select={name}: {reason}allowed: {', '.join(allowed)}")
