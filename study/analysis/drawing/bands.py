"""A line through the means over seeds, with a band that shows the spread over seeds."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from study.analysis.statistics.inference import INTERVALS_FROM, half_width_factor
from study.errors import ConfigError

RANGE, INTERVAL = "range", "interval"


def summarized(x: pd.Series, y: pd.Series, band: str) -> pd.DataFrame:
    """Return the mean of y at each x and the ends of its band: columns `mean, low, high`, indexed by x.

    Args:
        x: (n,).
        y: (n,); values that are not finite are omitted.
        band: `range`: from the minimum to the maximum. `interval`: the pointwise 95 % t-interval of the mean. It needs
            at least three values; with fewer, its ends are NaN.

    Raises:
        ConfigError: `band` is neither of the two.
    """
    grouped = y.where(np.isfinite(y)).groupby(x.to_numpy())
    mean = grouped.mean()
    if band == RANGE:
        return pd.DataFrame({"mean": mean, "low": grouped.min(), "high": grouped.max()})
    if band == INTERVAL:
        count = grouped.count().to_numpy()
        half = grouped.std(ddof=1).where(count >= INTERVALS_FROM) * half_width_factor(count)
        return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
    raise ConfigError(f"band={band}: there is no such band. Allowed: {RANGE}, {INTERVAL}")


def draw_band(axis: Axes, x: pd.Series, y: pd.Series, band: str, look: dict[str, Any], label: str) -> None:
    """Draw the line, and the band if some x has several values; see `summarized`."""
    table = summarized(x, y, band)
    axis.plot(table.index, table["mean"], label=label, **look)
    if x.duplicated().any():
        axis.fill_between(table.index, table["low"], table["high"], color=look["color"], alpha=0.18, linewidth=0)
