"""The command that repeats a run: the settings of its config that differ from the defaults in conf/."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from study.config.points.grid import as_override
from study.config.run_config import GROUPS, RunConfig, arguments

TOP = ("batch_size", "budget", "clip_norm", "precision", "score_train", "threads")
GENERAL = {
    "data": ("split", "val_size", "train_size", "label_noise", "standardize", "standardize_target"),
    "reg": ("scope", "schedule", "ramp"),
}
UNSET = ("scope", "ramp", "standardize_target")  # a config has null for them where they have no meaning


class Conf:
    """The defaults in folders of options. Each file is read once.

    Attributes:
        top: the content of config.yaml.
        chosen: by group, the option that a run has unless another is chosen.
    """

    def __init__(self, folders: Sequence[Path]):
        self._folders = folders
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self.top = _content(folders[-1] / "config.yaml")
        listed = [item for item in self.top.get("defaults") or [] if isinstance(item, dict)]
        self.chosen: dict[str, Any] = {group: option for item in listed for group, option in item.items()}

    def is_own(self, group: str, option: str) -> bool:
        """Whether an option is the user's own: not in the last of the folders, which is this project's."""
        return not self.defaults(group, option).get("of_project", False)

    def defaults(self, group: str, option: str) -> dict[str, Any]:
        """The settings of an option before anything is overridden, and `of_project`."""
        key = (group, option)
        if key not in self._known:
            found = [_content(folder / group / f"{option}.yaml") for folder in self._folders]
            settings = {**(self.top.get(group) or {}), **next(filter(None, found), {})}
            self._known[key] = settings | {"of_project": bool(found[-1])}
        return self._known[key]


def _content(file: Path) -> dict[str, Any]:
    """The content of an option's file, with values from other keys as they stand; empty if there is none."""
    try:
        content = OmegaConf.to_container(OmegaConf.create(file.read_text(encoding="utf-8")), resolve=False)
    except (OSError, YAMLError, OmegaConfBaseException, ValueError):
        return {}
    return {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}


def repeat_command(config: RunConfig, conf: Conf, own_options: Callable[[], Sequence[str]] = list) -> str:
    """Return the command that trains a run again, in a study of its own.

    Args:
        config: the config of the run.
        conf: the defaults.
        own_options: returns the arguments that name the user's folders of options; called if the run needs them.
    """
    flags = own_options() if any(conf.is_own(group, getattr(config, group)["option"]) for group in GROUPS) else []
    parts = [f"reg={as_override(config.reg['option'])}"]
    if "parts" in config.reg:
        parts.append(f"reg.parts={as_override([_part(part) for part in config.reg['parts']])}")
    elif config.reg["option"] != "none" and config.lam is not None:
        parts.append(f"lam={as_override(config.lam)}")
    own = [f"seed={config.seed}"] if isinstance(config.seed, int) else [f"seed.{k}={n}" for k, n in config.seed.items()]
    parts += [*own, f"data={as_override(config.data['option'])}", f"epochs={config.epochs}"]
    parts += [f"{key}={as_override(value)}" for key in TOP if (value := getattr(config, key)) != conf.top.get(key)]
    for group in GROUPS:
        values = getattr(config, group)
        if group not in ("data", "reg") and values["option"] != conf.chosen.get(group):
            parts.append(f"{group}={as_override(values['option'])}")
        if "parts" not in values:
            parts += _of_group(group, values, conf)
    parts.append(f"name={config.name}_again")
    return shlex.join(["study", *flags, *parts])


def _of_group(group: str, values: Mapping[str, Any], conf: Conf) -> list[str]:
    """Return the overrides of the settings of one group that are not the defaults."""
    settings = arguments(values) | {key: values[key] for key in GENERAL.get(group, ()) if key in values}
    defaults = conf.defaults(group, values["option"])
    return [
        f"{group}.{key}={as_override(value)}"
        for key, value in settings.items()
        if not (key in defaults and defaults[key] == value) and not (value is None and key in UNSET)
    ]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of a combined regularizer as the command line takes it."""
    settings = {key: part[key] for key in GENERAL["reg"] if part.get(key) is not None}
    return {"reg": part["option"], "lam": part["lam"], **arguments(part), **settings}
