"""What is fixed before the first run of a study: its task, primary measure, margin of equivalence and questions.

A later command may leave these out, and then keeps them. It is refused if it gives others, because they must not be
chosen after seeing results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from study.config.hypotheses import read_hypotheses
from study.errors import ConfigError, StudyError
from study.measures.catalog import check_equivalence, check_primary, check_selectable
from study.records import sweeps


@dataclass(frozen=True)
class Fixed:
    """What a study keeps from its first run on.

    Attributes:
        task: classification or regression.
        primary: the primary measure.
        margin: the margin of equivalence, in the unit of displayed differences; None: no margin.
        hypotheses: the questions by name, as in YAML.
    """

    task: str
    primary: str
    margin: float | None
    hypotheses: Mapping[str, Any]

    @classmethod
    def by(cls, base: DictConfig, study_folder: Path, tasks: Sequence[str]) -> "Fixed":
        """Return what was fixed before, or what a command gives.

        Args:
            base: the config of the command.
            study_folder: outputs/<name>.
            tasks: the task of each run of the command.

        Raises:
            ConfigError: a value is not allowed.
            StudyError: a value differs from the one that was fixed.
        """
        task = _one_task(study_folder, tasks)
        primary, margin = _primary(base, study_folder, task), _margin(base, study_folder)
        return cls(task, primary, margin, _hypotheses(base, study_folder, task))


def _one_task(study_folder: Path, tasks: Sequence[str]) -> str:
    """The task of a study. Scores of classification and of regression cannot be compared.

    Args:
        study_folder: outputs/<name>.
        tasks: classification or regression, for each run of the command.

    Raises:
        ConfigError: the runs have several tasks.
        StudyError: the study has another task.
    """
    found, recorded = sorted(set(tasks)), sweeps.recorded_task_of(study_folder)
    if len(found) > 1:
        raise ConfigError(
            f"the runs are for {' and for '.join(found)}, and their scores cannot be compared. Train each in a study of"
            " its own: name=..."
        )
    if recorded not in (None, *found):
        raise StudyError(
            f"{study_folder} is a study of {recorded}, and the runs are for {found[0]}. Their scores cannot be"
            " compared. Use another study: name=..."
        )
    return found[0]


def _primary(base: DictConfig, study_folder: Path, task: str) -> str:
    """The primary measure of a study: the one fixed before its first run, or the one of this command.

    Raises:
        ConfigError: the task has no such measure, or tuning cannot choose by `select`.
        StudyError: another measure was fixed.
    """
    check_selectable(base.select, task)
    fixed = sweeps.recorded_primaries(study_folder)
    if base.primary is None and fixed:
        return fixed[0]
    primary = check_primary(base.primary, task)
    if fixed and primary not in fixed:
        raise StudyError(
            f"primary={primary}: it was fixed as {fixed[0]} before the runs of {study_folder}, because it must not be"
            " chosen after seeing results. Use another study: name=..."
        )
    return primary


def _margin(base: DictConfig, study_folder: Path) -> float | None:
    """The margin of equivalence of a study: the one fixed before its first run, or the one of this command.

    Raises:
        ConfigError: it is not a number above 0.
        StudyError: another margin, or none, was fixed.
    """
    margin, fixed = check_equivalence(base.equivalence), sweeps.recorded_margins(study_folder)
    if not fixed or margin in fixed:
        return margin
    if margin is None:
        return fixed[0]
    as_what = "null" if fixed[0] is None else f"{fixed[0]:g}"
    raise StudyError(
        f"equivalence={margin:g}: it was fixed as {as_what} before the runs of {study_folder}, because it must not be"
        " chosen after seeing results. Use another study: name=..."
    )


def _hypotheses(base: DictConfig, study_folder: Path, task: str) -> Mapping[str, Any]:
    """The questions of a study: those fixed before its first run, or those of this command.

    Raises:
        ConfigError: a question is not complete, or its measure does not exist.
        StudyError: other questions, or none, were fixed.
    """
    given: Any = base.hypotheses
    given = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_config(given) else given
    read_hypotheses(given, task)
    fixed = sweeps.recorded_hypotheses(study_folder)
    if not fixed:
        return given or {}
    if not given or given == fixed[0]:
        return fixed[0]
    names = [*given, *fixed[0]]
    other = next((name for name in names if given.get(name) != fixed[0].get(name)), "their order")
    raise StudyError(
        f"hypotheses: {other} differs from what was fixed before the runs of {study_folder}, because questions must not"
        " be chosen after seeing results. Use another study: name=..."
    )
