"""The settings of a suite: the data sets and models on which a study compares its variants."""

import itertools
from collections.abc import Collection, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from study.config.points.grid import ENGINE_KEYS, MOST_RUNS, Setting, flattened_overrides
from study.config.run_config import DATA_KEYS
from study.errors import ConfigError

EXAMPLE = "Example: suite=[{data: digits}, {data: wine, epochs: 20}]"


def read_suite(base: DictConfig, given: Collection[str] = ()) -> list[Setting]:
    """Return the settings of a suite, without keys that the command line gives; [] if the study is no suite.

    A list as value makes a setting for each of its values, as in `variants`. Settings that are equal because the
    command line gives the key in which they differ are one setting.

    Args:
        base: the config composed from the overrides that do not sweep.
        given: the keys on the command line. They replace keys of the settings, and options their own keys.

    Raises:
        ConfigError: `suite` is no list of mappings, or a setting has a key that does not belong there.
    """
    if base.suite is None:
        return []
    listed: Any = OmegaConf.to_container(base.suite, resolve=False) if OmegaConf.is_config(base.suite) else base.suite
    if not isinstance(listed, list):
        raise ConfigError(f"suite={listed}: must be a list of settings, each a mapping of overrides. {EXAMPLE}")
    if not listed:
        raise ConfigError(f"suite=[]: names no setting. Give settings, or suite=null for none. {EXAMPLE}")
    found: list[Setting] = []
    for one in listed:
        if not isinstance(one, Mapping) or not one:
            raise ConfigError(f"suite: {one} must be a mapping of keys to values. {EXAMPLE}")
        flat = flattened_overrides(one)
        for key, value in flat.items():
            _check_key(key, value, base)
        values = [value if isinstance(value, list) else [value] for value in flat.values()]
        found += [
            dict(zip(flat, each, strict=True)) for each in itertools.islice(itertools.product(*values), MOST_RUNS)
        ]
    for place, setting in enumerate(found):
        if setting in found[:place]:
            raise ConfigError(f"suite: {words_of(setting)} is there twice. Leave one out")
    kept: list[Setting] = []
    for setting in found:
        own = {key: value for key, value in setting.items() if not _is_replaced(key, setting, given)}
        if own not in kept:
            kept.append(own)
    return kept


def _is_replaced(key: str, setting: Setting, given: Collection[str]) -> bool:
    """Whether the command line replaces a key of a setting: itself, or the option whose own key it is."""
    group, _, own = key.partition(".")
    of_option = group in given and group in setting and own and not (group == "data" and own in DATA_KEYS)
    return key in given or bool(of_option)


def _check_key(key: str, value: Any, base: DictConfig) -> None:
    """Refuse keys that say what is compared, or how the sweep is run."""
    if value == []:
        raise ConfigError(f"suite: {key}=[]: names no value. A list makes a setting for each of its values")
    if key in ("reg", "lam") or key.startswith("reg."):
        where = "tune.spaces" if base.tune is not None else "variants"
        raise ConfigError(f"suite: {key} belongs to what is compared in each setting. Give it in {where}")
    if key in ("seed", "seeds"):
        instead = "tune.seeds and tune.fresh" if base.tune is not None else "seeds=5"
        raise ConfigError(f"suite: {key} must be the same in all settings. Give {instead} beside suite")
    if key == "experiment":
        raise ConfigError("suite: experiment is not allowed here. A setting names data, model and how long to train")
    if key in (*ENGINE_KEYS, "wait", "hydra") or key.startswith(("tune.", "hydra.", "hydra/")):
        raise ConfigError(
            f"suite: {key} says how a sweep is run, so it must be the same for all settings. Give {key} beside suite"
        )


def words_of(setting: Setting) -> str:
    """A setting as it is given: `{data: wine, epochs: 20}`."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in setting.items()) + "}"
