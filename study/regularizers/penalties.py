"""Penalties: each adds λR(w) to the loss. R of a model is the sum of R over the parameter tensors in scope.

`_target_` of an option in conf/reg/ names a class here or in another module of this package. It can also name the
user's own code: a subclass of `Penalty` or `Regularizer`, or a function of one tensor that returns R. Autograd
computes the gradient of such a function.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from study.errors import ConfigError
from study.regularizers.base import Regularizer, Scoped
from study.regularizers.scope import as_matrix, matrices


class Penalty(Regularizer):
    """A penalty λR(w), where R is a sum over tensors. Subclasses implement R of one tensor in `value`.

    `value_and_gradient` may implement a closed form. It is optional and makes every step faster.
    """

    def value(self, w: Tensor) -> Tensor:
        """Return R(w) of one tensor, a scalar."""
        raise NotImplementedError

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        """Return R(w), and write dR/dw to `out`, which has the shape of w. This default uses autograd on `value`."""
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
    """R = 0, the reference of comparisons."""

    takes_lam = False
    takes_scope = False
    acts = False
    in_step: Mapping[str, float] = {}


class L1(Penalty):
    """R(w) = Σ|w| (the lasso, Tibshirani 1996). Subgradient sign(w), 0 at 0.

    Subgradient steps do not reach exact zeros: weights oscillate around zero by about the size of a step. For exact
    zeros, use `projections.L1Proximal`.
    """

    in_step: Mapping[str, float] = {"absolute": 1.0}

    def value(self, w: Tensor) -> Tensor:
        return w.abs().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        torch.sign(w, out=out)
        return torch.dot(w.flatten(), out.flatten())  # Σ w sign(w) saves one pass over memory compared with Σ|w|


class L2(Penalty):
    """R(w) = Σw² (ridge, Hoerl and Kennard 1970), without ½.

    λΣw² equals torch's weight_decay = 2λ in SGD and in Adam. In AdamW it does not: that decay is not in the gradient.
    """

    in_step: Mapping[str, float] = {"square": 1.0}

    def value(self, w: Tensor) -> Tensor:
        return w.square().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        torch.mul(w, 2, out=out)
        return torch.dot(w.flatten(), w.flatten())


class L2Norm(Penalty):
    """R(w) = ‖w‖₂ = √Σw², not squared. Subgradient w/‖w‖₂, 0 at 0.

    R of a model is Σ‖p‖₂ over its tensors p: a group lasso with whole tensors as groups (Yuan and Lin 2006, without
    their size factors).
    """

    in_step: Mapping[str, float] = {"norm": 1.0}

    def value(self, w: Tensor) -> Tensor:
        return torch.linalg.vector_norm(w)

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(w)
        torch.mul(w, torch.where(norm > 0, 1 / norm, 0.0), out=out)
        return norm


class Lp(Penalty):
    """R(w) = Σ (w² + ε)^{p/2} with 0 < p < 1: Σ|w|^p, smoothed at 0, where the slope of |w|^p is infinite.

    The bridge penalty (Frank and Friedman 1993; Knight and Fu 2000) in the smoothing of Chartrand and Yin 2008. Its
    gradient is p w (w² + ε)^{p/2 − 1}, and 0 at 0. R differs from Σ|w|^p by less than 1 % where |w| > 10 √ε; a weight
    of 0 adds ε^{p/2}. R is not convex: it pulls small weights harder than `l1` does, and large weights less. As with
    `l1`, steps do not reach exact zeros.
    """

    SMALLEST = 1e-30  # with a smaller ε, the gradient overflows in float32

    def __init__(self, p: float = 0.5, eps: float = 1e-8):
        if not 0 < p < 1:
            raise ConfigError(f"reg.p={p}: must be above 0 and below 1. Use reg=l1 for p=1, and reg=l2 for p=2")
        if not self.SMALLEST <= eps < math.inf:
            raise ConfigError(f"reg.eps={eps}: any finite number of at least {self.SMALLEST:g} is allowed")
        self.p, self.eps = p, eps

    def value(self, w: Tensor) -> Tensor:
        return (w.square() + self.eps).pow(self.p / 2).sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        smoothed = w.square().add_(self.eps)
        torch.pow(smoothed, self.p / 2 - 1, out=out)
        value = torch.dot(smoothed.flatten(), out.flatten())
        out.mul_(w).mul_(self.p)
        return value


class ElasticNet(Penalty):
    """R(w) = ρ Σ|w| + (1 − ρ) Σw² with ρ = `ratio` (Zou and Hastie 2005): `l1` at ρ = 1, `l2` at ρ = 0.

    λ₁ of that paper is λρ, and λ₂ is λ(1 − ρ). scikit-learn's penalty α(ρ'‖w‖₁ + ½(1 − ρ')‖w‖²) is the same with
    λρ = αρ' and λ(1 − ρ) = ½α(1 − ρ').
    """

    def __init__(self, ratio: float = 0.5):
        if not 0 <= ratio <= 1:
            raise ConfigError(f"reg.ratio={ratio}: a number in [0, 1] is allowed. It is the share of Σ|w|")
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
    """A penalty on weight matrices. It ignores other parameters that the scope selects, such as biases."""

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        matrices(scoped)

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, matrices(scoped), classes)


class Orthogonal(MatrixPenalty):
    """R(W) = ‖G − I‖²_F with G = WWᵀ or WᵀW, the smaller of the two (soft orthogonality: Bansal, Chen and Wang 2018).

    It pulls all singular values of W to 1, so weights neither vanish nor grow. Gradient 4(WWᵀ − I)W. Each step takes
    two matrix products of the size of the smaller Gram matrix.
    """

    def value(self, w: Tensor) -> Tensor:
        return self._excess(self._wide(w)).square().sum()

    def value_and_gradient(self, w: Tensor, out: Tensor) -> Tensor:
        wide = self._wide(w)
        excess = self._excess(wide)
        gradient = 4 * excess @ wide
        out.copy_((gradient if len(gradient) == len(w) else gradient.T).reshape(w.shape))
        return excess.square().sum()

    @staticmethod
    def _wide(w: Tensor) -> Tensor:
        """Return a weight as a matrix with at most as many rows as columns."""
        matrix = as_matrix(w)
        return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T

    @staticmethod
    def _excess(wide: Tensor) -> Tensor:
        """Return the Gram matrix minus the identity."""
        return wide @ wide.T - torch.eye(len(wide), dtype=wide.dtype, device=wide.device)


class Spectral(MatrixPenalty):
    """R(W) = σ(W)², where σ is the largest singular value of W (Yoshida and Miyato 2017, with the factor λ/2).

    Since σ² ≤ Σw², it is at most `l2` at the same λ. The gradient is 2σuvᵀ. Power iteration computes σ, with one
    iteration per step. It starts from the vector of the previous step, because W changes little in a step.
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
            gradient = torch.outer(left, self._right[i] * sigma).reshape(w.shape)
            w.grad.add_(gradient, alpha=2 * self.lam * s.factor)
            total = total + self.lam * s.factor * sigma.square()
        return total

    @staticmethod
    @torch.no_grad()
    def _iterated(w: Tensor, right: Tensor | None, times: int) -> tuple[Tensor, Tensor]:
        """Return the left and right singular vectors of the largest singular value after `times` iterations."""
        matrix = as_matrix(w)
        if right is None:  # any start not orthogonal to the result works; this one is deterministic
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
    """Makes a penalty from a user's function of one tensor."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self.function = function

    def value(self, w: Tensor) -> Tensor:
        """Return the value of the function."""
        return self.function(w)
