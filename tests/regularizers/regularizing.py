"""Shared by tests: a regularizer, attached to a model, as a run has it."""

from study.regularizers import Combined, Part, Regularizer
from study.regularizers.scope import in_scope


def combined(regularizer: Regularizer, lam: float, model, scope="all", classes: int = 10) -> Combined:
    """One regularizer with a constant λ."""
    regularizer.attach(model, in_scope(model, scope), classes)
    return Combined([Part(regularizer, lam)])
