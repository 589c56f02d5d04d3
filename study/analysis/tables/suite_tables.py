"""The tables of a suite as text: scores by setting, mean ranks, and all pairs of variants."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from study.analysis.statistics import inference, ranks
from study.analysis.statistics.contrasts import counted
from study.analysis.statistics.suite import Suite
from study.analysis.tables.gap_tables import VARIANT
from study.analysis.text.columns import SHORT, Column, TextTable
from study.analysis.text.formats import number, p_value, signed, significant
from study.measures.catalog import Measure

SETTING = Column("setting", "Setting", priority=0, preset=SHORT, words=True)
OF_SEEDS = Column("n", "n", priority=5, preset=SHORT)
SCORE = Column("mean", "{variant}", priority=1, preset=SHORT, also=("sd", "rank", "mean_rank"))  # for each variant
SUITE = (SETTING, OF_SEEDS, SCORE)
RANKS = (
    VARIANT,
    Column("mean_rank", "Mean rank", priority=0, preset=SHORT),
    Column("mean_rank_test", "By test", priority=1, preset=SHORT),
    Column("best_in", "Best in", priority=3, preset=SHORT),
    Column("wins", "Wins", priority=2, preset=SHORT, also=("against",)),
    Column("losses", "Losses", priority=2, preset=SHORT, also=("against",)),
    Column("ties", "Ties", priority=4, preset=SHORT, also=("against",)),
)
PAIRS = (
    VARIANT,
    Column("other", "Other", priority=0, preset=SHORT, words=True),
    Column("mean_difference", "Mean difference", priority=4, preset=SHORT),
    Column("wins", "Wins", priority=3, preset=SHORT, also=("losses", "ties")),
    Column("p_wilcoxon", "p", priority=5, preset=SHORT),
    Column("p_holm", "p (Holm)", priority=1, preset=SHORT),
    Column("p_worse", "P(worse)", priority=2, preset=SHORT),
    Column("p_equivalent", "P(equivalent)", priority=2, preset=SHORT),
    Column("p_better", "P(better)", priority=2, preset=SHORT),
)
MOST = 3  # settings or variants that a note names


def suite_text(suite: Suite, ranked: pd.DataFrame, labels: Mapping[str, str]) -> TextTable:
    """The scores with a row per setting and a column per variant, and a last row with the mean ranks.

    Args:
        suite: the scores.
        ranked: from `suite.rank_table`.
        labels: the label of each variant, the header of its column.
    """
    measure, scores = suite.measure, suite.scores
    decimals = 2 if measure.difference_unit == "points" else significant(scores["mean"])
    seeds = scores.groupby("setting", sort=False)["n"].first()
    columns, cells = [SETTING, OF_SEEDS], [[*seeds.index, "Mean rank"], [*map(str, seeds), ""]]
    for row in ranked.itertuples():
        own = scores[scores["variant"] == row.variant]
        values = zip(measure.factor * own["mean"], measure.factor * own["sd"], own["near_best"], strict=True)
        key = f"{SCORE.key}_{row.variant}"
        also = (SCORE.key, *SCORE.also)
        columns.append(Column(key, labels[row.variant], priority=SCORE.priority, preset=SHORT, also=also))
        texts = [("*" if best else "") + number(mean, decimals, sd) for mean, sd, best in values]
        cells.append([*texts, f"{row.mean_rank:.2f}"])
    return TextTable(columns, cells)


def rank_text(ranked: pd.DataFrame) -> TextTable:
    """The table from `suite.rank_table` as text."""
    whole = ["wins", "losses", "ties"]
    cells = {
        "variant": list(ranked["variant"]),
        **{key: [f"{rank:.2f}" for rank in ranked[key]] for key in ("mean_rank", "mean_rank_test")},
        "best_in": [f"{count:.2g}" for count in ranked["best_in"]],
        **{key: ["–" if pd.isna(count) else f"{count:g}" for count in ranked[key]] for key in whole},
    }
    columns = [column for column in RANKS if ranked[column.key].notna().any() or column.key != "mean_rank_test"]
    return TextTable(columns, [cells[column.key] for column in columns])


def pair_text(pairs: pd.DataFrame, measure: Measure) -> TextTable:
    """The table from `suite.pair_table` as text."""
    of_points = measure.difference_unit == "points"
    decimals = 2 if of_points else significant(pairs["mean_difference"], digits=3)
    cells = {
        "variant": list(pairs["variant"]),
        "other": list(pairs["other"]),
        "mean_difference": [signed(measure.factor * value, decimals) for value in pairs["mean_difference"]],
        "wins": [f"{row.wins + 0.5 * row.ties:g} of {row.n}" for row in pairs.itertuples()],
        **{key: [p_value(p) for p in pairs[key]] for key in ("p_wilcoxon", "p_holm")},
        **{key: [f"{p:.2f}" for p in pairs[key]] for key in ("p_worse", "p_equivalent", "p_better")},
    }
    return TextTable(PAIRS, [cells[column.key] for column in PAIRS])


def suite_notes(suite: Suite) -> list[str]:
    """The notes below the scores, as sentences."""
    unit = f" ({suite.measure.shown_unit})" if suite.measure.shown_unit else ""
    least = int(suite.scores["n"].min())
    lines = [
        f"{suite.measure.label}{unit}: mean ± standard deviation over the n seeds that are complete in all variants of"
        " a setting. "
        + (
            "Bold: not significantly worse than the best variant of the setting (paired t-tests, Holm)."
            if least >= inference.INTERVALS_FROM
            else f"Nothing is bold where a setting has fewer than {inference.INTERVALS_FROM} seeds."
        ),
        "The last row is the mean of the ranks within settings, 1 for the best.",
    ]
    for setting, missing in list(suite.left_out.items())[:MOST]:
        why = f"{_named(missing)} has no complete seed" if missing else "no seed is complete in all variants"
        lines.append(f"Left out: {setting}, because {why}.")
    if len(suite.left_out) > MOST:
        lines.append(f"Left out for such a reason: {len(suite.left_out) - MOST} more settings.")
    if suite.elsewhere:
        lines.append(f"Left out, because trained in less than half of the settings: {_named(suite.elsewhere)}.")
    if suite.outside:
        lines.append(f"Left out: {suite.outside} runs that belong to no setting of the suite.")
    return lines


def dependence_notes(suite: Suite) -> list[str]:
    """A note if settings share their data."""
    if not suite.shared:
        return []
    each = [f"{'; '.join(settings[:MOST])}{'; ...' if settings[MOST:] else ''}" for settings in suite.shared[:MOST]]
    count = suite.scores["setting"].nunique()
    independent = count - sum(len(settings) - 1 for settings in suite.shared)
    return [
        f"Settings that share their data are not independent ({' / '.join(each)}). All tests take them for independent,"
        f" so their p-values are too small, and probabilities too near 0 and 1: there are {independent} data sets in"
        f" {count} settings."
    ]


def rank_columns(against: str) -> dict[str, str]:
    """What columns of the mean ranks say, by column."""
    return {
        "mean_rank_test": "By test: the mean rank by the same score on test sets, which takes no part in any choice.",
        "best_in": "Best in: the settings in which the variant has the best mean; equal variants share a setting.",
        "wins": f"Wins, losses and ties: the number of settings, against {against}.",
    }


def pair_columns(settings: int, variants: int) -> dict[str, str]:
    """What columns of the pairs say, by column."""
    pairs = counted(variants * (variants - 1) // 2, "pair")
    return {
        "wins": "Wins: the settings in which the first variant is better; a tie counts half.",
        "p_wilcoxon": "p: signed-rank test (Wilcoxon), exact.",
        "p_holm": " ".join([f"p (Holm): the same, corrected for {pairs}.", *few_settings(settings, variants)]),
    }


def rank_notes(suite: Suite, on_test: Suite | None = None) -> list[str]:
    """The notes below the mean ranks: the tests of Friedman, and what so many settings can show.

    Args:
        suite: the scores.
        on_test: the same by test scores, if there are any.
    """
    matrix = suite.matrix
    n, k = matrix.shape
    ranked = ranks.ranks(matrix.to_numpy())
    found, p = ranks.friedman(ranked), ranks.permuted(ranked)
    f = "∞" if math.isinf(found.f) else f"{found.f:.2f}"
    lines = [
        f"Mean ranks over {n} settings by {suite.measure.name}, 1 is best.",
        f"Do the variants differ at all? Friedman: χ²({found.df}) = {found.chi2:.2f}, p = {p_value(found.p)}. Iman and"
        f" Davenport: F({found.df}, {found.df_error}) = {f}, p = {p_value(found.p_f)}. By permutation of ranks"
        f" within settings, which decides: p = {p_value(p)}."
        + ("" if p < ranks.LEVEL else " No difference between variants is shown."),
        "Nemenyi's critical difference of mean ranks (p < .05):"
        f" {ranks.critical_difference(k, n):.2f}. The table of pairs has tests with more power.",
    ]
    if on_test:
        p_test = ranks.permuted(ranks.ranks(on_test.matrix.to_numpy()))
        lines.append(f"By {on_test.measure.name}, the permutation test has p = {p_value(p_test)}.")
    return lines


def few_settings(settings: int, variants: int) -> list[str]:
    """A note on what cannot be concluded from so many settings; none if there are enough."""
    pairs = variants * (variants - 1) // 2
    least = inference.smallest_p(settings)
    if least * pairs < ranks.LEVEL:
        return []
    alone, all_pairs = inference.seeds_for(1), inference.seeds_for(pairs)
    needed = (
        f"{alone} settings"
        if pairs == 1
        else f"{alone} settings for a single pair, {all_pairs} for {counted(pairs, 'pair')}"
    )
    return [
        f"No pair can be significant: with {settings} settings, the signed-rank test cannot go below p = {least:.2g},"
        f" after Holm's correction for {counted(pairs, 'pair')} {min(1.0, least * pairs):.2g}. To reach p < .05, it"
        f" needs {needed}. That no difference is found does not mean that there is none."
    ]


def pair_notes(suite: Suite, rope: float, fixed: bool) -> list[str]:
    """The notes below the pairs.

    Args:
        suite: the scores.
        rope: half the width of the region of practical equivalence, in the unit of the measure.
        fixed: whether the study fixed it as its margin of equivalence.
    """
    unit = f" {suite.measure.difference_unit}" if suite.measure.difference_unit else ""
    region = f"±{rope * suite.measure.factor:.6g}{unit}"
    origin = (
        "the margin of equivalence, fixed before the first run"
        if fixed
        else "the usual one, since the study fixed no margin with equivalence=..."
        if rope
        else "since the study fixed no margin with equivalence=..., only equal means are equivalent"
    )
    return [
        f"Pairs are compared over {suite.scores['setting'].nunique()} settings by {suite.measure.name}.",
        "P: Bayesian signed-rank test (Benavoli et al. 2014), the probability that over data sets like these the first"
        f" variant is mostly worse, equivalent or better. Equivalent: within {region} ({origin}).",
    ]


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
