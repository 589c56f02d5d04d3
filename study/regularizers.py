"""Penalties R(w), each a formula in one place, and the regularizer that applies λ R(w) to a model.

Every option in conf/reg/ names a penalty here by `_target_`, or one of the user's own: a subclass of `Penalty`,
or simply a function of one tensor that returns R, whose gradient autograd then takes. R of a model is the sum of R
over the parameter tensors in scope.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from study.errors import ConfigError


class Penalty:
    """R(w) of one parameter tensor w.

    Subclasses write the formula in `value`. A closed form of both in `value_and_gradient` is optional and saves time
    in every step.

    Attributes:
        takes_lam: False where λ has no meaning; it is then saved as 0, and the option has no scope.
        norms: (a, b, c) where R(w) = aΣ|w| + bΣw² + c‖w‖₂, which lets compiled code train it; None for any other R.
    """

    takes_lam: ClassVar[bool] = True
    norms: tuple[float, float, float] | None = None

    def value(self, w: Tensor) -> Tensor:
        """R(w), a scalar."""
        raise NotImplementedError

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        """R(w); dR/dw goes into `out`, of the shape of w. Here by autograd of `value`."""
        with torch.enable_grad():
            leaf = w.detach().requires_grad_()
            value = self.value(leaf)
            (gradient,) = torch.autograd.grad(value, leaf)
        out.copy_(gradient)
        return value.detach()

    def gradient(self, w: Tensor) -> Tensor:
        """dR/dw, of the shape of w."""
        out = torch.empty_like(w)
        self.value_and_gradient(w, out)
        return out


class Unpenalized(Penalty):
    """R = 0: the reference of every comparison."""

    takes_lam: ClassVar[bool] = False
    norms = (0.0, 0.0, 0.0)

    def value(self, w: Tensor) -> Tensor:
        return w.new_zeros(())

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        out.zero_()
        return self.value(w)


class L1(Penalty):
    """R(w) = Σ|w| (Tibshirani 1996, the lasso). Subgradient sign(w), 0 at 0.

    A subgradient step never lands on an exact zero: weights hover around it at the scale of the step.
    """

    norms = (1.0, 0.0, 0.0)

    def value(self, w: Tensor) -> Tensor:
        return w.abs().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        torch.sign(w, out=out)
        return torch.dot(w.flatten(), out.flatten())  # Σ w sign(w): one pass over memory less than Σ|w|


class L2(Penalty):
    """R(w) = Σw² (Hoerl and Kennard 1970, ridge), without ½.

    λΣw² is torch's weight_decay = 2λ in SGD and in Adam, but not in AdamW, which decays apart from the gradient.
    """

    norms = (0.0, 1.0, 0.0)

    def value(self, w: Tensor) -> Tensor:
        return w.square().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        torch.mul(w, 2, out=out)
        return torch.dot(w.flatten(), w.flatten())


class L2Norm(Penalty):
    """R(w) = ‖w‖₂ = √Σw², not squared; over a model Σ‖p‖₂, a group lasso whose groups are whole tensors
    (Yuan and Lin 2006, without their size factors). Subgradient w/‖w‖₂, 0 at 0.
    """

    norms = (0.0, 0.0, 1.0)

    def value(self, w: Tensor) -> Tensor:
        return torch.linalg.vector_norm(w)

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(w)
        torch.mul(w, torch.where(norm > 0, 1 / norm, 0.0), out=out)
        return norm


class FunctionPenalty(Penalty):
    """A user's function of one tensor as a penalty."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self.value = function


def build_penalty(target: Callable[..., Any], options: Mapping[str, Any]) -> Penalty:
    """The penalty that `_target_` names: an instance of a class, or a function of one tensor with its options bound.

    Raises:
        ConfigError: the target is a class but no Penalty.
    """
    if not inspect.isclass(target):
        return FunctionPenalty(partial(target, **options))
    if not issubclass(target, Penalty):
        raise ConfigError(
            f"reg._target_={target.__module__}.{target.__qualname__}: a subclass of"
            " study.regularizers.Penalty or a function of one tensor is allowed"
        )
    return target(**options)


def names_in_scope(model: nn.Module, scope: str) -> list[str]:
    """Names of the parameters that a scope selects.

    Args:
        model: may be on the meta device.
        scope: `all`; `weights`, the weights of layers (no biases, no normalization parameters, which have one
            dimension); or a regular expression that must match a parameter's whole name.

    Raises:
        ConfigError: the expression is no regular expression, or nothing matches.
    """
    names = dict(model.named_parameters())
    if scope == "all":
        return list(names)
    if scope == "weights":
        return [name for name, parameter in names.items() if parameter.dim() >= 2]
    try:
        chosen = [name for name in names if re.fullmatch(scope, name)]
    except re.error as error:
        raise ConfigError(f"reg.scope={scope}: no regular expression ({error})") from None
    if not chosen:
        raise ConfigError(
            f"reg.scope={scope} matches no parameter; allowed: all, weights, or a regular expression"
            f" matching a whole name of {', '.join(names)}"
        )
    return chosen


class Regularizer:
    """λ R(w) over the parameters in scope of one model.

    Args:
        penalty: R of one tensor.
        lam: λ, finite and ≥ 0.
        parameters: the tensors in scope; empty where λ has no meaning.
    """

    def __init__(self, penalty: Penalty, lam: float, parameters: list[nn.Parameter]):
        self.penalty = penalty
        self.lam = lam
        self.parameters = parameters
        self._scratch = [torch.empty_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def value(self) -> Tensor:
        """The penalty λ R(w), a scalar in nats (the unit of the loss)."""
        return self._total([self.penalty.value(parameter) for parameter in self.parameters])

    @torch.no_grad()
    def gradients(self) -> list[Tensor]:
        """λ dR/dw for each parameter in scope, in their order."""
        return [self.lam * self.penalty.gradient(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def add_gradients(self) -> Tensor:
        """Add λ dR/dw to the gradient of each parameter in scope; returns λ R(w)."""
        values = []
        for parameter, scratch in zip(self.parameters, self._scratch, strict=True):
            values.append(self.penalty.value_and_gradient(parameter, scratch))
            parameter.grad.add_(scratch, alpha=self.lam)
        return self._total(values)

    def _total(self, values: list[Tensor]) -> Tensor:
        return self.lam * torch.stack(values).sum() if values else torch.zeros(())
