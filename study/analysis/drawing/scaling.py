"""Which parameters a figure shows, and whether as they are or divided by their root mean square."""

import re

import pandas as pd

from study.analysis.drawing.view import View
from study.errors import ConfigError, StudyError

RAW, RMS = "raw", "rms"
WORDS = {"all": ".*", "weights": r"(?!norms\.).*weight", "biases": ".*bias"}


def chosen(table: pd.DataFrame, parameters: str) -> pd.DataFrame:
    """The rows of some parameters.

    Args:
        table: rows with `parameter`.
        parameters: `all`, `weights`, `biases`, or a regular expression for whole names.

    Raises:
        ConfigError: none fits.
    """
    try:
        fits = table["parameter"].str.fullmatch(WORDS.get(parameters, parameters))
    except re.error as error:
        raise ConfigError(f"parameters: {parameters} is not a regular expression ({error})") from None
    if not fits.any():
        names = ", ".join(table["parameter"].unique())
        raise ConfigError(f"parameters: {parameters} matches none of {names}; {', '.join(WORDS)} are allowed as well")
    return table[fits]


def in_rms(view: View, rows: pd.DataFrame, scale: str) -> pd.DataFrame:
    """The histograms of some runs, with values divided by the root mean square of their tensor where that is wanted.

    The root mean square is that of each variant's seeds taken together, from weights.csv.

    Args:
        view: the runs.
        rows: one row per run, with `epoch`.
        scale: `raw` or `rms`.

    Raises:
        ConfigError: there is no such scale.
        StudyError: no run has a histogram.
    """
    histograms = view.study.histograms(rows)
    if histograms.empty:
        raise StudyError(f"{view.study.folder}: every run diverged before its first histogram; nothing can be drawn")
    if scale == RAW:
        return histograms
    if scale != RMS:
        raise ConfigError(f"scale={scale}: allowed: {RAW}, {RMS}")
    weights = view.study.weights.merge(rows[["run", "epoch"]], on=["run", "epoch"])
    sums = weights.assign(squares=weights["l2"] ** 2).groupby(["variant", "parameter"])[["squares", "count"]].sum()
    rms = (sums["squares"] / sums["count"]).pow(0.5).rename("rms")
    scaled = histograms.join(rms, on=["variant", "parameter"])
    edges = scaled[["bin_left", "bin_right"]].div(scaled["rms"].where(scaled["rms"] > 0, 1.0), axis=0)
    return histograms.assign(**edges)
