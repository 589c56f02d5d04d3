"""Options in YAML: keys besides `_target_` are arguments, checked against the signature of what it names."""

import hashlib
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from study.errors import ConfigError, one_line


def checked_arguments(
    group: str,
    target: Callable[..., Any],
    given: Mapping[str, Any],
    supplied: int | Collection[str] = 0,
    name: str | None = None,
) -> dict[str, Any]:
    """The arguments of a target, converted to its annotated types, its defaults filled in.

    Args:
        group: the config group, for messages.
        target: the class or function.
        given: arguments from YAML and the command line.
        supplied: parameters that the program itself supplies: how many leading ones, or their names.
        name: of the target, for messages; by default where it is defined.

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
        raise ConfigError(f"{group}.{unknown[0]}: {name or _name(target)} has no such argument; allowed: {allowed}")
    try:
        schema = OmegaConf.structured(make_dataclass(group, [_field(p, p.name in given) for p in parameters]))
        merged = OmegaConf.merge(schema, dict(given))
    except OmegaConfBaseException as error:
        key = str(error.full_key).split("[")[0].split(".")[0]
        if key not in known or key not in given:
            raise ConfigError(f"{group}: {one_line(error)}") from None
        allowed = {p.name: inspect.formatannotation(p.annotation) for p in parameters}[key]
        raise ConfigError(f"{group}.{key}={given[key]}: {allowed} is allowed") from None
    missing = [key for key in known if OmegaConf.is_missing(merged, key)]
    if missing:
        raise ConfigError(f"{group}.{missing[0]} is missing: {name or _name(target)} needs it")
    values: Any = OmegaConf.to_container(merged, resolve=True)
    return values


def _parameters(group: str, target: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a target; without annotations that name what is not there."""
    try:
        return list(inspect.signature(target, eval_str=True).parameters.values())
    except (TypeError, ValueError):  # of compiled code
        raise ConfigError(
            f"{group}._target_={_name(target)} has no readable signature; name a function of yours that calls it"
        ) from None
    except Exception:
        as_written = inspect.signature(target).parameters.values()
        return [p.replace(annotation=p.empty) if isinstance(p.annotation, str) else p for p in as_written]


def _field(parameter: inspect.Parameter, given: bool) -> tuple[str, Any, Any]:
    """A dataclass field for a parameter; a type that OmegaConf does not know becomes Any."""
    annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
    default = MISSING if parameter.default is parameter.empty else parameter.default
    made = field(default_factory=lambda: default) if isinstance(default, list | dict) else field(default=default)
    try:
        OmegaConf.structured(make_dataclass("probe", [(parameter.name, annotation, made)]))
    except OmegaConfBaseException:
        annotation = Any
    if annotation is Any and given and isinstance(default, list | tuple):
        made = field(default=None)  # with a list there, OmegaConf would let nothing but a list take its place
    return parameter.name, annotation, made


def source_checksum(target: Callable[..., Any]) -> str | None:
    """SHA-256 of the source file of a user's own target, None for this package's.

    A user who edits their penalty gets new runs; this package's own code is covered by the numerics version.
    """
    if (target.__module__ or "").split(".")[0] == "study":
        return None
    try:
        return hashlib.sha256(Path(str(inspect.getsourcefile(target))).read_bytes()).hexdigest()
    except (TypeError, OSError):  # compiled code has no source: its module's version has to do
        version = getattr(inspect.getmodule(target), "__version__", "")
        return hashlib.sha256(f"{target.__module__} {version}".encode()).hexdigest()


def _name(target: Callable[..., Any]) -> str:
    """The dotted name of a function or class, or of the class of another callable."""
    named = target if hasattr(target, "__qualname__") else type(target)
    return f"{named.__module__}.{named.__qualname__}" if named.__module__ else named.__name__
