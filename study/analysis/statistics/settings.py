"""The settings of a suite: which there are, and which of them a run belongs to."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from study.config.names import differing, short_names

ELSEWHERE = ""  # of runs that belong to no setting

OF_IMPLICIT = ("data", "model", "epochs", "budget", "batch_size")  # keys and groups that make a setting on their own


def suite_in(runs: pd.DataFrame, recorded: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The settings of a study: those of its suite; else those of its runs if it has several data sets; else none.

    Args:
        runs: one row per run, with `setting` and `checksums`.
        recorded: the settings of its suite, from `sweeps.recorded_suite`.
    """
    if recorded or runs["checksums"].nunique() < 2:
        return recorded
    each = [json.loads(text) for text in runs["setting"].unique()]
    own = [{key: value for key, value in setting.items() if key.split(".")[0] in OF_IMPLICIT} for setting in each]
    return [json.loads(text) for text in dict.fromkeys(map(json.dumps, own))]


def settings_of(runs: pd.DataFrame, suite: Sequence[Mapping[str, Any]]) -> pd.Series:
    """The short name of the setting of each run; ELSEWHERE for a run that belongs to none.

    Args:
        runs: one row per run, with `setting`.
        suite: the settings as `sweeps.recorded_suite` has them, with all their keys.
    """
    keys = differing(suite)
    apart = [{key: setting[key] for key in keys if key in setting} for setting in suite]
    names = short_names(suite)
    found = {}
    for text in runs["setting"].unique():
        own = json.loads(text)
        # A regularizer may set options of the model; then its runs do not have them as a setting.
        fits = (all(own.get(key, value) == value for key, value in setting.items()) for setting in apart)
        found[text] = next((name for name, fit in zip(names, fits, strict=True) if fit), ELSEWHERE)
    return runs["setting"].map(found)
