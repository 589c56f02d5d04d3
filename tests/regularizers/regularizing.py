"""Shared by tests: a regularizer, attached to a model, as a run has it."""

from study.randomness import torch_generator
from study.regularizers import Combined, Part, Regularizer
from study.regularizers.scope import in_scope


def combined(regularizer: Regularizer, lam: float, model, scope="all", classes: int = 10) -> Combined:
    """One regularizer with a constant λ; draws of its own are those of seed 0."""
    if regularizer.stream is not None:
        regularizer.generator = torch_generator(0, regularizer.stream)
    regularizer.attach(model, in_scope(model, scope), classes)
    return Combined([Part(regularizer, lam)])
