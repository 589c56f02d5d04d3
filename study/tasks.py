"""The tasks of a data set, classification and regression, and the data loss of each."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CLASSIFICATION, REGRESSION = "classification", "regression"
TASKS = (CLASSIFICATION, REGRESSION)

# Maps outputs, targets and `reduction` (mean | sum | none, over examples) to the loss, as torch's own functions do.
Loss = Callable[..., "Tensor"]


def task_of(labels: "Tensor") -> str:
    """The task that the labels of a data set belong to: classes are whole numbers, targets of regression are not."""
    return REGRESSION if labels.is_floating_point() else CLASSIFICATION


def data_loss(task: str) -> Loss:
    """The function that computes the data loss of a task.

    Classification: cross-entropy in nats, of logits (n, classes) and labels int64 (n,) or probabilities (n, classes).
    Regression: mean squared error, of outputs (n, k) and targets (n, k).
    """
    if task == REGRESSION:
        return mean_squared_error
    from torch.nn.functional import cross_entropy  # not above: the analysis imports this module, but not torch

    return cross_entropy


def mean_squared_error(outputs: "Tensor", targets: "Tensor", reduction: str = "mean") -> "Tensor":
    """The squared error (ŷ − y)² of each example, as its mean over the outputs.

    Args:
        outputs: ŷ, (n, k).
        targets: y, (n, k).
        reduction: over examples: `mean`, `sum`, or `none`, which returns the errors of all examples, (n,).
    """
    errors = (outputs - targets).square().mean(dim=1)
    return errors if reduction == "none" else errors.sum() if reduction == "sum" else errors.mean()
