"""Seed-paired differences between variants and a baseline, with intervals, tests and their power."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.statistics import inference
from study.analysis.statistics.in_rounds import FIXED, Testing
from study.analysis.statistics.seed_design import shares_seeds
from study.analysis.statistics.settings import ELSEWHERE, settings_of
from study.analysis.statistics.tuning import tuned_contexts
from study.analysis.statistics.units import shown_unit
from study.config.names import differing
from study.errors import ConfigError, StudyError
from study.measures.catalog import MEASURES, Measure, measures_of

LEVEL = 0.05  # a corrected p-value below it gets a star
FEW = 12  # most variants that a message names
COLUMNS = (
    *("measure", "variant", "baseline", "n", "mean_difference", "ci_low", "ci_high", "t", "p_t", "p_flip", "p_holm"),
    *("wins", "unit", "sd", "wins_low", "wins_high", "correlation", "variance_ratio", "new_data_low", "new_data_high"),
    *("p_new_data", "new_images_low", "new_images_high", "detectable", "detectable_upper"),
)

Correct = Mapping[str, np.ndarray]  # by run: which test images it classifies correctly, bool (images,)


def contexts(
    rows: pd.DataFrame, manifest: Mapping[str, Any] | None, suite: Sequence[Mapping[str, Any]] = ()
) -> pd.Series:
    """The context of each run: the settings besides regularizer and λ in which runs differ, as text.

    Only variants of one context are compared.

    Args:
        rows: one row per run, from `gaps.at_epoch`.
        manifest: the manifest of a tuned study. It defines the contexts of that study, without the tuned keys.
        suite: the settings of a suite, whose short names stand for the keys that tell them apart.
    """
    tuned = tuned_contexts(manifest) if manifest else {}
    settings = {text: json.loads(text) for text in rows["setting"].unique()}
    named, apart = settings_of(rows, suite) if suite else pd.Series(ELSEWHERE, rows.index), differing(suite)
    names, varying = dict(zip(rows["setting"], named, strict=True)), differing(settings.values())
    words = {}
    for text, setting in settings.items():
        keys = [key for key in varying if key in setting and (names[text] == ELSEWHERE or key not in apart)]
        parts = [names[text], *(f"{key.rpartition('.')[2]} {setting[key]}" for key in keys)]
        words[text] = ", ".join(filter(None, parts))
    found = [tuned.get(row.run_id, words[row.setting]) for row in rows.itertuples()]
    return pd.Series(found, rows.index, dtype=object)


def choose_baselines(rows: pd.DataFrame, given: str) -> dict[str, str]:
    """The baseline of each variant.

    Args:
        rows: one row per run, with `context`.
        given: a variant's name, which is the baseline of all others. Or an option of `reg`: its variant in a context is
            the baseline there. `auto` means `none`, in each context with exactly one variant of it.

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
        raise ConfigError(f"baseline={given}: no such variant; there are {', '.join(there[:FEW])}{more}")
    several = [list(variants) for variants in of_option if len(variants) > 1]
    if given == "auto":  # no baseline where it would be ambiguous, for example among trials
        of_option = of_option[of_option.map(len) == 1]
    elif several:
        raise ConfigError(f"baseline={given}: could mean {' or '.join(several[0])}; name one of them")
    context_of = rows.groupby("variant", sort=False)["context"].first()
    return {
        variant: of_option[context][0]
        for variant, context in context_of.items()
        if context in of_option and of_option[context][0] != variant
    }


