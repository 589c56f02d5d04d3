"""`study analyze`: write the tables, figures and page of a study, and print its main results."""

import sys
from collections.abc import Sequence

import matplotlib

from study.analysis.comparison import Options, compare
from study.analysis.drawing.draw import draw_all
from study.analysis.drawing.specs import read_specs
from study.analysis.drawing.style import style_of
from study.analysis.latex_forms import table_forms
from study.analysis.page.analysis import Analysis
from study.analysis.page.figure import OF_SUITE
from study.analysis.page.render import PAGE, write_page
from study.analysis.reading.seals import UNSEALED
from study.analysis.report import column_names, print_report, write_report
from study.analysis.sections import TITLES, Section
from study.analysis.text.columns import check_columns
from study.analysis.tidy import check_kinds, export
from study.config.folders import CONF
from study.config.run_config import check_name
from study.errors import StudyError, faults, output
from study.records.contract import ANALYSIS, OUTPUTS

AUTO = ["auto"]  # `figures` for USUAL, or OF_SUITE for a suite
USUAL = ("answer", "curves", "gap", "weights")


def analyze_study(options: Options) -> int:
    """Write tables, figures and the page of a study, and print the main results.

    Returns:
        The command's exit status. It is 1 if something in the folder is not a valid run, which is named and left out.

    Raises:
        StudyError: there is nothing to analyze, the runs cannot be compared, or the results cannot be written.
        ConfigError: an argument is not allowed.
    """
    matplotlib.use("Agg")  # needs no display. Not on import: in a notebook, figures would no longer be shown
    folders = options.folders or (CONF,)
    style = style_of(options.style, folders)
    specs = read_specs(USUAL if options.figures == AUTO else options.figures, folders)
    check_kinds(options.export)
    folder = OUTPUTS / check_name(options.name)
    compared = compare(folder, options)
    everything, study = compared.everything, compared.study
    columns = check_columns(options.columns, column_names(everything.task, compared.manifest))
    forms = table_forms(options.table, options.name, TITLES, folders)
    target = folder / ANALYSIS
    try:
        sections = compared.sections()
        write_report(target, compared.rows, sections, columns, forms)
        _print(sections, columns)
        exported = export(target, study, options.export)
        if options.figures == AUTO and any(section.stem == OF_SUITE[0] for section in sections):
            specs = read_specs(OF_SUITE, folders)
        view, selection = compared.view(sections, style)
        draw_all(target, specs, view, "" if options.variants else selection, options.usetex)
        write_page(target, Analysis(compared, sections, view, selection, specs))
        everything.remember()
    except OSError as error:
        raise StudyError(faults.told(error, target, "The analysis is not complete")) from error
    for line in study.left_out:
        print(line)
    if unsealed := int((study.runs["seal"] == UNSEALED).sum()):
        print(
            f"{unsealed} of {len(study.runs)} runs have no seal, because an earlier version trained them. Changes in"
            " their files cannot be detected"
        )
    if selection and not all(spec.shows_all_variants for spec in specs):
        print(f"figures show {selection}. To choose variants, use variants=[...]")
    drawn = f" (figures: {', '.join(spec.name for spec in specs)})" if specs else ""
    written = [f"tables and figures: {target}{drawn}", f"page: {target / PAGE}"]
    print(", ".join([*written, *(f"exported: {folder}" for folder in exported)]))
    for line in everything.damaged:
        print(f"study: error: {line}", file=sys.stderr)
    return 1 if everything.damaged else 0


def _print(sections: Sequence[Section], columns: Sequence[str]) -> None:
    """Print the tables. If nobody reads them, as with `| head`, the files are written all the same."""
    try:
        print_report(sections, columns)
        sys.stdout.flush()
    except BrokenPipeError as error:
        if not output.is_closed(error):
            raise
        output.discard()
