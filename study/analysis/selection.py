"""Which variants the figures show, where there are more than a reader can tell apart."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pandas as pd

from study.analysis.collect import Study
from study.errors import ConfigError

MOST = 40  # variants that a figure shows at once
BEST = 12  # that it shows of more


def select(study: Study, rows: pd.DataFrame, patterns: Sequence[str]) -> tuple[Study, pd.DataFrame, str]:
    """The study as figures show it: the variants that fit a pattern; of more than MOST the BEST in val accuracy, and
    those without a penalty, which the others are compared with.

    Args:
        study: all runs.
        rows: one row per run, from `gaps.at_epoch`.
        patterns: of variants' names, as in a shell; none means all.

    Returns:
        The study and the rows of what is shown, and a line that says so; an empty one where everything is.

    Raises:
        ConfigError: no variant fits.
    """
    variants = list(study.runs["variant"].unique())
    fitting = [v for v in variants if not patterns or any(fnmatchcase(v, pattern) for pattern in patterns)]
    if not fitting:
        there = ", ".join(variants[:BEST]) + (", ..." if len(variants) > BEST else "")
        raise ConfigError(f"variants={list(patterns)} fits none of {there}")
    shown, how = fitting, ""
    if len(fitting) > MOST:
        complete = rows[rows["variant"].isin(fitting) & (rows["state"] == "complete")]
        best = complete.groupby("variant")["val_accuracy"].mean().nlargest(BEST).index
        references = set(rows.loc[rows["reg"] == "none", "variant"])
        shown = [v for v in fitting if v in best or v in references]
        how = f"the {BEST} of the highest val accuracy" + (", and those without a penalty" if references else "")
    if len(shown) == len(variants):
        return study, rows, ""
    of = f"the {len(fitting)} variants that fit {', '.join(patterns)}" if patterns else f"{len(variants)} variants"
    line = f"{len(shown)} of {of}: {how}" if how else f"{of}, of {len(variants)}"
    return study.of_variants(shown), rows[rows["variant"].isin(shown)].reset_index(drop=True), line
