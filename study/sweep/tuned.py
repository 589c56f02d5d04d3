"""The two sweeps of a tuned study: the trials, then the choices on fresh seeds."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from study.config.points.grid import Point
from study.config.run_config import ResolvedRun
from study.config.tuning.protocol import Candidate, Tuning, candidates, choose
from study.errors import ConfigError, StudyError
from study.measures.catalog import check_selectable
from study.records.changes import refuse_changed
from study.records.contract import CONFIG
from study.records.existing import Existing, existing_runs
from study.records.manifest import check_fixed, write_manifest

# By measure, the column of val.csv, and −1 if lower is better.
COLUMNS = {"val_accuracy": ("accuracy", 1), "val_loss": ("loss", -1), "val_r2": ("r2", 1), "val_mae": ("mae", -1)}


class Command(Protocol):
    """The part of a command that trains runs; see `command`."""

    study_folder: Path

    @property
    def dry_run(self) -> bool: ...

    def compose(self, points: Sequence[Point], test: bool = True) -> list[ResolvedRun]: ...

    def train(self, points: Sequence[Point], test: bool = True) -> list[str]: ...

    def say(self, line: str) -> None: ...


@dataclass(frozen=True)
class Trial:
    """A candidate, the ids of its runs by tuning seed, and their scores. Higher is better; −∞ for a diverged run."""

    candidate: Candidate
    runs: Mapping[str, str]
    scores: np.ndarray


def tune_and_compare(command: Command, tuning: Tuning, fixed: Mapping[str, str]) -> None:
    """Train the trials, choose, and train the choices on fresh seeds. Trials never score the test set.

    Args:
        command: trains the runs.
        tuning: the protocol.
        fixed: further overrides of all runs, by key.

    Raises:
        ConfigError: a key of `fixed` is tuned.
        StudyError: a trial failed, so no choice can be made. Or the protocol differs from the one fixed earlier.
    """
    from study.sweep.official import refuse_official_test  # imports torch, and --help does not need it

    _refuse_tuned_keys(tuning, fixed)
    tried = candidates(tuning)
    points = tried[0].points(tuning.tuning_seeds, fixed)
    points += [point for candidate in tried[1:] for point in candidate.points(tuning.tuning_seeds[:1], fixed)]
    runs = command.compose(points, test=False)  # so that mistakes are refused before the protocol is fixed
    refuse_official_test(runs[0].config)
    tuning = replace(tuning, select=check_selectable(tuning.select or None, runs[0].task))
    begun = [run.run_id for run in runs[: tuning.seeds]]
    known = check_fixed(command.study_folder, tuning, begun)
    command.say(_summary(tuning, tried))
    if not known and not command.dry_run:
        write_manifest(command.study_folder, tuning, begun)  # the protocol is fixed before the first run
    trials = _train(command, tuning, tried, fixed)
    if command.dry_run:
        command.say(f"then {tuning.fresh} fresh seeds of each choice")
        return
    winners = [_best(own) for own in _by_choice(trials)]
    points = [point for winner in winners for point in winner.points(tuning.fresh_seeds, fixed)]
    fresh = _by_seed([run.run_id for run in command.compose(points)], tuning.fresh_seeds)
    write_manifest(
        command.study_folder,
        tuning,
        begun,
        [_described_trial(trial, tuning) for trial in trials],
        [{**_described(winner), "runs": runs} for winner, runs in zip(winners, fresh, strict=True)],
    )
    for winner in winners:
        values = ", ".join(f"{key}={value:g}" for key, value in {**winner.context, **winner.values}.items())
        command.say(f"chosen: {winner.reg} {values or 'at its fixed settings'}")
    command.train(points)


def _refuse_tuned_keys(tuning: Tuning, fixed: Mapping[str, str]) -> None:
    """Refuse overrides of keys that the trials set."""
    tuned = {"reg": "spaces", "seed": "seeds", **dict.fromkeys(tuning.per, "per")}
    tuned |= {key: f"spaces.{reg}" for reg, own in tuning.spaces.items() for key in own}
    tuned |= dict.fromkeys(tuning.shared, "shared")
    for key, override in fixed.items():
        if key in tuned:
            raise ConfigError(f"{override}: tune.{tuned[key]} sets {key} in each run. Leave {key} out")


def _summary(tuning: Tuning, tried: Sequence[Candidate]) -> str:
    """Describe the trials in one line."""
    counts = Counter(candidate.reg for candidate in tried)
    contexts = len({str(candidate.context) for candidate in tried})
    each = sorted({count // contexts for count in counts.values()})
    return (
        f"tuning: {len(counts)} variants with {' or '.join(map(str, each))} trials of {tuning.seeds} seeds each"
        + (f" in {contexts} settings" if contexts > 1 else "")
        + f", search={tuning.search}, chosen by {tuning.select}"
    )


def _train(command: Command, tuning: Tuning, tried: Sequence[Candidate], fixed: Mapping[str, str]) -> list[Trial]:
    """Train candidates with all tuning seeds; a dry run returns no trials."""
    points = [point for candidate in tried for point in candidate.points(tuning.tuning_seeds, fixed)]
    ids = command.train(points, test=False)
    if command.dry_run:
        return []
    existing = existing_runs(command.study_folder)
    column, sign = COLUMNS[tuning.select]
    scores = np.array([_score(existing.get(run_id), column, sign) for run_id in ids])
    by_candidate = zip(tried, _by_seed(ids, tuning.tuning_seeds), scores.reshape(len(tried), -1), strict=True)
    return [Trial(*parts) for parts in by_candidate]


def _score(run: Existing | None, column: str, sign: int) -> float:
    """The score of a trial's run from its val.csv; higher is better, −∞ for a diverged run."""
    state = run.status["state"] if run else "missing"
    if state == "diverged":
        return -np.inf
    if run and state == "complete":
        refuse_changed(run.folder, run.status, ("val.csv", CONFIG))
        try:
            with (run.folder / "val.csv").open() as rows:
                return sign * float(next(csv.DictReader(rows))[column])
        except (StopIteration, KeyError, TypeError, ValueError):
            raise StudyError(
                f"{run.folder} has no valid val.csv. Delete the folder, then give the same command again"
            ) from None
    raise StudyError(
        f"a trial is {state}, so no choice can be made. Give the same command again, with retry_failed=true for failed"
        " trials. study status shows details"
    )


def _by_choice(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Group the trials by regularizer and context, in order."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(f"{trial.candidate.reg} {trial.candidate.context}", []).append(trial)
    return list(found.values())


def _best(trials: Sequence[Trial]) -> Candidate:
    return choose([(trial.candidate, trial.scores.mean()) for trial in trials])


def _by_seed(ids: Sequence[str], seeds: Sequence[int]) -> list[dict[str, str]]:
    """Group ids by candidate, each as a mapping from the seed (as text, for JSON) to the id."""
    names = [str(seed) for seed in seeds]
    return [dict(zip(names, ids[begin : begin + len(names)], strict=True)) for begin in range(0, len(ids), len(names))]


def _described(candidate: Candidate) -> dict[str, Any]:
    return {
        "reg": candidate.reg,
        "trial": candidate.trial,
        "values": dict(candidate.values),
        "context": dict(candidate.context),
    }


def _described_trial(trial: Trial, tuning: Tuning) -> dict[str, Any]:
    sign = COLUMNS[tuning.select][1]
    scores = [sign * float(score) if np.isfinite(score) else None for score in trial.scores]
    return {
        **_described(trial.candidate),
        "runs": dict(trial.runs),
        "scores": dict(zip(trial.runs, scores, strict=True)),
    }
