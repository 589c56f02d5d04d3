"""The runs of a study as one comparison: chosen, checked, and paired with a baseline; its tables; what figures show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from study.analysis.drawing.looks import looks, remembered_looks
from study.analysis.drawing.selection import arranged, select
from study.analysis.drawing.style import Style
from study.analysis.drawing.view import View, matches
from study.analysis.reading.collect import collect
from study.analysis.reading.seals import CHANGED
from study.analysis.reading.study import Study
from study.analysis.sections import Section, hypothesis_section, make_sections, suite_sections, tuned_sections
from study.analysis.statistics import contrasts, seed_design, tuning
from study.analysis.statistics.gaps import PAIRS, TUNING, at_epoch, check_comparable, model_notes, sample_notes
from study.analysis.statistics.in_rounds import Testing, whole_rounds
from study.analysis.statistics.partial import at_common_epoch
from study.analysis.statistics.sensitivity import check_within
from study.analysis.statistics.settings import suite_in
from study.analysis.statistics.suite import Places, places_of
from study.analysis.tables import tuned_tables
from study.analysis.tables.gap_tables import SD
from study.analysis.text.columns import SHORT
from study.config.folders import CONF
from study.config.hypotheses import Hypothesis, read_hypotheses
from study.errors import ConfigError, StudyError, faults
from study.measures.catalog import MAIN
from study.records.contract import ANALYSIS
from study.records.manifest import read_manifest
from study.records.sweeps import (
    recorded_designs,
    recorded_hypotheses,
    recorded_margins,
    recorded_primaries,
    recorded_suite,
)

NOTED = ("ranks", "pairs")  # tables whose notes belong to figures
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
    lam_within: float | None = None
    columns: Any = SHORT  # short, full, or a list of names
    table: Mapping[str, Any] = field(default_factory=dict)  # the form of tables in LaTeX
    style: str | Mapping[str, Any] = "plain"  # name of a file of conf/style/, or its content
    usetex: bool = False
    export: Sequence[str] = ()
    folders: Sequence[Path] = ()  # the user's folders of options, which may contain figure/
    live: bool = False  # only look: no test scores, and nothing is written


@dataclass(frozen=True)
class Comparison:
    """The runs that a study compares.

    Attributes:
        options: how they were chosen.
        everything: all usable runs.
        of_phase: those of the phase.
        study: those that also pass the filter.
        manifest: of a tuned study; None for other studies.
        at: the epoch of `rows`, as `gaps.at_epoch` takes it.
        rows: one row per run of `study`, from `gaps.at_epoch`, with `context`.
        baselines: the baseline of each variant.
        primary: the measure that was fixed before the runs.
        margin: the margin of equivalence that was fixed before the runs; None: no margin.
        testing: how tests and intervals allow for rounds of seeds.
        notes: sentences for every table.
        places: the setting of each run of a suite; None for other studies.
        questions: those that were fixed before the runs.
    """

    options: Options
    everything: Study
    of_phase: Study
    study: Study
    manifest: dict[str, Any] | None
    at: str | int
    rows: pd.DataFrame
    baselines: Mapping[str, str]
    primary: str
    margin: float | None
    testing: Testing
    notes: Sequence[str]
    places: Places | None = None
    questions: Sequence[Hypothesis] = ()

    def sections(self) -> list[Section]:
        """The tables. If there are test scores, this records a look at them."""
        options = self.options
        try:
            sections = make_sections(
                self.study,
                self.rows,
                self.at,
                self.baselines,
                self.primary,
                self.notes,
                options.spread,
                self.margin,
                options.lam_within,
                self.testing,
            )
        except OSError as error:  # the ledger counts a look at test scores before the tables show them
            target = self.everything.folder / ANALYSIS
            raise StudyError(faults.told(error, target, "The analysis is not complete")) from error
        if self.manifest is not None and options.phase == "fresh":
            sections += tuned_sections(self.manifest, self.rows, self.notes)
        first, rows = [], self.rows  # answers come first
        if self.places is not None:
            first = suite_sections(self.rows, self.places, self.baselines, self.primary, self.margin, self.notes)
            rows = self.rows.assign(context=self.places.settings)
        if self.questions and not seed_design.shares_seeds(rows):
            first.insert(0, hypothesis_section(self.study, rows, self.questions, self.notes, self.testing))
        return [*first, *sections]

    def view(self, sections: Sequence[Section], style: Style) -> tuple[View, str]:
        """What figures draw, and a line that states which variants are shown; empty if all are."""
        options, folder = self.options, self.everything.folder
        regs = list(self.everything.runs["reg"].unique())
        known = remembered_looks(folder, regs, options.folders or (CONF,), store=not options.live)
        figured, rows, selection = select(self.study, self.rows, options.variants or ())
        of_variant = looks(self.of_phase.runs, known)  # before any filter, so that a variant always looks the same
        there = {variant: of_variant[variant] for variant in figured.runs["variant"].unique()}
        styles = arranged(there, options.variants or ())
        tables = {section.stem: section.table for section in sections}
        compared = tables.get("significance", pd.DataFrame(columns=["measure", "variant", "baseline"]))
        effects = tables.get("interaction", pd.DataFrame(columns=["variant"]))
        view = View(
            figured,
            rows,
            styles,
            style,
            compared[compared["variant"].isin(set(styles))],
            self.primary,
            tables.get("best_of_n", pd.DataFrame()),
            tables.get("trials", pd.DataFrame()),
            known,
            self.notes,
            tables.get("ranks", pd.DataFrame()),
            tables.get("pairs", pd.DataFrame()),
            {section.stem: section.notes for section in sections if section.stem in NOTED},
            tables.get("variance", pd.DataFrame()),
            effects[effects["variant"].isin(set(styles))] if options.variants else effects,
            tables.get("hypotheses", pd.DataFrame()),
        )
        return view, selection


def compare(folder: Path, options: Options) -> Comparison:
    """Read a study, choose its runs and check that they can be compared.

    Args:
        folder: outputs/<name>.
        options: which runs, and how; `name` is not used.

    Raises:
        StudyError: there is nothing to compare, or the runs cannot be compared.
        ConfigError: an option is not allowed.
    """
    check_within(options.lam_within)
    everything = collect(folder, CHANGED in options.allow, options.partial)
    manifest = read_manifest(folder)
    of_phase, testing, in_rounds = whole_rounds(_phase(everything, manifest, options.phase), recorded_designs(folder))
    study = of_phase
    if options.filter:
        study = _filtered(study, options.filter)
    study, at, so_far = at_common_epoch(study, options.at)
    recorded = recorded_suite(folder)
    suite = suite_in(study.runs, recorded)
    settings = places_of(study.runs, suite, manifest).settings if recorded else None
    notes = [*so_far, *in_rounds, *check_comparable(study.runs, options.allow, settings)]
    notes += _tuned_alike(folder, manifest, options.allow)
    notes += [*model_notes(study.runs), *sample_notes(study.runs)]
    rows = at_epoch(study, at)
    if options.live:
        rows[[column for column in rows if column.startswith("test_")]] = float("nan")
        notes.append("Test scores are not shown, so that this is no look at them.")
    rows["context"] = contrasts.contexts(rows, manifest, recorded)
    notes += [seed_design.SHARED] if seed_design.shares_seeds(rows) else []
    notes += seed_design.fixed_notes(rows)
    baselines = contrasts.choose_baselines(rows, options.baseline)
    notes += contrasts.check_pairs(rows, baselines, PAIRS in options.allow or options.baseline == "auto")
    untested = testing.round is not None and not testing.round.number
    if untested:
        baselines = {}
    if options.filter:
        shown = ", ".join(f"{key}={value}" for key, value in options.filter.items())
        notes.append(f"Filtered ({shown}): p-values are corrected for the remaining contrasts only.")
    if not baselines and rows["variant"].nunique() > 1 and not untested:
        notes.append(
            "Differences are not computed: they need a baseline, and there is not exactly one variant without a"
            " regularizer. Name a variant with baseline=..."
        )
    if everything.damaged:
        notes += [
            f"Left out as invalid: {len(everything.damaged)} of the runs and files in the study's folder."
            " study analyze names them."
        ]
    primary, margin = _primary(folder, study.task, notes), _margin(folder, notes)
    # What figures need is checked before a look at test scores is counted
    select(study, rows, options.variants or ())
    remembered_looks(folder, list(everything.runs["reg"].unique()), options.folders or (CONF,), store=False)
    compared = manifest is None or options.phase == "fresh"
    places = places_of(rows, suite, manifest) if len(suite) > 1 and compared else None
    questions = _questions(folder, study.task, notes)
    return Comparison(
        *(options, everything, of_phase, study, manifest, at, rows, baselines, primary, margin, testing, notes),
        *(places, questions),
    )


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


def _primary(folder: Path, task: str, notes: list[str]) -> str:
    """The primary measure, which was fixed before the runs."""
    recorded = recorded_primaries(folder) or [MAIN[task].val]
    if len(recorded) > 1:
        notes.append(f"The study's sweeps name several primary measures ({', '.join(recorded)}). The first is used.")
    return recorded[0]


def _questions(folder: Path, task: str, notes: list[str]) -> list[Hypothesis]:
    """The questions, which were fixed before the runs."""
    recorded = recorded_hypotheses(folder) or [{}]
    if len(recorded) > 1:
        notes.append("The study's sweeps name several sets of questions. The first is used.")
    return read_hypotheses(recorded[0], task)


def _margin(folder: Path, notes: list[str]) -> float | None:
    """The margin of equivalence, which was fixed before the runs; None: no margin."""
    recorded = recorded_margins(folder) or [None]
    if len(recorded) > 1:
        named = ", ".join("null" if margin is None else f"{margin:g}" for margin in recorded)
        notes.append(f"The study's sweeps name several margins of equivalence ({named}). The first is used.")
    return recorded[0]
