"""Answers to the questions that were fixed before a study's first run.

A contrast is a mean of seed-paired differences. If a study has several settings (data sets, models), each setting gives
one mean difference, and the test is over settings: how a regularizer acts elsewhere is the question, and seeds of one
data set say little about it. An association is Spearman's rank correlation over the variants of a setting, averaged
over settings. Its p-value is that of permutations of the variants within each setting.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy  # imports its modules on first use

from study.analysis.reading.study import Study
from study.analysis.statistics import inference, tost
from study.analysis.statistics.contrasts import LEVEL
from study.analysis.statistics.in_rounds import FIXED, Testing
from study.analysis.statistics.matched import LEVELS, Match, WideStep, interpolated, wide_steps
from study.analysis.statistics.verdicts import BETTER, EQUIVALENT, UNDECIDED, WORSE
from study.config.hypotheses import EACH, Hypothesis
from study.measures.catalog import OF, Measure, described

COLUMNS = (
    *("hypothesis", "question", "measure", "compared", "settings", "n", "estimate", "ci_low", "ci_high", "unit"),
    *("p", "p_holm", "margin", "p_equivalence", "p_equivalence_holm", "above", "below", "answer", "left_out"),
    *("wide_steps", "each"),
)
FEWEST_VARIANTS = 4  # for a rank correlation
PERMUTATIONS = 10_000
LARGER, SMALLER = "larger", "smaller"  # answers for a measure of which neither is better
RISES, FALLS = "rises with it", "falls with it"  # answers of an association
NOT_TESTED = "not tested"
SEPARATOR = "; "  # between settings or steps in one cell


def answers(
    study: Study, rows: pd.DataFrame, hypotheses: Sequence[Hypothesis], testing: Testing = FIXED
) -> pd.DataFrame:
    """Answer each question.

    Args:
        study: the runs.
        rows: one row per run, from `gaps.at_epoch`, with `context`.
        hypotheses: the questions.
        testing: how tests and intervals allow for rounds of seeds.

    Returns:
        COLUMNS, one row per question and contrast. `n`: the number of independent values (settings, or seeds in a study
        of one setting). `estimate`: the mean difference, or the mean rank correlation (−1 to 1). P-values are corrected
        for the contrasts of a question (Holm), not for the number of questions. `above`, `below`: settings whose
        own estimate is above and below zero. `left_out`: settings without an estimate, joined by "; ".
        `wide_steps`: where values at equal fit are interpolated far from any run, joined by "; ". `each`: the
        estimates of the settings or seeds, as a JSON object.
    """
    names = {name for one in hypotheses for name in (one.measure, one.matched, one.other) if name}
    complete = with_described(study, rows, names)
    complete = complete[complete["state"] == "complete"]
    lines: list[dict[str, Any]] = []
    for one in hypotheses:
        own = _association(complete, one, testing) if one.other else _contrasts(complete, one, testing)
        lines += _answered(own, one, described(one.measure, rows["task"].iloc[0]).better)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def with_described(study: Study, rows: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Add columns for invariants, such as `path_norm_l2`, and for statistics of a parameter at the epoch of each row.

    A run without such a value has NaN.
    """
    ranks = study.tables["invariants.csv"]
    at_epoch = study.weights.merge(rows[["run", "epoch"]], on=["run", "epoch"])
    new: dict[str, pd.Series] = {}
    for name in sorted(set(names) - set(rows.columns)):
        statistic, of, parameter = name.partition(OF)
        if of and statistic in at_epoch:
            found = at_epoch[at_epoch["parameter"] == parameter].set_index("run")[statistic]
        else:
            own = ranks[(ranks["measure"] == statistic) & (ranks["parameter"] == parameter)]
            found = own.set_index("run")["value"]
        new[name] = rows["run"].map(found).astype(float)
    return rows.assign(**new)


