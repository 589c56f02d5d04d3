"""The scorer of all splits: data loss and accuracy in eval mode, and calibration. `regression` has its other scores."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.data import Part
from study.measures.regression import ScoredRegression
from study.tasks import REGRESSION, data_loss

IMAGES = 1_000  # at a time: more do not fit in a CPU's caches
IMAGES_OF_CONVOLUTIONS = 100  # the same for the larger activations of convolutions
ECE_BINS = 15


@dataclass(frozen=True)
class Score:
    """Scores of one split.

    Attributes:
        loss: mean cross-entropy without the penalty, in nats.
        accuracy: fraction of correct predictions, in [0, 1].
        count: number of images scored.
    """

    loss: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model: label and predicted class, int64 (n,); probability of the true class, float32 (n,)."""

    label: Tensor
    predicted: Tensor
    probability: Tensor


@dataclass(frozen=True)
class Scored:
    """A scored split: labels (n,), logits (n, classes), and the cross-entropy of each image (n,), in nats."""

    labels: Tensor
    logits: Tensor
    losses: Tensor

    def by_other_labels(self, labels: Tensor) -> "Scored":
        """Score the same logits by other labels (n,)."""
        return Scored(labels, self.logits, F.cross_entropy(self.logits, labels, reduction="none"))

    def only(self, rows: Tensor) -> "Scored":
        """Keep only the images with these indices."""
        return Scored(self.labels[rows], self.logits[rows], self.losses[rows])

    def score(self) -> Score:
        """Loss and accuracy."""
        correct = int((self.logits.argmax(dim=1) == self.labels).sum())
        # Summed in float64 on the CPU: the mean must not depend on the batch size, and MPS has no float64.
        return Score(float(self.losses.cpu().double().mean()), correct / len(self.labels), len(self.labels))

    def predictions(self) -> Predictions:
        """The predictions that predictions.npz stores."""
        return Predictions(self.labels, self.logits.argmax(dim=1), torch.exp(-self.losses))

    def ece(self) -> float:
        """Expected calibration error over 15 bins of equal width (Guo et al. 2017), in [0, 1].

        It is the mean of |accuracy − confidence| over bins, weighted by the number of images in each bin.
        """
        _, confidence, accuracy, count = self._calibration()
        return float(((accuracy - confidence) * count).abs().sum() / count.sum())

    def calibration(self) -> list[tuple[float, float, int, float, float]]:
        """For each occupied bin of the ECE: its edges, the number of images, mean confidence, accuracy."""
        bins, confidence, accuracy, count = self._calibration()
        edges = [(i / ECE_BINS, (i + 1) / ECE_BINS) for i in bins.tolist()]
        of_bins = zip(edges, count.long().tolist(), confidence.tolist(), accuracy.tolist(), strict=True)
        return [(left, right, images, mean, correct) for (left, right), images, mean, correct in of_bins]

    def _calibration(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The occupied bins of the ECE, and in each the mean confidence, the accuracy and the number of images.

        Confidence is the probability of the predicted class.
        """
        confidence, predicted = self._probabilities().max(dim=1)
        correct = (predicted == self.labels.cpu()).double()
        # Bins are (a, b] as in the paper. A confidence of 0 cannot occur.
        bins = (confidence * ECE_BINS).ceil().long().clamp(1, ECE_BINS) - 1
        count = torch.bincount(bins, minlength=ECE_BINS).double()
        sums = [
            torch.zeros(ECE_BINS, dtype=torch.float64).index_add(0, bins, values) for values in (confidence, correct)
        ]
        occupied = count.nonzero()[:, 0]
        confidences, accuracies = [(of_bin / count)[occupied] for of_bin in sums]
        return occupied, confidences, accuracies, count[occupied]

    def brier(self) -> float:
        """Brier score (1950): the mean over images of Σ (p − y)² over classes, y one-hot. In [0, 2]."""
        probabilities = self._probabilities()
        return float((probabilities - F.one_hot(self.labels.cpu(), probabilities.shape[1])).square().sum(dim=1).mean())

    def _probabilities(self) -> Tensor:
        return self.logits.cpu().double().softmax(dim=1)


# Computes the logits (n, classes) of a slice of a split's examples.
Logits = Callable[[Part, slice], Tensor]


def logits_of(model: nn.Module) -> Logits:
    """Return a function that computes logits with the model itself."""
    buffer: Tensor | None = None  # of images: reused, because allocating memory for each batch costs time

    def logits(part: Part, which: slice) -> Tensor:
        nonlocal buffer
        if buffer is None:
            buffer = part.all_images.new_empty(which.stop - which.start, *part.all_images.shape[1:])
        return model(part.images_into(buffer, which))

    return logits


def images_at_once(model: nn.Module, device: torch.device) -> int:
    """The number of images that are scored at a time.

    It depends on the model and the device alone, because it changes results by rounding. With model=cnn on a CPU, 100
    were the fastest of 32 to 1,000.
    """
    return IMAGES_OF_CONVOLUTIONS if device.type == "cpu" and has_convolutions(model) else IMAGES


def has_convolutions(model: nn.Module) -> bool:
    """Whether a model has convolutions over images."""
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


Scorer = Callable[[nn.Module, Part], Scored | ScoredRegression]


@torch.inference_mode()
def score(
    model: nn.Module, part: Part, logits_of: Callable[[nn.Module], Logits] = logits_of
) -> Scored | ScoredRegression:
    """Score a model on one split in eval mode, then restore the model's mode.

    Args:
        model: maps images to logits; for regression, to outputs.
        part: the split.
        logits_of: the training loop's own way to compute the model's logits.

    Returns:
        The scored split, in the form of its task.
    """
    was_training = model.training
    model.eval()
    make_logits, loss_of = logits_of(model), data_loss(part.task)
    # Filled batch by batch. A list of batches would fragment memory: they would lie between freed activations.
    labels, losses = part.labels, part.all_images.new_empty(len(part))
    logits = losses.new_empty(len(part), 0)  # the first batch sets the number of classes
    step = images_at_once(model, losses.device)
    for start in range(0, len(part), step):
        rows = slice(start, min(start + step, len(part)))
        found = make_logits(part, rows)
        logits = losses.new_empty(len(part), found.shape[1]) if start == 0 else logits
        logits[rows] = found
        losses[rows] = loss_of(found, labels[rows], reduction="none")
    model.train(was_training)
    if part.task == REGRESSION:
        return ScoredRegression(labels, logits, losses, part.unit)
    return Scored(labels, logits, losses)
