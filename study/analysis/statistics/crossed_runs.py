"""Variance components of a study with crossed seeds, by variant: of a score, and of its difference to the baseline."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.statistics.seed_design import seeds_of, shares_seeds
from study.analysis.statistics.variance_components import TOTAL, Anova, anova, mean_sd
from study.seeds import SOURCES

SCORE, DIFFERENCE = "score", "difference"
REPEATS = (1, 2, 5, 10)  # numbers of seeds for which the deviation of a mean is given
WHAT = ("measure", "variant", "quantity", "baseline", "runs")
COMPONENTS = (*WHAT, "component", "variance", "variance_low", "variance_high", "sd", "sd_low", "sd_high", "share")
MORE_SEEDS = (*WHAT, "mean", "ci_low", "ci_high", "only", *(f"sd_{count}" for count in REPEATS))
ALL = "all sources"


def variance_tables(
    rows: pd.DataFrame, baselines: Mapping[str, str], measure: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The variance of each source of randomness, and what more seeds buy; both empty unless seeds are crossed.

    Args:
        rows: one row per run, from `gaps.at_epoch`.
        baselines: the baseline of each variant.
        measure: the primary measure.

    Returns:
        COMPONENTS: a row per variant, quantity (the score, or its seed-paired difference to the baseline) and component
        (each source, their interaction, the total). Deviations and the mean are in the measure's stored unit. A
        negative estimate of a variance has sd 0. `share` is that of all estimates above 0.
        MORE_SEEDS: a row per variant, quantity and kind of seeds. `sd_5` is the standard deviation of a mean over five
        seeds if all sources have other seeds, or only the one named in `only`. The interval of the mean covers other
        seeds of all sources.
    """
    components: list[dict[str, Any]] = []
    more: list[dict[str, Any]] = []
    if shares_seeds(rows):
        for what, found in _analyses(rows, baselines, measure):
            components += [{**what, **line} for line in _components(found)]
            more += [{**what, **line} for line in _more_seeds(found)]
    return pd.DataFrame(components, columns=list(COMPONENTS)), pd.DataFrame(more, columns=list(MORE_SEEDS))


def left_out(rows: pd.DataFrame, components: pd.DataFrame) -> list[str]:
    """The variants whose seeds are not crossed in a way that the table knows, for example since a run is missing."""
    return [variant for variant in rows["variant"].unique() if variant not in set(components["variant"])]


def _analyses(rows: pd.DataFrame, baselines: Mapping[str, str], measure: str) -> Iterator[tuple[dict[str, Any], Anova]]:
    complete = rows[rows["state"] == "complete"]
    complete = complete[complete[measure].notna()].set_index("seed")
    by_variant = dict(iter(complete.groupby("variant", sort=False)))
    for quantity in (SCORE, DIFFERENCE):
        for variant, own in by_variant.items():
            baseline, values = "", own[measure]
            if quantity == DIFFERENCE:
                baseline = baselines.get(variant, "")
                if baseline not in by_variant or set(by_variant[baseline].index) != set(own.index):
                    continue
                values = own[measure] - by_variant[baseline][measure].reindex(own.index)
            found = anova(values.to_numpy(float), seeds_of(own))
            if found is not None:
                what = {"measure": measure, "variant": variant, "quantity": quantity, "baseline": baseline}
                yield {**what, "runs": found.runs}, found


def _components(found: Anova) -> Iterator[dict[str, Any]]:
    above = {name: max(0.0, found.variance(name)) for name in found.components}
    whole = sum(variance for name, variance in above.items() if name != TOTAL)
    for name in found.components:
        interval = found.interval(name)
        low, high = interval.low, interval.high
        yield {
            **{"component": name, "variance": interval.mean, "variance_low": low, "variance_high": high},
            **{"sd": math.sqrt(above[name]), "sd_low": math.sqrt(low), "sd_high": math.sqrt(high)},
            "share": np.nan if name == TOTAL or not whole else above[name] / whole,
        }


def _more_seeds(found: Anova) -> Iterator[dict[str, Any]]:
    mean = found.mean_interval()
    own = {"mean": mean.mean, "ci_low": mean.low, "ci_high": mean.high}
    sources = [source for source in SOURCES if source in found.components]
    for only in (None, *sources) if len(sources) > 1 else (None,):
        deviations = {f"sd_{count}": mean_sd(found, count, only) for count in REPEATS}
        yield {**own, "only": only or (ALL if len(sources) > 1 else sources[0]), **deviations}
