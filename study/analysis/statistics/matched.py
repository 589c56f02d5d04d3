"""Comparison of regularizers at matched strength: at equal training loss, and at equal validation accuracy.

The same λ does not mean the same strength in L1 and L2. But along the λ path of a regularizer, validation accuracy is a
function of training loss. Within each seed, this function is interpolated (PCHIP: Fritsch and Carlson 1980) on the
longest branch where training loss rises with λ. It is evaluated at training losses that all seeds and regularizers
reach, without extrapolation. Sparsity as a function of validation accuracy is compared in the same way. For
regression, the validation loss takes the place of validation accuracy.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy  # imports its modules on first use

from study.analysis.statistics import inference
from study.tasks import CLASSIFICATION, REGRESSION

FEWEST = 3  # fewest values of λ in a path
LEVELS = 5  # number of levels at which paths are compared
WIDE = 1 / 2  # of the compared range: a step of λ that covers more is reported, because values inside are interpolated
COLUMNS = (
    *("matched_on", "level", "measure", "reg", "other", "n", "mean", "other_mean", "mean_difference"),
    *("ci_low", "ci_high"),
)


@dataclass(frozen=True)
class Match:
    """A comparison at equal values of one column.

    Attributes:
        on: the column of `gaps.at_epoch` that is held equal.
        rises: whether `on` rises with λ; else it falls.
        measures: the columns to compare.
    """

    on: str
    rises: bool
    measures: Sequence[str]


@dataclass(frozen=True)
class WideStep:
    """Two neighbouring values of λ between which a path covers much of the compared range, so a level there is a guess.

    Attributes:
        reg: the regularizer.
        lam: λ at the beginning of the step; 0 for runs without a regularizer.
        next_lam: λ at its end.
        share: fraction of the compared range, a mean over seeds.
    """

    reg: str
    lam: float
    next_lam: float
    share: float

    def __str__(self) -> str:
        """The step as text: `l1 λ 0.007 to 0.01`."""
        return f"{self.reg} λ {self.lam:g} to {self.next_lam:g}"


MATCHES = {
    CLASSIFICATION: (
        Match("train_loss", True, ("val_accuracy", "weights_l1", "weights_l2")),
        Match("val_accuracy", False, ("near_zero_fraction", "zero_fraction")),
    ),
    REGRESSION: (
        Match("train_loss", True, ("val_loss", "weights_l1", "weights_l2")),
        Match("val_loss", True, ("near_zero_fraction", "zero_fraction")),
    ),
}


def paths(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The complete runs of each regularizer with three or more values of λ. Runs without a regularizer are λ = 0.

    Args:
        rows: one row per run.

    Returns:
        By regularizer, its rows sorted by seed and λ. Regularizers whose variants differ in more than λ are left out.
    """
    complete = rows[(rows["state"] == "complete") & rows["lam"].notna()]
    none = complete[complete["reg"] == "none"]
    found = {}
    for reg, own in complete[complete["takes_lam"]].groupby("reg", sort=False):
        if own["lam"].nunique() >= FEWEST and not own.duplicated(["seed", "lam"]).any():
            start = none if not none.duplicated("seed").any() and (own["lam"] > 0).all() else none.iloc[:0]
            found[reg] = pd.concat([start, own]).sort_values(["seed", "lam"])
    return found


def branch(x: np.ndarray, rises: bool) -> slice:
    """The longest part of a path, in order of λ, on which x strictly rises (or falls).

    Of equally long parts, it is the one on which x changes most.

    Args:
        x: values in order of λ, (k,).
        rises: whether x must rise; else it must fall.
    """
    signed = x if rises else -x
    cuts = [0, *(np.flatnonzero(np.diff(signed) <= 0) + 1), len(x)]
    runs = [
        (int(end - begin), float(signed[end - 1] - signed[begin]), int(begin))
        for begin, end in itertools.pairwise(cuts)
    ]
    length, _, begin = max(runs)
    return slice(begin, begin + length)


