"""What an analysis has found, from which the page is made."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.analysis.comparison import Comparison
from study.analysis.drawing.specs import Spec
from study.analysis.drawing.view import View
from study.analysis.sections import Section


@dataclass(frozen=True)
class Analysis:
    """An analyzed study.

    Attributes:
        compared: the compared runs.
        sections: the tables of the report.
        view: what figures show: some or all of the variants.
        selection: a line that states which variants figures show; empty if they show all.
        specs: the figures that this analysis has drawn.
    """

    compared: Comparison
    sections: Sequence[Section]
    view: View
    selection: str
    specs: Sequence[Spec] = ()
