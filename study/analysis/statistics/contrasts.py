"""Differences between variants and a baseline, seed by seed, with all that tells how far they can be trusted."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.statistics import inference
from study.analysis.statistics.tuning import tuned_contexts
from study.config.names import differing
from study.errors import ConfigError, StudyError
from study.measures.catalog import MEASURES

LEVEL = 0.05  # below which a corrected p-value gets a star
FEW = 12  # variants that a message names
COLUMNS = (
    *("measure", "variant", "baseline", "n", "mean_difference", "ci_low", "ci_high", "t", "p_t", "p_flip", "p_holm"),
    *("wins", "unit", "sd", "wins_low", "wins_high", "correlation", "variance_ratio", "new_data_low", "new_data_high"),
    *("p_new_data", "new_images_low", "new_images_high", "detectable", "detectable_upper"),
)

Correct = Mapping[str, np.ndarray]  # by run: which test images it gets right, bool (images,)


def contexts(rows: pd.DataFrame, manifest: Mapping[str, Any] | None) -> pd.Series:
    """In what settings runs differ, regularizer and λ aside, in words: only variants of one context are compared.

    Args:
        rows: one row per run, from `gaps.at_epoch`.
        manifest: of a tuned study, whose contexts it names; what was tuned is no part of them.
    """
    tuned = tuned_contexts(manifest) if manifest else {}
    settings = {text: json.loads(text) for text in rows["setting"].unique()}
    varying = differing(settings.values())
    words = {
        text: ", ".join(f"{key.rpartition('.')[2]} {setting[key]}" for key in varying if key in setting)
        for text, setting in settings.items()
    }
    found = [tuned.get(row.run_id, words[row.setting]) for row in rows.itertuples()]
    return pd.Series(found, rows.index, dtype=object)


def choose_baselines(rows: pd.DataFrame, given: str) -> dict[str, str]:
    """The variant that each variant is compared with.

    Args:
        rows: one row per run, with `context`.
        given: a variant's name, for all others; or an option of `reg`: in each context its variant there; `auto` is
            `none`, where there is one variant of it.

    Raises:
        ConfigError: there is no such variant, or there are several in a context.
    """
    there = list(rows["variant"].unique())
    if given in there:
        return {variant: given for variant in there if variant != given}
    name = "none" if given == "auto" else given
    of_option = rows[rows["reg"] == name].groupby("context")["variant"].unique()
    if of_option.empty and given != "auto":
        more = ", ..." if len(there) > FEW else ""
        raise ConfigError(f"baseline={given}: there are {', '.join(there[:FEW])}{more}")
    several = [list(variants) for variants in of_option if len(variants) > 1]
    if given == "auto":  # which asks for a baseline only where it is plain which one: not among trials, for example
        of_option = of_option[of_option.map(len) == 1]
    elif several:
        raise ConfigError(f"baseline={given} may be {' or '.join(several[0])}: name one of them")
    context_of = rows.groupby("variant", sort=False)["context"].first()
    return {
        variant: of_option[context][0]
        for variant, context in context_of.items()
        if context in of_option and of_option[context][0] != variant
    }


def check_pairs(rows: pd.DataFrame, baselines: Mapping[str, str], allowed: bool) -> list[str]:
    """Refuse variants that have other seeds than their baseline; diverged runs count as there.

    Returns:
        Lines naming what is incomplete, where that is allowed.

    Raises:
        StudyError: it is not.
    """
    seeds = {variant: set(runs["seed"]) for variant, runs in rows.groupby("variant", sort=False)}
    problems = []
    for variant, baseline in baselines.items():
        for one, other in ((variant, baseline), (baseline, variant)):
            if lacking := seeds[other] - seeds[one]:
                problems.append(f"{one} lacks the seeds {', '.join(map(str, sorted(lacking)))} that {other} has")
    problems = list(dict.fromkeys(problems))
    if problems and not allowed:
        raise StudyError(
            f"incomplete pairs: {'; '.join(problems)}; train them, or compare the seeds that both have with"
            " allow=[pairs]"
        )
    return [f"Incomplete pair, compared over the seeds that both have: {problem}." for problem in problems]


def contrasts(
    rows: pd.DataFrame,
    baselines: Mapping[str, str],
    primary: str,
    val_share: Mapping[str, float],
    correct: Correct,
) -> pd.DataFrame:
    """Every measure of every variant against its baseline, over the seeds that are complete in both.

    Args:
        rows: one row per run, from `gaps.at_epoch`.
        baselines: what each variant is compared with.
        primary: the measure whose p-values are corrected for all contrasts (Holm); the others are exploratory.
        val_share: n_val / n_train by variant.
        correct: test images that runs get right, as far as runs have a test set.

    Returns:
        One row per measure and contrast, COLUMNS; differences are variant minus baseline, in `unit`. With fewer than
        three seeds only their mean.
    """
    complete = rows[rows["state"] == "complete"]
    by_seed = {variant: runs.set_index("seed") for variant, runs in complete.groupby("variant", sort=False)}
    empty = complete.iloc[:0].set_index("seed")
    found = []
    for measure in MEASURES:
        if rows[measure].isna().all():
            continue
        for variant, baseline in baselines.items():
            own, reference = by_seed.get(variant, empty), by_seed.get(baseline, empty)
            level = LEVEL / len(baselines) if measure == primary else LEVEL
            row = _contrast(own, reference, measure, val_share[variant], correct, level)
            found.append({"measure": measure, "variant": variant, "baseline": baseline, **row})
    table = pd.DataFrame(found, columns=list(COLUMNS))
    of_primary = table["measure"] == primary
    table.loc[of_primary, "p_holm"] = _corrected(table[of_primary])
    return table


def _corrected(of_primary: pd.DataFrame) -> np.ndarray:
    """Holm's p-values over all planned contrasts: one without spread counts with its sign-flip test, one without enough
    seeds with 1.
    """
    if of_primary["p_flip"].isna().all():
        return np.full(len(of_primary), np.nan)
    return inference.holm(of_primary["p_t"].fillna(of_primary["p_flip"]).fillna(1.0).to_numpy(float))


def _contrast(
    own: pd.DataFrame, reference: pd.DataFrame, measure: str, share: float, correct: Correct, level: float
) -> dict[str, Any]:
    seeds = [seed for seed in own.index if seed in reference.index]
    a, b = (table.loc[seeds, measure].to_numpy(float) for table in (own, reference))
    known = ~(np.isnan(a) | np.isnan(b))
    a, b, seeds = a[known], b[known], [seed for seed, k in zip(seeds, known, strict=True) if k]
    d, n, better = a - b, int(known.sum()), MEASURES[measure].better
    row = {"n": n, "mean_difference": float(d.mean()) if n else float("nan"), "unit": MEASURES[measure].unit}
    if n < inference.INTERVALS_FROM:
        return row
    count, chance = inference.wins(d, better > 0)
    row |= {"wins": count, "wins_low": chance.low, "wins_high": chance.high, "p_flip": inference.sign_flip(d)}
    if inference.no_spread(d):  # no interval and no t: seeds that agree to the last digit do not mean certainty
        return {**row, "sd": 0.0}
    interval, sd = inference.mean_interval(d), float(d.std(ddof=1))
    t, p = inference.paired_t(d)
    row |= {"ci_low": interval.low, "ci_high": interval.high, "t": t, "p_t": p, "sd": sd}
    row["detectable"] = inference.detectable(sd, n, level=level)
    row["detectable_upper"] = inference.detectable(inference.sd_upper(sd, n), n, level=level)
    if min(a.std(), b.std()) > 0:
        row["correlation"] = float(np.corrcoef(a, b)[0, 1])
        row["variance_ratio"] = float(d.var(ddof=1) / (a.var(ddof=1) + b.var(ddof=1)))
    if measure.startswith("val"):
        wide, p_wide = inference.new_data_interval(d, share)
        row |= {"new_data_low": wide.low, "new_data_high": wide.high, "p_new_data": p_wide}
    runs = [(own.loc[seed, "run"], reference.loc[seed, "run"]) for seed in seeds]
    if measure == "test_accuracy" and all(one in correct and other in correct for one, other in runs):
        matrix = np.array([correct[one].astype(float) - correct[other] for one, other in runs])
        wide = inference.new_images_interval(matrix)
        row |= {"new_images_low": wide.low, "new_images_high": wide.high}
    return row


def near_best(rows: pd.DataFrame, measure: str) -> set[str]:
    """The variants that are not significantly below the best of their context: paired t-tests, Holm over all of it.

    Args:
        rows: one row per run, with `context`.
        measure: of which the mean decides who is the best.

    Returns:
        Variants; none of a context with fewer than three seeds, since then nothing can be said.
    """
    found: set[str] = set()
    for _, own in rows[rows["state"] == "complete"].groupby("context", sort=False):
        values = own.pivot_table(index="seed", columns="variant", values=measure) * MEASURES[measure].better
        if len(values) < 3:
            continue
        best = values.mean().idxmax()
        others = [variant for variant in values.columns if variant != best]
        p = [_p_below((values[best] - values[variant]).dropna().to_numpy()) for variant in others]
        corrected = inference.holm(np.array(p))
        found |= {best, *(v for v, q in zip(others, corrected, strict=True) if not q < LEVEL)}
    return found


def _p_below(differences: np.ndarray) -> float:
    """P-value of best minus another; 1 where the other one is better over the seeds that both have."""
    if len(differences) < 3 or differences.mean() < 0:
        return 1.0
    if inference.no_spread(differences):
        return inference.sign_flip(differences)
    return inference.paired_t(differences)[1]


def notes(table: pd.DataFrame, primary: str) -> list[str]:
    """What a reader of the contrasts must know, as sentences."""
    of_primary, baselines = table[table["measure"] == primary], table["baseline"].unique()
    to = baselines[0] if len(baselines) == 1 else "the baseline in the same setting"
    lines = [
        f"Differences to {to}, seed by seed; the paired t-test decides, the"
        f" sign-flip test checks. Primary measure: {primary}; its p-values are corrected for"
        f" {_counted(len(of_primary), 'contrast')} (Holm). All other measures are exploratory."
    ]
    if of_primary.empty or of_primary["n"].max() < 3:
        return [*lines, "Fewer than three seeds: differences without interval or test."]
    n = int(of_primary["n"].min())
    if n < inference.STARS_FROM:
        least = min(1.0, inference.smallest_p(n) * len(of_primary))
        lines.append(
            f"No stars: with {n} seeds the sign-flip test cannot go below p = {least:.2g} after correction for"
            f" {_counted(len(of_primary), 'contrast')}; {inference.seeds_for(len(of_primary))} seeds could."
        )
    flips = inference.holm(of_primary["p_flip"].fillna(1.0).to_numpy(float))
    unlike = of_primary[(of_primary["p_holm"] < LEVEL) & (flips >= LEVEL) & (of_primary["n"] >= inference.STARS_FROM)]
    for variant in unlike["variant"]:
        lines.append(f"The sign-flip test, corrected likewise, does not confirm {variant}: read it with care.")
    for variant in of_primary.loc[of_primary["sd"] == 0, "variant"]:
        lines.append(f"No interval for {variant}: its difference is the same in all seeds.")
    return [*lines, *_pairing(of_primary), *_sensitivity(of_primary, n)]


def _pairing(of_primary: pd.DataFrame) -> list[str]:
    ratios = of_primary["variance_ratio"].dropna()
    if ratios.empty:
        return []
    return [
        f"Pairing: over seeds the correlation with the baseline is {of_primary['correlation'].median():.2f}, and the"
        f" variance of a difference {ratios.median():.2f} of what it would be unpaired (medians over contrasts)."
    ]


def _sensitivity(of_primary: pd.DataFrame, n: int) -> list[str]:
    """What these seeds could have seen."""
    factor, unit = {"fraction": (100, " points"), "nats": (1, " nats")}.get(of_primary["unit"].iloc[0], (1, ""))
    if of_primary["detectable"].isna().all():
        return []
    half = _range((of_primary["ci_high"] - of_primary["ci_low"]) / 2 * factor)
    seen, upper = (_range(of_primary[key] * factor) for key in ("detectable", "detectable_upper"))
    return [
        f"Sensitivity: intervals of {of_primary['measure'].iloc[0]} reach ± {half}{unit}. With these {n} seeds a"
        f" difference below {seen}{unit} cannot be told from none with 80 % power, corrected for"
        f" {_counted(len(of_primary), 'contrast')} ({upper}{unit} at the upper 80 % bound of the variance)."
    ]


def _range(values: pd.Series) -> str:
    """The least and the greatest of some numbers, two digits each."""
    low, high = f"{values.min():.2g}", f"{values.max():.2g}"
    return low if low == high else f"{low} to {high}"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"all {count} {word}s"


def stars(table: pd.DataFrame, primary: str) -> Sequence[str]:
    """`*` for each row of the primary measure whose corrected p-value is below .05, with six seeds or more."""
    enough = (table["measure"] == primary) & (table["n"] >= inference.STARS_FROM)
    return ["*" if ok and p < LEVEL else "" for ok, p in zip(enough, table["p_holm"], strict=True)]
