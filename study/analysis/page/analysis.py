"""What an analysis has found, from which tables, figures and the page are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from study.analysis.drawing.specs import Spec
from study.analysis.drawing.view import View
from study.analysis.reading.collect import Study
from study.analysis.report import Section


@dataclass(frozen=True)
class Analysis:
    """An analyzed study.

    Attributes:
        everything: all runs of the study.
        study: the analyzed runs.
        rows: one row per run, from `gaps.at_epoch`.
        sections: the tables of the report.
        notes: sentences on exceptions that were allowed.
        at: the epoch of the tables.
        baselines: the baseline of each variant.
        manifest: the manifest of a tuned study.
        view: what figures show: some or all of the variants.
        selection: a line that states which variants figures show; empty if they show all.
        specs: the figures.
        columns: the columns that tables show, as `columns=...` names them.
        forms: the form of each table in LaTeX.
        folders: the folders of options, in search order; the last one is this project's.
    """

    everything: Study
    study: Study
    rows: pd.DataFrame
    sections: Sequence[Section]
    notes: Sequence[str]
    at: str | int
    baselines: Mapping[str, str]
    manifest: Mapping[str, Any] | None
    view: View
    selection: str
    specs: Sequence[Spec]
    columns: Sequence[str]
    forms: Mapping[str, Any]
    folders: Sequence[Path]
