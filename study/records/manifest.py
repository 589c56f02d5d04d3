"""manifest.json of a tuned study: its protocol, fixed before the first run, its trials and its choices."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from study.config.tuning.protocol import LEARNING_RATE, Tuning, inequalities
from study.config.tuning.tpe import optuna_version
from study.errors import StudyError
from study.records.files import write_whole

MANIFEST = "manifest.json"  # file in a study's folder: the runs of each phase, and the choices


def write_manifest(
    study_folder: Path,
    tuning: Tuning,
    begun: Sequence[str],
    trials: Sequence[Mapping[str, Any]] = (),
    winners: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the protocol, the runs of each phase, and the choices.

    Args:
        study_folder: outputs/<name>; it is made if it does not exist.
        tuning: the protocol.
        begun: ids of the first candidate's runs. They change if any other setting changes.
        trials: for each candidate `reg, trial, values, context, runs` (ids by seed) and `scores` (by seed; null if the
            run diverged), `epochs` (by seed) and `pruned` (whether a search stopped it early); empty until all have
            ended.
        winners: for each choice `reg, trial, values, context`, and `runs`, the ids of its fresh runs by seed.
    """
    content = {
        "tuning": {**asdict(tuning), "tuning_seeds": tuning.tuning_seeds, "fresh_seeds": tuning.fresh_seeds},
        "begun": list(begun),
        "fixed_learning_rate": LEARNING_RATE not in tuning.shared,
        "unequal": inequalities(tuning),
        "budgets": _budgets(tuning),
        "trials": list(trials),
        "winners": list(winners),
    }
    if tuning.is_adaptive:
        content["optuna"] = optuna_version()
    study_folder.mkdir(parents=True, exist_ok=True)
    write_whole(study_folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def _budgets(tuning: Tuning) -> dict[str, dict[str, int]]:
    """The trials of each regularizer in each context, and the epochs that they have together with all tuning seeds."""
    each = {reg: tuning.search_of(reg, {}) for reg in tuning.spaces}
    return {reg: {"trials": own.trials, "epochs": own.epochs * tuning.seeds} for reg, own in each.items()}


def read_manifest(study_folder: Path) -> dict[str, Any] | None:
    """Read the manifest of a study; None if it has none.

    Raises:
        StudyError: it cannot be read.
    """
    file = study_folder / MANIFEST
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{file} cannot be read ({error}). Delete it, and give the command of the study again, which writes it"
        ) from None
    if "unequal" not in content:
        content["unequal"] = ["tune: an earlier version tuned the learning rate of none alone"]
        content["tuning"] = {"shared": {}, "search": "grid", "trials": None, "seed": 0, **content["tuning"]}
    content["tuning"].setdefault("epochs", 0)
    content["tuning"].setdefault("suite", [])
    return content


def tuning_of(manifest: Mapping[str, Any]) -> Tuning:
    """Return the protocol in a manifest."""
    return Tuning(**{key: manifest["tuning"][key] for key in Tuning.__dataclass_fields__})


def check_fixed(study_folder: Path, tuning: Tuning, begun: Sequence[str]) -> bool:
    """Refuse a protocol, or settings, that differ from those with which the study started.

    Args:
        study_folder: outputs/<name>.
        tuning: the protocol.
        begun: ids of the first candidate's runs.

    Returns:
        Whether the study has started already.

    Raises:
        StudyError: the protocol or the settings differ.
    """
    earlier = read_manifest(study_folder)
    if earlier is None:
        return False
    elsewhere = "must not be chosen after seeing results. Use another study: name=..."
    for key in [key for key in Tuning.__dataclass_fields__ if key != "epochs"]:  # a setting of the first runs
        if earlier["tuning"][key] != json.loads(json.dumps(getattr(tuning, key))):
            name = key if key == "select" else f"tune.{key}"
            raise StudyError(
                f"{name} was fixed at {earlier['tuning'][key]} when {study_folder} started, because it {elsewhere}"
            )
    made_by = earlier.get("optuna")
    if tuning.is_adaptive and made_by not in (None, optuna_version()):
        raise StudyError(
            f"{study_folder} was started with Optuna {made_by}, and {optuna_version()} may ask for other trials. Give"
            f" pip install optuna=={made_by} first, or use another study: name=..."
        )
    if earlier["begun"] != list(begun):
        raise StudyError(f"the settings of {study_folder} were fixed when it started, because they {elsewhere}")
    return True
