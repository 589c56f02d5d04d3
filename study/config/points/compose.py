"""Compose and check the config of each point of a sweep.

Hydra takes 0.1 s or more to compose a config, so it composes once for each distinct choice of groups. Most points of a
sweep differ in plain values only, such as `lam=` or `seed=`. Such a value is set in a copy of the config that Hydra has
composed for the same groups. The base config, from which the settings of the sweep are read, is the first of these.
Where possible, `values` sets it in the resolved content of such a config, without a copy.
"""

import copy
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from study.config.hydra_settings import check_hydra
from study.config.points.experiments import once_per_sweep
from study.config.points.grid import Point, each_value
from study.config.points.parsing import OverridesOnce
from study.config.points.values import PlainValues, is_plain
from study.config.resolve import content_of, resolve_content
from study.config.run_config import ResolvedRun
from study.errors import USER_ERRORS, ConfigError, one_line
from study.seeds import BASE


class Composer:
    """Composes the points of one command, and keeps the configs that Hydra has composed for later points."""

    def __init__(self, loader: ConfigLoader, parser: OverridesOnce):
        self.loader, self.parser = loader, parser
        self.bases: list[tuple[DictConfig, BaseComposer]] = []

    def compose_each(self, parts: Sequence[tuple[DictConfig, Sequence[Point]]]) -> list[ResolvedRun]:
        """Compose, check and identify the run of every point.

        Args:
            parts: pairs of a base config and the overrides of each of its points. A base config is composed from the
                overrides that do not sweep, and has Hydra's own node.

        Raises:
            ConfigError: one or more points are not allowed; the message has one line for each mistake.
        """
        from study.config import checks  # imports torch, and composing and --help do not need it

        if not self.bases:
            checks.forget()
        configs, errors = [], []
        for base, points in parts:
            try:
                configs += self._of(base).compose_all(points)
            except ConfigError as error:
                errors.append(str(error))
        if errors:
            raise ConfigError("\n".join(errors))
        return configs

    def _of(self, base: DictConfig) -> "BaseComposer":
        for known, composer in self.bases:
            if known is base:
                return composer
        composer = BaseComposer(base, self.loader, self.parser)
        self.bases.append((base, composer))
        return composer


