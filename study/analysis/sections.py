"""The tables of a study with their notes, each as one section of its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from study.analysis.drawing.labels import variant_labels
from study.analysis.reading.ledger import look
from study.analysis.reading.study import Study
from study.analysis.statistics import (
    contrasts,
    crossed_runs,
    hypotheses,
    in_rounds,
    interaction,
    matched,
    sensitivity,
    suite,
    tuning,
    verdicts,
)
from study.analysis.statistics.gaps import gap_table
from study.analysis.statistics.in_rounds import Testing
from study.analysis.statistics.seed_design import shares_seeds
from study.analysis.statistics.suite import Places
from study.analysis.tables import (
    contrast_tables,
    final_tables,
    gap_notes,
    gap_tables,
    hypothesis_tables,
    interaction_tables,
    matched_tables,
    sensitivity_tables,
    suite_tables,
    tuned_tables,
    variance_tables,
)
from study.analysis.text.columns import TextTable
from study.analysis.text.escaping import plain
from study.config.hypotheses import Hypothesis
from study.measures.catalog import MAIN, measures_of
from study.tasks import CLASSIFICATION

TITLES = {
    "hypotheses": "Questions",
    "suite": "Over all settings",
    "ranks": "Mean ranks over settings",
    "pairs": "All pairs over settings",
    "gap_table": "Training and validation",
    "significance": "Against the baseline",
    "interaction": "Effects in each setting",
    "variance": "Where variance comes from",
    "more_seeds": "What more seeds buy",
    "matched": "At matched strength",
    "sensitivity": "Sensitivity to λ",
    "label_noise": "Training accuracy by kind of labels",
    "sparsity": "Sparsity and pruning",
    "invariants": "Invariants",
    "tuned": "Tuned",
    "best_of_n": "Expected best of n trials",
    "trials": "Trials",
}  # by the file stem, of all tables that a report may contain


@dataclass(frozen=True)
class Section:
    """One table of the report.

    Attributes:
        stem: name of its files without suffix.
        table: the whole table, as in the CSV.
        text: all columns that can be displayed.
        notes: sentences below it.
        printed: how many rows of the text to print on the terminal; the files have all rows.
        about: sentences on columns, by the column's key, below a table that shows the column.
        instead: sentences by the key of a column, below a table that does not show the column.
    """

    stem: str
    table: pd.DataFrame
    text: TextTable
    notes: Sequence[str]
    printed: int
    about: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)

    def notes_of(self, shown: TextTable) -> list[str]:
        """The sentences below a table with some of the columns."""
        keys = {column.key for column in shown.columns}
        of_columns = [text for key, text in self.about.items() if key in keys]
        return [*of_columns, *(text for key, text in self.instead.items() if key not in keys), *self.notes]


def make_sections(
    study: Study,
    rows: pd.DataFrame,
    at: str | int,
    baselines: Mapping[str, str],
    primary: str,
    notes: Sequence[str],
    spread: str = gap_tables.SD,
    margin: float | None = None,
    lam_within: float | None = None,
    testing: Testing = in_rounds.FIXED,
) -> list[Section]:
    """Gap table, contrasts, comparison at matched strength, sensitivity to λ, and the tables of final weights.

    If there are test scores, this records a look at them in the ledger.

    Args:
        study: the runs to compare.
        rows: one row per run, from `gaps.at_epoch`, with `context`.
        at: the requested epoch.
        baselines: the baseline of each variant.
        primary: the measure that was fixed before the runs.
        notes: sentences to print under every table, such as exceptions that were allowed.
        spread: the number after ± in the gap table.
        margin: the margin of equivalence that was fixed before the runs; None: no margin.
        lam_within: how close to the best score a λ must be in the table of sensitivity; None: the task's default.
        testing: how tests and intervals allow for rounds of seeds.

    Raises:
        ConfigError: there is no such spread.
    """
    task, tested = study.task, rows[rows["test_loss"].notna()]
    family = testing.family(baselines) if primary == MAIN[task].val else 1
    table = gap_table(rows, baselines, testing.confidence(family))
    variants = list(table["variant"])
    text = gap_tables.gap_text(
        table, contrasts.near_best(rows, MAIN[task].val, testing), gap_notes.chosen_by_val(rows, at), spread, task
    )
    looks = look(study.folder, tested["variant"].nunique(), len(tested)) if len(tested) else None
    lines = gap_notes.gap_notes(rows, at, notes, looks, spread) + gap_notes.scale_notes(study)
    about, instead = gap_notes.column_notes(table)
    found = [Section("gap_table", table, text, lines, len(text), about, instead)]
    independent = not shares_seeds(rows)
    if baselines and independent:
        shares = (rows["val_images"] / rows["train_images"]).groupby(rows["variant"]).first()
        correct = study.test_correct(tested) if task == CLASSIFICATION else {}
        compared = contrasts.contrasts(rows, baselines, primary, shares, correct, testing)
        if margin is not None:
            compared = verdicts.with_verdicts(compared, primary, margin, task, testing)
        of_family, *others = contrasts.notes(compared, primary)
        lines = [
            *(of_family, *in_rounds.notes(compared, primary, testing), *verdicts.notes(compared, primary), *others),
            *contrast_tables.scope_notes(rows),
            *gap_notes.test_note(looks),
            *notes,
        ]
        if gap_notes.chosen_by_val(rows, at):
            lines.append(gap_notes.SELECTED)
        text = contrast_tables.contrast_text(compared, primary, task)
        printed = int((compared["measure"] == primary).sum())
        found.append(Section("significance", compared, text, lines, printed))
        effects = interaction.interaction(rows, baselines, compared, primary, testing)
        if len(effects):
            text, lines = (
                interaction_tables.interaction_text(effects, task),
                interaction_tables.interaction_notes(effects, task),
            )
            found.append(Section("interaction", effects, text, [*lines, *notes], len(text)))
    if not independent:
        found += _of_sources(rows, baselines, primary, notes)
    at_equal_strength = matched.matched(rows)
    if len(at_equal_strength) and independent:
        text, first = matched_tables.matched_text(at_equal_strength, task), at_equal_strength["measure"].iloc[0]
        printed = int((at_equal_strength["measure"] == first).sum())
        steps = {match.on: matched.wide_steps(rows, match) for match in matched.MATCHES[task]}
        lines = [*matched.NOTES, *matched_tables.step_notes(steps, task), *notes]
        found.append(Section("matched", at_equal_strength, text, lines, printed))
    ranges = sensitivity.sensitivity(rows, lam_within)
    if len(ranges):
        text = sensitivity_tables.sensitivity_text(ranges, task)
        lines = [*sensitivity_tables.sensitivity_notes(ranges, task, lam_within), *notes]
        found.append(Section("sensitivity", ranges, text, lines, len(text)))
    return found + _of_results(study, rows, variants, notes)


def _of_sources(rows: pd.DataFrame, baselines: Mapping[str, str], primary: str, notes: Sequence[str]) -> list[Section]:
    """The tables of a study with crossed seeds: variance components, and what more seeds buy."""
    task, (components, more) = rows["task"].iloc[0], crossed_runs.variance_tables(rows, baselines, primary)
    if components.empty:
        return []
    text = variance_tables.variance_text(components, task)
    lines = variance_tables.variance_notes(components, crossed_runs.left_out(rows, components))
    found = [Section("variance", components, text, [*lines, *notes], len(text))]
    text, lines = variance_tables.more_seeds_text(more, task), variance_tables.more_seeds_notes(more, task)
    return [*found, Section("more_seeds", more, text, [*lines, *notes], len(text))]


def _of_results(study: Study, rows: pd.DataFrame, variants: Sequence[str], notes: Sequence[str]) -> list[Section]:
    """The tables of files that describe a run's final result."""
    found = []
    noise = final_tables.label_table(study, rows, variants)
    if len(noise):
        text, lines = final_tables.label_text(noise), [*final_tables.LABEL_NOTES, *notes]
        found.append(Section("label_noise", noise, text, lines, len(text)))
    partial = "partial" in study.runs and study.runs["partial"].any()
    if partial or not (study.runs["state"] == "complete").any():  # the other tables describe results
        return found
    sparsity = final_tables.sparsity_table(study, variants)
    text = final_tables.sparsity_text(sparsity)
    lines = [*final_tables.sparsity_notes(sparsity, study.task), *notes]
    found.append(Section("sparsity", sparsity, text, lines, 0))
    invariants = final_tables.invariant_table(study, variants)
    text, lines = final_tables.invariant_text(invariants), [final_tables.invariant_note(study.task), *notes]
    found.append(Section("invariants", invariants, text, lines, 0))
    return found


