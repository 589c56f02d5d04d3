"""Scores, and the norms of gradients, of all runs at once after an epoch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from study.data import Part
from study.measures.regression import ScoredRegression
from study.measures.scoring import Scored
from study.regularizers import Combined
from study.tasks import REGRESSION, data_loss
from study.training.general import GRADIENT_IMAGES
from study.training.lockstep.epoch import Lockstep
from study.training.lockstep.inputs import Examples
from study.training.lockstep.penalties import PULLING, form_of

IMAGES = 250  # of each run at a time

OfRun = tuple[Scored | ScoredRegression, Scored | ScoredRegression, float | None]


class Scores:
    """Scores the runs of a crew on their training and validation images."""

    def __init__(self, lockstep: Lockstep, train: Examples, val: Examples):
        """Set the splits.

        Args:
            lockstep: the runs.
            train: their training images that are scored.
            val: their validation images.
        """
        self.train, self.val, self.task = train, val, lockstep.task
        self.pulled = [_is_pulled(state.regularizer) for state in lockstep.states]

    def of_epoch(self, lockstep: Lockstep, slots: Sequence[int]) -> Mapping[int, OfRun]:
        """The scores of some runs on train and val, and where they have a penalty the norm of the data's gradient."""
        train, val = (self._scored(lockstep, split) for split in (self.train, self.val))
        norms = _gradient_norms(lockstep) if any(self.pulled[slot] for slot in slots) else None
        return {
            slot: (train[slot], val[slot], norms[slot] if norms is not None and self.pulled[slot] else None)
            for slot in slots
        }

    @torch.inference_mode()
    def _scored(self, lockstep: Lockstep, split: Examples) -> list[Scored | ScoredRegression]:
        loss_of, values = data_loss(self.task), lockstep.stack.values
        logits, losses = [], []
        for start in range(0, len(split), IMAGES):
            images, labels = split.slice(slice(start, start + IMAGES))
            found = lockstep.logits(values, images)
            logits.append(found)
            losses.append(loss_of(found.flatten(0, 1), labels.flatten(0, 1), reduction="none").view(found.shape[:2]))
        of_all = zip(split.parts, split.labels, torch.cat(logits, dim=1), torch.cat(losses, dim=1), strict=False)
        return [self._of_run(*of_run) for of_run in of_all]

    def _of_run(self, part: Part, labels: Tensor, logits: Tensor, losses: Tensor) -> Scored | ScoredRegression:
        if self.task == REGRESSION:
            return ScoredRegression(labels, logits, losses, part.unit)
        return Scored(labels, logits, losses)


def _gradient_norms(lockstep: Lockstep) -> list[float]:
    """As `general.data_gradient_norm`, for each run."""
    values, train = lockstep.stack.values, lockstep.train
    count, loss_of = min(GRADIENT_IMAGES, len(train)), data_loss(lockstep.task)
    sums = [torch.zeros_like(w) for w in values]
    for start in range(0, count, IMAGES):
        images, labels = train.slice(slice(start, min(start + IMAGES, count)))
        logits = lockstep.logits(values, images)
        loss = loss_of(logits.flatten(0, 1), labels.flatten(0, 1), reduction="sum") / count
        for of_parameter, gradient in zip(sums, torch.autograd.grad(loss, values), strict=True):
            of_parameter.add_(gradient)
    norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in sums])
    return [float(norm) for norm in torch.linalg.vector_norm(norms, dim=0).cpu()]


def _is_pulled(combined: Combined) -> bool:
    """Whether a run has a penalty on its weights, which the gradient ratio compares with the data loss."""
    return any(form_of(r) or not PULLING.isdisjoint(r.in_step or {}) for r in combined.regularizers)
