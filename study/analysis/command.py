"""`study analyze`: from a study's folder to its tables and figures."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from study.analysis import contrasts, formats, matched, tables, tuned_report
from study.analysis.collect import ANALYSIS, Study, collect
from study.analysis.drawing import FIGURES, draw_all
from study.analysis.gaps import PAIRS, at_epoch, check_comparable, gap_table
from study.analysis.ledger import look
from study.analysis.selection import select
from study.config import check_name
from study.errors import ConfigError, StudyError
from study.frozen import recorded_primaries
from study.recording import write_whole
from study.sweep import OUTPUTS
from study.tuning import read_manifest

PHASES = ("fresh", "trials", "all")


@dataclass(frozen=True)
class Options:
    """What `study analyze` is told; see conf/analysis.yaml."""

    name: str
    at: str | int = "last"
    baseline: str = "auto"
    phase: str = "fresh"
    allow: Sequence[str] = ()
    figures: Sequence[str] = tuple(FIGURES)
    variants: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """One table of the report: the stem of its files, a title, its full content, what is shown of it, and notes."""

    stem: str
    title: str
    table: pd.DataFrame
    text: pd.DataFrame
    notes: Sequence[str]


def analyze_study(options: Options) -> int:
    """Write tables and figures of a study, and print what matters most.

    Returns:
        The command's exit status: 1 where something in the folder is not a sound run, which is named and left out.

    Raises:
        StudyError: there is nothing to analyze or to compare, or nothing can be written.
        ConfigError: an argument is not allowed.
    """
    unknown = [figure for figure in options.figures if figure not in FIGURES]
    if unknown:
        raise ConfigError(f"figures={list(options.figures)}: of {', '.join(FIGURES)} any are allowed")
    folder = OUTPUTS / check_name(options.name)
    everything, manifest = collect(folder), read_manifest(folder)
    study = _phase(everything, manifest, options.phase)
    notes = check_comparable(study.runs, options.allow)
    rows = at_epoch(study, options.at)
    rows["context"] = contrasts.contexts(rows, manifest)
    baselines = contrasts.choose_baselines(rows, options.baseline)
    notes += contrasts.check_pairs(rows, baselines, PAIRS in options.allow or options.baseline == "auto")
    if everything.damaged:
        notes += [f"Left out as unsound: {len(everything.damaged)} of the study's folder, named by study analyze."]
    primary = _primary(folder, notes)
    target = folder / ANALYSIS
    try:
        sections = _sections(study, rows, options, baselines, primary, notes)
        if manifest is not None and options.phase == "fresh":
            sections += _tuned_sections(manifest, rows)
        _write(target, rows, sections)
        shown, shown_rows, selection = select(study, rows, options.variants)
        draw_all(target, options.figures, shown, shown_rows, selection)
        everything.remember()
    except OSError as error:
        raise StudyError(
            f"{target} cannot be written to ({error.strerror}): make room or choose another folder"
        ) from None
    for section in sections:
        print(f"\n{section.title}")
        formats.show(section.text, section.notes)
    for line in study.left_out:
        print(line)
    if selection and options.figures:
        print(f"figures show {selection}; variants=[...] chooses them")
    print(f"tables and figures: {target}")
    for line in everything.damaged:
        print(f"study: error: {line}", file=sys.stderr)
    return 1 if everything.damaged else 0


def _phase(study: Study, manifest: dict | None, phase: str) -> Study:
    """The runs of a tuned study that are compared: those of the choices on fresh seeds, unless told otherwise."""
    if phase not in PHASES:
        raise ConfigError(f"phase={phase}: allowed: {', '.join(PHASES)}")
    if manifest is None or phase == "all":
        return study
    fresh = tuned_report.fresh_ids(manifest)
    found = study.of_runs(study.runs["run_id"].isin(fresh) == (phase == "fresh"))
    if found.runs.empty:
        raise StudyError(f"{study.folder} has no complete run of phase={phase} yet; study status tells what is missing")
    return found


def _primary(folder: Path, notes: list[str]) -> str:
    """The measure that was fixed before the runs."""
    recorded = recorded_primaries(folder) or ["val_accuracy"]
    if len(recorded) > 1:
        notes.append(f"The study's sweeps name several primary measures ({', '.join(recorded)}): the first one counts.")
    return recorded[0]


def _sections(
    study: Study,
    rows: pd.DataFrame,
    options: Options,
    baselines: Mapping[str, str],
    primary: str,
    notes: Sequence[str],
) -> list[Section]:
    """The gap table, the contrasts, and the comparison at matched strength, as far as the study has them."""
    tested = rows[rows["test_accuracy"].notna()]
    looks = look(study.folder, tested["variant"].nunique(), len(tested)) if len(tested) else None
    table = gap_table(rows, baselines)
    text = tables.gap_text(table, contrasts.near_best(rows, "val_accuracy"), tables.chosen_by_val(rows, options.at))
    found = [Section("gap_table", "Train and val", table, text, tables.gap_notes(rows, options.at, notes, looks))]
    if baselines:
        shares = (rows["val_images"] / rows["train_images"]).groupby(rows["variant"]).first()
        compared = contrasts.contrasts(rows, baselines, primary, shares, study.test_correct(tested))
        lines = [*contrasts.notes(compared, primary), *tables.scope_notes(rows), *tables.test_note(looks), *notes]
        text = tables.contrast_text(compared, primary)
        found.append(Section("significance", "Against the baseline", compared, text, lines))
    at_equal_strength = matched.matched(rows)
    if len(at_equal_strength):
        shown = matched.matched_text(at_equal_strength)
        found.append(Section("matched", "At matched strength", at_equal_strength, shown, [*matched.NOTES, *notes]))
    return found


def _tuned_sections(manifest: dict, rows: pd.DataFrame) -> list[Section]:
    """What the choices of a tuned study were worth."""
    measure = manifest["tuning"]["select"]
    table, curves = tuned_report.tuned_table(manifest, rows), tuned_report.best_of_n(manifest)
    found = [
        Section("tuned", "Tuned", table, tuned_report.tuned_text(table, measure), tuned_report.tuned_notes(manifest))
    ]
    if len(curves):
        text = tuned_report.best_text(curves, measure)
        found.append(Section("best_of_n", "Expected best of n trials", curves, text, tuned_report.BEST_NOTES))
    return found


def _write(target: Path, rows: pd.DataFrame, sections: Sequence[Section]) -> None:
    """Write every table as CSV, Markdown and LaTeX, and all of them as one report."""
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / "runs.csv", rows.to_csv(index=False))
    pages = []
    for section in sections:
        page = formats.to_markdown(section.text, section.notes)
        write_whole(target / f"{section.stem}.csv", section.table.to_csv(index=False))
        write_whole(target / f"{section.stem}.md", page)
        write_whole(target / f"{section.stem}.tex", formats.to_latex(section.text, section.notes))
        pages.append(f"## {section.title}\n\n{page}")
    write_whole(target / "report.md", "\n".join(pages))
