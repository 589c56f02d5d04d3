"""The search of one variant under way: its trials, what it was told of them, and which of them have ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from study.config.tuning.protocol import Candidate, Tuning
from study.config.tuning.rounds import Search, Told
from study.records.trial_database import TrialRecord

DIGITS = 12  # means over seeds that differ by less are equal


@dataclass(frozen=True)
class Trial:
    """A candidate with its runs.

    Attributes:
        candidate: the trial.
        until: the last epoch that its runs were to be trained.
        runs: ids by tuning seed.
        scores: after that epoch; higher is better, −∞ for a diverged run.
        epochs: that its runs were trained for. A run that stops early has fewer.
    """

    candidate: Candidate
    until: int
    runs: Mapping[str, str]
    scores: np.ndarray
    epochs: Sequence[int]

    @property
    def score(self) -> float:
        """The mean over the tuning seeds. It is rounded, so that the order of the seeds' scores breaks no tie."""
        return round(float(self.scores.mean()), DIGITS)


@dataclass
class VariantSearch:
    """The search of a variant in a context.

    Attributes:
        reg: the regularizer.
        context: the combination of `per`.
        search: asks for trials.
        told: what it was told, by round.
        latest: each trial after its last epoch so far, by number.
    """

    reg: str
    context: Mapping[str, Any]
    search: Search
    told: list[list[Told]] = field(default_factory=list)
    latest: dict[int, Trial] = field(default_factory=dict)
    recorded: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The variant with its context, as text."""
        return " ".join([self.reg, *(f"{key}={value}" for key, value in self.context.items())])

    @property
    def has_ended(self) -> bool:
        """Whether no round is left."""
        return len(self.told) >= len(self.search.rounds)

    def ask(self) -> list[tuple[Candidate, int]]:
        """The candidates of the next round, each with the last epoch to train; none if the search has ended."""
        self._asked = [] if self.has_ended else self.search.ask(self.told)
        return [(Candidate(self.reg, a.values, self.context, a.trial), a.epochs) for a in self._asked]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Tell the search the scores of these candidates. A round may have none, if all trials have diverged."""
        if not self.has_ended:
            self.told.append([Told(a, trial.score) for a, trial in zip(self._asked, trials, strict=True)])
            self.latest |= {trial.candidate.trial: trial for trial in trials}

    def take_ended(self, tuning: Tuning) -> list[TrialRecord]:
        """The trials that get no more epochs, without those that an earlier call has returned."""
        last = set() if self.has_ended else {told.asked.trial for told in self.told[-1]}
        found = []
        for number, trial in sorted(self.latest.items()):
            state = "complete" if tuning.is_whole(trial.until) else "pruned"
            state = state if np.isfinite(trial.score) else "diverged"
            if number not in self.recorded and (number not in last or state != "pruned"):
                self.recorded.add(number)
                scores = {t.asked.epochs: t.score for told in self.told for t in told if t.asked.trial == number}
                found.append(TrialRecord(number, trial.candidate.values, scores, state, trial.runs))
        return found
