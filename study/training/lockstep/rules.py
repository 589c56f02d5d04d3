"""The optimizers in batched form: one step for the stacked weights of all runs, each with its own options."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

Tensors = Sequence[Tensor]
Options = Mapping[str, Tensor]
MOMENTUM = "momentum_buffer"  # torch's optimizers keep none without momentum


class Rule:
    """The step of an optimizer. Options and learning rates of runs are numbers (width,).

    Attributes:
        moments: the names of the moments in torch's own state.
        options: the names of the options that may differ between runs.
    """

    moments: ClassVar[Sequence[str]] = ()
    options: ClassVar[Sequence[str]] = ()
    with_steps: ClassVar[bool] = False

    def options_of(self, optimizer: torch.optim.Optimizer) -> list[float]:
        """The options of one run, in the order of `options`."""
        group = optimizer.param_groups[0]
        return [float(group[key]) for key in self.options]

    def started(self, optimizer: torch.optim.Optimizer) -> Mapping[Tensor, dict[str, Any]]:
        """The state of the optimizer by parameter. Before the first step, create it as torch would in that step."""
        for parameter in optimizer.param_groups[0]["params"]:
            state = optimizer.state[parameter]
            if not state:
                if self.with_steps:
                    state["step"] = torch.zeros((), dtype=torch.float32, device=self._place(optimizer, parameter))
                kept = [key for key in self.moments if key != MOMENTUM or optimizer.param_groups[0]["momentum"]]
                state.update({key: torch.zeros_like(parameter) for key in kept})
        return optimizer.state

    @staticmethod
    def _place(optimizer: torch.optim.Optimizer, parameter: Tensor) -> torch.device:
        return parameter.device if optimizer.param_groups[0].get("fused") else torch.device("cpu")

    def factors(self, lr: Tensor, steps: Tensor, options: Options) -> Tensor:
        """What depends on the number of the step, by default the learning rate: (steps, factors, width), float64, CPU.

        Args:
            lr: the learning rates, float64 (steps, width).
            steps: the numbers of the steps, from 1, int64 (steps, width).
            options: of the runs, float64 (width,) each.
        """
        return lr[:, None]

    def step(self, w: Tensor, gradient: Tensor, moments: Tensors, factors: Tensors, options: Options) -> None:
        """Make one step for a stacked parameter, in place.

        Args:
            w: (width, *shape).
            gradient: the same shape.
            moments: the same shape each; changed.
            factors: of `factors`, (width, 1, ...) each.
            options: (width, 1, ...) each.
        """
        raise NotImplementedError

    def metric(self, moments: Tensors, factors: Tensors, options: Options) -> tuple[Tensor, bool]:
        """The step for each unit of gradient (see `regularizers.metric`), and whether it is one number for each run."""
        raise NotImplementedError


class Adam(Rule):
    """Adam (Kingma and Ba 2015), and AdamW without its decay."""

    moments = ("exp_avg", "exp_avg_sq")
    options = ("decay1", "rest1", "decay2", "rest2", "eps")  # β, and 1 − β before it is rounded
    with_steps = True

    def options_of(self, optimizer: torch.optim.Optimizer) -> list[float]:
        group = optimizer.param_groups[0]
        first, second = map(float, group["betas"])
        return [first, 1 - first, second, 1 - second, float(group["eps"])]

    def factors(self, lr: Tensor, steps: Tensor, options: Options) -> Tensor:
        first, second = (1 - _powers(options[key], steps) for key in ("decay1", "decay2"))
        return torch.stack([lr / first, second.sqrt(), lr], dim=1)

    def step(self, w: Tensor, gradient: Tensor, moments: Tensors, factors: Tensors, options: Options) -> None:
        mean, square = moments
        mean.lerp_(gradient, options["rest1"])
        square.mul_(options["decay2"]).addcmul_(gradient, gradient * options["rest2"])
        scale = square.sqrt().div_(factors[1]).add_(options["eps"])
        w.sub_(torch.div(mean, scale, out=scale).mul_(factors[0]))

    def metric(self, moments: Tensors, factors: Tensors, options: Options) -> tuple[Tensor, bool]:
        return factors[2] / (moments[1].sqrt() / factors[1] + options["eps"]), False


class SGD(Rule):
    """Gradient descent with momentum as torch defines it, also Nesterov's. Without momentum, a run keeps no moment."""

    moments = (MOMENTUM,)
    options = ("momentum", "nesterov")

    def step(self, w: Tensor, gradient: Tensor, moments: Tensors, factors: Tensors, options: Options) -> None:
        buffer, momentum = moments[0], options["momentum"]
        buffer.mul_(momentum).add_(gradient)
        ahead = torch.where(options["nesterov"] > 0, gradient + momentum * buffer, buffer)
        w.sub_(ahead * factors[0])

    def metric(self, moments: Tensors, factors: Tensors, options: Options) -> tuple[Tensor, bool]:
        return factors[0] / (1 - options["momentum"]), True


class RMSprop(Rule):
    """RMSprop (Hinton 2012) as torch defines it. Without momentum, a run keeps no second moment."""

    moments = ("square_avg", MOMENTUM)
    options = ("alpha", "rest", "eps", "momentum")
    with_steps = True

    def options_of(self, optimizer: torch.optim.Optimizer) -> list[float]:
        group = optimizer.param_groups[0]
        return [float(group["alpha"]), 1 - float(group["alpha"]), float(group["eps"]), float(group["momentum"])]

    def step(self, w: Tensor, gradient: Tensor, moments: Tensors, factors: Tensors, options: Options) -> None:
        square, buffer = moments
        square.mul_(options["alpha"]).addcmul_(gradient, gradient * options["rest"])
        buffer.mul_(options["momentum"]).add_(gradient / (square.sqrt() + options["eps"]))
        w.sub_(buffer * factors[0])


def _powers(base: Tensor, exponents: Tensor) -> Tensor:
    """base ** exponents, float64 (steps, width), by Python: torch rounds a power by its place in memory.

    Args:
        base: float64 (width,).
        exponents: int64 (steps, width).
    """
    known: dict[tuple[float, int], float] = {}
    rows = []
    for row in exponents.tolist():
        pairs = list(zip(base.tolist(), row, strict=True))
        known.update({pair: pair[0] ** pair[1] for pair in pairs if pair not in known})
        rows.append([known[pair] for pair in pairs])
    return torch.tensor(rows, dtype=torch.float64)


RULES: Mapping[str, Rule] = {
    "study.optimizers.adam": Adam(),
    "study.optimizers.adamw": Adam(),
    "study.optimizers.sgd": SGD(),
    "study.optimizers.rmsprop": RMSprop(),
}
