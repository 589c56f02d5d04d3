"""What a command line would train: its runs with their epochs, its variants and its contrasts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from study.config.run_config import ResolvedRun
from study.errors import ConfigError
from study.sweep.asked import Asked
from study.sweep.command import Command
from study.sweep.tuned import searches
from study.sweep.until_precise import contrasts


@dataclass(frozen=True)
class Work:
    """Equal runs: what one of them is like, their number, and the epochs that each of them trains."""

    run: ResolvedRun
    count: int
    epochs: float


@dataclass(frozen=True)
class Scope:
    """A study as planned.

    Attributes:
        words: what it trains, in a sentence.
        work: its runs; those of all rounds with seeds=auto.
        contrasts: the number of differences that are tested; at least 1.
        seeds: of each variant that is compared; with seeds=auto the largest number.
        complete: runs that the study already has, of those in `work`.
    """

    words: str
    work: Sequence[Work]
    contrasts: int
    seeds: int
    complete: int = 0

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(part.count for part in self.work)


def scope_of(asked: Asked, command: Command) -> Scope:
    """Find out what a command line would train.

    Raises:
        ConfigError: the command line is not allowed.
        StudyError: the study's folder has other runs, which cannot be compared.
    """
    if asked.tuning is not None:
        return _tuned(asked, command)
    until = asked.until
    runs = command.compose_each(asked.points(range(until.max_seeds) if until else None))
    variants = {run.variant_id: run for run in runs}
    seeds = len({str(run.config.seed) for run in runs})
    each = {variant: len({r.run_id for r in runs if r.variant_id == variant}) for variant in variants}
    work = [Work(run, each[variant], run.config.epochs) for variant, run in variants.items()]
    tested = _contrasts(runs)
    words = f"{_counted(len(variants), 'variant')} × {_counted(seeds, 'seed')} = {_counted(sum(each.values()), 'run')}"
    if until:
        words = f"{_counted(len(variants), 'variant')}, {until.rounds[0]} to {until.max_seeds} seeds in rounds, "
        words += f"{until.rounds[0] * len(variants)} to {until.max_seeds * len(variants)} runs"
    return Scope(f"{words}; {_counted(tested, 'contrast')} with the baseline", work, tested, seeds)


def _tuned(asked: Asked, command: Command) -> Scope:
    """Trials of all variants, then fresh seeds of the choices."""
    tuning, fixed, work, trials = asked.tuning, asked.fixed(), [], 0
    assert tuning is not None
    each = searches(tuning)
    for own in each:
        candidates = [candidate for candidate, _ in own.ask()]
        (run,) = command.compose(candidates[0].points(tuning.tuning_seeds[:1], fixed), test=False)
        repeated = len(candidates) - len({json.dumps(candidate.values) for candidate in candidates})
        count = (own.search.trials - repeated) * tuning.seeds
        work += [Work(run, count, own.search.epochs / own.search.trials), Work(run, tuning.fresh, run.config.epochs)]
        trials += count
    settings = len(tuning.contexts)
    tested = max(1, len(each) - settings * ("none" in tuning.spaces))
    words = (
        f"{_counted(trials, 'trial run')} of {_counted(len(tuning.spaces), 'variant')}"
        f"{f' in {settings} settings' if settings > 1 else ''}, then {_counted(tuning.fresh, 'fresh seed')} of each"
        f" choice = {trials + len(each) * tuning.fresh} runs; {_counted(tested, 'contrast')} with the baseline"
    )
    return Scope(words, work, tested, tuning.fresh)


def _contrasts(runs: Sequence[ResolvedRun]) -> int:
    try:
        return len(contrasts(runs))
    except ConfigError:  # no baseline by itself; the analysis will be given one
        return max(1, len({run.variant_id for run in runs}) - 1)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
