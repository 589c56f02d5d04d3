"""Check the settings of a suite before anything is trained, each by a run in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from study.config.points.compose import Composer
from study.config.points.grid import Setting, as_override
from study.config.points.suite import words_of
from study.config.run_config import ResolvedRun
from study.errors import ConfigError


def check_settings(
    composer: Composer, base: DictConfig, suite: Sequence[Setting], fixed: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Compose one run in each setting, and return what status.json calls the setting of this run.

    Args:
        composer: composes the runs.
        base: the config composed from the overrides that do not sweep.
        suite: the settings.
        fixed: further overrides of all runs, one value each.

    Raises:
        ConfigError: a setting is not allowed, equals another one, or has another task. The message names it.
    """
    runs: list[ResolvedRun] = []
    errors: dict[str, list[Setting]] = {}
    for setting in suite:
        own = [f"{key}={as_override(value)}" for key, value in setting.items()]
        try:
            runs += composer.compose_each([(base, [[*own, *fixed]])])
        except ConfigError as error:
            errors.setdefault(str(error), []).append(setting)
    if errors:
        if len(errors) == 1 and len(next(iter(errors.values()))) == len(suite) > 1:  # a mistake beside the suite
            raise ConfigError(next(iter(errors)))
        lines = [f"suite: {words_of(setting)}: {error}" for error, where in errors.items() for setting in where]
        raise ConfigError("\n".join(lines))
    for place, (run, setting) in enumerate(zip(runs, suite, strict=True)):
        same = [other for earlier, other in zip(runs[:place], suite, strict=False) if earlier.run_id == run.run_id]
        if same:
            raise ConfigError(f"suite: {words_of(same[0])} and {words_of(setting)} are the same setting. Leave one out")
    other = next((place for place, run in enumerate(runs) if run.task != runs[0].task), None)
    if other is not None:
        raise ConfigError(
            f"suite: {words_of(suite[other])} is a {runs[other].task}, and {words_of(suite[0])} a {runs[0].task}. Their"
            " scores cannot be compared. Train each task in a study of its own"
        )
    return [run.setting for run in runs]
