"""The optimizer of optimizer=NAME."""

from collections.abc import Iterable

import torch
from torch import Tensor


class CLASS(torch.optim.Optimizer):
    """Each weight moves by lr against the sign of its mean gradient (Signum, Bernstein et al. 2018).

    It must not shrink weights by itself: weight decay is a regularizer, and belongs in reg.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float):
        """Take the parameters of the model. Arguments after them are keys of optimizer/NAME.yaml."""
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters from their gradients."""
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                # What is in self.state is saved in checkpoints, so that an interrupted run resumes with it.
                mean = self.state[w].setdefault("mean", torch.zeros_like(w))
                mean.lerp_(w.grad, 1 - group["momentum"])
                w.sub_(mean.sign(), alpha=group["lr"])
