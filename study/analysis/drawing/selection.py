"""Which variants the figures show, in which order and under which names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import pandas as pd

from study.analysis.drawing.style import Look, checked_label
from study.analysis.reading.collect import Study
from study.errors import ConfigError

MOST = 40  # variants that a figure shows at once
BEST = 12  # that it shows of more


def arranged(looks: Mapping[str, Look], variants: Sequence[str] | Mapping[str, str]) -> dict[str, Look]:
    """The looks of a study's variants in the order of the patterns that they fit, relabelled where these have labels.

    Args:
        looks: of the variants that are shown.
        variants: patterns of names, or labels by pattern; none leaves everything as it is.

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
    """The study as figures show it: the variants that fit a pattern; of more than MOST the BEST in val accuracy, and
    those without a penalty, which the others are compared with.

    Args:
        study: all runs.
        rows: one row per run, from `gaps.at_epoch`.
        variants: patterns of variants' names, as in a shell; none means all.

    Returns:
        The study and the rows of what is shown, and a line that says so; an empty one where everything is.

    Raises:
        ConfigError: no variant fits, or `variants` holds no patterns.
    """
    if not isinstance(variants, list | tuple | Mapping) or not all(isinstance(pattern, str) for pattern in variants):
        raise ConfigError(
            f"variants={variants}: must be a list of patterns, or labels by pattern. Examples: variants=[none,'l1*'],"
            " variants={none: Plain}"
        )
    patterns, there = list(variants), list(study.runs["variant"].unique())
    fitting = [v for v in there if not patterns or any(fnmatchcase(v, pattern) for pattern in patterns)]
    useless = [pattern for pattern in patterns if not any(fnmatchcase(v, pattern) for v in there)]
    if useless or not fitting:
        names = ", ".join(there[:BEST]) + (", ..." if len(there) > BEST else "")
        raise ConfigError(f"variants: {', '.join(useless)} matches none of {names}")
    shown, how = fitting, ""
    if len(fitting) > MOST:
        complete = rows[rows["variant"].isin(fitting) & (rows["state"] == "complete")]
        best = complete.groupby("variant")["val_accuracy"].mean().nlargest(BEST).index
        references = set(rows.loc[rows["reg"] == "none", "variant"])
        shown = [v for v in fitting if v in best or v in references]
        how = f"the {BEST} of the highest val accuracy" + (", and those without a penalty" if references else "")
    if len(shown) == len(there):
        return study, rows, ""
    of = f"the {len(fitting)} variants that fit {', '.join(patterns)}" if patterns else f"{len(there)} variants"
    line = f"{len(shown)} of {of}: {how}" if how else f"{of}, of {len(there)}"
    return study.of_variants(shown), rows[rows["variant"].isin(shown)].reset_index(drop=True), line
