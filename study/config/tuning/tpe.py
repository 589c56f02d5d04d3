"""Trials proposed by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) from the scores so far."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from study.config.tuning.search import Choice, Dimension, Range
from study.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

START = 4  # trials before the first proposal: a power of two, for which a Sobol' sequence is even. 8 needed more epochs
AT_ONCE = 2  # trials in a round, whatever the number of cores: fewer see more scores, more can train side by side
MORE = 5  # scores, besides one for each key, that hyperband needs for a first proposal


def require_optuna(key: str) -> None:
    """Check that Optuna is installed. `key`: what the user has written, for the message.

    Raises:
        ConfigError: it is not.
    """
    if any((spec := find_spec(name)) is None or spec.origin is None for name in ("optuna", "sqlalchemy")):
        raise ConfigError(f'{key}: requires the extra tune. pip install "regstudy[tune]"')


def optuna_version() -> str:
    """The version of Optuna. Another one may propose other trials for the same scores."""
    return version("optuna")


def propose(
    space: Mapping[str, Dimension],
    known: Sequence[tuple[Mapping[str, Any], float]],
    count: int,
    seed: Sequence[int],
) -> list[dict[str, Any]]:
    """Propose the values of further trials.

    The estimator models all keys together. It counts a proposal whose score is not known yet as a bad one, so that the
    proposals of one round differ (constant liar).

    Args:
        space: the dimensions.
        known: values and scores of trials, in their order; a higher score is better, −∞: diverged.
        count: number of proposals.
        seed: numbers that seed the sampler. With the same numbers and trials, the proposals are the same.
    """
    import optuna  # an extra, which takes a moment to import

    spaces = {key: distribution(d) for key, d in space.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=1, multivariate=True, constant_liar=True, seed=_seed(seed)
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for values, score in known:
            parameters = as_parameters(space, values)
            trial = optuna.trial.create_trial(params=parameters, distributions=spaces, value=score)
            study.add_trial(trial)
        return [_values(space, study.ask(spaces).params) for _ in range(count)]


def distribution(d: Dimension) -> "BaseDistribution":
    """A dimension as Optuna has it. The values of a choice are numbered, as Optuna takes only plain ones."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(d, Range):
        return FloatDistribution(d.low, d.high, log=d.log)
    assert isinstance(d, Choice)
    return CategoricalDistribution(range(len(d.values)))


def as_parameters(space: Mapping[str, Dimension], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial as Optuna has them."""
    return {key: d.values.index(values[key]) if isinstance(d, Choice) else values[key] for key, d in space.items()}


def _values(space: Mapping[str, Dimension], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Optuna's parameters as the values of a trial. Numbers are rounded as all that a search draws."""
    return {
        key: d.values[parameters[key]] if isinstance(d, Choice) else d.rounded(parameters[key])  # type: ignore[attr-defined]
        for key, d in space.items()
    }


def _seed(numbers: Sequence[int]) -> int:
    """One seed of 32 bits from several numbers."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, numbers)).encode()).digest()[:4], "big")