def matched(rows: pd.DataFrame) -> pd.DataFrame:
    """Seed-paired differences between regularizers at equal training loss, and at equal validation accuracy.

    Args:
        rows: one row per run, from `gaps.at_epoch`.

    Returns:
        COLUMNS, a row per match, level, measure and pair of regularizers. Empty if there are fewer than two paths, or
        if their ranges do not overlap.
    """
    lines = []
    for match in MATCHES[rows["task"].iloc[0]]:
        for measure in match.measures:
            levels, values = interpolated(rows, match, measure, LEVELS)
            for (one, a), (other, b) in itertools.combinations(values.items(), 2):
                lines += _compared(match.on, measure, levels, (one, a), (other, b))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def interpolated(
    rows: pd.DataFrame, match: Match, measure: str, points: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Interpolate a measure along each path, at equally spaced levels of the column that is held equal.

    Args:
        rows: one row per run.
        match: what is held equal.
        measure: the column to interpolate.
        points: the number of levels.

    Returns:
        The levels, (points,), and by regularizer the values, (seeds, points). No levels if nothing can be compared.
    """
    found, branches = _branches(rows, match)
    levels = _levels_of(branches, match, points) if found else None
    if levels is None:
        return np.zeros(0), {}
    return levels, {reg: _read_off(own, match.on, measure, levels) for reg, own in branches.items()}


def wide_steps(rows: pd.DataFrame, match: Match) -> list[WideStep]:
    """The steps of λ that cover more than WIDE of the compared range: a network may stop learning inside one.

    Args:
        rows: one row per run.
        match: what is held equal.
    """
    found, branches = _branches(rows, match)
    levels = _levels_of(branches, match, 2) if found else None
    if levels is None:
        return []
    low, high = levels
    shares: dict[tuple[str, float, float], list[float]] = {}
    for reg, own in branches.items():
        for one in own:
            reached = np.clip(one[match.on].to_numpy(float), low, high)
            for lams, ends in zip(itertools.pairwise(one["lam"]), itertools.pairwise(reached), strict=True):
                shares.setdefault((reg, *lams), []).append(abs(ends[1] - ends[0]) / (high - low))
    steps = [WideStep(*step, float(np.mean(each))) for step, each in shares.items()]
    return [step for step in steps if step.share > WIDE]


def _branches(rows: pd.DataFrame, match: Match) -> tuple[bool, dict[str, list[pd.DataFrame]]]:
    """Whether a comparison is possible, and the branches of each regularizer, one for each common seed."""
    found = paths(rows)
    seeds = sorted(set.intersection(*(set(path["seed"]) for path in found.values()))) if len(found) > 1 else []
    return bool(seeds), {reg: [_branch_of(path, seed, match) for seed in seeds] for reg, path in found.items()}


def _branch_of(path: pd.DataFrame, seed: int, match: Match) -> pd.DataFrame:
    own = path[path["seed"] == seed]
    return own.iloc[branch(own[match.on].to_numpy(), match.rises)]


def _levels_of(branches: Mapping[str, Sequence[pd.DataFrame]], match: Match, points: int) -> np.ndarray | None:
    """Equally spaced values within the common range of all branches; None if there is no common range."""
    reached = [own[match.on].to_numpy() for each in branches.values() for own in each]
    low, high = max(values.min() for values in reached), min(values.max() for values in reached)
    return np.linspace(low, high, points) if low < high else None


def _read_off(branches: Sequence[pd.DataFrame], on: str, measure: str, levels: np.ndarray) -> np.ndarray:
    """The interpolated measure at the levels, (seeds, levels)."""
    values = []
    for own in branches:
        ordered = own.sort_values(on)
        x, y = ordered[on].to_numpy(), ordered[measure].to_numpy()
        values.append(scipy.interpolate.PchipInterpolator(x, y, extrapolate=False)(np.clip(levels, x[0], x[-1])))
    return np.array(values)


def _compared(
    on: str, measure: str, levels: np.ndarray, one: tuple[str, np.ndarray], other: tuple[str, np.ndarray]
) -> list[dict[str, Any]]:
    (name, a), (other_name, b) = one, other
    rows = []
    for i, level in enumerate(levels):
        interval = inference.mean_interval(a[:, i] - b[:, i])
        rows.append(
            {
                **{"matched_on": on, "level": float(level), "measure": measure, "reg": name, "other": other_name},
                **{"n": len(a), "mean": a[:, i].mean(), "other_mean": b[:, i].mean()},
                **{"mean_difference": interval.mean, "ci_low": interval.low, "ci_high": interval.high},
            }
        )
    return rows


NOTES = (
    "Matched strength: within each seed, interpolated (PCHIP) between values of λ on the longest monotone branch, over"
    " the common range of all seeds and regularizers.",
    "Σ|w| favours L1, and ‖w‖₂ favours L2, because each penalty shrinks its own norm: always read both.",
)
