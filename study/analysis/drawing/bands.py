"""A line through means over seeds, with a band that says how far seeds differ."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from study.analysis.statistics.inference import INTERVALS_FROM, half_width_factor
from study.errors import ConfigError

RANGE, INTERVAL = "range", "interval"


def summarized(x: pd.Series, y: pd.Series, band: str) -> pd.DataFrame:
    """Mean of y at each x with the ends of its band: columns `mean, low, high`, indexed by x.

    Args:
        x: (n,).
        y: (n,); values that are not finite are left out.
        band: `range`, from the least to the greatest, or `interval`, the 95 % t-interval of the mean, pointwise, of
            three values or more.

    Raises:
        ConfigError: there is no such band.
    """
    grouped = y.where(np.isfinite(y)).groupby(x.to_numpy())
    mean = grouped.mean()
    if band == RANGE:
        return pd.DataFrame({"mean": mean, "low": grouped.min(), "high": grouped.max()})
    if band == INTERVAL:
        count = grouped.count().to_numpy()
        half = grouped.std(ddof=1).where(count >= INTERVALS_FROM) * half_width_factor(count)
        return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
    raise ConfigError(f"band={band}: allowed: {RANGE}, {INTERVAL}")


def draw_band(axis: Axes, x: pd.Series, y: pd.Series, band: str, look: dict[str, Any], label: str) -> None:
    """Draw it; see `summarized`."""
    table = summarized(x, y, band)
    axis.plot(table.index, table["mean"], label=label, **look)
    if x.duplicated().any():
        axis.fill_between(table.index, table["low"], table["high"], color=look["color"], alpha=0.18, linewidth=0)
