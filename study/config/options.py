"""Options in YAML: keys other than `_target_` are arguments, checked against the signature of the target."""

import hashlib
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from study.errors import ConfigError, one_line

PLAIN = (bool, int, float, str)  # types that OmegaConf knows


def checked_arguments(
    group: str,
    target: Callable[..., Any],
    given: Mapping[str, Any],
    supplied: int | Collection[str] = 0,
    name: str | None = None,
) -> dict[str, Any]:
    """Convert the arguments of a target to its annotated types, and fill in its defaults.

    Args:
        group: the config group, for messages.
        target: the class or function.
        given: arguments from YAML and the command line.
        supplied: parameters that the program itself supplies: how many leading ones, or their names.
        name: name of the target in messages; None: the dotted name under which it is defined.

    Raises:
        ConfigError: an argument is unknown, missing, or of the wrong type.
    """
    parameters = _parameters(group, target)
    if isinstance(supplied, int):
        parameters = parameters[supplied:]
    else:
        parameters = [p for p in parameters if p.name not in supplied]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(given)
    parameters = [p for p in parameters if p.kind is not p.VAR_POSITIONAL]
    known = [p.name for p in parameters]
    unknown = [key for key in given if key not in known]
    if unknown:
        allowed = ", ".join(known) if known else "none"
        raise ConfigError(f"{group}.{unknown[0]}: {name or _name(target)} has no such argument. Allowed: {allowed}")
    try:
        schema = OmegaConf.structured(make_dataclass(group, [_field(p, p.name in given) for p in parameters]))
        merged = OmegaConf.merge(schema, dict(given))
    except OmegaConfBaseException as error:
        key = str(error.full_key).split("[")[0].split(".")[0]
        if key not in known or key not in given:
            raise ConfigError(f"{group}: {one_line(error)}") from None
        allowed = {p.name: inspect.formatannotation(p.annotation) for p in parameters}[key]
        raise ConfigError(f"{group}.{key}={given[key]}: must be of type {allowed}") from None
    missing = [key for key in known if OmegaConf.is_missing(merged, key)]
    if missing:
        raise ConfigError(
            f"{group}.{missing[0]} is missing: {name or _name(target)} requires it. Give {group}.{missing[0]}=..."
        )
    values: Any = OmegaConf.to_container(merged, resolve=True)
    return values


def _parameters(group: str, target: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a target, without annotations that cannot be evaluated."""
    try:
        return list(inspect.signature(target, eval_str=True).parameters.values())
    except (TypeError, ValueError):  # compiled code
        raise ConfigError(
            f"{group}._target_={_name(target)} has no readable signature. Write a Python function that calls it, and"
            " name that function"
        ) from None
    except Exception:
        as_written = inspect.signature(target).parameters.values()
        return [p.replace(annotation=p.empty) if isinstance(p.annotation, str) else p for p in as_written]


def _field(parameter: inspect.Parameter, given: bool) -> tuple[str, Any, Any]:
    """Make a dataclass field for a parameter. A type that OmegaConf does not know becomes Any."""
    annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
    default = MISSING if parameter.default is parameter.empty else parameter.default
    made = field(default_factory=lambda: default) if isinstance(default, list | dict) else field(default=default)
    if type(default) is not annotation or annotation not in PLAIN:
        try:
            OmegaConf.structured(make_dataclass("probe", [(parameter.name, annotation, made)]))
        except OmegaConfBaseException:
            annotation = Any
    if annotation is Any and given and isinstance(default, list | tuple):
        made = field(default=None)  # OmegaConf replaces a default list only by another list
    return parameter.name, annotation, made


def source_checksum(target: Callable[..., Any]) -> str | None:
    """SHA-256 of the source file of a user's own target; None for a target of this package.

    A user who edits a penalty gets new runs. For this package's own code the numerics version does this.
    """
    if (target.__module__ or "").split(".")[0] == "study":
        return None
    try:
        return hashlib.sha256(Path(str(inspect.getsourcefile(target))).read_bytes()).hexdigest()
    except (TypeError, OSError):  # compiled code has no source, so its module's version stands for it
        version = getattr(inspect.getmodule(target), "__version__", "")
        return hashlib.sha256(f"{target.__module__} {version}".encode()).hexdigest()


def _name(target: Callable[..., Any]) -> str:
    """The dotted name of a function or class; for another callable, that of its class."""
    named = target if hasattr(target, "__qualname__") else type(target)
    return f"{named.__module__}.{named.__qualname__}" if named.__module__ else named.__name__
