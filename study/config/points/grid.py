"""Expand the overrides of a command line, and a study's `variants` and `seeds`, into the points of a sweep."""

import itertools
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, OverrideType, Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from study.errors import ConfigError
from study.seeds import Seed, crossed

# How to run, not what: one value for the whole sweep.
ENGINE_KEYS = (
    *(
        "name",
        "seeds",
        "half_width",
        "max_seeds",
        "variants",
        "device",
        "threads",
        "workers",
        "data.root",
        "on_failure",
        "loop",
        "lockstep",
        "dry_run",
    ),
    *("logger", "primary", "equivalence", "hypotheses", "select", "tune", "suite", "allow"),
    *("checkpoint_every", "keep_checkpoint", "keep_model", "retry_failed"),
)

MAPPINGS = ("reg.scope",)  # keys whose value may be a mapping; any other mapping is written key by key
MOST_RUNS = 100_000  # of a sweep: more are probably a typing error
Point = list[str]  # overrides, one value each
Setting = Mapping[str, Any]  # of a suite: values by the keys of overrides


def points(
    base: DictConfig,
    parser: OverridesParser,
    arguments: Sequence[str],
    multirun: bool,
    seeds: Sequence[Seed] | None = None,
    suite: Sequence[Setting] = (),
) -> list[Point]:
    """List all points of a sweep, with seeds varying fastest. A single run is a sweep of one point.

    A key given on the command line replaces that key of the study's `variants`. Each variant is trained in each setting
    of the study's `suite`.

    Args:
        base: the config composed from the overrides that do not sweep.
        parser: parses overrides; it needs a config loader to know which keys are groups.
        arguments: overrides of the command line.
        multirun: whether `-m` was given.
        seeds: the seeds; None: those of the config.
        suite: the settings, from `suite.read_suite`.

    Raises:
        ConfigError: several values where one is allowed, `seeds` together with `seed`, or too many runs.
    """
    given = {override.key_or_group: override for override in parser.parse_overrides(list(arguments))}
    variants = _as_variants(base.variants)
    seeds = as_seeds(base.seeds) if seeds is None else seeds
    for key, override in given.items():
        if not override.is_sweep_override():
            continue
        if key in ENGINE_KEYS:
            listed = f", or the list {key}=[{override.get_value_string()}]" if key == "logger" else ""
            raise ConfigError(f"{override.input_line}: {key} says how a sweep is run. Give one value{listed}")
        if not (multirun or variants or seeds or suite):
            raise ConfigError(
                f"{str(override.input_line).lstrip('+')} has several values. Add -m to train one run for each,"
                f" or quote a value that contains a comma: {key}='...'"
            )
    split = [key for key in given if key.startswith("seed.")]
    split += [f"seed.{key}" for key in base.get("seed") or ()] if OmegaConf.is_dict(base.get("seed")) else []
    split += [key for variant in variants for key in variant if key.startswith("seed.")]
    if seeds and split:
        raise ConfigError(
            f"{split[0]} and seeds are both given. Give one. For several seeds of the other sources: -m seed=0,1,2"
            f" {split[0]}=..."
        )
    if seeds and "seed" in given:
        raise ConfigError(
            "seed and seeds are both given. Give one: seeds=5 trains seeds 0 to 4, and seed=5 trains seed 5 only"
        )
    fixed = {
        key: list(itertools.islice(each_value(override), MOST_RUNS + 1))
        for key, override in given.items()
        if key not in ("seeds", "variants", "suite")
    }
    if seeds:
        fixed["seed"] = [f"seed={_as_element(seed)}" for seed in seeds]
    grids = []
    for setting in suite or [{}]:
        where = [[f"{key}={as_override(value)}"] for key, value in setting.items()]
        for variant in variants or [{}]:
            check_apart([setting], "variants", variant)
            own = {key: values for key, values in variant.items() if key not in fixed}
            if "seed" in fixed:
                own = {key: values for key, values in own.items() if not key.startswith("seed.")}
            grids.append([*where, *own.values(), *fixed.values()])
    if sum(math.prod(map(len, grid)) for grid in grids) > MOST_RUNS:
        raise ConfigError(
            f"this sweep has more than {MOST_RUNS:,} runs. Give fewer values or seeds, or split it into several sweeps"
            " with the same name"
        )
    return [list(point) for grid in grids for point in itertools.product(*grid)]


def check_apart(suite: Sequence[Setting], where: str, keys: Collection[str]) -> None:
    """Refuse keys that both the settings and something else set.

    Args:
        suite: the settings.
        where: what else sets keys, such as `variants`.
        keys: the keys that it sets.

    Raises:
        ConfigError: both set a key.
    """
    for setting in suite:
        for key in setting:
            if key in keys:
                raise ConfigError(f"{where} and suite both set {key}. Leave it out of one of them")


def first_values(given: Mapping[str, Override]) -> Point:
    """Return the first value of each override that belongs to the config of a run."""
    return [next(each_value(override)) for key, override in given.items() if key not in ENGINE_KEYS]


