"""The one scorer: data loss and accuracy in eval mode, the same for every split."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.data import Part

BATCH = 1_000  # images at a time: more would leave a CPU's caches


@dataclass(frozen=True)
class Score:
    """Scores of one split.

    Attributes:
        loss: mean cross-entropy without the penalty, in nats.
        accuracy: share of correct predictions, in [0, 1].
        count: images scored.
    """

    loss: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Predictions:
    """What the model said: label and predicted class, int64 (n,); probability of the true class, float32 (n,)."""

    label: Tensor
    predicted: Tensor
    probability: Tensor


@torch.no_grad()
def score(model: nn.Module, part: Part) -> tuple[Score, Predictions]:
    """Score a model on one split, in eval mode; the model's mode is restored.

    Args:
        model: maps images to logits.
        part: the split.
    """
    was_training = model.training
    model.eval()
    # Filled batch by batch: kept batches would lie between freed activations, and memory grow by all of these.
    labels = part.labels
    loss, guess = part.all_images.new_empty(len(part)), torch.empty_like(labels)
    images = part.all_images.new_empty(BATCH, *part.all_images.shape[1:])
    for start in range(0, len(part), BATCH):
        rows = slice(start, min(start + BATCH, len(part)))
        logits = model(part.images_into(images, rows))
        loss[rows] = F.cross_entropy(logits, labels[rows], reduction="none")
        guess[rows] = logits.argmax(dim=1)
    model.train(was_training)
    correct = int((guess == labels).sum())
    # Summed in float64 on the CPU: the mean must not depend on the batch size, and MPS has no float64.
    result = Score(float(loss.cpu().double().mean()), correct / len(part), len(part))
    return result, Predictions(labels, guess, torch.exp(-loss))
