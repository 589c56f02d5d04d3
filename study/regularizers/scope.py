"""Which parameters a regularizer works on, and the hidden units of a model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from study.errors import ConfigError
from study.regularizers.base import Scoped

Scope = str | Mapping[str, float]


@dataclass(frozen=True)
class Units:
    """The units of one layer: rows of its weight (units, ...), and their biases (units,) where these belong to them."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    factor: float


def names_in_scope(model: nn.Module, scope: str) -> list[str]:
    """Names of the parameters that a scope selects.

    Args:
        model: may be on the meta device.
        scope: `all`; `weights`, the weights of layers (no biases, no normalization parameters, which have one
            dimension); or a regular expression that must match a parameter's whole name.

    Raises:
        ConfigError: the expression is not a regular expression, or nothing matches.
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


def in_scope(model: nn.Module, scope: Scope) -> list[Scoped]:
    """The parameters that a scope selects, in the model's order.

    Args:
        model: may be on the meta device.
        scope: see `names_in_scope`; or several of them, each with a factor: the λ of its parameters is the run's λ
            times that.

    Raises:
        ConfigError: a scope selects nothing, a factor is negative, or two scopes select one parameter.
    """
    factors: dict[str, float] = {}
    for one, factor in (scope if isinstance(scope, Mapping) else {scope: 1.0}).items():
        if not isinstance(factor, int | float) or isinstance(factor, bool) or not 0 <= factor < float("inf"):
            raise ConfigError(f"reg.scope: {one} has {factor}; a number of at least 0 is allowed, which multiplies lam")
        for name in names_in_scope(model, one):
            if name in factors:
                raise ConfigError(f"reg.scope={scope}: two of them select {name}; one may")
            factors[name] = float(factor)
    return [Scoped(name, p, factors[name]) for name, p in model.named_parameters() if name in factors]


def hidden_layers(model: nn.Module) -> list[tuple[str, nn.Linear | nn.modules.conv._ConvNd]]:
    """The layers with weights, all but the last one, which makes the logits."""
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    return layers[:-1]


def hidden_units(model: nn.Module, scoped: Sequence[Scoped]) -> list[Units]:
    """The hidden units of a model whose incoming weights are in scope.

    Raises:
        ConfigError: there are none.
    """
    by_id = {id(s.parameter): s for s in scoped}
    units = []
    for _, layer in hidden_layers(model):
        found = by_id.get(id(layer.weight))
        if found is not None:
            bias = by_id.get(id(layer.bias)) if layer.bias is not None else None
            units.append(Units(found.parameter, bias.parameter if bias else None, found.factor))
    if not units:
        weights = [f"{name}.weight" for name, _ in hidden_layers(model)]
        reason = f"none of {', '.join(weights)} is in scope" if weights else "this model has none"
        raise ConfigError(f"it works on the weights into hidden units, and {reason}")
    return units


def matrices(scoped: Sequence[Scoped]) -> list[Scoped]:
    """Those parameters that are weights of layers, of two dimensions or more.

    Raises:
        ConfigError: there are none.
    """
    found = [s for s in scoped if s.parameter.dim() >= 2]
    if not found:
        raise ConfigError(f"it works on weight matrices, and of {', '.join(s.name for s in scoped)} none is one")
    return found


def as_matrix(w: Tensor) -> Tensor:
    """A weight with all inputs of a unit in one row, (units, inputs)."""
    return w.flatten(1)
