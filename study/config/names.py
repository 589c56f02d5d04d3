"""Names of variants and runs: regularizer, λ, and the other settings that vary in a study."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from study.config.run_config import GROUPS, RunConfig, arguments
from study.seeds import Seed, label_of

LONGEST_OPTION = 100  # bytes of an option's name in a folder's name; file systems limit that to 255
ID_DIGITS = 12


def settings(config: RunConfig, set_by_reg: Collection[str] = ()) -> dict[str, Any]:
    """The settings that may differ between variants of a study, by key, except reg, lam and seed.

    Args:
        config: the config of a run.
        set_by_reg: options of the model that its regularizers set. They are left out: reg and lam determine them.
    """
    flat: dict[str, Any] = {"epochs": config.epochs, "batch_size": config.batch_size, "budget": config.budget}
    flat |= {"clip_norm": config.clip_norm, "precision": config.precision, "score_train": config.score_train}
    for group in GROUPS:
        values = getattr(config, group)
        if group != "reg":
            flat[group] = values["option"]
        flat |= {f"{group}.{key}": value for key, value in arguments(values).items()}
    flat["data.split"] = config.data["split"]
    flat["data.train_size"] = config.data["train_size"]
    flat["data.label_noise"] = config.data["label_noise"]
    flat["data.standardize"] = config.data.get("standardize", "none")
    if config.data.get("standardize_target") is not None:
        flat["data.standardize_target"] = config.data["standardize_target"]
    for key in set_by_reg:
        del flat[f"model.{key}"]
    if "parts" in config.reg:
        flat["reg.parts"] = [f"{part['option']}{part['lam']:g}" for part in config.reg["parts"]]
    else:
        flat |= {f"reg.{key}": config.reg[key] for key in ("scope", "schedule", "ramp")}
    return flat


def varying_keys(each: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys whose values differ among the `settings` of runs that have them, in a fixed order."""
    # reg=none has no scope, and its name already tells it apart.
    return differing(
        {k: v for k, v in own.items() if not (k in ("reg.scope", "reg.ramp") and v is None)} for own in each
    )


def differing(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys whose values differ among the mappings that have them, in a fixed order."""
    seen: dict[str, set[str]] = {}
    for mapping in mappings:
        for key, value in mapping.items():
            seen.setdefault(key, set()).add(json.dumps(value))
    return [key for key, values in seen.items() if len(values) > 1]


def variant_key(option: str, lam: float | None, own: Mapping[str, Any], varying: Iterable[str]) -> str:
    """The key of a variant: regularizer, λ, and the settings that vary, such as `l1-lam0.0001-epochs60`.

    Args:
        option: the option of `reg`.
        lam: λ; None if the regularizer does not use it.
        own: the variant's `settings`.
        varying: the keys that differ between variants of its study.
    """
    parts = [for_file_name(option)]
    if lam is not None:
        parts.append(f"lam{lam:.15g}")
    varying = [key for key in varying if own.get(key) is not None]
    short = [key.rpartition(".")[2] for key in varying]
    for key, last in zip(varying, short, strict=True):
        label = last if short.count(last) == 1 else key
        parts.append(label + _readable(own[key]))
    return "-".join(parts)


def for_file_name(option: str) -> str:
    """Turn an option's name into part of a folder's name that is valid on all systems: `mine/l1` gives `mine.l1`."""
    valid = re.sub(r'^\.|[<>:"\\|?*]', "_", option.replace("/", "."))
    return valid.encode()[:LONGEST_OPTION].decode(errors="ignore")


def _readable(value: Any) -> str:
    text = "_".join(map(str, value)) if isinstance(value, list) else str(value)
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text)[:40]


def run_folder_name(key: str, seed: Seed, run_id: str) -> str:
    """The name of a run's folder: the variant's key, the seed, and the first digits of the run id."""
    return f"{key}-seed{label_of(seed)}-{run_id[:ID_DIGITS]}"
