"""A penalty on the outputs of the activation functions in hidden layers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import activation
from torch.utils.hooks import RemovableHandle

from study.errors import ConfigError
from study.regularizers.base import Regularizer, Scoped
from study.regularizers.scope import hidden_layers

NOT_OF_UNITS = ("MultiheadAttention", "Softmax", "Softmin", "Softmax2d", "LogSoftmax")  # their outputs are no units'
ACTIVATIONS = tuple(getattr(activation, name) for name in activation.__all__ if name not in NOT_OF_UNITS)


class ActivityL1(Regularizer):
    """R = mean over examples of Σ|a| over hidden units, a being the output of a unit's activation function.

    Glorot, Bordes and Bengio 2011 (Deep sparse rectifier neural networks), with λ = 0.001. It makes units inactive for
    most examples, and with ReLU many outputs exactly 0. The activation functions are the modules of torch.nn, such as
    `torch.nn.ReLU`, without softmax. Each output counts, also of a module that is called several times: all channels at
    all places of a convolution, all units of all tokens of a transformer. Dropout comes after it. A function such as
    `torch.nn.functional.relu` is not seen. Forward hooks are on the modules from a step's start to its end only.
    """

    takes_scope = False

    def __init__(self) -> None:
        self._modules: list[nn.Module] = []
        self._hooks: list[RemovableHandle] = []
        self._sums: list[Tensor] = []  # Σ|a| of each activation in the last forward pass

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        if not activations(model):
            reason = (
                "no activation module of torch.nn. Use torch.nn.ReLU() instead of torch.nn.functional.relu"
                if hidden_layers(model)
                else "no hidden units"
            )
            raise ConfigError(f"it works on the outputs of activation functions, but this model has {reason}")

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, scoped, classes)
        self._modules = activations(model)

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        self._watch(self._modules)
        return images, targets

    def on_loss(self, loss: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        return self.lam * self._value(images)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._unwatch()

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        self._watch(activations(model))
        try:
            model(images)
            return self.lam * self._value(images)
        finally:
            self._unwatch()

    def _value(self, images: Tensor) -> Tensor:
        """Return R of the last forward pass."""
        sums, self._sums = self._sums, []
        if not sums:
            raise ConfigError("reg=activity_l1: the model does not call any of its activation modules")
        return torch.stack(sums).sum() / len(images)

    def _watch(self, modules: Sequence[nn.Module]) -> None:
        self._unwatch()
        self._hooks = [module.register_forward_hook(self._keep_sum) for module in modules]

    def _unwatch(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._sums = [], []

    def _keep_sum(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        # Not output.abs(): its backward pass would read the output, which the model may change in place after this.
        dtype = torch.promote_types(output.dtype, torch.float32)  # sums of half precision would be coarse
        self._sums.append((output * output.detach().sign()).sum(dtype=dtype))


def activations(model: nn.Module) -> list[nn.Module]:
    """Return the activation modules of a model, each once: those of torch.nn, without softmax and attention."""
    return [module for module in model.modules() if isinstance(module, ACTIVATIONS)]
