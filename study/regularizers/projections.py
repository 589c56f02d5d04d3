"""Regularizers that change the weights before or after the optimizer's step, instead of adding to the gradient."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from study.regularizers.base import LamRange, Regularizer, Scoped
from study.regularizers.metric import check_metric, step_sizes
from study.regularizers.penalties import L1
from study.regularizers.scope import Units, as_matrix, hidden_units

NEWTON = 8  # iterations for the norm of a shrunk group; each doubles the number of correct digits


class L1Proximal(L1):
    """R(w) = Σ|w| as in `l1`, by soft-thresholding after each step. It gives exact zeros that stay.

    w ← sign(w) max(|w| − sλ, 0), where s is the optimizer's step per unit of gradient (see `metric`). This is ISTA
    (Daubechies, Defrise and De Mol 2004) in the metric of SGD or Adam. A weight stays zero while the absolute value of
    its mean gradient is below λ.
    """

    in_step: Mapping[str, float] = {"soft": 1.0}

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        check_metric(optimizer)

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        Regularizer.attach(self, model, scoped, classes)

    @torch.no_grad()
    def before_step(self, optimizer: torch.optim.Optimizer) -> Tensor | float:
        return sum(self.lam * s.factor * self.value(s.parameter) for s in self.scoped)

    @torch.no_grad()
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        for s in self.scoped:
            threshold = self.lam * s.factor * step_sizes(optimizer, s.parameter)
            w = s.parameter
            w.copy_(w.sign() * (w.abs() - threshold).clamp_(min=0))


class WeightDecay(Regularizer):
    """Decoupled weight decay (Loshchilov and Hutter 2019): w ← (1 − ηλ)w before each step, with learning rate η.

    It equals torch's AdamW(weight_decay=λ). With η = 1e-3, the default λ = 0.1 removes 1e-4 of each weight per step.
    With SGD it equals `l2` with λ/2. With Adam no penalty does the same, since Adam divides its gradient by √v̂.

    With `independent`, w ← w − λw before each step, with λ in [0, 1). The learning rate does not multiply this
    decay, and a schedule of the learning rate does not change it. In Algorithm 2 of that paper, a schedule multiplies
    the decay too. At a constant learning rate, `independent` with ηλ is the same as the default with λ.
    """

    in_step: Mapping[str, float] | None = {"decay": 1.0}

    def __init__(self, independent: bool = False):
        self.independent = independent
        if independent:
            self.lam_range, self.in_step = LamRange(high=1.0), None

    @torch.no_grad()
    def before_step(self, optimizer: torch.optim.Optimizer) -> Tensor | float:
        lr = 1.0 if self.independent else optimizer.param_groups[0]["lr"]
        for s in self.scoped:
            s.parameter.mul_(1 - lr * self.lam * s.factor)
        return 0.0


class GroupLasso(Regularizer):
    """R(w) = Σ ‖w_u‖₂ over hidden units u, by a proximal step that sets all weights of some units to exactly 0.

    w_u has the weights into unit u, and its bias if the bias is in scope. Source: Yuan and Lin 2006; for units of a
    network Scardapane et al. 2017, where each norm is multiplied by √|w_u|. In the metric of SGD, the step multiplies
    w_u by max(0, 1 − sλ/‖w_u‖). In the metric of Adam, s differs between weights, and the step is w ← w n/(n + sλ),
    where n is the norm of the result.
    """

    in_step: Mapping[str, float] = {"group": 1.0}

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        check_metric(optimizer)
        hidden_units(model, scoped)

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, scoped, classes)
        self._layers = hidden_units(model, scoped)

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        norms = [units.factor * torch.linalg.vector_norm(_rows(units), dim=1).sum() for units in self._layers]
        return self.lam * torch.stack(norms).sum()

    @torch.no_grad()
    def before_step(self, optimizer: torch.optim.Optimizer) -> Tensor | float:
        norms = (units.factor * torch.linalg.vector_norm(_rows(units), dim=1).sum() for units in self._layers)
        return self.lam * sum(norms)

    @torch.no_grad()
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        for units in self._layers:
            steps = [step_sizes(optimizer, p) for p in (units.weight, units.bias) if p is not None]
            of_each = [step for step in steps if isinstance(step, Tensor)]
            step = _joined(*of_each) if of_each else steps[0]
            shrunk = shrink_groups(_rows(units), step, self.lam * units.factor)
            inputs = as_matrix(units.weight).shape[1]
            units.weight.copy_(shrunk[:, :inputs].reshape(units.weight.shape))
            if units.bias is not None:
                units.bias.copy_(shrunk[:, inputs])


def shrink_groups(rows: Tensor, step: Tensor | float, lam: float | Tensor) -> Tensor:
    """Return the proximal step of λ‖w‖₂ for each row w: argmin_z λ‖z‖₂ + ½ Σ (z − w)²/s.

    Args:
        rows: (..., groups, size).
        step: s, one number or a tensor of the shape of `rows`.
        lam: λ; if there is one for each group, above 0 and of the shape (..., groups or 1, 1).

    Returns:
        The shrunk rows; a row is exactly zero if ‖w/s‖₂ ≤ λ.
    """
    if not isinstance(lam, Tensor) and lam == 0:
        return rows
    if not isinstance(step, Tensor):
        norms = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        return rows * (1 - step * lam / norms.clamp(min=torch.finfo(rows.dtype).tiny)).clamp_(min=0)
    pull = rows / step
    strength = torch.linalg.vector_norm(pull, dim=-1, keepdim=True)
    alive = strength > lam
    # z = w n/(n + sλ) with n = ‖z‖. n is the root of f(n) = 1/‖w/(n + sλ)‖ − 1, which is concave and increasing:
    # Newton's method from 0 approaches the root from the left and never overshoots.
    norm = torch.zeros_like(strength)
    for _ in range(NEWTON):
        shares = rows / (norm + step * lam)
        size = torch.linalg.vector_norm(shares, dim=-1, keepdim=True)
        slope = (shares.square() / (norm + step * lam)).sum(dim=-1, keepdim=True) / size**3
        norm = torch.where(alive, norm + (1 - 1 / size) / slope, 0.0)
    return torch.where(alive, rows * (norm / (norm + step * lam)), 0.0)


class MaxNorm(Regularizer):
    """Constraint ‖w_u‖₂ ≤ λ on the weights into each hidden unit u, biases excluded, by projection after each step.

    Srivastava et al. 2014, section 5.1, where λ is called c and is 3 or 4. A smaller λ is stronger.
    """

    lam_range = LamRange(low_included=False)
    in_step: Mapping[str, float] = {"cap": 1.0}

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        hidden_units(model, scoped)

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, scoped, classes)
        self._layers = hidden_units(model, scoped)

    @torch.no_grad()
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        for units in self._layers:
            norms, largest = torch.linalg.vector_norm(as_matrix(units.weight), dim=1), self.lam * units.factor
            shrink = torch.where(norms > largest, largest / norms, 1.0)
            units.weight.mul_(shrink.reshape(-1, *[1] * (units.weight.dim() - 1)))


def _rows(units: Units) -> Tensor:
    """Return the groups of a layer, (units, inputs), or (units, inputs + 1) with the biases."""
    return _joined(units.weight, *(() if units.bias is None else (units.bias,)))


def _joined(weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return as_matrix(weight) if bias is None else torch.cat([as_matrix(weight), bias[:, None]], dim=1)