def fixed_overrides(parser: OverridesParser, arguments: Sequence[str]) -> dict[str, str]:
    """Return the overrides of the command line of a tuned study, by key.

    Raises:
        ConfigError: one of them has several values.
    """
    given = {override.key_or_group: override for override in parser.parse_overrides(list(arguments))}
    for key, override in given.items():
        if override.is_sweep_override():
            raise ConfigError(
                f"{override.input_line}: with tune, {key} must have one value. To vary it, use tune.spaces or tune.per"
            )
    return {key: next(each_value(override)) for key, override in given.items()}


def as_seeds(seeds: Any) -> list[Seed]:
    """Turn `seeds` into a list: 5 gives [0, 1, 2, 3, 4], a list stays as it is, None gives [].

    `{crossed: 7}` gives 49 combinations of 7 seeds of each source of randomness; see `study.seeds.crossed`.

    Raises:
        ConfigError: `seeds` is anything else.
    """
    if seeds is None:
        return []
    listed: Any = OmegaConf.to_container(seeds) if OmegaConf.is_config(seeds) else seeds
    if isinstance(listed, Mapping) and list(listed) == ["crossed"]:
        return crossed(listed["crossed"])
    if isinstance(listed, int) and not isinstance(listed, bool) and listed > 0:
        if listed > MOST_RUNS:
            raise ConfigError(f"seeds={listed}: must be at most {MOST_RUNS:,}")
        return list(range(listed))
    whole = isinstance(listed, list) and all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in listed)
    if not whole or not listed:
        raise ConfigError(
            f"seeds={listed}: must be a number of seeds (seeds=5), a list of seeds (seeds=[0,3]), auto with half_width,"
            " or {crossed: 7} for 7 seeds of each source of randomness"
        )
    return listed


def _as_variants(variants: Any) -> list[dict[str, list[str]]]:
    """Return each variant as its overrides by key. A list as value gives several overrides."""
    result = []
    listed: Any = OmegaConf.to_container(variants, resolve=False)
    for variant in listed:
        if not isinstance(variant, Mapping):
            raise ConfigError(
                f"variants: {variant} must be a mapping of keys to values. Example: {{reg: l1, lam: [1e-5, 1e-4]}}"
            )
        flat = flattened_overrides(variant)
        for key in flat:
            if key in ENGINE_KEYS:
                raise ConfigError(
                    f"variants: {key} says how a sweep is run, so it must be the same for all variants. Give {key}"
                    " beside variants"
                )
            if key == "experiment":
                raise ConfigError(
                    "variants: experiment is not allowed here, because an experiment has its own variants. For several"
                    " experiments: -m experiment=a,b"
                )
        result.append(
            {
                key: [
                    f"{'++' if key.startswith('seed.') else ''}{key}={as_override(v)}"
                    for v in (value if isinstance(value, list) else [value])
                ]
                for key, value in flat.items()
            }
        )
    return result


def flattened_overrides(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a mapping by the keys of overrides: `{data: {label_noise: 0.1}}` has `data.label_noise`."""
    return dict(_flatten(tree))


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and f"{prefix}{key}" not in MAPPINGS:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_override(value: Any) -> str:
    """Write a YAML value in Hydra's override grammar."""
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9_./+-]+", value):
        return QuotedString(value, Quote.single).with_quotes()
    return value if isinstance(value, str) else _as_element(value)


def _as_element(value: Any) -> str:
    """Write a value as it stands within a list or a mapping, where a text needs quotes to stay a text."""
    if isinstance(value, Mapping):
        # Keys have no quotes in Hydra's grammar.
        keys = (re.sub(r"[\\()\[\]{}:=,\s]", r"\\\g<0>", str(key)) for key in value)
        return "{" + ", ".join(f"{key}: {_as_element(v)}" for key, v in zip(keys, value.values(), strict=True)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_element, value)) + "]"
    return QuotedString(value, Quote.single).with_quotes() if isinstance(value, str) else json.dumps(value)


def each_value(override: Override) -> Iterator[str]:
    """Yield the override once for each of its values, spelled as by Hydra's own sweeper."""
    key = override.get_key_element()
    if override.type == OverrideType.DEL:
        yield str(override.input_line)
    elif not override.is_sweep_override():
        yield f"{key}={override.get_value_element_as_str()}"
    elif override.is_discrete_sweep():
        values = _names(override) if isinstance(override.value(), Glob) else list(override.sweep_string_iterator())
        if not values:
            raise ConfigError(
                f"{override.input_line} names no value. Give one value or more. study --help lists options"
            )
        yield from (f"{key}={value}" for value in values)
    else:
        raise ConfigError(
            f"{override.input_line}: this kind of sweep is not allowed. Allowed: a list of values, choice(...),"
            " range(...), glob(...)"
        )


def _names(override: Override) -> list[str]:
    """The options that match a pattern, as values of overrides, quoted because file names may have any characters."""
    glob: Any = override.value()
    for patterns in (glob.include, glob.exclude):
        patterns[:] = [getattr(pattern, "text", pattern) for pattern in patterns]  # Hydra cannot match quoted ones
    return [as_override(name.replace("${", "\\${")) for name in override.sweep_string_iterator()]
