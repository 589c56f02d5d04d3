"""What makes two runs the same experiment, and what a run is called.

A run's id is a hash of its canonical scientific config. Defaults are part of it, so editing one makes new runs;
where and how fast a run is trained is not.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from study.config.run_config import GROUPS, RunConfig, arguments
from study.errors import ConfigError

# Raised by a maintainer whenever the same config gives other numbers than before; stated in the changelog.
NUMERICS = 7

LONGEST_OPTION = 100  # bytes of an option's name in that of a folder, which systems limit to 255
ID_DIGITS = 12


def canonical(config: RunConfig) -> dict[str, Any]:
    """The scientific content of a config: what must agree for two runs to be the same experiment."""
    from study.config.build import build_dataset, build_regularizer, reg_parts
    from study.config.options import locate, source_checksum

    parts = [part for part in reg_parts(config) if build_regularizer(part).acts]
    targets = [("data", config.data), ("model", config.model), ("optimizer", config.optimizer)]
    targets += [("reg", part) for part in parts]
    sources = [source_checksum(locate(group, content["_target_"])) for group, content in targets]
    return {
        "numerics": NUMERICS,
        "seed": config.seed,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "budget": config.budget,
        "data": {
            **_content(config.data),
            "split": config.data["split"],
            "train_size": config.data["train_size"],
            "label_noise": config.data["label_noise"],
            "checksums": dict(build_dataset(config.data).checksums),
        },
        "model": _content(config.model),
        "optimizer": _content(config.optimizer),
        # What merely sets options of the model is the same run as one that names these options.
        "reg": [
            {**_content(part), **{key: part[key] for key in ("lam", "scope", "schedule", "ramp")}} for part in parts
        ],
        "sources": [checksum for checksum in sources if checksum],
    }


def _content(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"_target_": group["_target_"], **arguments(group)}


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def run_id(config: RunConfig) -> str:
    """SHA-256 of the canonical config, 64 hex digits."""
    return _hash(canonical(config))


def variant_id(config: RunConfig) -> str:
    """The same without the seed: equal for all runs of one variant."""
    return _hash({key: value for key, value in canonical(config).items() if key != "seed"})


def budget_free_id(config: RunConfig) -> str:
    """The run id without the number of epochs: equal for runs of which one is the beginning of the other."""
    return _hash({key: value for key, value in canonical(config).items() if key != "epochs"})


def settings(config: RunConfig) -> dict[str, Any]:
    """The settings that may tell variants of a study apart, by the key that sets them; reg, lam and seed aside."""
    from study.config.build import reg_parts

    flat: dict[str, Any] = {"epochs": config.epochs, "batch_size": config.batch_size, "budget": config.budget}
    for group in GROUPS:
        values = getattr(config, group)
        if group != "reg":
            flat[group] = values["option"]
        flat |= {f"{group}.{key}": value for key, value in arguments(values).items()}
    flat["data.split"] = config.data["split"]
    flat["data.train_size"] = config.data["train_size"]
    flat["data.label_noise"] = config.data["label_noise"]
    parts = reg_parts(config)
    for key in _model_options(parts):  # the name and λ of a regularizer say what it sets
        del flat[f"model.{key}"]
    if "parts" in config.reg:
        flat["reg.parts"] = [f"{part['option']}{part['lam']:g}" for part in parts]
    else:
        flat |= {f"reg.{key}": config.reg[key] for key in ("scope", "schedule", "ramp")}
    return flat


def _model_options(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """The options of the model that regularizers set; nothing for a user's own code that is gone."""
    from study.config.build import build_regularizer

    keys: list[str] = []
    for part in parts:
        with suppress(ConfigError):
            keys += build_regularizer(part).model_options(part["lam"])
    return keys


def varying_keys(configs: Iterable[RunConfig]) -> list[str]:
    """The settings in which configs differ where they have them at all, in a fixed order."""
    # none has no scope, and differs by its name
    return differing(
        {k: v for k, v in settings(config).items() if not (k in ("reg.scope", "reg.ramp") and v is None)}
        for config in configs
    )


def differing(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys in which mappings differ where they have them at all, in a fixed order."""
    seen: dict[str, set[str]] = {}
    for mapping in mappings:
        for key, value in mapping.items():
            seen.setdefault(key, set()).add(json.dumps(value))
    return [key for key, values in seen.items() if len(values) > 1]


def variant_key(config: RunConfig, varying: Iterable[str]) -> str:
    """What a variant is called: regularizer, λ, and the settings that vary, `l1-lam0.0001-epochs60`."""
    from study.config.build import takes_lam

    parts = [for_file_name(config.reg["option"])]
    if takes_lam(config):
        parts.append(f"lam{config.lam:.15g}")
    own = settings(config)
    varying = [key for key in varying if own.get(key) is not None]
    short = [key.rpartition(".")[2] for key in varying]
    for key, last in zip(varying, short, strict=True):
        label = last if short.count(last) == 1 else key
        parts.append(label + _readable(own[key]))
    return "-".join(parts)


def for_file_name(option: str) -> str:
    """The name of an option as part of a folder's name: one in a subfolder (`mine/l1`) has no slash there."""
    return re.sub(r"^\.", "_", option.replace("/", ".")).encode()[:LONGEST_OPTION].decode(errors="ignore")


def _readable(value: Any) -> str:
    text = "_".join(map(str, value)) if isinstance(value, list) else str(value)
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text)[:40]


def run_folder_name(key: str, config: RunConfig, identity: str) -> str:
    """The name of a run's folder: the variant's key, the seed, and the first digits of the run id."""
    return f"{key}-seed{config.seed}-{identity[:ID_DIGITS]}"