def _contrasts(complete: pd.DataFrame, one: Hypothesis, testing: Testing) -> list[dict[str, Any]]:
    """A row for each regularizer that the question compares with its baseline."""
    measure, first, baseline = described(one.measure, complete["task"].iloc[0]), one.first, one.baseline
    there = [reg for reg in complete["reg"].unique() if reg != baseline]
    lines = []
    for reg in there if first == EACH else [first]:
        by_setting: dict[str, np.ndarray] = {}
        left_out, wide = [], []
        for context, own in complete.groupby("context", sort=False):
            if one.matched:
                found, steps = _matched(own, one, reg, baseline)
                wide += [f"{context + ': ' if context else ''}{step}" for step in steps]
            else:
                found = _paired(own, one.measure, reg, baseline)
            if len(found):
                by_setting[str(context)] = found
            else:
                left_out.append(str(context))
        means = {context: round(float(found.mean()), inference.DIGITS) for context, found in by_setting.items()}
        values = np.array(list(means.values())) if len(means) != 1 else next(iter(by_setting.values()))
        each = means if len(means) != 1 else dict(enumerate(values))
        at = f" at equal {one.matched}" if one.matched else ""
        compared = f"{reg} − {baseline}{at}"
        line = _tested(values, len(by_setting), compared, measure, one.equivalence, testing)
        line |= {"left_out": SEPARATOR.join(left_out), "wide_steps": SEPARATOR.join(wide)}
        lines.append({**line, "each": json.dumps(each)})
    return lines


def _paired(own: pd.DataFrame, measure: str, reg: str, baseline: str) -> np.ndarray:
    """Differences over the common seeds of one setting, (seeds,); none if one of the two is not exactly one variant."""
    pair = own[own["reg"].isin([reg, baseline])]
    if pair.groupby("reg")["variant"].nunique().to_dict() != {reg: 1, baseline: 1}:
        return np.zeros(0)
    values = pair.pivot_table(index="seed", columns="reg", values=measure)
    return (values[reg] - values[baseline]).dropna().to_numpy(float) if {reg, baseline} <= set(values) else np.zeros(0)


def _matched(own: pd.DataFrame, one: Hypothesis, reg: str, baseline: str) -> tuple[np.ndarray, Sequence[WideStep]]:
    """Differences at equal values of a measure, averaged over the levels that both λ paths reach, (seeds,).

    And the steps of λ in which they are interpolated far from any run.
    """
    paths = own[own["reg"].isin([reg, baseline, "none"])]
    match = Match(one.matched, described(one.matched, own["task"].iloc[0]).better < 0, (one.measure,))
    _, values = interpolated(paths, match, one.measure, LEVELS)
    if not {reg, baseline} <= set(values):
        return np.zeros(0), []
    return (values[reg] - values[baseline]).mean(axis=1), wide_steps(paths, match)


def _tested(
    values: np.ndarray, settings: int, compared: str, measure: Measure, margin: float | None, testing: Testing
) -> dict[str, Any]:
    """A row of `answers` for a contrast, before correction."""
    line: dict[str, Any] = {"compared": compared, "settings": settings, "n": len(values), "unit": measure.unit}
    line |= {"estimate": values.mean() if len(values) else np.nan, "p": np.nan, "p_equivalence": np.nan}
    if settings > 1:
        line |= {"above": int((values > 0).sum()), "below": int((values < 0).sum())}
    if len(values) < inference.INTERVALS_FROM:
        return line
    same = inference.no_spread(values)
    if not same:
        interval = inference.mean_interval(values, testing.confidence(1))
        line |= {"ci_low": interval.low, "ci_high": interval.high}
    line["p"] = float(testing.p(np.array(inference.sign_flip(values) if same else inference.paired_t(values)[1])))
    if margin is not None:
        line["margin"] = margin / measure.factor
        sd = 0.0 if same else float(values.std(ddof=1))
        p = tost.p_value(values.mean(), sd, len(values), line["margin"])
        line["p_equivalence"] = float(testing.p_one_sided(np.array(p)))
    return line


