"""Variance components: coverage of their intervals, and of the mean's, in simulated studies with crossed seeds."""

import numpy as np
import pandas as pd
from validation.rates import DRAWS, LEVEL, rate

from study.analysis.statistics.variance_components import INTERACTION, TOTAL, anova
from study.seeds import SOURCES, by_source, crossed

CASES = {  # standard deviations of split, init, order, dropout, and of all interactions
    "all alike": (1.0, 1.0, 1.0, 1.0, 1.0),
    "split largest": (3.0, 0.5, 0.5, 0.0, 1.0),
    "interactions alone": (0.0, 0.0, 0.0, 0.0, 1.0),
}
SHAPE = (5, 4, 3)  # of the full factorial of split, init and order
OF_FACTORIAL = {  # standard deviations by the sources of an effect
    **{("split",): 1.0, ("init",): 0.5, ("order",): 1.0},
    **{("split", "init"): 0.7, ("split", "order"): 0.3, ("init", "order"): 0.5, ("split", "init", "order"): 0.5},
}


def components(generator: np.random.Generator, draws: int = DRAWS // 2) -> list[list[str]]:
    """Return rows with the rates at which 95 % intervals miss the true value; a true mean is 0."""
    lines = []
    for levels in (5, 7):
        seeds = pd.DataFrame([by_source(seed) for seed in crossed(levels)])
        for name, deviations in CASES.items():
            truth = {**dict(zip(SOURCES, np.square(deviations), strict=False)), INTERACTION: deviations[-1] ** 2}
            effects = {(source,): sd for source, sd in zip(SOURCES, deviations, strict=False)}
            what = f"seeds={{crossed: {levels}}}, {name}"
            lines += _missed(generator, seeds, effects, deviations[-1], truth, what, draws)
    cells = np.indices(SHAPE).reshape(3, -1)
    seeds = pd.DataFrame(dict(zip(SOURCES, [*cells, np.zeros(cells.shape[1], int)], strict=True)))
    truth = {sources[0]: sd**2 for sources, sd in OF_FACTORIAL.items() if len(sources) == 1}
    truth[INTERACTION] = sum(sd**2 for sources, sd in OF_FACTORIAL.items() if len(sources) > 1)
    return lines + _missed(generator, seeds, OF_FACTORIAL, 0.0, truth, "5 × 4 × 3 seeds, all interactions", draws)


def _missed(
    generator: np.random.Generator,
    seeds: pd.DataFrame,
    effects: dict[tuple[str, ...], float],
    noise: float,
    truth: dict[str, float],
    what: str,
    draws: int,
) -> list[list[str]]:
    """Return a row per component, with the rate at which its interval misses the truth."""
    truth = {**truth, TOTAL: sum(truth.values())}
    missed: dict[str, list[bool]] = {name: [] for name in (*truth, "mean")}
    codes = {sources: seeds.groupby(list(sources)).ngroup().to_numpy() for sources in effects}
    for _ in range(draws):
        values = noise * generator.standard_normal(len(seeds))
        for sources, sd in effects.items():
            values += sd * generator.standard_normal(codes[sources].max() + 1)[codes[sources]]
        found = anova(values, seeds)
        if found is None:
            raise ValueError(f"{what}: not a known design")
        for name, variance in truth.items():
            interval = found.interval(name)
            missed[name].append(not interval.low <= variance <= interval.high)
        interval = found.mean_interval()
        missed["mean"].append(not interval.low <= 0 <= interval.high)
    return [[f"{what}: interval misses {name}", *rate(np.array(each), LEVEL)] for name, each in missed.items()]