def check_pairs(rows: pd.DataFrame, baselines: Mapping[str, str], allowed: bool) -> list[str]:
    """Refuse variants whose seeds differ from those of their baseline. Diverged runs count as present.

    Returns:
        A note for each incomplete pair, if these are allowed.

    Raises:
        StudyError: a pair is incomplete, and that is not allowed.
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
            f"incomplete pairs: {'; '.join(problems)}. Train the missing runs, or compare only the common seeds with"
            " allow=[pairs]"
        )
    return [f"Incomplete pair, compared over the common seeds: {problem}." for problem in problems]


def contrasts(
    rows: pd.DataFrame,
    baselines: Mapping[str, str],
    primary: str,
    val_share: Mapping[str, float],
    correct: Correct,
    testing: Testing = FIXED,
) -> pd.DataFrame:
    """Compare every measure of every variant with its baseline, over the seeds that are complete in both.

    Args:
        rows: one row per run, from `gaps.at_epoch`.
        baselines: the baseline of each variant.
        primary: the measure whose p-values are corrected for all contrasts (Holm). All others are exploratory.
        val_share: n_val / n_train by variant.
        correct: correctly classified test images, for runs with a test set.
        testing: how tests and intervals allow for rounds of seeds.

    Returns:
        COLUMNS, one row per measure and contrast. A difference is variant minus baseline, in `unit`. With fewer than
        three seeds, only the mean difference is given.
    """
    complete = rows[rows["state"] == "complete"]
    places = {
        variant: dict(zip(runs["seed"], runs["place"], strict=True))
        for variant, runs in complete.assign(place=range(len(complete))).groupby("variant", sort=False)
    }
    names, pairs = complete["run"].to_numpy(), []
    for variant, baseline in baselines.items():
        own, reference = places.get(variant, {}), places.get(baseline, {})
        seeds = [seed for seed in own if seed in reference]
        pairs.append((variant, [own[seed] for seed in seeds], [reference[seed] for seed in seeds]))
    found, differences = [], []
    for measure, described in measures_of(rows["task"].iloc[0]).items():
        if rows[measure].isna().all():
            continue
        values = complete[measure].to_numpy(float)
        family = testing.family(baselines) if measure == primary else 1
        level, confidence = testing.level(LEVEL / family), testing.confidence(family)
        for variant, one, other in pairs:
            known = ~(np.isnan(values[one]) | np.isnan(values[other]))
            runs = np.stack([one, other], 1).astype(int)[known]
            a, b = values[runs].T
            row = _contrast(a, b, names[runs], described, val_share[variant], correct, level, confidence)
            found.append({"measure": measure, "variant": variant, "baseline": baselines[variant], **row})
            differences.append(a - b)
    tested = [place for place, d in enumerate(differences) if len(d) >= inference.INTERVALS_FROM]
    for place, p in zip(tested, inference.sign_flips([differences[place] for place in tested]), strict=True):
        found[place]["p_flip"] = p
    table = pd.DataFrame(found, columns=list(COLUMNS))
    for key in ("p_t", "p_flip", "p_new_data"):
        table[key] = testing.p(table[key].to_numpy(float))
    of_primary = table["measure"] == primary
    table.loc[of_primary, "p_holm"] = _corrected(table[of_primary])
    return table


def _corrected(of_primary: pd.DataFrame) -> np.ndarray:
    """P-values of the paired t-test, corrected for all planned contrasts (Holm).

    A contrast without spread enters with the p-value of its sign-flip test, one with too few seeds with p = 1.
    """
    if of_primary["p_flip"].isna().all():
        return np.full(len(of_primary), np.nan)
    return inference.holm(of_primary["p_t"].fillna(of_primary["p_flip"]).fillna(1.0).to_numpy(float))


def _contrast(
    a: np.ndarray,
    b: np.ndarray,
    runs: np.ndarray,
    described: Measure,
    share: float,
    correct: Correct,
    level: float,
    confidence: float,
) -> dict[str, Any]:
    """A row of `contrasts`, but for the sign-flip test.

    Args:
        a: values of the variant (seeds,).
        b: values of the baseline, for the same seeds.
        runs: names of both runs of each seed (seeds, 2).
        described: the measure.
        share: n_val / n_train of the variant.
        correct: see `contrasts`.
        level: of the tests whose power is given.
        confidence: of the intervals.
    """
    measure = described.name
    d, n, better = a - b, len(a), described.better
    row = {"n": n, "mean_difference": float(d.mean()) if n else float("nan"), "unit": described.unit}
    if n < inference.INTERVALS_FROM:
        return row
    count, chance = inference.wins(d, better > 0)
    row |= {"wins": count, "wins_low": chance.low, "wins_high": chance.high}
    if inference.no_spread(d):  # no interval and no t: equal differences do not mean certainty
        return {**row, "sd": 0.0}
    interval, sd = inference.mean_interval(d, confidence), float(d.std(ddof=1))
    t, p = inference.paired_t(d)
    row |= {"ci_low": interval.low, "ci_high": interval.high, "t": t, "p_t": p, "sd": sd}
    row["detectable"] = inference.detectable(sd, n, level=level)
    row["detectable_upper"] = inference.detectable(inference.sd_upper(sd, n), n, level=level)
    if min(a.std(), b.std()) > 0:
        row["correlation"] = float(np.corrcoef(a, b)[0, 1])
        row["variance_ratio"] = float(d.var(ddof=1) / (a.var(ddof=1) + b.var(ddof=1)))
    if measure.startswith("val"):
        wide, p_wide = inference.new_data_interval(d, share, confidence)
        row |= {"new_data_low": wide.low, "new_data_high": wide.high, "p_new_data": p_wide}
    if measure == "test_accuracy" and all(one in correct and other in correct for one, other in runs):
        matrix = np.array([correct[one].astype(float) - correct[other] for one, other in runs])
        wide = inference.new_images_interval(matrix, confidence)
        row |= {"new_images_low": wide.low, "new_images_high": wide.high}
    return row


def near_best(rows: pd.DataFrame, measure: str, testing: Testing = FIXED) -> set[str]:
    """The variants that are not significantly below the best variant of their context.

    Paired t-tests compare them with the best variant, corrected for all variants of the context (Holm).

    Args:
        rows: one row per run, with `context`.
        measure: the best variant has the best mean of this measure.
        testing: how tests allow for rounds of seeds.

    Returns:
        The variants; none from a context with fewer than three seeds, which are too few for a test, and none if runs
        share seeds of single sources.
    """
    found: set[str] = set()
    if shares_seeds(rows):
        return found
    for _, own in rows[rows["state"] == "complete"].groupby("context", sort=False):
        values = own.pivot_table(index="seed", columns="variant", values=measure) * MEASURES[measure].better
        if len(values) < 3:
            continue
        best = values.mean().idxmax()
        others = [variant for variant in values.columns if variant != best]
        p = [_p_below((values[best] - values[variant]).dropna().to_numpy()) for variant in others]
        corrected = inference.holm(testing.p(np.array(p)))
        found |= {best, *(v for v, q in zip(others, corrected, strict=True) if not q < LEVEL)}
    return found


def _p_below(differences: np.ndarray) -> float:
    """P-value of the difference best − other; 1 if the other variant is better over the common seeds."""
    if len(differences) < 3 or differences.mean() < 0:
        return 1.0
    if inference.no_spread(differences):
        return inference.sign_flip(differences)
    return inference.paired_t(differences)[1]


def notes(table: pd.DataFrame, primary: str) -> list[str]:
    """The notes below the contrasts, as sentences."""
    of_primary, baselines = table[table["measure"] == primary], table["baseline"].unique()
    to = baselines[0] if len(baselines) == 1 else "the baseline in the same setting"
    lines = [
        f"Seed-paired differences to {to}. The paired t-test decides; the sign-flip test checks it."
        f" Primary measure: {primary}. Its p-values are corrected for"
        f" {counted(len(of_primary), 'contrast')} (Holm). All other measures are exploratory."
    ]
    if of_primary.empty or of_primary["n"].max() < 3:
        return [*lines, "Fewer than three seeds: no intervals and no tests."]
    n = int(of_primary["n"].min())
    if n < inference.STARS_FROM:
        least = min(1.0, inference.smallest_p(n) * len(of_primary))
        lines.append(
            f"No stars: with {n} seeds the sign-flip test cannot go below p = {least:.2g} after correction for"
            f" {counted(len(of_primary), 'contrast')}. To reach p = {LEVEL:g}, it needs"
            f" {inference.seeds_for(len(of_primary))} seeds."
        )
    flips = inference.holm(of_primary["p_flip"].fillna(1.0).to_numpy(float))
    unlike = of_primary[(of_primary["p_holm"] < LEVEL) & (flips >= LEVEL) & (of_primary["n"] >= inference.STARS_FROM)]
    for variant in unlike["variant"]:
        lines.append(
            f"The sign-flip test, with the same correction, does not confirm the difference of {variant}: interpret it"
            " with care."
        )
    for variant in of_primary.loc[of_primary["sd"] == 0, "variant"]:
        lines.append(f"No interval for {variant}: its difference is the same in all seeds.")
    return [*lines, *_pairing(of_primary), *_sensitivity(of_primary, n)]


def _pairing(of_primary: pd.DataFrame) -> list[str]:
    ratios = of_primary["variance_ratio"].dropna()
    if ratios.empty:
        return []
    return [
        f"Pairing: over seeds, the correlation with the baseline is {of_primary['correlation'].median():.2f}. The"
        f" variance of a paired difference is {ratios.median():.2f} of the unpaired one (medians over contrasts)."
    ]


def _sensitivity(of_primary: pd.DataFrame, n: int) -> list[str]:
    """The note on the smallest difference that these seeds can detect."""
    if of_primary["detectable"].isna().all():
        return []
    factor, unit = shown_unit(of_primary)
    half = number_range((of_primary["ci_high"] - of_primary["ci_low"]) / 2 * factor)
    seen, upper = (number_range(of_primary[key] * factor) for key in ("detectable", "detectable_upper"))
    return [
        f"Sensitivity: intervals of {of_primary['measure'].iloc[0]} are ± {half}{unit}. With {n} seeds, the smallest"
        f" difference detected with 80 % power is {seen}{unit}, corrected for"
        f" {counted(len(of_primary), 'contrast')} ({upper}{unit} at the upper 80 % bound of the variance)."
    ]


def number_range(values: pd.Series) -> str:
    """The smallest and the largest of some numbers, with two digits each."""
    low, high = f"{values.min():.2g}", f"{values.max():.2g}"
    return low if low == high else f"{low} to {high}"


def counted(count: int, word: str) -> str:
    """`1 contrast` or `all 4 contrasts`."""
    return f"{count} {word}" if count == 1 else f"all {count} {word}s"


def stars(table: pd.DataFrame, primary: str) -> Sequence[str]:
    """`*` for each row of the primary measure with a corrected p-value below .05 and at least six seeds, else ''."""
    enough = (table["measure"] == primary) & (table["n"] >= inference.STARS_FROM)
    return ["*" if ok and p < LEVEL else "" for ok, p in zip(enough, table["p_holm"], strict=True)]