class BaseComposer:
    """Composes the points of one base config."""

    def __init__(self, base: DictConfig, loader: ConfigLoader, parser: OverridesOnce):
        self.config_name = base.hydra.job.config_name
        self.hydra_overrides = list(base.hydra.overrides.hydra)
        self.groups = set(base.hydra.runtime.choices)
        self.loader, self.parse = loader, parser.parse
        self.is_value = lru_cache(maxsize=None)(lambda line: self._sets_value(self.parse(line)))
        self.once_composed: dict[tuple[str, ...], dict[str, Any]] = {}
        self.composed: dict[tuple[str, ...], _Composed] = {}
        self.contents: dict[tuple[Any, ...], tuple[PlainValues, Mapping[str, str]] | None] = {}
        self.checked: dict[tuple[str, ...], ResolvedRun] = {}
        self.once = once_per_sweep(base)
        self.base = _Composed.of(copy.deepcopy(base))
        given = [self.parse(line) for line in base.hydra.overrides.task]
        self.given = [override.key_or_group for override in given]
        self.of_base = {line for override in given if not override.is_sweep_override() for line in each_value(override)}
        self.groups_of_base = {line for line in self.of_base if self.parse(line).key_or_group in self.groups}

    def compose_all(self, points: Sequence[Point]) -> list[ResolvedRun]:
        """Compose, check and identify the run of every point; see `Composer.compose_each`."""
        configs: list[ResolvedRun] = []
        errors: dict[str, list[str]] = {}
        for point in points:
            try:
                if (key := tuple(point)) not in self.checked:
                    self.checked[key] = resolve_content(*self._content(point), self.reg_option)
                configs.append(self.checked[key])
            except USER_ERRORS as error:
                errors.setdefault(one_line(error), []).append(" ".join(point))
        if errors:
            more = {line: f" and {len(where) - 1} more" if where[1:] else "" for line, where in errors.items()}
            lines = [f"{line}  [{where[0]}{more[line]}]" for line, where in errors.items()]
            raise ConfigError("\n".join(errors if len(points) == 1 else lines))
        self.check_once()
        return configs

    def compose(self, point: Point) -> tuple[DictConfig, dict[str, str]]:
        """Return the config of a point, without Hydra's own node, and the option chosen for each group."""
        rest, values = self._split(point)
        of_source = any(override.key_or_group.startswith("seed.") for override in values)
        as_base = self._as_base(point, rest) and not of_source  # the base config has lost its seed to that of a source
        cfg, choices = self.base.copy() if as_base else self._by_hydra(rest)
        if of_source and isinstance(cfg.seed, int):
            cfg.seed = {BASE: cfg.seed}
        try:
            for override in values:
                OmegaConf.update(
                    cfg, override.key_or_group, override.value(), merge=True, force_add=override.is_force_add()
                )
        except USER_ERRORS:
            return self._by_hydra(tuple(point))  # fails as well, but with Hydra's own message
        return cfg, choices

    def _content(self, point: Point) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """The resolved content of a point's config, and the option chosen for each group."""
        rest, values = self._split(point)
        plain = [override for override in values if is_plain(override)]
        others = tuple(line for line in point if self.is_value(line) and not is_plain(self.parse(line)))
        keys = tuple(override.key_or_group for override in plain)
        group = (self._as_base(point, rest), rest, others, keys)
        known = self.contents.get(group)
        content = known[0].with_values(plain) if known else None
        if known and content is not None:
            return content, known[1]
        cfg, choices = self.compose(point)
        content = content_of(cfg, choices)
        if group not in self.contents:
            made = PlainValues.of(cfg, content, keys, [self.parse(line).key_or_group for line in others])
            self.contents[group] = (made, choices) if made else None
        return content, choices

    def _split(self, point: Point) -> tuple[tuple[str, ...], list[Override]]:
        """Divide the overrides of a point into those that Hydra composes, and those that set values."""
        rest = tuple(line for line in point if not self.is_value(line))
        return rest, [self.parse(line) for line in point if self.is_value(line)]

    def _as_base(self, point: Point, rest: tuple[str, ...]) -> bool:
        """Whether a point has the groups of the base config, so that only plain values may differ."""
        return self.of_base <= set(point) and set(rest) <= self.of_base and MISSING not in self.base.choices.values()

    def check_once(self) -> None:
        """Refuse options of single points that set a key for the whole sweep: such keys come from the base config.

        Raises:
            ConfigError: one line for each such key of each option.
        """
        errors = []
        for overrides, found in self.once_composed.items():
            if not self.groups_of_base <= set(overrides):
                continue
            options = " ".join(line for line in overrides if line not in self.of_base)
            errors += [
                f"{options}: its YAML file sets {key}, and all runs of a command must share {key}. In a sweep, only"
                f" options of experiment may differ in seeds and variants. Choose {options} alone, or give {key}=..."
                for key, value in self.once.items()
                if found.get(key) != value and not any(f"{given}.".startswith(f"{key}.") for given in self.given)
            ]
        if errors:
            raise ConfigError("\n".join(errors))

    def reg_option(self, name: str) -> Mapping[str, Any]:
        """The content of an option of `reg`."""
        content: Any = OmegaConf.to_container(self._by_hydra((f"reg={name}",))[0].reg, resolve=True)
        return content

    def _sets_value(self, override: Override) -> bool:
        """Whether an override sets the value of a key, and chooses no option."""
        key = override.key_or_group
        return (
            (override.type == OverrideType.CHANGE or (override.is_force_add() and key.startswith("seed.")))
            and override.package is None
            and key not in self.groups
            and not key.startswith("hydra.")
        )

    def _by_hydra(self, overrides: tuple[str, ...]) -> tuple[DictConfig, dict[str, str]]:
        if overrides not in self.composed:
            cfg = self.loader.load_configuration(self.config_name, [*self.hydra_overrides, *overrides], RunMode.RUN)
            check_hydra(cfg.hydra)
            self.once_composed[overrides] = once_per_sweep(cfg)
            self.composed[overrides] = _Composed.of(cfg)
        return self.composed[overrides].copy()


@dataclass(frozen=True)
class _Composed:
    """A composed config without Hydra's own node, and the option chosen for each group."""

    pickled: bytes  # copying a config by pickle takes a third of the time of copy.deepcopy
    choices: dict[str, str]

    @classmethod
    def of(cls, cfg: DictConfig) -> "_Composed":
        """Make it from a config of Hydra. Removes Hydra's own node from `cfg`."""
        choices: Any = OmegaConf.to_container(cfg.hydra.runtime.choices)
        with open_dict(cfg):
            del cfg["hydra"]
        return cls(pickle.dumps(cfg), choices)

    def copy(self) -> tuple[DictConfig, dict[str, str]]:
        """Return a copy that may be changed."""
        return pickle.loads(self.pickled), self.choices
