"""How the runs of a variant share seeds of single sources: whether they are independent, or crossed, and how."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from study.seeds import SOURCES

INDEPENDENT = "independent"  # each run has seeds of its own in all sources that vary
ARRAY = "array"  # any two sources that vary meet in each combination once
FACTORIAL = "factorial"  # all sources that vary meet in each combination once
OTHER = "other"
SHARED = (
    "Runs of a variant share seeds of single sources (split, init, order, dropout), so they are not independent"
    " repetitions: no intervals over runs, no tests and no bold. The table variance is made for such seeds, if they are"
    " fully crossed."
)


def seeds_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The seed of each source, a column each; of a study without seeds of single sources, `seed` in all of them."""
    if "seed_split" not in rows:
        return pd.DataFrame(dict.fromkeys(SOURCES, rows["seed"]))
    return rows[[f"seed_{source}" for source in SOURCES]].set_axis(list(SOURCES), axis=1)


def varying(seeds: pd.DataFrame) -> list[str]:
    """The sources that do not have one seed in all runs."""
    return [source for source in SOURCES if seeds[source].nunique() > 1]


def design_of(seeds: pd.DataFrame) -> str:
    """INDEPENDENT, ARRAY, FACTORIAL or OTHER: how the runs of one variant share seeds.

    Args:
        seeds: the seed of each source, (runs, sources).
    """
    sources, runs = varying(seeds), len(seeds)
    if all(seeds[source].nunique() == runs for source in sources):
        return INDEPENDENT
    levels = [seeds[source].nunique() for source in sources]
    pairs = itertools.combinations(sources, 2)
    if len(set(levels)) == 1 and levels[0] ** 2 == runs and all(_once(seeds, pair) for pair in pairs):
        return ARRAY
    return FACTORIAL if np.prod(levels) == runs and _once(seeds, sources) else OTHER


def _once(seeds: pd.DataFrame, sources: Sequence[str]) -> bool:
    return not seeds.duplicated(list(sources)).any()


def shares_seeds(rows: pd.DataFrame) -> bool:
    """Whether runs of a variant share seeds of some sources and not of others, so that they are not independent.

    Args:
        rows: one row per run.
    """
    if "seed_split" not in rows:
        return False
    seeds = seeds_of(rows)
    return any(design_of(own) != INDEPENDENT for _, own in seeds.groupby(rows["variant"], sort=False))


def fixed_notes(rows: pd.DataFrame) -> list[str]:
    """A note if all runs have the same seed of a source, while those of others vary."""
    if "seed_split" not in rows:
        return []
    seeds = seeds_of(rows)
    fixed = {source: seeds[source].iloc[0] for source in SOURCES if source not in varying(seeds)}
    if not fixed or len(fixed) == len(SOURCES):
        return []
    named = ", ".join(f"seed.{source}={seed}" for source, seed in fixed.items())
    return [f"All runs have {named}. Intervals and tests hold for it alone, and say nothing of other seeds of it."]
