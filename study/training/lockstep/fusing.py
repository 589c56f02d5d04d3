"""Formulas as one kernel each: on CUDA, torch's compiler joins their passes over memory, which take most of a step."""

import warnings
from collections.abc import Callable
from typing import Any

import torch

Formula = Callable[..., Any]
SHAPES = 64  # that a formula is compiled for


def fused(formula: Formula, device: torch.device) -> Formula:
    """A formula of tensors, compiled if the device is CUDA, and if it can be compiled there."""
    return Fused(formula) if device.type == "cuda" else formula


class Fused:
    """A formula that is compiled at its first call. Where that fails, it stays as it is, and a warning says so."""

    def __init__(self, formula: Formula):
        limits = torch._dynamo.config  # of one formula for all shapes and kinds of penalties
        limits.recompile_limit = max(limits.recompile_limit, SHAPES)
        self.plain, self.compiled = formula, torch.compile(formula, dynamic=False)
        self.works: bool | None = None

    def __call__(self, *arguments: Any) -> Any:
        """What the formula returns."""
        if self.works is False:
            return self.plain(*arguments)
        try:
            found = self.compiled(*arguments)
        except Exception as error:
            if self.works:
                raise
            self.works = False
            first = (str(error).splitlines() or [""])[0]
            warnings.warn(f"torch.compile does not work here, and lockstep is slower: {first}", stacklevel=2)
            return self.plain(*arguments)
        self.works = True
        return found
