"""Names of variants and runs: regularizer, λ, and the other settings that vary in a study."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from study.config.run_config import GROUPS, RunConfig, arguments
from study.seeds import Seed, label_of

LONGEST_OPTION = 100  # bytes of an option's name in a folder's name; file systems limit that to 255
ID_DIGITS = 12
NAMING = ("data", "model")  # keys whose value names a setting
LATER = {"data.val_size": None}  # settings that earlier versions did not record, with the value that their runs have


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
    flat["data.val_size"] = config.data.get("val_size")
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


def completed(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The `settings` that a run folder or a sweep recorded, with those that its version did not have."""
    return {**LATER, **recorded}


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


def told_apart(each: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Reduce settings to the fewest keys that tell each from all others, the data and the model first.

    Args:
        each: values by key, such as `data`, `model.hidden` and `epochs`.

    Returns:
        For each setting its values of these keys; empty if it does not differ from another one.
    """
    keys = list(dict.fromkeys([*NAMING, *(key for setting in each for key in setting)]))
    found: list[dict[str, Any]] = [{} for _ in each]

    def divide(places: Sequence[int]) -> None:
        divided = {key: _by_value(each, places, key) for key in keys}
        naming = [key for key in NAMING if len(divided[key]) > 1]
        key = naming[0] if naming else max(keys, key=lambda key: len(divided[key]))
        for group in divided[key] if len(divided[key]) > 1 else ():
            for place in group:
                found[place][key] = each[place].get(key)
            divide(group)

    divide(range(len(each)))
    return found


def _by_value(each: Sequence[Mapping[str, Any]], places: Sequence[int], key: str) -> list[list[int]]:
    """Group some settings by their value of a key."""
    groups: dict[str, list[int]] = {}
    for place in places:
        groups.setdefault(json.dumps(each[place].get(key)), []).append(place)
    return list(groups.values())


def short_names(each: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name settings by what tells them apart: `wine`, `digits, mlp`, `digits, linear, label_noise 0.2`."""
    names = []
    for parts, setting in zip(told_apart(each), each, strict=True):
        words = [_in_words(key, value) for key, value in parts.items() if value is not None]
        names.append(", ".join(words) or str(setting.get("data", "default")))
    return names


def _in_words(key: str, value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if key in NAMING else f"{key.rpartition('.')[2]} {text}"


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


def without_settings(key: str, setting: Mapping[str, Any]) -> str:
    """The key of a variant without the parts that some settings add to it: `l1-lam0.0001-datawine` is `l1-lam0.0001`.

    Args:
        key: from `variant_key`.
        setting: the settings, by key.
    """
    for name, value in setting.items():
        for label in (name, name.rpartition(".")[2]):
            key = re.sub(rf"-{re.escape(label + _readable(value))}(?=-|$)", "", key, count=1)
    return key


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
