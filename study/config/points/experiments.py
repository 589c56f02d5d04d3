"""Several experiments in one sweep: each is expanded as if it were given alone, and all share one study name.

An option may set `seeds`, `variants`, `suite` and other keys that say how a sweep is run. These keys are read from one
config. So only two kinds of option may set them: one chosen for the whole command, and each option of `experiment`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from study.config.hydra_settings import check_hydra
from study.config.points.grid import each_value
from study.errors import ConfigError

GROUP = "experiment"
MULTIPLIERS = ("seeds", "variants", "suite")  # each experiment of a sweep has its own
ONCE = (
    "name",
    "tune",
    "allow",
    "primary",
    "equivalence",
    "hypotheses",
    "half_width",
    "max_seeds",
    "select",
    "loop",
    "lockstep",
    "workers",
    "on_failure",
    "retry_failed",
    "dry_run",
)
LAUNCHER = ("hydra/launcher", "hydra.launcher")  # the launcher's name, and its settings


def experiments_of(
    base: DictConfig, loader: ConfigLoader, parser: OverridesParser, arguments: Sequence[str]
) -> list[tuple[DictConfig, list[str]]]:
    """Split a sweep over experiments into its experiments.

    Args:
        base: the config composed from the overrides that do not sweep, with Hydra's own node.
        loader: composes configs.
        parser: parses overrides.
        arguments: overrides of the command line.

    Returns:
        For each experiment its config, and the arguments with this experiment alone. Without a sweep over experiments,
        one pair: `base` and the arguments.

    Raises:
        ConfigError: the experiments cannot be combined.
    """
    parsed = parser.parse_overrides(list(arguments))
    for override in parsed:
        if override.key_or_group == GROUP and isinstance(override.value(), list):
            raise ConfigError(f"{override.input_line}: a list is not allowed. For several experiments: -m {GROUP}=a,b")
    swept = [override for override in parsed if override.key_or_group == GROUP and override.is_sweep_override()]
    if not swept:
        return [(base, list(arguments))]
    (override,) = swept[-1:]
    fixed = [*base.hydra.overrides.hydra, *(o.input_line for o in parsed if o.key_or_group != GROUP)]
    found = []
    for line in dict.fromkeys(each_value(override)):
        config = loader.load_configuration(base.hydra.job.config_name, [*fixed, line], RunMode.MULTIRUN)
        check_hydra(config.hydra)
        found.append((config, [line if o in swept else str(o.input_line) for o in parsed]))
    _check_combinable(str(override.input_line), {lines[parsed.index(override)]: config for config, lines in found})
    return found


def once_per_sweep(config: DictConfig) -> dict[str, Any]:
    """The values of `ONCE`, `MULTIPLIERS` and `LAUNCHER` in a composed config, with interpolations unresolved."""
    keys = [key for key in (*ONCE, *MULTIPLIERS) if key in config]
    values: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=False)
    launcher = OmegaConf.to_container(config.hydra.launcher, resolve=False)
    return {**values, **dict(zip(LAUNCHER, (config.hydra.runtime.choices[LAUNCHER[0]], launcher), strict=True))}


def _check_combinable(asked: str, configs: Mapping[str, DictConfig]) -> None:
    for line, config in configs.items():
        if config.tune is not None and len(configs) > 1:
            raise ConfigError(
                f"{asked}: {line} sets tune, and a tuned study makes its own seeds and variants. Only experiments"
                f" without tune can be combined. Train it by a command of its own: study {line}"
            )
    values = {line: once_per_sweep(config) for line, config in configs.items()}
    for key in (*ONCE, *LAUNCHER):
        each = list(dict.fromkeys(str(own.get(key)) for own in values.values()))
        if len(each) > 1:
            listed = f" ({', '.join(each)})" if key != LAUNCHER[1] else ""
            raise ConfigError(
                f"{asked}: the experiments differ in {key}{listed}. All runs of a command must have one value."
                f" Give it: {key}=..."
            )
