"""Sharpness-aware minimization: the step follows the gradient at a nearby point of higher loss."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from study.regularizers.base import Regularizer, Scoped


class SAM(Regularizer):
    """The step at w uses the gradient at w + ε with ε = ρ g/‖g‖₂, where ρ is λ, and g is the gradient at w.

    Foret et al. 2021, arXiv:2010.01412. ε is the first-order solution of max L(w + ε) over ‖ε‖₂ ≤ ρ, where L is the
    loss of the batch. The norm of g is over all parameters in scope, and only these are moved. A factor of the scope
    multiplies ρ.

    Each step takes two forward and backward passes on the same batch, so it costs about twice as much. The objective is
    the loss of the first pass. The second pass draws random numbers of its own, for dropout for example. It does not
    change buffers, such as the running statistics of batch normalization. A penalty on the weights, such as `l2`, adds
    its gradient at w, as weight decay does in that paper; a term of the loss, such as `gradient_penalty`, is part of L.
    """

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, scoped, classes)
        self._model = model
        self._before = [torch.empty_like(s.parameter) for s in scoped]

    def on_backward(self, backward: Callable[[], Tensor]) -> Tensor:
        loss = backward()
        if self.lam == 0:
            return loss
        buffers = [
            (module, name, buffer, buffer.clone())
            for module in self._model.modules()
            for name, buffer in module.named_buffers(recurse=False)
        ]
        self._ascend()
        backward()
        with torch.no_grad():
            for s, before in zip(self.scoped, self._before, strict=True):
                s.parameter.copy_(before)
            for module, name, buffer, before in buffers:
                setattr(module, name, buffer.copy_(before))  # some modules assign a new tensor
        return loss

    @torch.no_grad()
    def _ascend(self) -> None:
        """Move the parameters from w to w + ε, and keep w."""
        for s, before in zip(self.scoped, self._before, strict=True):
            before.copy_(s.parameter)
        moved = [(s, g) for s in self.scoped if (g := s.parameter.grad) is not None]
        norms = [torch.linalg.vector_norm(gradient) for _, gradient in moved]
        if norms:  # else the loss depends on no parameter in scope
            norm = torch.linalg.vector_norm(torch.stack(norms))
            scale = torch.where(norm > 0, self.lam / norm, 0.0)
            for s, gradient in moved:
                s.parameter.addcmul_(gradient, scale, value=s.factor)
