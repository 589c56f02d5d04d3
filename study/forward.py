"""Run the forward pass of a model inside a context, such as torch's autocast."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import MethodType
from typing import Any

from torch import nn


def run_inside(model: nn.Module, context: Callable[[], AbstractContextManager[Any]]) -> nn.Module:
    """Make a model run its forward pass inside a new context each time, in place. A copy of the model does so as well.

    Args:
        model: the model.
        context: makes the context of one pass. A later call of this function puts its context around the earlier ones.
    """
    own = model.__dict__.get("forward")
    inner = own.__func__ if isinstance(own, MethodType) else type(model).forward

    def forward(self: nn.Module, *inputs: Any, **options: Any) -> Any:
        with context():
            return inner(self, *inputs, **options)

    model.forward = MethodType(forward, model)  # as a bound method: deepcopy binds it to the copy
    return model
