"""Select the parameters in a regularizer's scope, and find the hidden units of a model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from study.errors import ConfigError
from study.regularizers.base import Scoped

Scope = str | Mapping[str, float]


@dataclass(frozen=True)
class Units:
    """The units of one layer: its weight (units, ...), its bias (units,) if that is in scope, and the factor of λ."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    factor: float


def names_in_scope(model: nn.Module, scope: str) -> list[str]:
    """Return the names of the parameters that a scope selects.

    Args:
        model: the model; may be on the meta device.
        scope: `all`; `weights`, the parameters of two or more dimensions (no biases, no normalization parameters); or
            a regular expression that must match a parameter's whole name.

    Raises:
        ConfigError: the scope is not a valid regular expression, or it matches nothing.
    """
    names = dict(model.named_parameters())
    if scope == "all":
        return list(names)
    if scope == "weights":
        return [name for name, parameter in names.items() if parameter.dim() >= 2]
    try:
        chosen = [name for name in names if re.fullmatch(scope, name)]
    except re.error as error:
        raise ConfigError(f"reg.scope={scope}: not a valid regular expression ({error})") from None
    if not chosen:
        raise ConfigError(
            f"reg.scope={scope} matches no parameter. Allowed: all, weights, or a regular expression that matches a"
            f" whole name of {', '.join(names)}"
        )
    return chosen


def in_scope(model: nn.Module, scope: Scope) -> list[Scoped]:
    """Return the parameters that a scope selects, in the order of the model.

    Args:
        model: the model; may be on the meta device.
        scope: one scope, see `names_in_scope`; or several, each with a factor. The λ of a parameter is the run's λ
            times its factor.

    Raises:
        ConfigError: a scope selects nothing, a factor is negative, or two scopes select one parameter.
    """
    factors: dict[str, float] = {}
    for one, factor in (scope if isinstance(scope, Mapping) else {scope: 1.0}).items():
        if not isinstance(factor, int | float) or isinstance(factor, bool) or not 0 <= factor < float("inf"):
            raise ConfigError(
                f"reg.scope: {one} has factor {factor}. A number of at least 0 is allowed. lam is multiplied by it"
            )
        for name in names_in_scope(model, one):
            if name in factors:
                raise ConfigError(f"reg.scope={scope}: two entries select {name}. Only one may select it")
            factors[name] = float(factor)
    return [Scoped(name, p, factors[name]) for name, p in model.named_parameters() if name in factors]


def hidden_layers(model: nn.Module) -> list[tuple[str, nn.Linear | nn.modules.conv._ConvNd]]:
    """Return all layers with weights except the last one, which computes the logits."""
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    return layers[:-1]


def hidden_units(model: nn.Module, scoped: Sequence[Scoped]) -> list[Units]:
    """Return the units of each hidden layer whose incoming weights are in scope.

    Raises:
        ConfigError: there is no such layer.
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
        reason = f"none of {', '.join(weights)} is in scope" if weights else "this model has no hidden units"
        raise ConfigError(f"it works on the weights into hidden units, but {reason}")
    return units


def matrices(scoped: Sequence[Scoped]) -> list[Scoped]:
    """Return the parameters of two or more dimensions: the weights of layers.

    Raises:
        ConfigError: there are none.
    """
    found = [s for s in scoped if s.parameter.dim() >= 2]
    if not found:
        raise ConfigError(f"it works on weight matrices, and none of {', '.join(s.name for s in scoped)} is one")
    return found


def as_matrix(w: Tensor) -> Tensor:
    """Return a weight as a matrix (units, inputs). It may be a copy: weights of convolutions can be channels-last."""
    return w.flatten(1)
