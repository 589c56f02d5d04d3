"""The two sweeps of a tuned study: trials that choose, then the choices on fresh seeds."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from study.config import RunConfig
from study.errors import USER_ERRORS, StudyError
from study.grid import Point
from study.plan import existing_runs
from study.tuning import (
    Candidate,
    Tuning,
    beyond,
    candidates,
    check_fixed,
    choose,
    read_manifest,
    write_manifest,
)

COLUMNS = {"val_accuracy": ("accuracy", 1), "val_loss": ("loss", -1)}  # of val.csv, and the sign of better


class Command(Protocol):
    """What trains; see `sweep`."""

    study_folder: Path
    dry_run: bool

    def compose(self, points: Sequence[Point], test: bool = True) -> list[RunConfig]: ...

    def train(self, points: Sequence[Point], test: bool = True) -> list[str]: ...

    def say(self, line: str) -> None: ...


def tune_and_compare(command: Command, tuning: Tuning, fixed: Mapping[str, str]) -> None:
    """Train the trials, which never score the test set, choose, and train the choices on fresh seeds.

    Args:
        command: trains.
        tuning: the protocol.
        fixed: further overrides of all runs, by key.

    Raises:
        StudyError: a trial failed, so that nothing can be chosen; or the protocol differs from what it was earlier.
    """
    from study.data.official import refuse_official_test  # imports torch, which --help does without

    check_fixed(command.study_folder, tuning)
    tried = candidates(tuning)
    first = command.compose([_point(tried[0], seed, fixed) for seed in tuning.tuning_seeds], test=False)
    refuse_official_test(first[0])
    earlier = read_manifest(command.study_folder)
    if earlier and list(earlier["trials"][0]["runs"].values()) != _ids(first):
        raise StudyError(
            f"the settings of {command.study_folder} were fixed when it began, and must not be chosen after seeing"
            " results; give another study name=..."
        )
    command.say(f"tuning: {len(tried)} candidates with {tuning.seeds} seeds each, chosen by {tuning.select}")
    scores = _score(command, tuning, tried, fixed)
    if command.dry_run:
        command.say(f"then {tuning.fresh} fresh seeds of each choice")
        return
    for _ in range(tuning.extend):
        further = _beyond_edges(command, tried, scores, fixed)
        if not further:
            break
        command.say(f"the best lies at the edge of its space: {len(further)} more candidates")
        scores += _score(command, tuning, further, fixed)
        tried += further
    winners = [choose([(c, s.mean()) for c, s in _of_choice(tried, scores, own)]) for own in _choices(tried)]
    points = [_point(winner, seed, fixed) for winner in winners for seed in tuning.fresh_seeds]
    fresh = _ids_by_seed(winners, tuning.fresh_seeds, _ids(command.compose(points)))
    _write(command.study_folder, tuning, tried, scores, _trial_ids(command, tuning, tried, fixed), winners, fresh)
    for winner in winners:
        values = ", ".join(f"{key}={value:g}" for key, value in {**winner.context, **winner.values}.items())
        command.say(f"chosen: {winner.reg} {values or 'at its fixed settings'}")
    command.train(points)


def _point(candidate: Candidate, seed: int, fixed: Mapping[str, str]) -> Point:
    own = candidate.point(seed)
    keys = {override.partition("=")[0] for override in own}
    return [*own, *(override for key, override in fixed.items() if key not in keys)]


def _score(command: Command, tuning: Tuning, tried: Sequence[Candidate], fixed: Mapping[str, str]) -> list[np.ndarray]:
    """Train candidates; their scores by seed, larger being better, −∞ for a run that diverged."""
    points = [_point(candidate, seed, fixed) for candidate in tried for seed in tuning.tuning_seeds]
    ids = command.train(points, test=False)
    if command.dry_run:
        return []
    runs = existing_runs(command.study_folder)
    column, sign = COLUMNS[tuning.select]
    found = []
    for run_id in ids:
        run = runs.get(run_id)
        state = run.status["state"] if run else "missing"
        if state == "diverged":
            found.append(-np.inf)
        elif state == "complete":
            with open(run.folder / "val.csv") as rows:
                found.append(sign * float(next(csv.DictReader(rows))[column]))
        else:
            raise StudyError(
                f"a trial is {state}, so nothing can be chosen: study status tells more; the same command"
                " goes on, with retry_failed=true for what failed"
            )
    return list(np.array(found).reshape(len(tried), tuning.seeds))


def _choices(tried: Sequence[Candidate]) -> list[tuple[str, dict[str, Any]]]:
    """Each regularizer in each context, in order."""
    result = []
    for candidate in tried:
        own = (candidate.reg, dict(candidate.context))
        if own not in result:
            result.append(own)
    return result


def _of_choice(
    tried: Sequence[Candidate], scores: Sequence[np.ndarray], own: tuple[str, dict[str, Any]]
) -> list[tuple[Candidate, np.ndarray]]:
    pairs = zip(tried, scores, strict=True)
    return [(candidate, score) for candidate, score in pairs if (candidate.reg, candidate.context) == own]


def _beyond_edges(
    command: Command, tried: Sequence[Candidate], scores: Sequence[np.ndarray], fixed: Mapping[str, str]
) -> list[Candidate]:
    """Candidates beyond the edges on which the best ones lie, as far as their values are allowed."""
    further = []
    for own in _choices(tried):
        pairs = _of_choice(tried, scores, own)
        winner = choose([(candidate, score.mean()) for candidate, score in pairs])
        for candidate in beyond(winner, [candidate for candidate, _ in pairs]):
            try:
                command.compose([_point(candidate, 0, fixed)])
            except USER_ERRORS:  # beyond what the option accepts
                continue
            further.append(candidate)
    return further


def _ids(configs: Sequence[RunConfig]) -> list[str]:
    from study.identity import run_id

    return [run_id(config) for config in configs]


def _ids_by_seed(chosen: Sequence[Candidate], seeds: Sequence[int], ids: Sequence[str]) -> list[dict[str, str]]:
    """For each candidate the ids of its runs by seed (as text, for JSON)."""
    rest = iter(ids)
    return [{str(seed): next(rest) for seed in seeds} for _ in chosen]


def _trial_ids(
    command: Command, tuning: Tuning, tried: Sequence[Candidate], fixed: Mapping[str, str]
) -> list[dict[str, str]]:
    points = [_point(candidate, seed, fixed) for candidate in tried for seed in tuning.tuning_seeds]
    return _ids_by_seed(tried, tuning.tuning_seeds, _ids(command.compose(points, test=False)))


def _write(
    study_folder: Path,
    tuning: Tuning,
    tried: Sequence[Candidate],
    scores: Sequence[np.ndarray],
    runs: Sequence[Mapping[str, str]],
    winners: Sequence[Candidate],
    fresh: Sequence[Mapping[str, str]],
) -> None:
    sign = COLUMNS[tuning.select][1]
    trials = [
        {
            **_described(candidate),
            "runs": dict(ids),
            "scores": {seed: sign * float(s) if np.isfinite(s) else None for seed, s in zip(ids, score, strict=True)},
        }
        for candidate, score, ids in zip(tried, scores, runs, strict=True)
    ]
    chosen = [{**_described(winner), "runs": dict(ids)} for winner, ids in zip(winners, fresh, strict=True)]
    write_manifest(study_folder, tuning, trials, chosen)


def _described(candidate: Candidate) -> dict[str, Any]:
    return {"reg": candidate.reg, "values": dict(candidate.values), "context": dict(candidate.context)}