def tuned_sections(manifest: Mapping[str, Any], rows: pd.DataFrame, notes: Sequence[str]) -> list[Section]:
    """The tables of a tuned study: its choices, the expected best of n trials, its trials. All end with `notes`."""
    measure = manifest["tuning"]["select"]
    table, curves = tuning.tuned_table(manifest, rows), tuning.best_of_n(manifest)
    text, lines = tuned_tables.tuned_text(table, measure), [*tuned_tables.tuned_notes(manifest), *notes]
    found = [Section("tuned", table, text, lines, len(text))]
    if len(curves):
        text, lines = tuned_tables.best_text(curves, measure), [*tuned_tables.BEST_NOTES, *notes]
        found.append(Section("best_of_n", curves, text, lines, len(text)))
    trials = tuning.trial_table(manifest)
    if len(trials):
        text, lines = tuned_tables.trial_text(trials), [*tuned_tables.trial_notes(trials), *notes]
        found.append(Section("trials", trials, text, lines, 0))
    return found


def hypothesis_section(
    study: Study, rows: pd.DataFrame, questions: Sequence[Hypothesis], notes: Sequence[str], testing: Testing
) -> Section:
    """The table that answers the questions of a study.

    Args:
        study: the runs.
        rows: one row per run, from `gaps.at_epoch`, with `context`, which is the setting.
        questions: those that were fixed before the runs.
        notes: sentences to print under every table.
        testing: how tests and intervals allow for rounds of seeds.
    """
    table = hypotheses.answers(study, rows, questions, testing)
    text, lines = (
        hypothesis_tables.hypothesis_text(table, study.task),
        hypothesis_tables.hypothesis_notes(questions, table),
    )
    return Section("hypotheses", table, text, [*lines, *notes], len(text))


