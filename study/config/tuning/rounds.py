"""A search as rounds of trials: what it asks for next depends only on its settings and on the scores told so far.

So the same command after a kill, or several commands at once, ask for the same trials. Their run ids then tell which
of these are trained already.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from study.config.tuning import tpe
from study.config.tuning.brackets import Bracket, brackets
from study.config.tuning.search import Dimension, points

TPE, HYPERBAND = "tpe", "hyperband"
ADAPTIVE = (TPE, HYPERBAND)  # searches whose later trials depend on the scores of earlier ones


@dataclass(frozen=True)
class Asked:
    """A trial that a search asks for: its number, its values, and the last epoch to train."""

    trial: int
    values: Mapping[str, Any]
    epochs: int


@dataclass(frozen=True)
class Told:
    """A trial with its score after the last epoch asked for: a mean over seeds. Higher is better, −∞: diverged."""

    asked: Asked
    score: float


class Search(Protocol):
    """The search of one variant in one context.

    Attributes:
        rounds: the number of trials in each round, as planned: if trials diverge, rounds of hyperband are smaller.
        trials: the number of trials in all.
        epochs: that all trials take for one tuning seed, if none ends early.
    """

    @property
    def rounds(self) -> Sequence[int]: ...

    @property
    def trials(self) -> int: ...

    @property
    def epochs(self) -> int: ...

    def ask(self, told: Sequence[Sequence[Told]]) -> list[Asked]:
        """The trials of the next round.

        Args:
            told: the scores of each earlier round, in the order in which its trials were asked.
        """


@dataclass(frozen=True)
class OneRound:
    """All trials at once: their values are known from the start."""

    values: Sequence[Mapping[str, Any]]
    budget: int

    @property
    def rounds(self) -> Sequence[int]:
        return [len(self.values)]

    @property
    def trials(self) -> int:
        return len(self.values)

    @property
    def epochs(self) -> int:
        return self.trials * self.budget

    def ask(self, told: Sequence[Sequence[Told]]) -> list[Asked]:
        return [Asked(number, values, self.budget) for number, values in enumerate(self.values)]


@dataclass(frozen=True)
class Sequential:
    """TPE: the first trials come from the shared sequence, the others in small rounds from the scores so far.

    Attributes:
        first: the values of the trials of the first round.
        space: the dimensions of the variant.
        trials: number of trials in all.
        budget: epochs of a trial.
        seed: of the sampler.
    """

    first: Sequence[Mapping[str, Any]]
    space: Mapping[str, Dimension]
    trials: int
    budget: int
    seed: int

    @property
    def rounds(self) -> Sequence[int]:
        left = self.trials - len(self.first)
        return [len(self.first), *(min(tpe.AT_ONCE, left - done) for done in range(0, left, tpe.AT_ONCE))]

    @property
    def epochs(self) -> int:
        return self.trials * self.budget

    def ask(self, told: Sequence[Sequence[Told]]) -> list[Asked]:
        values = self.first
        known = [(t.asked.values, t.score) for earlier in told for t in earlier]
        if told:
            values = tpe.propose(self.space, known, self.rounds[len(told)], [self.seed, len(told)])
        return [Asked(len(known) + i, own, self.budget) for i, own in enumerate(values)]


@dataclass(frozen=True)
class Halving:
    """Hyperband (Li et al. 2018) with synchronous rungs. Later brackets ask TPE, as BOHB does (Falkner et al. 2018).

    A bracket starts with many trials of few epochs. After each rung the best third of the trials goes on, from its
    checkpoints. TPE learns from the largest number of epochs for which there are enough scores. Each third trial of a
    later bracket comes from the shared sequence, in case early scores mislead.

    Attributes:
        sequence: values from the shared sequence, one for each trial.
        space: the dimensions of the variant.
        schedule: the brackets, one after the other.
        seed: of the sampler.
    """

    sequence: Sequence[Mapping[str, Any]]
    space: Mapping[str, Dimension]
    schedule: Sequence[Bracket]
    seed: int

    @property
    def rounds(self) -> Sequence[int]:
        return [count for bracket in self.schedule for count in bracket.counts]

    @property
    def trials(self) -> int:
        return sum(bracket.counts[0] for bracket in self.schedule)

    @property
    def epochs(self) -> int:
        return sum(bracket.cost for bracket in self.schedule)

    def ask(self, told: Sequence[Sequence[Told]]) -> list[Asked]:
        before, first = 0, 0  # rounds and trials of earlier brackets
        for bracket in self.schedule:
            rung = len(told) - before
            if rung < len(bracket.counts):
                break
            before, first = before + len(bracket.counts), first + bracket.counts[0]
        count, epochs = bracket.counts[rung], bracket.epochs[rung]
        if rung == 0:
            return [Asked(first + i, values, epochs) for i, values in enumerate(self._start(told, first, count))]
        finite = [t for t in told[-1] if t.score > -float("inf")]
        best = sorted(finite, key=lambda t: (-t.score, t.asked.trial))[:count]
        return [Asked(t.asked.trial, t.asked.values, epochs) for t in sorted(best, key=lambda t: t.asked.trial)]

    def _start(self, told: Sequence[Sequence[Told]], first: int, count: int) -> list[Mapping[str, Any]]:
        """The values of the trials of a new bracket."""
        known = self._known(told)
        own = list(self.sequence[first : first + count])
        if not known:
            return own
        asked = [i for i in range(count) if i % 3 < 2]
        proposed = tpe.propose(self.space, known, len(asked), [self.seed, len(told)])
        for i, values in zip(asked, proposed, strict=True):
            own[i] = values
        return own

    def _known(self, told: Sequence[Sequence[Told]]) -> list[tuple[Mapping[str, Any], float]]:
        """Values and scores at the largest number of epochs that has enough of them; empty if none has."""
        by_epochs: dict[int, list[tuple[Mapping[str, Any], float]]] = {}
        for earlier in told:
            for t in earlier:
                by_epochs.setdefault(t.asked.epochs, []).append((t.asked.values, t.score))
        enough = [epochs for epochs, scores in by_epochs.items() if len(scores) >= len(self.space) + tpe.MORE]
        return by_epochs[max(enough)] if enough else []


def search_of(
    search: str,
    shared: Mapping[str, Dimension],
    own: Mapping[str, Dimension],
    trials: int,
    budget: int,
    seed: int,
    name: str,
) -> Search:
    """The search of one variant in one context.

    Args:
        search: one of `search.SEARCHES`.
        shared: the keys that every variant tunes.
        own: the keys that this variant tunes besides.
        trials: number of trials; for hyperband, their budget in whole runs; not used for a grid.
        budget: epochs of a whole run.
        seed: of the search.
        name: of variant and context. Each has a sampler of its own.
    """
    space = {**shared, **own}
    if search not in ADAPTIVE or not space:
        return OneRound(points(shared, own, "sobol" if search in ADAPTIVE else search, trials, seed), budget)
    own_seed = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big")
    if search == TPE:
        first = points(shared, own, "sobol", min(trials, tpe.START), seed)
        return Sequential(first, space, trials, budget, own_seed)
    schedule = brackets(trials * budget, budget)
    halving = Halving([], space, schedule, own_seed)
    return Halving(points(shared, own, "sobol", halving.trials, seed), space, schedule, own_seed)
