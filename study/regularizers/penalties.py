"""Penalties: λR(w) is added to the loss, each R a formula in one place.

Every option in conf/reg/ names a class here, or in a module beside this one, by `_target_`; or one of the user's own:
a subclass of `Penalty` or `Regularizer`, or simply a function of one tensor that returns R, whose gradient autograd
then takes. R of a model is the sum of R over the parameter tensors in scope.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from study.errors import ConfigError
from study.regularizers.base import Regularizer, Scoped
from study.regularizers.scope import as_matrix, matrices


class Penalty(Regularizer):
    """λR(w), R being a sum over tensors: subclasses write the formula of one tensor in `value`.

    A closed form of value and gradient in `value_and_gradient` is optional and saves time in every step.
    """

    def value(self, w: Tensor) -> Tensor:
        """R(w) of one tensor, a scalar."""
        raise NotImplementedError

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        """R(w); dR/dw goes into `out`, of the shape of w. Here by autograd of `value`."""
        with torch.enable_grad():
            leaf = w.detach().requires_grad_()
            value = self.value(leaf)
            (gradient,) = torch.autograd.grad(value, leaf)
        out.copy_(gradient)
        return value.detach()

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, scoped, classes)
        self._scratch = [torch.empty_like(s.parameter) for s in scoped]

    @torch.no_grad()
    def before_step(self, optimizer: torch.optim.Optimizer) -> Tensor | float:
        total: Tensor | float = 0.0
        for s, scratch in zip(self.scoped, self._scratch, strict=True):
            value = self.value_and_gradient(s.parameter, scratch)
            assert s.parameter.grad is not None
            s.parameter.grad.add_(scratch, alpha=self.lam * s.factor)
            total = total + self.lam * s.factor * value
        return total

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        values = [self.lam * s.factor * self.value(s.parameter) for s in self.scoped]
        return torch.stack(values).sum()


class Unpenalized(Regularizer):
    """R = 0: the reference of every comparison."""

    takes_lam = False
    takes_scope = False
    acts = False
    in_step: Mapping[str, float] = {}


class L1(Penalty):
    """R(w) = Σ|w| (Tibshirani 1996, the lasso). Subgradient sign(w), 0 at 0.

    A subgradient step never lands on an exact zero: weights hover around it at the scale of the step. For exact zeros
    use `projections.L1Proximal`.
    """

    in_step: Mapping[str, float] = {"absolute": 1.0}

    def value(self, w: Tensor) -> Tensor:
        return w.abs().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        torch.sign(w, out=out)
        return torch.dot(w.flatten(), out.flatten())  # Σ w sign(w): one pass over memory less than Σ|w|


class L2(Penalty):
    """R(w) = Σw² (Hoerl and Kennard 1970, ridge), without ½.

    λΣw² is torch's weight_decay = 2λ in SGD and in Adam, but not in AdamW, which decays apart from the gradient.
    """

    in_step: Mapping[str, float] = {"square": 1.0}

    def value(self, w: Tensor) -> Tensor:
        return w.square().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        torch.mul(w, 2, out=out)
        return torch.dot(w.flatten(), w.flatten())


class L2Norm(Penalty):
    """R(w) = ‖w‖₂ = √Σw², not squared; over a model Σ‖p‖₂, a group lasso whose groups are whole tensors
    (Yuan and Lin 2006, without their size factors). Subgradient w/‖w‖₂, 0 at 0.
    """

    in_step: Mapping[str, float] = {"norm": 1.0}

    def value(self, w: Tensor) -> Tensor:
        return torch.linalg.vector_norm(w)

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(w)
        torch.mul(w, torch.where(norm > 0, 1 / norm, 0.0), out=out)
        return norm


class ElasticNet(Penalty):
    """R(w) = ρ Σ|w| + (1 − ρ) Σw² with ρ = `ratio` (Zou and Hastie 2005): `l1` at ρ = 1, `l2` at ρ = 0.

    Their λ₁ is λρ, their λ₂ is λ(1 − ρ). scikit-learn's α(ρ'‖w‖₁ + ½(1 − ρ')‖w‖²) has λρ = αρ', λ(1 − ρ) = ½α(1 − ρ').
    """

    def __init__(self, ratio: float = 0.5):
        if not 0 <= ratio <= 1:
            raise ConfigError(f"reg.ratio={ratio}: a number in [0, 1] is allowed, the share of Σ|w|")
        self.ratio = ratio
        self.in_step = {"absolute": ratio, "square": 1 - ratio}

    def value(self, w: Tensor) -> Tensor:
        return self.ratio * w.abs().sum() + (1 - self.ratio) * w.square().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        torch.sign(w, out=out)
        absolute = torch.dot(w.flatten(), out.flatten())
        out.mul_(self.ratio).add_(w, alpha=2 * (1 - self.ratio))
        return self.ratio * absolute + (1 - self.ratio) * torch.dot(w.flatten(), w.flatten())


class MatrixPenalty(Penalty):
    """A penalty of weight matrices: in scope count weights of layers alone, whatever else the scope selects."""

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        matrices(scoped)

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, matrices(scoped), classes)


class Orthogonal(MatrixPenalty):
    """R(W) = ‖G − I‖²_F, G = WWᵀ or WᵀW, whichever is smaller (soft orthogonality: Bansal, Chen and Wang 2018).

    It pulls all singular values of W to 1, and so keeps weights from vanishing as much as from growing. Gradient
    4(WWᵀ − I)W. Each step takes two products of the size of W's smaller Gram matrix.
    """

    def value(self, w: Tensor) -> Tensor:
        return self._excess(self._wide(w)).square().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        wide = self._wide(w)
        excess = self._excess(wide)
        self._wide(out).copy_(excess @ wide).mul_(4)
        return excess.square().sum()

    @staticmethod
    def _wide(w: Tensor) -> Tensor:
        """A view of a weight as a matrix with no more rows than columns."""
        matrix = as_matrix(w)
        return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T

    @staticmethod
    def _excess(wide: Tensor) -> Tensor:
        """How the Gram matrix differs from the identity."""
        return wide @ wide.T - torch.eye(len(wide), dtype=wide.dtype, device=wide.device)


class Spectral(MatrixPenalty):
    """R(W) = σ(W)², σ being W's largest singular value (Yoshida and Miyato 2017, whose factor is λ/2).

    Since σ² ≤ Σw², it is never more than `l2` at the same λ. σ is found by power iteration: one iteration a step, from
    the vector of the step before, since W changes little; gradient 2σuvᵀ.
    """

    START = 20  # iterations before the first step

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, scoped, classes)
        self._right = [self._iterated(s.parameter.detach(), None, self.START)[1] for s in self.scoped]

    def value(self, w: Tensor) -> Tensor:
        left, right = self._iterated(w.detach(), None, 10 * self.START)
        return (left @ as_matrix(w) @ right).square()

    @torch.no_grad()
    def before_step(self, optimizer: torch.optim.Optimizer) -> Tensor | float:
        total: Tensor | float = 0.0
        for i, s in enumerate(self.scoped):
            w = s.parameter
            assert w.grad is not None
            left, self._right[i] = self._iterated(w, self._right[i], 1)
            sigma = left @ as_matrix(w) @ self._right[i]
            as_matrix(w.grad).addr_(left, self._right[i] * sigma, alpha=2 * self.lam * s.factor)
            total = total + self.lam * s.factor * sigma.square()
        return total

    @staticmethod
    @torch.no_grad()
    def _iterated(w: Tensor, right: Tensor | None, times: int) -> tuple[Tensor, Tensor]:
        """The singular vectors of the largest singular value, as far as some iterations lead to them."""
        matrix = as_matrix(w)
        if right is None:  # any start does that is not orthogonal to the result; this one is the same everywhere
            right = torch.cos(torch.arange(1, matrix.shape[1] + 1, dtype=torch.float64)).to(w)
        for _ in range(times):
            left = nn.functional.normalize(matrix @ right, dim=0)
            right = nn.functional.normalize(left @ matrix, dim=0)
        return left, right

    def state_dict(self) -> dict[str, Any]:
        return {"right": self._right}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._right = [new.to(old) for new, old in zip(state["right"], self._right, strict=True)]


class FunctionPenalty(Penalty):
    """A user's function of one tensor as a penalty."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self.function = function

    def value(self, w: Tensor) -> Tensor:
        """What the function returns."""
        return self.function(w)
