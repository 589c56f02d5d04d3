"""`study analyze`: write the tables, figures and page of a study, and print its main results."""

import sys

from study.analysis.analyzing import Options, analyzed
from study.analysis.drawing.draw import draw_all
from study.analysis.page.render import PAGE, write_page
from study.analysis.reading.collect import ANALYSIS
from study.analysis.reading.seals import UNSEALED
from study.analysis.report import (
    print_report,
    write_report,
)
from study.analysis.tidy import export
from study.errors import StudyError, faults


def analyze_study(options: Options) -> int:
    """Write tables, figures and the page of a study, and print the main results.

    Returns:
        The command's exit status. It is 1 if something in the folder is not a valid run, which is named and left out.

    Raises:
        StudyError: there is nothing to analyze, the runs cannot be compared, or the results cannot be written.
        ConfigError: an argument is not allowed.
    """
    found = analyzed(options)
    target = found.everything.folder / ANALYSIS
    try:
        write_report(target, found.rows, found.sections, found.columns, found.forms)
        print_report(found.sections, found.columns)
        exported = export(target, found.study, options.export)
        draw_all(target, found.specs, found.view, "" if options.variants else found.selection, options.usetex)
        write_page(target, found)
        found.everything.remember()
    except OSError as error:
        raise StudyError(faults.told(error, target, "The analysis is not complete")) from error
    study, specs = found.study, found.specs
    for line in study.left_out:
        print(line)
    if unsealed := int((study.runs["seal"] == UNSEALED).sum()):
        print(
            f"{unsealed} of {len(study.runs)} runs have no seal, because an earlier version trained them. Changes in"
            " their files cannot be detected"
        )
    if found.selection and specs:
        print(f"figures show {found.selection}. To choose variants, use variants=[...]")
    drawn = f" (figures: {', '.join(spec.name for spec in specs)})" if specs else ""
    written = [f"tables and figures: {target}{drawn}", f"page: {target / PAGE}"]
    print(", ".join([*written, *(f"exported: {folder}" for folder in exported)]))
    for line in found.everything.damaged:
        print(f"study: error: {line}", file=sys.stderr)
    return 1 if found.everything.damaged else 0
