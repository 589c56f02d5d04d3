"""Averages of the weights over the steps of training. Training goes on with the weights, scores use the averages."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from study.regularizers.base import LamRange, Regularizer, Scoped


class EMA(Regularizer):
    """Scores an exponential moving average of the weights: a ← d a + (1 − d) w after each step.

    Averages of iterates: Polyak and Juditsky 1992; with exponential weights: Tarvainen and Valpola 2017. In step
    t = 1, 2, ... of the run, d = min(λ, (1 + t)/(10 + t)), the rule of TensorFlow's ExponentialMovingAverage. With
    d = λ from the start, a would contain the initial weights for about 1/(1 − λ) steps. By this rule λ takes effect
    from step (10λ − 1)/(1 − λ) on, which is 8,990 for λ = 0.999. Before, a larger λ gives the same result.

    Everything that a run records of its weights and scores is that of a: the CSVs, also in epoch 0, where a is the
    initial weights; predictions; the kept model; early stopping. Only the objective is that of w. Floating-point
    buffers, such as the running statistics of batch normalization, are averaged in the same way (use_buffers=True of
    torch's AveragedModel). Other buffers are those of training.
    """

    takes_scope = False
    lam_range = LamRange(high=1.0)

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, scoped, classes)
        self._model, self._steps = model, 0
        self._averages = [tensor.detach().clone() for tensor in _averaged(model)]

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._steps += 1
        decay = min(self.lam, (1 + self._steps) / (10 + self._steps))
        update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        update(self._averages, _averaged(self._model), self._steps)

    @contextmanager
    def scored(self, model: nn.Module) -> Iterator[None]:
        tensors = _averaged(model)
        of_training = [tensor.detach().clone() for tensor in tensors]
        _copy(self._averages, tensors)
        try:
            yield
        finally:
            _copy(of_training, tensors)

    def state_dict(self) -> dict[str, Any]:
        return {"averages": self._averages, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        _copy(state["averages"], self._averages)
        self._steps = state["steps"]


def _averaged(model: nn.Module) -> list[Tensor]:
    """Return the tensors of a model that are averaged. They are read anew, as a module may replace a buffer."""
    return [*model.parameters(), *(buffer for buffer in model.buffers() if buffer.is_floating_point())]


@torch.no_grad()
def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)
