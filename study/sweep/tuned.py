"""The sweeps of a tuned study: the rounds of its trials, then the choices on fresh seeds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from study.config.points.grid import Point
from study.config.run_config import ResolvedRun
from study.config.tuning.protocol import Candidate, Tuning, at_the_ends, choose, in_words
from study.errors import ConfigError, StudyError
from study.measures.catalog import check_selectable
from study.records.contract import CHECKPOINT, PRUNED
from study.records.existing import Existing, existing_runs
from study.records.manifest import check_fixed, write_manifest
from study.records.trial_database import TrialDatabase
from study.sweep.searching import Trial, VariantSearch
from study.sweep.trial_scores import score_of, sign_of

UNDER_WAY = (None, "running", "interrupted")  # states of a run that has no score yet


class Command(Protocol):
    """The part of a command that trains runs; see `command`."""

    study_folder: Path

    @property
    def dry_run(self) -> bool: ...

    def compose(self, points: Sequence[Point], test: bool = True) -> list[ResolvedRun]: ...

    def train(
        self, points: Sequence[Point], test: bool = True, until: Sequence[int | None] | None = None
    ) -> list[str]: ...

    def say(self, line: str) -> None: ...


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
    each = searches(tuning)
    first = [candidate for tuned in each for candidate, _ in tuned.ask()]
    points = first[0].points(tuning.tuning_seeds, fixed)
    ends = at_the_ends(tuning) if tuning.is_adaptive else []
    points += [point for candidate in [*first[1:], *ends] for point in candidate.points(tuning.tuning_seeds[:1], fixed)]
    runs = command.compose(points, test=False)  # so that mistakes are refused before the protocol is fixed
    for run in {json.dumps(run.config.data): run for run in reversed(runs)}.values():
        refuse_official_test(run.config)
    tuning = replace(tuning, select=check_selectable(tuning.select or None, runs[0].task))
    begun = [run.run_id for run in runs[: tuning.seeds]]
    known = check_fixed(command.study_folder, tuning, begun)
    command.say(_summary(tuning, each))
    if not known and not command.dry_run:
        write_manifest(command.study_folder, tuning, begun)  # the protocol is fixed before the first run
    trials = _tune(command, tuning, each, fixed)
    if command.dry_run:
        command.say(f"{_later_rounds(each)}then {tuning.fresh} fresh seeds of each choice")
        return
    winners = [_best(own, tuning) for own in _by_choice(trials)]
    points = [point for winner in winners for point in winner.points(tuning.fresh_seeds, fixed)]
    fresh = _by_seed([run.run_id for run in command.compose(points)], tuning.fresh_seeds)
    write_manifest(
        command.study_folder,
        tuning,
        begun,
        [_described_trial(trial, tuning) for trial in trials],
        [{**_described(winner), "runs": runs} for winner, runs in zip(winners, fresh, strict=True)],
    )
    _drop_checkpoints(command.study_folder, trials)
    for winner in winners:
        values = in_words({**winner.context, **winner.values})
        command.say(f"chosen: {winner.reg} {values or 'at its fixed settings'}")
    command.train(points)


def searches(tuning: Tuning) -> list[VariantSearch]:
    """The search of each variant in each setting, before its first trial."""
    return [
        VariantSearch(reg, context, tuning.search_of(reg, context))
        for context in tuning.contexts
        for reg in tuning.spaces
    ]


def _refuse_tuned_keys(tuning: Tuning, fixed: Mapping[str, str]) -> None:
    """Refuse overrides of keys that the trials set."""
    tuned = {"reg": "spaces", "seed": "seeds", **dict.fromkeys(tuning.per, "per")}
    tuned |= {key: f"spaces.{reg}" for reg, own in tuning.spaces.items() for key in own}
    tuned |= dict.fromkeys(tuning.shared, "shared")
    for key, override in fixed.items():
        if key in tuned:
            raise ConfigError(f"{override}: tune.{tuned[key]} sets {key} in each run. Leave {key} out")


def _summary(tuning: Tuning, each: Sequence[VariantSearch]) -> str:
    """Describe the trials in one line."""
    trials, epochs = (
        " or ".join(map(str, sorted(set(numbers))))
        for numbers in ([t.search.trials for t in each], [t.search.epochs * tuning.seeds for t in each])
    )
    return (
        f"tuning: {len(tuning.spaces)} variants with {trials} trials of {tuning.seeds} seeds each"
        + (f" in {len(tuning.contexts)} settings" if len(tuning.contexts) > 1 else "")
        + f", search={tuning.search}, chosen by {tuning.select}. Each variant has {epochs} epochs"
    )


def _later_rounds(each: Sequence[VariantSearch]) -> str:
    """Describe in one line the rounds that a dry run cannot list; empty if there are none."""
    longest = max((t.search.rounds for t in each), key=len)
    if len(longest) == 1:
        return ""
    sizes, more = ", ".join(map(str, longest[1:])), len(longest) - 1
    rounds = f"{more} more round{'s' if more > 1 else ''}"
    return f"then {rounds}, by the scores of earlier ones: {sizes} trials of each variant\n"


def _tune(command: Command, tuning: Tuning, each: Sequence[VariantSearch], fixed: Mapping[str, str]) -> list[Trial]:
    """Train all rounds, those of all variants together; a dry run shows the first round and returns no trials.

    Returns:
        Each trial as it is after its last epoch, by variant and number.
    """
    if tuning.is_adaptive and not command.dry_run:
        command.study_folder.mkdir(parents=True, exist_ok=True)
        database = TrialDatabase(command.study_folder, sign_of(tuning.select) > 0)
    else:
        database = None
    while any(not tuned.has_ended for tuned in each):
        asked = [tuned.ask() for tuned in each]
        trials = _train(command, tuning, [pair for own in asked for pair in own], fixed)
        if command.dry_run:
            return []
        for tuned, own in zip(each, asked, strict=True):
            tuned.tell(trials[: len(own)])
            trials = trials[len(own) :]
        if database is not None:
            for tuned in each:
                database.add(tuned.name, tuning.space_of(tuned.reg), tuned.take_ended(tuning))
            database.write()
    return [trial for tuned in each for _, trial in sorted(tuned.latest.items())]


def _train(
    command: Command, tuning: Tuning, asked: Sequence[tuple[Candidate, int]], fixed: Mapping[str, str]
) -> list[Trial]:
    """Train candidates with all tuning seeds; a dry run returns no trials."""
    points = [point for candidate, _ in asked for point in candidate.points(tuning.tuning_seeds, fixed)]
    until = [None if tuning.is_whole(epochs) else epochs for _, epochs in asked for _ in tuning.tuning_seeds]
    ids = command.train(points, test=False, until=until)
    if command.dry_run:
        return []
    while True:
        existing = existing_runs(command.study_folder)
        try:
            scored = [score_of(existing.get(i), tuning.select, last) for i, last in zip(ids, until, strict=True)]
            break
        except StudyError:
            now = existing_runs(command.study_folder)
            before, states = ([_state(e, run_id) for run_id in ids] for e in (existing, now))
            if "failed" in states or (states == before and not set(states) & set(UNDER_WAY)):
                raise
            command.train(points, test=False, until=until)  # another command trains some of them on: wait for it
    runs = _by_seed(ids, tuning.tuning_seeds)
    scores = np.array([score for score, _ in scored]).reshape(len(asked), -1)
    epochs = np.array([trained for _, trained in scored]).reshape(len(asked), -1).tolist()
    each = zip(asked, runs, scores, epochs, strict=True)
    return [Trial(candidate, last, *own) for (candidate, last), *own in each]  # type: ignore[arg-type]


def _state(existing: Mapping[str, Existing], run_id: str) -> str | None:
    """The state of a run; None if it is not there, or is being moved."""
    run = existing.get(run_id)
    return run.status["state"] if run else None


def _drop_checkpoints(study_folder: Path, trials: Sequence[Trial]) -> None:
    """Delete the checkpoints of trials that stay pruned, unless they are kept on request: they fill a disk."""
    existing = existing_runs(study_folder)
    for run_id in [run_id for trial in trials for run_id in trial.runs.values()]:
        run = existing[run_id]
        if run.status["state"] == PRUNED and run.is_published and not (run.config and run.config.keep_checkpoint):
            (run.published / CHECKPOINT).unlink(missing_ok=True)


def _by_choice(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Group the trials by regularizer and context, in order."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(f"{trial.candidate.reg} {trial.candidate.context}", []).append(trial)
    return list(found.values())


def _best(trials: Sequence[Trial], tuning: Tuning) -> Candidate:
    """Choose among the trials of a variant that were trained to their end."""
    whole = [(trial.candidate, trial.score) for trial in trials if tuning.is_whole(trial.until)]
    if not whole:
        raise StudyError(
            f"all trials of {trials[0].candidate.reg} diverged before their last epoch, so no choice can be made. Use"
            " another study with other ranges: name=..."
        )
    return choose(whole)


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
    sign = sign_of(tuning.select)
    scores = [sign * float(score) if np.isfinite(score) else None for score in trial.scores]
    return {
        **_described(trial.candidate),
        "runs": dict(trial.runs),
        "scores": dict(zip(trial.runs, scores, strict=True)),
        "epochs": dict(zip(trial.runs, trial.epochs, strict=True)),
        "pruned": not tuning.is_whole(trial.until),
    }
