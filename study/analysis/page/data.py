"""The data of the page: all that it shows of a study, as plain values that JSON can hold."""

from pathlib import Path
from typing import Any

from study.analysis.page import comparisons, curves, protocol, runs, weights
from study.analysis.page.analysis import Analysis
from study.analysis.page.appearance import appearance
from study.analysis.page.figure import OF_SUITE, answer_figure, figures_of
from study.analysis.page.repeat import Conf
from study.analysis.page.table import tables
from study.config.folders import CONF

FORMAT = 1  # of the data; the page refuses another one


def page_data(analysis: Analysis, target: Path) -> dict[str, Any]:
    """Collect what the page shows. The same study gives the same data.

    Args:
        analysis: the analyzed study.
        target: the folder analysis/ of the study, whose figure is shown.

    Returns:
        `format, study, protocol, warnings, selection, figure, suite, problems, variants, runs, tables, curves, weights,
        path, differences, tuning`. Numbers are rounded for display. What a study does not have is None or empty.
    """
    looks, conf = analysis.view.looks, Conf(analysis.compared.options.folders or (CONF,))
    drawn = [spec.name for spec in analysis.specs]
    listed = runs.every_run(analysis.compared.study, analysis.compared.rows, conf)
    return {
        "format": FORMAT,
        "study": {"name": analysis.compared.study.folder.name, "task": analysis.compared.study.task},
        "protocol": protocol.terms(analysis, listed),
        "question": protocol.question(analysis),
        "warnings": list(analysis.compared.notes),
        "selection": analysis.selection,
        "figure": answer_figure(target, drawn),
        "suite": figures_of(target, OF_SUITE, drawn),
        "problems": runs.problems(analysis.compared.study, listed, conf),
        "variants": [{"key": variant, **appearance(look)} for variant, look in looks.items()],
        "runs": listed,
        "tables": tables(analysis.sections),
        "curves": curves.curves(analysis.view),
        "weights": weights.distributions(analysis.view),
        "path": comparisons.strength_path(analysis.view),
        "differences": comparisons.differences(analysis.view),
        "tuning": comparisons.trials(analysis.view),
    }
