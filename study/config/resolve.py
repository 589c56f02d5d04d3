"""Turn a composed Hydra config into a resolved run: typed, checked, with all defaults filled in."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError

from study.config.devices import kind_of
from study.config.run_config import (
    BUDGETS,
    GROUPS,
    LOOPS,
    ON_FAILURE,
    PRECISIONS,
    ResolvedRun,
    RunConfig,
    check_name,
)
from study.config.schema import StudySchema
from study.errors import ConfigError
from study.seeds import checked_seed
from study.tasks import TASKS

MOST_SLOTS = 4096  # of lockstep


def resolve(cfg: DictConfig, choices: Mapping[str, str], reg_option: Callable[[str], Mapping[str, Any]]) -> ResolvedRun:
    """Validate a composed config, freeze it, and compute its ids: `resolve_content` of its `content_of`."""
    return resolve_content(content_of(cfg, choices), choices, reg_option)


def content_of(cfg: DictConfig, choices: Mapping[str, str]) -> dict[str, Any]:
    """Check the keys of a composed config, and return its content with all interpolations resolved.

    Args:
        cfg: the composed config, without Hydra's own node.
        choices: the option chosen for each group.

    Raises:
        ConfigError: a key is not allowed or missing; the message lists what is allowed.
    """
    known = [key.name for key in fields(StudySchema)]
    for key in map(str, cfg):
        if key not in known:
            raise ConfigError(f"{key} is not a key of the config. Allowed: {', '.join(known)}")
    for key in known:
        if key not in cfg or (key in GROUPS and not choices.get(key)):
            raise ConfigError(f"{key} is missing: it cannot be removed. Set it: {key}=...")
    _check_given(cfg, choices)
    try:
        values: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except InterpolationKeyError as error:
        if error.full_key == "lam":
            raise ConfigError(f"reg={choices['reg']} has no default for lam. Give a value. Example: lam=1e-4") from None
        raise
    return values


def resolve_content(
    content: Mapping[str, Any], choices: Mapping[str, str], reg_option: Callable[[str], Mapping[str, Any]]
) -> ResolvedRun:
    """Validate the content of a config, freeze it, and compute its ids.

    To check the model's options and the scope, the model is built on torch's meta device. This allocates no memory.

    Args:
        content: as `content_of` returns it; it is not changed.
        choices: the option chosen for each group.
        reg_option: returns the content of an option of `reg` by name, for the parts of a combination.

    Raises:
        ConfigError: a value is not allowed; the message lists what is allowed.
    """
    from study.config import checks  # imports torch, and composing and --help do not need it

    values = dict(content)
    lowest = {"epochs": 1, "batch_size": 1, "threads": 1, "workers": 1, "score_train": 1, "lockstep": 1}
    for key, low in lowest.items():
        if values[key] is not None and values[key] < low:
            raise ConfigError(f"{key}={values[key]}: must be a whole number ≥ {low}")
    if values["lockstep"] > MOST_SLOTS:
        raise ConfigError(f"lockstep={values['lockstep']}: at most {MOST_SLOTS} runs are trained at once")
    for key, allowed in {"on_failure": ON_FAILURE, "loop": LOOPS, "budget": BUDGETS, "precision": PRECISIONS}.items():
        if values[key] not in allowed:
            raise ConfigError(f"{key}={values[key]}: allowed: {', '.join(allowed)}")
    if not 0 <= values["checkpoint_every"] < math.inf:
        raise ConfigError(f"checkpoint_every={values['checkpoint_every']}: must be a number of seconds ≥ 0")
    clip_norm = values["clip_norm"]
    if clip_norm is not None and not 0 < clip_norm < math.inf:
        raise ConfigError(f"clip_norm={clip_norm}: must be a finite number above 0, or null. Example: clip_norm=1.0")
    if values["task"] not in (None, *TASKS):
        raise ConfigError(f"task={values['task']}: allowed: {', '.join(TASKS)}")
    lam = values["lam"]
    if lam is not None and not (math.isfinite(lam) and lam >= 0):
        raise ConfigError(f"lam={lam}: must be a finite number ≥ 0. Example: lam=1e-4")
    if "parts" in values["reg"]:
        values["reg"] = _combination(values["reg"], choices["reg"], lam, reg_option)
    elif lam is None:
        raise ConfigError("lam=null: must be a finite number ≥ 0. Example: lam=1e-4")
    for group in GROUPS:
        combined = group == "reg" and "parts" in values[group]
        if "_target_" not in values[group] and not combined:
            raise ConfigError(
                f"{group}={choices.get(group)}: its YAML file has no _target_. Add the dotted name of a class or"
                " function. Example: _target_: my_module.my_function"
            )
        if "option" in values[group]:
            raise ConfigError(
                f"{group}.option is not allowed as a key: {group}={choices[group]} already names the option. Leave"
                f" {group}.option out"
            )
        if not choices[group].isprintable():
            raise ConfigError(
                f"{group}={choices[group]!a}: the name of an option must be printable text. Rename its file"
            )
        values[group] = {"option": choices[group], **values[group]}
    config = RunConfig(
        name=check_name(values["name"]),
        seed=checked_seed(values["seed"]),
        epochs=values["epochs"],
        batch_size=values["batch_size"],
        budget=values["budget"],
        lam=lam,
        **{group: values[group] for group in GROUPS},
        clip_norm=clip_norm,
        precision=values["precision"],
        score_train=values["score_train"],
        device=kind_of(values["device"]),
        threads=values["threads"],
        checkpoint_every=values["checkpoint_every"],
        keep_checkpoint=values["keep_checkpoint"],
        keep_model=values["keep_model"],
    )
    return checks.checked(config, values["task"])


def _check_given(cfg: DictConfig, choices: Mapping[str, str]) -> None:
    """Refuse a group whose option requires values (`???` in its YAML file) that are not given."""
    content: Any = OmegaConf.to_container(cfg, resolve=False)
    for group in GROUPS:
        keys = [f"{group}.{key}" for key, value in (content[group] or {}).items() if value == MISSING]
        if keys:
            values = " ".join(f"{key}=..." for key in keys)
            raise ConfigError(
                f"{group}={choices[group]} requires {' and '.join(keys)}. Give {values}; study help {keys[0]} explains"
                " it"
            )


def _combination(
    reg: Mapping[str, Any], option: str, lam: float | None, reg_option: Callable[[str], Mapping[str, Any]]
) -> dict[str, Any]:
    """Expand a group `reg` that combines several options: each part overrides keys of the option that it names."""
    if lam is not None:
        raise ConfigError(
            f"lam={lam}: each part of reg={option} has its own lam. Leave lam out, and set reg.parts=[...]"
        )
    of_parts = {"lam": None, "scope": "all", "schedule": "constant", "ramp": None}  # as conf/config.yaml has them
    foreign = [key for key, value in reg.items() if key != "parts" and value != of_parts.get(key, ...)]
    if foreign:
        raise ConfigError(f"reg.{foreign[0]}: each part of reg={option} has its own. Set it in reg.parts=[...]")
    given, example = reg["parts"], "[{reg: l1, lam: 1e-5}, {reg: dropout, lam: 0.25}]"
    if not (isinstance(given, list) and given and all(isinstance(part, Mapping) and "reg" in part for part in given)):
        raise ConfigError(f"reg.parts={given}: must be a list of options. Example: {example}")
    parts = []
    for part in given:
        content = dict(reg_option(str(part["reg"])))
        if "parts" in content or part["reg"] == "none":
            raise ConfigError(
                f"reg.parts: {part['reg']} cannot be a part of a combination. Allowed: options of reg other than none"
                " and combinations"
            )
        own = {key: value for key, value in part.items() if key != "reg"}
        parts.append({"option": part["reg"], **content, **own})
    return {"parts": parts}
