"""How much the strength of a regularizer matters: the range of λ whose validation score is close to the best one."""

import math
from typing import Any

import numpy as np
import pandas as pd

from study.config.names import for_file_name
from study.errors import ConfigError
from study.measures.catalog import MAIN, measures_of
from study.tasks import CLASSIFICATION

FEWEST = 3  # values of λ for which a range makes sense
POINTS = 0.5  # distance from the best mean validation accuracy, in points
SHARE = 0.05  # for regression: the same as a fraction of the best mean validation loss
LOW, HIGH, BOTH = "lower end", "upper end", "both ends"
COLUMNS = (
    *("variant", "reg", "measure", "within", "best_lam", "best", "lam_low", "lam_high", "decades"),
    *("inside", "tried", "touches", "none_inside"),
)


def check_within(within: float | None) -> float | None:
    """Return the distance from the best score that `lam_within` names; None: the default of the task.

    Raises:
        ConfigError: it is not a finite number above 0.
    """
    if within is not None and not 0 < within < math.inf:
        raise ConfigError(f"lam_within={within:g}: must be a finite number above 0, or null. Example: lam_within=0.5")
    return within


def sensitivity(rows: pd.DataFrame, within: float | None = None) -> pd.DataFrame:
    """The range of λ around the best one whose mean validation score is close to the best mean.

    The range ends before the first λ whose mean is too far from the best, or of which a run diverged. So there is no
    gap in it. λ = 0 is no regularizer, and not part of it.

    Args:
        rows: one row per run, from `gaps.at_epoch`, with `context`.
        within: the largest distance from the best mean, in points of accuracy; for regression in the unit of the loss.
            None: POINTS; for regression, SHARE of the best loss.

    Returns:
        COLUMNS, a row per regularizer and setting with at least three λ. `variant` is the variant without its λ.
        `within` and `best` (the mean at `best_lam`) are in the unit of `measure`. `decades` = log₁₀(lam_high/lam_low).
        `inside` and `tried` count λ. `touches` names the ends of the tried λ that the range includes: it may go on
        beyond them. `none_inside`: whether the mean without a regularizer is that close to the best, too.
    """
    task = rows["task"].iloc[0]
    measure = measures_of(task)[MAIN[task].val]
    of_reg = rows[rows["takes_lam"].astype(bool) & (rows["lam"] > 0)]
    names = [_without_lam(*values) for values in zip(of_reg["variant"], of_reg["reg"], of_reg["lam"], strict=True)]
    lines: list[dict[str, Any]] = []
    for (name, context), own in of_reg.assign(name=names).groupby(["name", "context"], sort=False):
        means = _means(own, measure.name) * measure.better
        if len(means) < FEWEST or means.isna().all():
            continue
        best = float(means.max())
        distance = (
            abs(best) * SHARE if within is None and task != CLASSIFICATION else (within or POINTS) / measure.factor
        )
        close, at = (means >= best - distance - 1e-12).to_numpy(), int(np.nanargmax(means.to_numpy()))
        low, high = _range(close, at)
        none = rows[(rows["reg"] == "none") & (rows["context"] == context) & (rows["state"] == "complete")]
        without = none[measure.name].mean() * measure.better
        lam = means.index.to_numpy(float)
        lines.append(
            {
                **{"variant": name, "reg": own["reg"].iloc[0], "measure": measure.name, "within": distance},
                **{"best_lam": lam[at], "best": best * measure.better, "lam_low": lam[low], "lam_high": lam[high]},
                **{"decades": math.log10(lam[high] / lam[low]), "inside": high - low + 1, "tried": len(means)},
                "touches": {(True, True): BOTH, (True, False): LOW, (False, True): HIGH}.get(
                    (low == 0, high == len(means) - 1), ""
                ),
                "none_inside": None if pd.isna(without) else bool(without >= best - distance - 1e-12),
            }
        )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _without_lam(variant: str, reg: str, lam: float) -> str:
    """The key of a variant without its λ, such as `l1-scopeweights`."""
    option = for_file_name(reg)
    return option + variant.removeprefix(f"{option}-lam{lam:.15g}")


def _means(own: pd.DataFrame, measure: str) -> pd.Series:
    """The mean over seeds at each λ, in order of λ; NaN where a run has no score, for example since it diverged."""
    scores = own[measure].where(own["state"] == "complete")
    return scores.groupby(own["lam"]).agg(lambda values: values.mean(skipna=False)).sort_index()


def _range(close: np.ndarray, at: int) -> tuple[int, int]:
    """The first and the last of the places around `at` that are close, without a gap."""
    low = high = at
    while low > 0 and close[low - 1]:
        low -= 1
    while high < len(close) - 1 and close[high + 1]:
        high += 1
    return low, high
