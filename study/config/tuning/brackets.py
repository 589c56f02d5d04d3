"""Hyperband's arithmetic: how many trials each bracket starts, how many go on, and after which epochs."""

from dataclasses import dataclass

THIRD = 3  # of the trials of a rung, one in three goes on, for three times as many epochs
LEAST_EPOCHS = 3  # with fewer epochs there is nothing to stop early


@dataclass(frozen=True)
class Bracket:
    """One bracket of successive halving.

    Attributes:
        counts: the number of trials in each rung.
        epochs: after which epoch each rung ends; the last is the whole budget of a run.
    """

    counts: tuple[int, ...]
    epochs: tuple[int, ...]

    @property
    def cost(self) -> int:
        """Epochs that are trained in all, as trials that go on continue from their checkpoints."""
        before = (0, *self.epochs)
        return sum(n * (end - begin) for n, begin, end in zip(self.counts, before, self.epochs, strict=False))


def brackets(total: int, epochs: int) -> list[Bracket]:
    """The brackets that a budget pays for.

    Hyperband (Li et al. 2018) runs brackets s = s_max, ..., 0 in turn, with s_max = ⌊log₃ R⌋ for runs of R epochs.
    Bracket s starts ⌈3ˢ (s_max + 1)/(s + 1)⌉ trials with R/3ˢ epochs. After s = 0 it begins anew. Where the rest of the
    budget does not pay for a whole bracket, it has fewer trials, or is one with less stopping.

    Args:
        total: epochs of all trials together, for one tuning seed; at least R.
        epochs: R.
    """
    most = 0
    while THIRD ** (most + 1) <= epochs:
        most += 1
    found: list[Bracket] = []
    s = most
    while total >= epochs:
        bracket = _largest(s, most, epochs, total)
        if bracket is not None:
            found.append(bracket)
            total -= bracket.cost
        s = s - 1 if s else most
    return found


def _largest(s: int, most: int, epochs: int, total: int) -> Bracket | None:
    """Bracket s with as many of its trials as the budget pays for; None if it pays for none that ends."""
    ends = tuple(max(1, round(epochs / THIRD**k)) for k in range(s, -1, -1))
    for count in range(-(-(THIRD**s) * (most + 1) // (s + 1)), THIRD**s - 1, -1):
        bracket = Bracket(tuple(count // THIRD**k for k in range(s + 1)), ends)
        if bracket.cost <= total:
            return bracket
    return None