def _association(complete: pd.DataFrame, one: Hypothesis, testing: Testing) -> list[dict[str, Any]]:
    """One row: how the means of two measures go together over the variants of each setting."""
    pairs: dict[str, np.ndarray] = {}
    left_out = []
    for context, own in complete.groupby("context", sort=False):
        means = own.groupby("variant", sort=False)[[one.other, one.measure]].mean().dropna().round(inference.DIGITS)
        if len(means) >= FEWEST_VARIANTS and (means.nunique() > 1).all():
            pairs[str(context)] = scipy.stats.rankdata(means.to_numpy(float), axis=0)
        else:
            left_out.append(str(context))
    line: dict[str, Any] = {"compared": f"{one.measure} with {one.other}", "settings": len(pairs), "n": len(pairs)}
    line |= {"left_out": SEPARATOR.join(left_out), "wide_steps": "", "each": "{}"}
    if not pairs:
        return [line | {"p": np.nan}]
    found = np.array([np.corrcoef(ranks.T)[0, 1] for ranks in pairs.values()])
    p = _permuted(list(pairs.values()), found.mean())
    line |= {"estimate": found.mean(), "p": float(testing.p(np.array(p)))}
    line["each"] = json.dumps(dict(zip(pairs, found, strict=True)))
    if len(found) > 1:
        line |= {"above": int((found > 0).sum()), "below": int((found < 0).sum())}
    if len(found) >= inference.INTERVALS_FROM and not inference.no_spread(found):
        interval = inference.mean_interval(found, testing.confidence(1))
        line |= {"ci_low": max(-1.0, interval.low), "ci_high": min(1.0, interval.high)}
    return [line]


def _permuted(pairs: Sequence[np.ndarray], observed: float) -> float:
    """The two-sided p-value of a mean rank correlation, by permutations of the variants within each setting."""
    generator = np.random.default_rng(0)
    total = np.zeros(PERMUTATIONS)
    for ranks in pairs:
        x, y = ((ranks[:, side] - ranks[:, side].mean()) / ranks[:, side].std() for side in (0, 1))
        shuffled = generator.permuted(np.tile(y, (PERMUTATIONS, 1)), axis=1)
        total += shuffled @ x / len(x)
    extreme = np.abs(total / len(pairs)) >= abs(observed) - 1e-9
    return float((1 + extreme.sum()) / (1 + PERMUTATIONS))


def _answered(lines: Sequence[Mapping[str, Any]], one: Hypothesis, direction: int) -> list[dict[str, Any]]:
    """The rows of a question with corrected p-values and answers. `direction`: 1 if a larger measure is better."""
    p = _holm([line["p"] for line in lines])
    same = _holm([line.get("p_equivalence", np.nan) for line in lines])
    of_contrast = {1: (BETTER, WORSE), -1: (WORSE, BETTER), 0: (LARGER, SMALLER)}[direction]
    above, below = (RISES, FALLS) if one.other else of_contrast
    found = []
    for line, p_holm, p_same in zip(lines, p, same, strict=True):
        is_open = _differs_between_settings(line) if one.other else line["n"] < inference.STARS_FROM
        if np.isnan(p_holm):
            answer = NOT_TESTED
        elif is_open:
            answer = UNDECIDED
        elif p_same < LEVEL:
            answer = EQUIVALENT
        else:
            answer = UNDECIDED if p_holm >= LEVEL else above if line["estimate"] > 0 else below
        own = {"hypothesis": one.name, "question": one.question, "measure": one.measure, **line}
        found.append({**own, "p_holm": p_holm, "p_equivalence_holm": p_same, "answer": answer})
    return found


def _differs_between_settings(line: Mapping[str, Any]) -> bool:
    """Whether the interval of an association over settings has zero inside, so that another setting may differ."""
    return bool(line.get("ci_low", np.nan) <= 0 <= line.get("ci_high", np.nan))  # False for NaN: too few settings


def _holm(p: Sequence[float]) -> np.ndarray:
    """Holm's correction; a contrast without a test counts as p = 1, and stays without a value."""
    values = np.array(p, float)
    return np.where(np.isnan(values), np.nan, inference.holm(np.nan_to_num(values, nan=1.0)))
