"""What a command line for runs asks for: its experiments, its tuning, its seeds."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig

from study.config.points import grid
from study.config.points.compose import Composer
from study.config.points.experiments import experiments_of
from study.config.points.parsing import OverridesOnce
from study.config.points.suite import read_suite
from study.config.run_config import check_name
from study.config.tuning.protocol import Tuning, read_tuning
from study.config.until_precise import AUTO, UntilPrecise, read_until
from study.errors import ConfigError
from study.sweep.suite import check_settings


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        base: the config composed from the overrides that do not sweep; with several experiments, that of the first.
        context: Hydra's context.
        parser: parses overrides.
        arguments: overrides of the command line.
        experiments: the config and the arguments of each experiment.
        suites: the settings of each experiment's suite.
        tuning: the protocol of a tuned study; None for other studies.
        until: the rule of seeds=auto; None if the seeds are given.
    """

    base: DictConfig
    context: HydraContext
    parser: OverridesOnce
    arguments: Sequence[str]
    experiments: Sequence[tuple[DictConfig, list[str]]]
    suites: Sequence[Sequence[grid.Setting]]
    tuning: Tuning | None
    until: UntilPrecise | None

    @classmethod
    def by(cls, base: DictConfig, context: HydraContext, arguments: Sequence[str]) -> "Asked":
        """Read a command line.

        Raises:
            ConfigError: a key that says how the study is run has a value that is not allowed.
        """
        parser = OverridesOnce(context.config_loader)
        experiments = [(base, list(arguments))]
        several = base.seeds is not None or base.variants or base.suite is not None
        if _multirun() or several:  # without these `points` refuses several values
            experiments = experiments_of(base, context.config_loader, parser, arguments)
        base = experiments[0][0]
        check_name(base.name)
        suites = [read_suite(own, _given(parser, lines)) for own, lines in experiments]
        tuning = read_tuning(base, suites[0])
        if tuning is not None and not base.wait:
            raise ConfigError(
                "wait=false: a tuned study trains in several steps, which this command takes. Leave it out"
            )
        if base.seeds == AUTO:
            for own, lines in experiments:  # refuses several values of half_width, which would look like none
                grid.points(own, parser, lines, _multirun(), range(1))
        until = read_until(base)
        if any((own.seeds == AUTO) != (until is not None) for own, _ in experiments):
            raise ConfigError("seeds=auto: some of the experiments have other seeds. Give seeds=... for all of them")
        return cls(base, context, parser, arguments, experiments, suites, tuning, until)

    def points(self, seeds: Sequence[int] | None = None) -> list[tuple[DictConfig, list[grid.Point]]]:
        """The config and the points of each experiment. `seeds`: None for those of the config."""
        each = zip(self.experiments, self.suites, strict=True)
        return [(own, grid.points(own, self.parser, lines, _multirun(), seeds, suite)) for (own, lines), suite in each]

    def checked_suite(self, composer: Composer) -> list[Mapping[str, Any]]:
        """The settings of all suites as status.json has them; see `suite.check_settings`."""
        found: list[Mapping[str, Any]] = []
        for (own, lines), suite in zip(self.experiments, self.suites, strict=True):
            fixed = grid.first_values(_given(self.parser, lines))
            found += check_settings(composer, own, suite, fixed) if suite else []
        return found

    def fixed(self) -> dict[str, str]:
        """The overrides of the command line of a tuned study, by key."""
        return grid.fixed_overrides(self.parser, self.arguments)


def _given(parser: OverridesOnce, lines: Sequence[str]) -> dict[str, Override]:
    """The overrides of a command line by key."""
    return {override.key_or_group: override for override in parser.parse_overrides(list(lines))}


def _multirun() -> bool:
    return not {"-m", "--multirun"}.isdisjoint(sys.argv)
