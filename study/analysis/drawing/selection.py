"""Select the variants that figures show, their order and their labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import pandas as pd

from study.analysis.drawing.labels import checked_label
from study.analysis.drawing.looks import Look
from study.analysis.reading.study import Study
from study.errors import ConfigError
from study.measures.catalog import MAIN, MEASURES

MOST = 40  # variants that a figure can show
BEST = 12  # variants that it shows if there are more than MOST


def arranged(looks: Mapping[str, Look], variants: Sequence[str] | Mapping[str, str]) -> dict[str, Look]:
    """Return the looks of the variants in the order of the patterns that they match, with the labels of the patterns.

    Args:
        looks: looks of the variants that are shown.
        variants: patterns of names, or labels by pattern. If empty, nothing changes.

    Raises:
        ConfigError: a label is not allowed.
    """
    if not variants:
        return dict(looks)
    result = {}
    for pattern in variants:
        label = checked_label(str(variants[pattern])) if isinstance(variants, Mapping) else None
        for variant in [v for v in looks if v not in result and fnmatchcase(v, pattern)]:
            result[variant] = looks[variant] if label is None else replace(looks[variant], label=label)
    return result


def select(study: Study, rows: pd.DataFrame, variants: Iterable[str]) -> tuple[Study, pd.DataFrame, str]:
    """Return the part of a study that figures show: the variants that match a pattern.

    If more than MOST variants match, figures show the BEST of them by validation accuracy, or for regression by
    validation loss. They also show the variants without a penalty, because the others are compared with those.

    Args:
        study: all runs.
        rows: one row per run, from `gaps.at_epoch`.
        variants: shell-style patterns of variants' names. If empty, all variants match.

    Returns:
        The study, its rows, and a line that states what is shown. The line is empty if every variant is shown.

    Raises:
        ConfigError: a pattern matches no variant, or `variants` is not a list or mapping of patterns.
    """
    if not isinstance(variants, list | tuple | Mapping) or not all(isinstance(pattern, str) for pattern in variants):
        raise ConfigError(
            f"variants={variants}: must be a list of patterns, or a mapping from patterns to labels. Examples:"
            " variants=[none,'l1*'], variants={none: Plain}"
        )
    patterns, there = list(variants), list(study.runs["variant"].unique())
    fitting = [v for v in there if not patterns or any(fnmatchcase(v, pattern) for pattern in patterns)]
    useless = [pattern for pattern in patterns if not any(fnmatchcase(v, pattern) for v in there)]
    if useless or not fitting:
        names = ", ".join(there[:BEST]) + (", ..." if len(there) > BEST else "")
        raise ConfigError(f"variants: {', '.join(useless)} matches no variant. Variants: {names}")
    shown, how = fitting, ""
    if len(fitting) > MOST:
        complete = rows[rows["variant"].isin(fitting) & (rows["state"] == "complete")]
        main = MAIN[study.task]
        better = MEASURES[main.val].better
        best = (better * complete.groupby("variant")[main.val].mean()).nlargest(BEST).index
        references = set(rows.loc[rows["reg"] == "none", "variant"])
        shown = [v for v in fitting if v in best or v in references]
        how = f"the {BEST} with the {'highest' if better > 0 else 'lowest'} {main.words}"
        how += ", and those without a penalty" if references else ""
    if len(shown) == len(there):
        return study, rows, ""
    match = f"that match {', '.join(patterns)}"
    of = f"the {len(fitting)} variants {match}" if patterns else f"{len(there)} variants"
    line = f"{len(shown)} of {of}: {how}" if how else f"{len(shown)} of {len(there)} variants: those {match}"
    return study.of_variants(shown), rows[rows["variant"].isin(shown)].reset_index(drop=True), line
