"""Studies that add seeds in rounds (seeds=auto): the round that is analyzed, and the levels of its tests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.reading.study import Study
from study.analysis.statistics.inference import LEVEL as CONFIDENCE
from study.analysis.statistics.units import shown_unit
from study.sequential import Round

LEVEL = 0.05


@dataclass(frozen=True)
class Testing:
    """How tests and intervals allow for rounds.

    Attributes:
        round: the last complete round; None if the number of seeds was fixed.
        contrasts: the number of contrasts of the design.
        half_width: at which no more seeds are added, in the unit of displayed differences.
    """

    round: Round | None = None
    contrasts: int = 0
    half_width: float = float("nan")

    def level(self, level: float = LEVEL) -> float:
        """The two-sided level of a test of this round alone, for a test with `level` over all rounds."""
        return level if self.round is None else self.round.nominal(level)

    def confidence(self, contrasts: int) -> float:
        """The confidence of a t-interval.

        With a fixed number of seeds, each interval has 95 %. In rounds, the intervals of all contrasts and rounds
        together have 95 %.

        Args:
            contrasts: their number; 1 for the intervals of exploratory measures, which have 95 % each.
        """
        if self.round is None:
            return CONFIDENCE
        return 1 - self.round.nominal((1 - CONFIDENCE) / contrasts)

    def family(self, baselines: Mapping[str, str]) -> int:
        """The number of contrasts that share the level of the primary measure."""
        return max(1, self.contrasts, len(baselines))

    def p(self, p: np.ndarray) -> np.ndarray:
        """Two-sided p-values, for all rounds together."""
        return np.asarray(p, float) if self.round is None else self.round.over_rounds(p)

    def p_one_sided(self, p: np.ndarray) -> np.ndarray:
        """One-sided p-values, for all rounds together: half of the two-sided ones of the same statistic."""
        p = np.asarray(p, float)
        return p if self.round is None else self.round.over_rounds(np.minimum(1.0, 2 * p)) / 2


FIXED = Testing()


def whole_rounds(study: Study, designs: list[dict[str, Any] | None]) -> tuple[Study, Testing, list[str]]:
    """Keep the runs of complete rounds, in a study that adds seeds in rounds.

    In a complete round, each variant of the design has each seed. Diverged and damaged runs count as present. Before
    the end of the first round, all runs are kept.

    Args:
        study: its usable runs.
        designs: from `sweeps.recorded_designs`.

    Returns:
        The runs to compare, how to test them, and notes for every table.
    """
    design = next(filter(None, designs), None)
    if design is None:
        return study, FIXED, []
    notes = []
    if len(designs) > 1:
        notes.append("The study's sweeps name several designs of seeds=auto, or given seeds. The first design is used.")
    runs, seeds = study.runs, tuple(design["rounds"])
    ended = runs[~runs["partial"].astype(bool)] if "partial" in runs else runs
    damaged = {int(seed) for line in study.damaged for seed in re.findall(r"-seed(\d+)-", line)}
    there = [damaged.union(own) for _, own in ended.groupby("variant")["seed"]]
    wanted = len({variant for pair in design["contrasts"] for variant in pair})
    number = 0
    while number < len(seeds) and sum(own.issuperset(range(seeds[number])) for own in there) >= wanted:
        number += 1
    testing = Testing(Round(seeds, number), len(design["contrasts"]), design["half_width"])
    if number == 0:
        first = f"seeds 0 to {seeds[0] - 1}"
        return study, testing, [*notes, f"seeds=auto: the first round ({first}) is not complete, so nothing is tested."]
    so_far = f"{seeds[number - 1]} seeds in {number} of at most {len(seeds)} rounds"
    notes.append(
        f"Seeds were added in rounds (seeds=auto): {so_far}."
        " Tests and intervals of differences to the baseline hold for all rounds together."
    )
    kept = runs["seed"].isin(range(seeds[number - 1]))
    left = sorted(runs.loc[~kept, "seed"].unique(), key=lambda seed: (len(str(seed)), str(seed)))
    if left:
        notes.append(
            f"Left out: seed {', '.join(map(str, left))}, because it belongs to no complete round of seeds=auto."
        )
    return (study.of_runs(kept) if left else study), testing, notes


def notes(table: pd.DataFrame, primary: str, testing: Testing) -> list[str]:
    """The note on the design, as a sentence; none if the number of seeds was fixed.

    Args:
        table: the contrasts.
        primary: the measure that was fixed before the runs.
        testing: how they were tested.
    """
    now, of_primary = testing.round, table[table["measure"] == primary]
    if now is None or of_primary.empty:
        return []
    factor, unit = shown_unit(of_primary)
    widest = float((of_primary["ci_high"] - of_primary["ci_low"]).max() / 2 * factor)
    reached = f"The widest is ± {widest:.2g}{unit}" if widest > testing.half_width else "It is reached"
    return [
        f"Rounds of seeds: the half-width of all intervals of {primary} that ends the study is {testing.half_width:g}"
        f"{unit}, up to {now.seeds[-1]} seeds. {reached}. Whatever stops the study, p-values, verdicts and intervals"
        " hold for all rounds together (group-sequential t-tests; each seed spends an equal part of the 5 %). Intervals"
        f" of {primary} also hold for all contrasts together."
    ]
