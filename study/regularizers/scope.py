"""Select the parameters in a regularizer's scope, and find the hidden units of a model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from study.errors import ConfigError
from study.regularizers.base import Scoped

Scope = str | Mapping[str, float]
TYPE = r"[A-Z]\w*(\.\w+)?"  # what is meant as a type of module, if the model has no such parameter


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
        scope: one of these; the first that applies counts:
            `all`;
            `weights`: the parameters of two or more dimensions (no biases, no normalization parameters);
            a type of the model's modules, such as `Conv2d`: the parameters of these modules themselves, biases
            included, without those of modules inside them. Subclasses count, as in isinstance. `Conv2d.weight` selects
            only the parameters of that name;
            a regular expression that must match a parameter's whole name. If it looks like a type that the model has,
            escape it: `Conv2d[.]weight`.

    Raises:
        ConfigError: the scope is not a valid regular expression, or it selects nothing.
    """
    names = dict(model.named_parameters())
    if scope == "all":
        return list(names)
    if scope == "weights":
        return [name for name, parameter in names.items() if parameter.dim() >= 2]
    chosen = _of_type(model, *scope.split(".", 1)) or _matching(names, scope)
    if not chosen:
        kinds = [type(module).__name__ for module in model.modules() if [*module.parameters(recurse=False)]]
        types = ", ".join(dict.fromkeys(kinds))
        if re.fullmatch(TYPE, scope):
            raise ConfigError(
                f"reg.scope={scope}: this model has no such parameters. Types of its modules with parameters: {types}"
            )
        raise ConfigError(
            f"reg.scope={scope} matches no parameter. Allowed: all, weights, a type of module ({types}), or a regular"
            f" expression that matches a whole name of {', '.join(names)}"
        )
    return chosen


def _of_type(model: nn.Module, kind: str, own: str | None = None) -> list[str]:
    """Return the names of the parameters of modules of a type; with `own`, only those that a module calls so."""
    found = {
        id(parameter)
        for module in model.modules()
        if kind in _type_names(module)
        for name, parameter in module.named_parameters(recurse=False)
        if own in (None, name)
    }
    return [name for name, parameter in model.named_parameters() if id(parameter) in found]


def _type_names(module: nn.Module) -> list[str]:
    """Return the names of a module's class and of its base classes below nn.Module."""
    classes = type(module).__mro__
    return [found.__name__ for found in classes[: classes.index(nn.Module)]]


def _matching(names: Iterable[str], expression: str) -> list[str]:
    try:
        return [name for name in names if re.fullmatch(expression, name)]
    except re.error as error:
        raise ConfigError(f"reg.scope={expression}: not a valid regular expression ({error})") from None


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