def suite_sections(
    rows: pd.DataFrame,
    places: Places,
    baselines: Mapping[str, str],
    primary: str,
    margin: float | None,
    notes: Sequence[str],
) -> list[Section]:
    """The tables over the settings of a suite: scores, mean ranks, all pairs. None if it has no two to compare.

    Args:
        rows: one row per run, from `gaps.at_epoch`.
        places: the setting of each run.
        baselines: the baseline of each variant.
        primary: the measure that was fixed before the runs.
        margin: the margin of equivalence that was fixed before the runs; None: no margin.
        notes: sentences to print under every table.
    """
    measure = measures_of(rows["task"].iloc[0])[primary]
    found = suite.suite_of(rows, places, measure)
    if found is None:
        return []
    names = set(places.variants[rows["variant"].isin(set(baselines.values()))]) & set(found.matrix)
    baseline = names.pop() if len(names) == 1 else None
    on_test = suite.on_test_sets(found, rows, places)
    ranked = suite.rank_table(found, rows, places.variants, baseline, on_test)
    rope = suite.rope_of(measure, margin)
    pairs = suite.pair_table(found, rope)
    dependent = [*suite_tables.dependence_notes(found), *notes]
    few = suite_tables.few_settings(*found.matrix.shape)
    text, lines = (
        suite_tables.suite_text(found, ranked, variant_labels(ranked, plain)),
        [*suite_tables.suite_notes(found), *notes],
    )
    tables = [Section("suite", found.scores, text, lines, len(text))]
    text, lines = suite_tables.rank_text(ranked), [*suite_tables.rank_notes(found, on_test), *few, *dependent]
    tables.append(
        Section("ranks", ranked, text, lines, len(text), suite_tables.rank_columns(ranked["against"].iloc[0]))
    )
    text, lines = suite_tables.pair_text(pairs, measure), suite_tables.pair_notes(found, rope, margin is not None)
    about = suite_tables.pair_columns(*found.matrix.shape)
    tables.append(Section("pairs", pairs, text, [*lines, *dependent], len(text), about))
    return tables
