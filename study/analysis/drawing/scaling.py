"""Select the parameters that a figure shows, and divide their values by the root mean square on request."""

import re

import pandas as pd

from study.analysis.drawing.view import View
from study.errors import ConfigError, StudyError

RAW, RMS = "raw", "rms"
WORDS = {"all": ".*", "weights": r"(?!norms\.).*weight", "biases": ".*bias"}


def chosen(table: pd.DataFrame, parameters: str) -> pd.DataFrame:
    """Return the rows of the selected parameters.

    Args:
        table: rows with `parameter`.
        parameters: `all`, `weights`, `biases`, or a regular expression that must match whole names.

    Raises:
        ConfigError: `parameters` matches no name, or is not a regular expression.
    """
    try:
        fits = table["parameter"].str.fullmatch(WORDS.get(parameters, parameters))
    except re.error as error:
        raise ConfigError(
            f"parameters={parameters}: must be a regular expression ({error}). Also allowed: {', '.join(WORDS)}"
        ) from None
    if not fits.any():
        names = ", ".join(table["parameter"].unique())
        raise ConfigError(f"parameters={parameters}: matches none of {names}. Also allowed: {', '.join(WORDS)}")
    return table[fits]


def in_rms(view: View, rows: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Return the histograms of some runs, for `rms` with values divided by the root mean square of their tensor.

    The root mean square is computed from weights.csv over all seeds of a variant together.

    Args:
        view: the runs of the figure.
        rows: one row per run, with `epoch`.
        scale: `raw` or `rms`.

    Raises:
        ConfigError: `scale` is neither of the two.
        StudyError: no run has a histogram.
    """
    histograms = view.study.histograms(rows)
    if histograms.empty:
        raise StudyError(f"{view.study.folder}: every run diverged before its first histogram. Nothing can be drawn")
    if scale == RAW:
        return histograms
    if scale != RMS:
        raise ConfigError(f"scale={scale}: there is no such scale. Allowed: {RAW}, {RMS}")
    weights = view.study.weights.merge(rows[["run", "epoch"]], on=["run", "epoch"])
    sums = weights.assign(squares=weights["l2"] ** 2).groupby(["variant", "parameter"])[["squares", "count"]].sum()
    rms = (sums["squares"] / sums["count"]).pow(0.5).rename("rms")
    scaled = histograms.join(rms, on=["variant", "parameter"])
    edges = scaled[["bin_left", "bin_right"]].div(scaled["rms"].where(scaled["rms"] > 0, 1.0), axis=0)
    return histograms.assign(**edges)
