"""`study analyze`: from a study's folder to its tables and figures."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from study.analysis.drawing.draw import draw_all
from study.analysis.drawing.looks import Look, OptionLook, looks, remembered_looks
from study.analysis.drawing.selection import arranged, select
from study.analysis.drawing.specs import read_specs
from study.analysis.drawing.style import Style, style_of
from study.analysis.drawing.view import View, matches
from study.analysis.reading.collect import Study, collect
from study.analysis.reading.seals import CHANGED, UNSEALED
from study.analysis.report import Section, make_sections, print_report, tuned_sections, write_report
from study.analysis.statistics import contrasts, tuning
from study.analysis.statistics.gaps import PAIRS, TUNING, at_epoch, check_comparable, model_notes, sample_notes
from study.analysis.statistics.partial import at_common_epoch
from study.analysis.tables import tuned_tables
from study.analysis.tables.main_tables import SD
from study.analysis.tidy import export
from study.config.folders import CONF
from study.config.run_config import check_name
from study.errors import ConfigError, StudyError, faults
from study.measures.catalog import MAIN
from study.records.contract import ANALYSIS, OUTPUTS
from study.records.manifest import read_manifest
from study.records.sweeps import recorded_primaries

PHASES = ("fresh", "trials", "all")


@dataclass(frozen=True)
class Options:
    """The options of `study analyze`; see conf/analysis.yaml."""

    name: str
    at: str | int = "last"
    partial: bool = False
    baseline: str = "auto"
    phase: str = "fresh"
    allow: Sequence[str] = ()
    filter: Mapping[str, Any] = field(default_factory=dict)
    figures: Sequence[str] = ()
    variants: Sequence[str] | Mapping[str, str] | None = None
    spread: str = SD
    style: str | Mapping[str, Any] = "plain"  # name of a file of conf/style/, or its content
    usetex: bool = False
    export: Sequence[str] = ()
    folders: Sequence[Path] = ()  # the user's folders of options, which may contain figure/


def analyze_study(options: Options) -> int:
    """Write tables and figures of a study, and print the main results.

    Returns:
        The command's exit status. It is 1 if something in the folder is not a valid run, which is named and left out.

    Raises:
        StudyError: there is nothing to analyze, the runs cannot be compared, or the results cannot be written.
        ConfigError: an argument is not allowed.
    """
    style = style_of(options.style, options.folders or (CONF,))
    specs = read_specs(options.figures, options.folders)
    folder = OUTPUTS / check_name(options.name)
    everything = collect(folder, CHANGED in options.allow, options.partial)
    manifest = read_manifest(folder)
    study = of_phase = _phase(everything, manifest, options.phase)
    if options.filter:
        study = _filtered(study, options.filter)
    study, at, so_far = at_common_epoch(study, options.at)
    notes = [*so_far, *check_comparable(study.runs, options.allow), *_tuned_alike(folder, manifest, options.allow)]
    notes += [*model_notes(study.runs), *sample_notes(study.runs)]
    rows = at_epoch(study, at)
    rows["context"] = contrasts.contexts(rows, manifest)
    baselines = contrasts.choose_baselines(rows, options.baseline)
    notes += contrasts.check_pairs(rows, baselines, PAIRS in options.allow or options.baseline == "auto")
    if options.filter:
        shown = ", ".join(f"{key}={value}" for key, value in options.filter.items())
        notes.append(f"Filtered ({shown}): p-values are corrected for the remaining contrasts only.")
    if not baselines and rows["variant"].nunique() > 1:
        notes.append(
            "No differences: they need a baseline, and there is not exactly one variant without a regularizer."
            " Name a variant with baseline=..."
        )
    if everything.damaged:
        notes += [
            f"Left out as invalid: {len(everything.damaged)} of the runs and files in the study's folder."
            " study analyze names them."
        ]
    primary = _primary(folder, study.task, notes)
    target = folder / ANALYSIS
    try:
        sections = make_sections(study, rows, at, baselines, primary, notes, options.spread)
        if manifest is not None and options.phase == "fresh":
            sections += tuned_sections(manifest, rows, notes)
        write_report(target, rows, sections)
        print_report(sections)
        exported = export(target, study, options.export)
        known = remembered_looks(folder, list(everything.runs["reg"].unique()), options.folders or (CONF,))
        figured, figured_rows, selection = select(study, rows, options.variants or ())
        of_variant = looks(of_phase.runs, known)  # before any filter, so that a variant looks the same in every figure
        there = {variant: of_variant[variant] for variant in figured.runs["variant"].unique()}
        styles = arranged(there, options.variants or ())
        view = _view(figured, figured_rows, styles, style, sections, primary, known, notes)
        draw_all(target, specs, view, "" if options.variants else selection, options.usetex)
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
    if selection and specs:
        print(f"figures show {selection}. To choose variants, use variants=[...]")
    drawn = f" (figures: {', '.join(spec.name for spec in specs)})" if specs else ""
    print(", ".join([f"tables and figures: {target}{drawn}", *(f"exported: {folder}" for folder in exported)]))
    for line in everything.damaged:
        print(f"study: error: {line}", file=sys.stderr)
    return 1 if everything.damaged else 0


def _phase(study: Study, manifest: dict[str, Any] | None, phase: str) -> Study:
    """The runs of one phase of a tuned study; all runs of other studies."""
    if phase not in PHASES:
        raise ConfigError(f"phase={phase}: allowed: {', '.join(PHASES)}")
    if manifest is None and phase == "trials":
        raise StudyError(f"phase=trials: {study.folder} is not a tuned study. experiment=tuned makes one")
    if manifest is None or phase == "all":
        return study
    fresh = tuning.fresh_ids(manifest)
    found = study.of_runs(study.runs["run_id"].isin(fresh) == (phase == "fresh"))
    if found.runs.empty:
        raise StudyError(f"{study.folder} has no complete run of phase={phase} yet; study status lists what is missing")
    return found


def _tuned_alike(folder: Path, manifest: dict[str, Any] | None, allow: Sequence[str]) -> list[str]:
    """Refuse a tuned study whose variants were tuned unequally. If that is allowed, return notes about it."""
    notes = tuned_tables.unequal_notes(manifest)
    if manifest and notes and TUNING not in allow:
        raise StudyError(
            f"{folder} tuned its variants unequally ({manifest['unequal'][0].removeprefix('tune: ')}). The tuning may"
            " explain a difference. Tune them equally under another name=..., or analyze anyway with allow=[tuning]"
        )
    return notes


def _filtered(study: Study, wanted: Mapping[str, Any]) -> Study:
    """The runs that pass a filter, for both tables and figures."""
    found = study.of_runs(matches(study.runs, wanted))
    if found.runs.empty:
        raise ConfigError(f"filter={dict(wanted)} matches no run of {study.folder}")
    return found


def _view(
    study: Study,
    rows: pd.DataFrame,
    styles: Mapping[str, Look],
    style: Style,
    sections: Sequence[Section],
    primary: str,
    options: Mapping[str, OptionLook],
    notes: Sequence[str],
) -> View:
    """What figures draw: the shown runs, and what the tables say of them."""
    tables = {section.stem: section.table for section in sections}
    compared = tables.get("significance", pd.DataFrame(columns=["measure", "variant", "baseline"]))
    return View(
        study,
        rows,
        styles,
        style,
        compared[compared["variant"].isin(set(styles))],
        primary,
        tables.get("best_of_n", pd.DataFrame()),
        tables.get("trials", pd.DataFrame()),
        options,
        notes,
    )


def _primary(folder: Path, task: str, notes: list[str]) -> str:
    """The primary measure, which was fixed before the runs."""
    recorded = recorded_primaries(folder) or [MAIN[task].val]
    if len(recorded) > 1:
        notes.append(f"The study's sweeps name several primary measures ({', '.join(recorded)}). The first is used.")
    return recorded[0]
