"""The caption of each figure as text: what it shows, of how many seeds, which intervals, which protocol; alt text."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from study.analysis.drawing.bands import INTERVAL, RANGE
from study.analysis.drawing.specs import Spec
from study.analysis.drawing.view import View, in_sentence, label, shown, suite_looks
from study.analysis.statistics.suite import against_of, probabilities
from study.analysis.statistics.verdicts import margin_text, verdict_text
from study.analysis.text.escaping import plain
from study.analysis.text.protocol import listed, protocol
from study.measures.catalog import MAIN, in_task
from study.tasks import CLASSIFICATION

BANDS = {
    RANGE: "Bands extend from the smallest to the largest value over seeds.",
    INTERVAL: "Bands are pointwise 95 % t-intervals of the mean over seeds, from three seeds on.",
}
MOST_IN_WORDS = 12  # variants whose numbers an alt text states
ALT = "Alt text: "  # beginning of the second paragraph of a caption's file


def caption_of(spec: Spec, view: View, selection: str) -> str:
    """Return the content of a figure's caption file: the caption, an empty line, and the alternative text.

    Args:
        spec: the figure.
        view: what it shows.
        selection: a line that states which variants are shown; empty if all are.
    """
    options = {**_defaults(spec), **spec.options}
    sentences = [spec.description, BANDS.get(str(options.get("band")), "")]
    sentences.append(f"The figure shows {selection}." if selection and not spec.shows_all_variants else "")
    if spec.shows_differences:
        sentences += _verdicts(view, options.get("measures", ()))
    sentences += view.about.get(spec.shows_suite, ())
    stated = dict.fromkeys([*sentences, *_protocol(view), *view.notes])
    alternative = _over_settings(spec, view, options) if spec.shows_suite else _alternative(spec, view, options)
    return f"{' '.join(filter(None, stated))}\n\n{ALT}{alternative}\n"


def _defaults(spec: Spec) -> dict[str, Any]:
    parameters = inspect.signature(spec.draw).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.name != "view"}


def _protocol(view: View) -> list[str]:
    """Return sentences on the runs: seeds, budget, data, and the epoch of the values."""
    rows = view.rows
    lines = protocol(rows)
    if (rows["epoch"] != rows["epochs"]).any():
        lines.append(f"Values of single epochs are those of epoch {listed(rows['epoch'])}.")
    if (diverged := int((rows["state"] == "diverged").sum())) > 0:
        lines.append(f"{diverged} runs diverged; only curves over epochs show them.")
    if len(view.trials):
        trials = view.trials.groupby(["context", "reg"])["trial"].nunique()
        lines.append(f"Trials of each regularizer in tuning: {listed(trials)}, on other seeds than these.")
    return lines


def _verdicts(view: View, measures: str | Sequence[str]) -> list[str]:
    """Return sentences on the margin of equivalence and the verdicts; none if the figure does not show them."""
    shown_measures = {in_task(name, view.task) for name in ([measures] if isinstance(measures, str) else measures)}
    if view.margin is None or view.primary not in shown_measures:
        return []
    own = view.contrasts[view.contrasts["measure"] == view.primary]
    factor = view.measures[view.primary].factor
    each = [
        f"{plain(view.looks[row['variant']].label)} {verdict_text(row, factor)}"
        for row in own.to_dict("records")
        if row["variant"] in view.looks
    ]
    more = f" and {len(each) - MOST_IN_WORDS} more" if len(each) > MOST_IN_WORDS else ""
    band = f"The grey band is the margin of equivalence, {margin_text(own)}."
    return [band, f"Verdicts: {'; '.join(each[:MOST_IN_WORDS])}{more}."]


def _alternative(spec: Spec, view: View, options: Mapping[str, Any]) -> str:
    """Return a description for readers who do not see the figure, with the main numbers of the variants."""
    own_words = getattr(sys.modules[spec.draw.__module__], "in_words", None)
    if own_words is not None:
        return f"{spec.description} {own_words(view, **options)}".strip()
    rows, main = view.complete(), MAIN[view.task].val
    gap = "accuracy_gap" if view.task == CLASSIFICATION else "loss_gap"
    measures, parts = [measure for measure in (main, gap, "abs_max") if measure in rows], []
    for variant, look in list(view.looks.items())[:MOST_IN_WORDS]:
        own = rows[rows["variant"] == variant]
        if len(own):
            numbers = (f"{_words(measure, view)} {shown(own[measure], measure).mean():.4g}" for measure in measures)
            parts.append(f"{plain(look.label)}: {', '.join(numbers)}")
    more = len(view.looks) - MOST_IN_WORDS
    return f"{spec.description} {'; '.join(parts)}{f'; and {more} more variants' if more > 0 else ''}.".strip()


def _over_settings(spec: Spec, view: View, options: Mapping[str, Any]) -> str:
    """Return the same description of a figure of a suite: its mean ranks or probabilities."""
    table, labels = view.ranks, {variant: plain(look.label) for variant, look in suite_looks(view).items()}
    if spec.shows_suite == "ranks":
        parts = [f"{labels[row.variant]} {row.mean_rank:.2f}" for row in table.itertuples()]
        return f"{spec.description} Mean ranks: {', '.join(parts[:MOST_IN_WORDS])}."
    chosen = against_of(table, options.get("against"))
    parts = [
        f"{labels[variant]}: worse {worse:.2f}, equivalent {equivalent:.2f}, better {better:.2f}"
        for variant in table["variant"]
        if variant != chosen
        for worse, equivalent, better in [probabilities(view.pairs, variant, chosen)]
    ]
    return f"{spec.description} Relative to {labels[chosen]}: {'; '.join(parts[:MOST_IN_WORDS])}."


def _words(measure: str, view: View) -> str:
    return plain(in_sentence(label(measure, view.task)))
