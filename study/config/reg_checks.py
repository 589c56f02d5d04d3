"""Check the regularizers of a config: arguments, λ, scope and schedule, and what they set in the model."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from study.config.build import build_regularizer, errors_of_target, locate, neutral_option
from study.config.group_checks import typed
from study.errors import ConfigError, one_line
from study.regularizers import Penalty, Regularizer, Scoped
from study.regularizers.combined import SCHEDULES

REG_KEYS = ("option", "_target_", "lam", "scope", "schedule", "ramp")


def checked_part(given: Mapping[str, Any], epochs: int) -> tuple[dict[str, Any], Regularizer]:
    """Check one regularizer's arguments, λ, scope and schedule; return them, and the regularizer.

    A key that the regularizer does not use is set to its neutral value.
    """
    own = {key: value for key, value in given.items() if key not in REG_KEYS}
    head = {"option": given["option"], "_target_": given["_target_"]}
    supplied = 0 if inspect.isclass(locate("reg", given["_target_"])) else 1
    arguments = typed("reg", str(given["_target_"]), json.dumps(own), supplied)
    regularizer = build_regularizer({**head, **arguments})
    part = {**head, **arguments, **{"lam": 0.0, "scope": None, "schedule": "constant", "ramp": None}}
    if regularizer.takes_lam:
        part |= _checked_lam(given, regularizer, epochs)
    if regularizer.takes_scope:
        part["scope"] = given.get("scope", "all")
        if not isinstance(part["scope"], str | Mapping):
            raise ConfigError(
                f"reg.scope={part['scope']}: must be all, weights, a type of module, a regular expression, or a"
                " mapping of these to factors of lam"
            )
    return part, regularizer


def _checked_lam(given: Mapping[str, Any], regularizer: Regularizer, epochs: int) -> dict[str, Any]:
    """Check λ and its schedule."""
    lam, option = given.get("lam"), given["option"]
    if lam is None:
        raise ConfigError(f"reg={option} has no default for lam. Give a value. Example: lam=1e-4")
    if not isinstance(lam, int | float) or isinstance(lam, bool):
        raise ConfigError(f"lam={lam}: must be a number. Example: lam=1e-4")
    regularizer.lam_range.check(lam)
    schedule, ramp = given.get("schedule", "constant"), given.get("ramp")
    if schedule not in SCHEDULES:
        raise ConfigError(f"reg.schedule={schedule}: allowed: {', '.join(SCHEDULES)}")
    if schedule == "constant":
        return {"lam": float(lam), "schedule": schedule, "ramp": None}
    if not regularizer.acts:
        raise ConfigError(
            f"reg.schedule={schedule}: must be constant, because the lam of reg={option} is an option of the model"
        )
    if ramp is not None and (not isinstance(ramp, int) or isinstance(ramp, bool) or ramp < 1):
        raise ConfigError(f"reg.ramp={ramp}: must be a whole number of epochs ≥ 1, or null for all epochs")
    return {"lam": float(lam), "schedule": schedule, "ramp": ramp or epochs}


def with_options(model: Mapping[str, Any], part: Mapping[str, Any], regularizer: Regularizer) -> Mapping[str, Any]:
    """Add the options that a regularizer sets to the model group."""
    with errors_of_target("reg", part):
        options = dict(regularizer.model_options(part["lam"]))
    for key, value in options.items():
        if key not in model:
            raise ConfigError(
                f"reg={part['option']} sets model.{key}, and model={model['option']} has no such option. Allowed:"
                f" {', '.join(f'model={name}' for name in regularizer.of_models) or 'a model that has it'}"
            )
        if model[key] not in (value, neutral_option(model, key)):
            raise ConfigError(
                f"model.{key}={model[key]} contradicts reg={part['option']}, which sets it to {value}. Leave one out"
            )
    return {**model, **options} if options else model


def check_value(part: Mapping[str, Any], regularizer: Regularizer, scoped: Sequence[Scoped]) -> None:
    """Try a user's penalty on one tensor, so that an error shows before training starts."""
    if part["_target_"].startswith("study.") or not isinstance(regularizer, Penalty):
        return
    w = torch.ones(scoped[0].parameter.shape)
    try:
        value = regularizer.value(w)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ConfigError(
            f"reg={part['option']}: {part['_target_']} fails on a tensor of shape {tuple(w.shape)}"
            f" ({type(error).__name__}: {one_line(error)}). It must take one tensor and return a scalar tensor"
        ) from None
    if not (isinstance(value, torch.Tensor) and value.dim() == 0):
        raise ConfigError(f"reg={part['option']}: {part['_target_']} must return a scalar tensor, the penalty R(w)")
