"""The results of a study over several settings: its scores, ranks, and the comparison of all pairs of variants."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.statistics import contrasts, inference, ranks
from study.analysis.statistics.settings import ELSEWHERE, settings_of
from study.analysis.statistics.signed_rank import signed_rank
from study.analysis.statistics.tuning import context_names
from study.config.names import differing, short_names, without_settings
from study.config.run_config import DATA_KEYS
from study.errors import ConfigError
from study.measures.catalog import Measure, measures_of

USUAL_ROPE = 1.0  # points: the usual region of practical equivalence (Benavoli et al. 2017)
SCORES = (
    *("setting", "variant", "reg", "lam", "data"),
    *("measure", "n", "mean", "sd", "near_best", "rank"),
)
RANKS = (
    *("variant", "reg", "lam", "model_regularizers", "mean_rank", "mean_rank_test"),
    *("best_in", "wins", "losses", "ties", "against"),
)
PAIRS = (
    *("variant", "other", "n", "mean_difference", "unit", "wins", "losses", "ties", "p_wilcoxon", "p_holm", "rope"),
    *("p_worse", "p_equivalent", "p_better"),
)


@dataclass(frozen=True)
class Suite:
    """What was measured in each setting of a suite.

    Attributes:
        measure: the primary measure.
        scores: SCORES, one row per setting and variant, settings in their order, variants in that of their mean rank.
            `mean` and `sd` are over the seeds that are complete in all variants of the setting. `near_best`: not
            significantly worse than the best variant of the setting. `variant` is the variant without its setting.
        left_out: by setting, the variants without a complete seed in it, or without a common one.
        shared: lists of settings that share their data, with other settings of it or another model.
        elsewhere: variants that were trained in less than half of the settings.
        outside: the number of runs that belong to no setting.
    """

    measure: Measure
    scores: pd.DataFrame
    left_out: Mapping[str, Sequence[str]]
    shared: Sequence[Sequence[str]]
    elsewhere: Sequence[str]
    outside: int

    @property
    def matrix(self) -> pd.DataFrame:
        """The scores with a row per setting and a column per variant; larger is better."""
        wide = self.scores.pivot_table(index="setting", columns="variant", values="mean", sort=False)
        return wide * self.measure.better


@dataclass(frozen=True)
class Places:
    """Where the runs of a suite belong.

    Attributes:
        settings: the name of the setting of each run; ELSEWHERE if it has none.
        variants: the variant of each run without its setting.
        order: the names of all settings.
    """

    settings: pd.Series
    variants: pd.Series
    order: Sequence[str]


def places_of(
    runs: pd.DataFrame, suite: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any] | None = None
) -> Places:
    """Find the setting and the variant of each run.

    In a tuned study, each context of the protocol is a setting. A variant is a regularizer there, because each context
    has its own λ.

    Args:
        runs: one row per run.
        suite: the settings, from `settings.suite_in`.
        manifest: the manifest of a tuned study.
    """
    if manifest is not None:
        names = list(dict.fromkeys(context_names(manifest).values()))
        return Places(contrasts.contexts(runs, manifest), runs["reg"], names)
    keys = differing(suite)
    each = {text: json.loads(text) for text in runs["setting"].unique()}
    parts = {text: {key: setting[key] for key in keys if key in setting} for text, setting in each.items()}
    variants = [without_settings(run.variant, parts[run.setting]) for run in runs.itertuples()]
    return Places(settings_of(runs, suite), pd.Series(variants, runs.index, dtype=object), short_names(suite))


def suite_of(rows: pd.DataFrame, places: Places, measure: Measure) -> Suite | None:
    """Compute the scores of a suite; None if fewer than two settings have at least two common variants.

    A variant takes part if it was trained in at least half of the settings, a setting if it has a score of each of
    these variants.

    Args:
        rows: one row per run, from `gaps.at_epoch`.
        places: the setting of each run.
        measure: the measure to compare.
    """
    rows = rows.assign(variant=places.variants, context=places.settings)
    inside = rows[rows["context"] != ELSEWHERE]
    trained = inside.groupby("variant", sort=False)["context"].nunique()
    count = inside["context"].nunique()
    taking_part = list(trained.index[2 * trained >= count])
    of_part = inside[inside["variant"].isin(taking_part)]
    lines: list[dict[str, Any]] = []
    left_out: dict[str, list[str]] = {}
    for setting in places.order:
        own = of_part[of_part["context"] == setting]
        complete = own[(own["state"] == "complete") & own[measure.name].notna()]
        values = complete.pivot_table(index="seed", columns="variant", values=measure.name)
        missing = [variant for variant in taking_part if variant not in values]
        values = values.dropna()
        if missing or values.empty:
            left_out[setting] = missing
            continue
        best = contrasts.near_best(complete[complete["seed"].isin(values.index)], measure.name)
        means = values[taking_part].mean()
        ranked = ranks.ranks(measure.better * means.to_numpy()[None])[0]
        first = own.drop_duplicates("variant").set_index("variant")
        lines += [
            {
                **{"setting": setting, "variant": variant, "reg": first["reg"][variant], "lam": first["lam"][variant]},
                "data": first["data"][variant],
                **{"measure": measure.name, "n": len(values), "mean": means[variant]},
                "sd": values[variant].std(ddof=1) if len(values) > 1 else float("nan"),
                **{"near_best": variant in best, "rank": rank},
            }
            for variant, rank in zip(taking_part, ranked, strict=True)
        ]
    scores = pd.DataFrame(lines, columns=list(SCORES))
    if scores["setting"].nunique() < 2 or scores["variant"].nunique() < 2:
        return None
    order = scores.groupby("variant", sort=False)["rank"].mean().sort_values(kind="stable").index
    by_rank = scores.assign(
        place=scores["setting"].map(list(places.order).index), by=scores["variant"].map(list(order).index)
    )
    scores = by_rank.sort_values(["place", "by"], ignore_index=True).drop(columns=["place", "by"])
    elsewhere = [variant for variant in trained.index if variant not in taking_part]
    shared = _sharing(inside, list(scores["setting"].unique()))
    return Suite(measure, scores, left_out, shared, elsewhere, len(rows) - len(inside))


def _sharing(rows: pd.DataFrame, settings: Sequence[str]) -> list[list[str]]:
    """Those of some settings that share their data with others."""
    by_source: dict[str, list[str]] = {}
    first = rows.drop_duplicates("context").set_index("context", drop=False)
    for row in first.loc[list(settings)].itertuples():
        setting = json.loads(row.setting)
        drawn = {key: value for key, value in setting.items() if key.startswith("data.") and key[5:] not in DATA_KEYS}
        source = json.dumps([row.checksums, drawn])  # options draw other examples of generated data
        by_source.setdefault(source, []).append(row.context)
    return [settings for settings in by_source.values() if len(settings) > 1]


def on_test_sets(suite: Suite, rows: pd.DataFrame, places: Places) -> Suite | None:
    """The same settings and variants by the measure's counterpart on test sets.

    None if the measure is not one of validation sets, or if runs have no test scores.

    Args:
        suite: the scores by the primary measure.
        rows: one row per run, from `gaps.at_epoch`.
        places: the setting of each run.
    """
    counterpart = re.sub("^val_", "test_", suite.measure.name)
    measures = measures_of(rows["task"].iloc[0])
    if counterpart == suite.measure.name or counterpart not in measures:
        return None
    found = suite_of(rows, places, measures[counterpart])
    same = found is not None and all(set(found.scores[key]) == set(suite.scores[key]) for key in ("setting", "variant"))
    return found if same else None


def rank_table(
    suite: Suite, rows: pd.DataFrame, variants: pd.Series, baseline: str | None, on_test: Suite | None = None
) -> pd.DataFrame:
    """The mean rank of each variant, best first, and in how many settings it wins against the baseline.

    Args:
        suite: the scores.
        rows: one row per run.
        variants: the variant of each run without its setting.
        baseline: the variant that the others are compared with; None: each is compared with all others.
        on_test: from `on_test_sets`.

    Returns:
        RANKS. `mean_rank_test`: the mean rank by test scores; NaN if there are none. `best_in` counts the settings in
        which the variant has the best mean; equal ones share them.
    """
    matrix, lines = suite.matrix, []
    of_best = suite.scores[suite.scores["rank"] == suite.scores.groupby("setting")["rank"].transform("min")]
    shares = (1 / of_best.groupby("setting")["variant"].transform("size")).groupby(of_best["variant"]).sum()
    models = rows["model_regularizers"].groupby(variants).first()
    by_test = on_test.scores.groupby("variant")["rank"].mean() if on_test else pd.Series(dtype=float)
    for variant, own in suite.scores.groupby("variant", sort=False):
        others = [other for other in ([baseline] if baseline else matrix.columns) if other != variant]
        counts = np.sum([_won_lost_tied(matrix[variant] - matrix[other]) for other in others], axis=0)
        lines.append(
            {
                **{"variant": variant, "reg": own["reg"].iloc[0], "model_regularizers": models[variant]},
                "lam": own["lam"].iloc[0] if own["lam"].nunique() == 1 else float("nan"),
                **{"mean_rank": own["rank"].mean(), "mean_rank_test": by_test.get(variant, float("nan"))},
                "best_in": shares.get(variant, 0.0),
                **dict(zip(("wins", "losses", "ties"), counts if others else [None] * 3, strict=True)),
                "against": baseline or "all others",
            }
        )
    return pd.DataFrame(lines, columns=list(RANKS))


def _won_lost_tied(differences: pd.Series) -> np.ndarray:
    signs = np.sign(np.round(differences.to_numpy(), inference.DIGITS))
    return np.array([(signs > 0).sum(), (signs < 0).sum(), (signs == 0).sum()])


def pair_table(suite: Suite, rope: float) -> pd.DataFrame:
    """Compare all pairs of variants over the settings: signed-rank tests, corrected by Holm, and probabilities.

    Args:
        suite: the scores.
        rope: half the width of the region of practical equivalence, in the unit of the measure.

    Returns:
        PAIRS, the better mean rank first in each pair. Differences are variant − other, in the unit of the measure;
        `p_better` is the posterior probability that the variant is practically better.
    """
    matrix, lines = suite.matrix, []
    for variant, other in itertools.combinations(matrix.columns, 2):
        gains = (matrix[variant] - matrix[other]).to_numpy()
        found = signed_rank(gains, rope)
        won, lost, tied = _won_lost_tied(matrix[variant] - matrix[other])
        lines.append(
            {
                **{"variant": variant, "other": other, "n": len(gains), "unit": suite.measure.unit, "rope": rope},
                "mean_difference": suite.measure.better * gains.mean(),
                **{"wins": won, "losses": lost, "ties": tied, "p_wilcoxon": ranks.wilcoxon(gains)},
                **{"p_worse": found.below, "p_equivalent": found.inside, "p_better": found.above},
            }
        )
    table = pd.DataFrame(lines)
    return table.assign(p_holm=inference.holm(table["p_wilcoxon"].to_numpy()))[list(PAIRS)]


def rope_of(measure: Measure, margin: float | None) -> float:
    """Half the width of the region of practical equivalence, in the unit of the measure.

    Args:
        measure: the primary measure.
        margin: the study's margin of equivalence in displayed units; None: USUAL_ROPE for percentages, else 0.
    """
    if margin is not None:
        return margin / measure.factor
    return USUAL_ROPE / measure.factor if measure.difference_unit == "points" else 0.0


def against_of(table: pd.DataFrame, against: str | None) -> str:
    """The variant that all others are compared with: the given one, else the baseline, else that of the best mean rank.

    Args:
        table: from `rank_table`.
        against: the name of a variant; None: not given.

    Raises:
        ConfigError: there is no such variant.
    """
    names = list(table["variant"])
    if against is None:
        baseline = table["against"].iloc[0]
        return str(baseline if baseline in names else names[0])
    if against not in names:
        raise ConfigError(f"against={against}: there is no such variant. Allowed: {', '.join(names)}")
    return against


def probabilities(pairs: pd.DataFrame, variant: str, other: str) -> tuple[float, float, float]:
    """The probabilities that a variant is worse than, equivalent to, and better than another one."""
    for row in pairs.itertuples():
        if (row.variant, row.other) == (variant, other):
            return row.p_worse, row.p_equivalent, row.p_better
        if (row.variant, row.other) == (other, variant):
            return row.p_better, row.p_equivalent, row.p_worse
    raise KeyError(variant, other)
