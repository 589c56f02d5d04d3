"""optuna.db of a study: the trials of an adaptive search as Optuna has them, for its dashboard and other tools.

It is a copy for reading: the search itself goes by the files of the runs. The SQLite database is made in memory and
written as one file after each round. So it is never damaged, and a study's folder may lie on a shared disk.
"""

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from study.config.tuning.search import Choice, Dimension, Range
from study.records.files import write_whole

DATABASE = "optuna.db"  # in a study's folder


@dataclass(frozen=True)
class TrialRecord:
    """A trial that gets no more epochs.

    Attributes:
        number: of the trial.
        values: by key.
        scores: by epoch, in the measure's own unit: the mean over the tuning seeds after each round that had the trial.
        state: complete, pruned or diverged.
        runs: ids by tuning seed.
    """

    number: int
    values: Mapping[str, Any]
    scores: Mapping[int, float]
    state: str
    runs: Mapping[str, str]


class TrialDatabase:
    """The trials of a study, in memory until they are written."""

    def __init__(self, study_folder: Path, higher_is_better: bool):
        import optuna  # an extra
        from sqlalchemy.pool import StaticPool

        self.file = study_folder / DATABASE
        self.direction: Literal["maximize", "minimize"] = "maximize" if higher_is_better else "minimize"
        self.studies: dict[str, optuna.Study] = {}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        one = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}  # one connection has one memory
        self.storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs=one)

    def add(self, name: str, space: Mapping[str, Dimension], trials: Iterable[TrialRecord]) -> None:
        """Add trials to the Optuna study of a variant. `name`: the variant, with its context."""
        import optuna

        if name not in self.studies:
            self.studies[name] = optuna.create_study(
                storage=self.storage, study_name=name, direction=self.direction, load_if_exists=True
            )
        states = {"complete": "COMPLETE", "pruned": "PRUNED", "diverged": "FAIL"}
        for trial in trials:
            diverged = trial.state == "diverged"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                made = optuna.trial.create_trial(
                    state=optuna.trial.TrialState[states[trial.state]],
                    value=None if diverged else list(trial.scores.values())[-1],
                    params={key: _shown(d, trial.values[key]) for key, d in space.items()},
                    distributions={key: _distribution(d) for key, d in space.items()},
                    intermediate_values={} if diverged else dict(trial.scores),
                    user_attrs={"trial": trial.number, "runs": dict(trial.runs)},
                )
            self.studies[name].add_trial(made)

    def write(self) -> None:
        """Write the file whole.

        Raises:
            OSError: it cannot be written.
        """
        connection = self.storage.engine.raw_connection()
        try:
            content: bytes = connection.driver_connection.serialize()  # type: ignore[union-attr]
        finally:
            connection.close()
        write_whole(self.file, content)


def _distribution(d: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(d, Range):
        return FloatDistribution(d.low, d.high, log=d.log)
    assert isinstance(d, Choice)
    return CategoricalDistribution([_shown(d, value) for value in d.values])


def _shown(d: Dimension, value: Any) -> Any:
    """A value as Optuna can store it: of a choice, a list or mapping is written as JSON."""
    plain = isinstance(d, Range) or value is None or isinstance(value, bool | int | float | str)
    return value if plain else json.dumps(value)
