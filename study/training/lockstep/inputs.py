"""The batches of all runs: each run takes its own examples, in its own order, and changes them in its own way."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from study.data import Part
from study.regularizers.data_side import LabelSmoothing, Mixup, Noise
from study.tasks import CLASSIFICATION
from study.training.lockstep.draws import Draws
from study.training.lockstep.stack import column
from study.training.state import State

CHANGING = (Noise, Mixup)  # a run may have one of these


@dataclass(frozen=True)
class Examples:
    """One split of each run.

    Attributes:
        images: (m, *image_shape), of all runs.
        rows: int64 (width, n): which of these each run has, in its order; 0 in idle slots.
        labels: int64 (width, n); for regression targets, (width, n, k).
        parts: of the runs.
    """

    images: Tensor
    rows: Tensor
    labels: Tensor
    parts: Sequence[Part]

    @classmethod
    def of(cls, parts: Sequence[Part], width: int) -> "Examples":
        """Join the splits of runs, of the same length each. Runs that share images go on to share them."""
        arrays: dict[int, tuple[int, Tensor]] = {}
        rows, labels, size = [], [], 0
        for part in parts:
            found = arrays.get(id(part.all_images))
            if found is None:
                found = arrays[id(part.all_images)] = (size, part.all_images)
                size += len(part.all_images)
            rows.append(part.numbers(slice(None)) + found[0])
            labels.append(part.labels)
        idle = width - len(parts)
        images = [array for _, array in arrays.values()]
        return cls(
            images[0] if len(images) == 1 else torch.cat(images),
            torch.stack(rows + [torch.zeros_like(rows[0])] * idle),
            torch.stack(labels + [torch.zeros_like(labels[0])] * idle),
            parts,
        )

    def __len__(self) -> int:
        return self.rows.shape[1]

    def take(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """Images (width, k, *image_shape) and labels (width, k, ...) of examples by their index, int64 (width, k)."""
        index = which.view(*which.shape, *[1] * (self.labels.dim() - 2)).expand(-1, -1, *self.labels.shape[2:])
        return self.images[self.rows.gather(1, which)], self.labels.gather(1, index)

    def slice(self, which: slice) -> tuple[Tensor, Tensor]:
        """Images and labels of the same examples of each split, by their index."""
        return self.images[self.rows[:, which]], self.labels[:, which]


class Changes:
    """What regularizers of the data do to the batches: label smoothing, noise, mixup."""

    def __init__(self, states: Sequence[State], width: int, task: str, classes: int, like: Tensor):
        """Collect them.

        Args:
            states: of the runs.
            width: number of slots.
            task: of the data set.
            classes: number of classes.
            like: any weight, for dtype and device.
        """
        self.states, self.classes, self.is_classification = states, classes, task == CLASSIFICATION
        self.smoothing, self.noise = (torch.zeros(width, dtype=like.dtype, device=like.device) for _ in range(2))
        self.noisy = [slot for slot in range(len(states)) if self._of(slot, Noise)]
        self.mixing = [slot for slot in range(len(states)) if self._of(slot, Mixup)]

    def _of(self, slot: int, kind: type) -> list[float]:
        regularizers = self.states[slot].regularizer.regularizers
        return [regularizer.lam for regularizer in regularizers if isinstance(regularizer, kind)]

    def update(self) -> None:
        """Read the current λ of all runs."""
        for of_runs, kind in ((self.smoothing, LabelSmoothing), (self.noise, Noise)):
            lams = [sum(self._of(slot, kind)) for slot in range(len(self.states))]
            of_runs[: len(lams)] = torch.tensor(lams, dtype=torch.float64)

    def shares(self, generators: Sequence[torch.Generator]) -> list[float]:
        """The share of its own example that mixup keeps in a step, for each run that mixes."""
        drawn = []
        for slot in self.mixing:
            (lam,) = self._of(slot, Mixup)
            pair = torch.tensor([lam, lam], dtype=torch.float64)
            drawn.append(float(torch._sample_dirichlet(pair, generator=generators[slot])[0]) if lam else 1.0)
        return drawn

    def apply(self, images: Tensor, labels: Tensor, draws: Draws, shares: Tensor) -> tuple[Tensor, Tensor]:
        """The images and the targets to train on. Targets of classification become probabilities.

        Args:
            images: (width, n, *image_shape).
            labels: (width, n); for regression (width, n, k).
            draws: of the step.
            shares: of mixup in this step, (width,); 1 for runs that do not mix.
        """
        targets = labels
        if self.is_classification:  # as F.one_hot, which CUDA cannot capture
            targets = (labels[..., None] == torch.arange(self.classes, device=labels.device)).to(images.dtype)
        if self.noisy:
            images = images + column(self.noise, images) * draws.normal(self.noisy, images)
        if self.mixing:
            mixing = [slot for slot in self.mixing if self._of(slot, Mixup) != [0.0]]
            other = draws.order(mixing, len(images), images.shape[1], images.device)
            mixed = torch.arange(len(images), device=images.device)[:, None]
            images = torch.lerp(images[mixed, other], images, column(shares, images))
            targets = torch.lerp(targets[mixed, other], targets, column(shares, targets))
        if self.is_classification:
            smoothing = column(self.smoothing, targets)
            targets = (1 - smoothing) * targets + smoothing / self.classes
        return images, targets
