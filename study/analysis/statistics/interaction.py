"""Interaction: whether the effect of a regularizer depends on another setting, such as the optimizer.

The effect is the seed-paired difference to the baseline in the same setting. Two effects are compared by their
difference in each seed, with a paired t-test: the interaction contrast of a 2 × 2 design within seeds (Maxwell and
Delaney 2004, Designing Experiments and Analyzing Data, ch. 12). P-values of all comparisons are corrected together
(Holm 1979).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.statistics import inference
from study.analysis.statistics.in_rounds import FIXED, Testing
from study.config.names import differing
from study.config.run_config import GROUPS
from study.measures.catalog import MEASURES

LEVEL = 0.05  # a corrected p-value below it is marked, with as many seeds as a star needs
ALL_KEYS = "setting"  # the key of settings that differ from each other in several keys
COLUMNS = (
    *(
        "measure",
        "key",
        "value",
        "context",
        "row",
        "reg",
        "variant",
        "baseline",
        "n",
        "difference",
        "ci_low",
        "ci_high",
    ),
    *("p_holm", "is_reference", "change", "change_low", "change_high", "p_change", "p_change_holm"),
)


@dataclass(frozen=True)
class Panel:
    """Settings that differ in one key.

    Attributes:
        key: the key, such as `optimizer`; ALL_KEYS if they differ in several.
        contexts: by the context of each setting, its value of the key as text; in order.
        reference: the context whose effects the others are compared with. Empty if the data sets differ: nothing pairs
            the seeds of two data sets.
    """

    key: str
    contexts: Mapping[str, str]
    reference: str


def interaction(
    rows: pd.DataFrame,
    baselines: Mapping[str, str],
    compared: pd.DataFrame,
    measure: str,
    testing: Testing = FIXED,
) -> pd.DataFrame:
    """The effect of each regularizer in each setting, and its change from the reference setting.

    Args:
        rows: one row per run, from `gaps.at_epoch`, with `context`.
        baselines: the baseline of each variant.
        compared: from `contrasts.contrasts`.
        measure: the primary measure.
        testing: how tests and intervals allow for rounds of seeds.

    Returns:
        COLUMNS, a row per regularizer (`row`: its key without the setting), key and value. `difference` is the effect,
        `p_holm` its corrected p-value as in the table of contrasts. `change` is the effect minus that in the reference
        setting; its p-values are corrected for all changes in the table. Data sets have no changes. Empty unless a
        regularizer has several settings, each with its baseline.
    """
    panels = panels_of(rows)
    own = compared[compared["measure"] == measure].set_index("variant")
    context_of = rows.groupby("variant", sort=False)["context"].first()
    within = [v for v, b in baselines.items() if v in own.index and b in context_of and context_of[b] == context_of[v]]
    named = _row_names(rows[rows["variant"].isin(within)])
    effects = _effects(rows, {variant: baselines[variant] for variant in within}, measure)
    lines: list[dict[str, Any]] = []
    for panel in panels:
        for name in dict.fromkeys(named.values()):
            variants = {context_of[variant]: variant for variant, row in named.items() if row == name}
            there = [context for context in panel.contexts if context in variants]
            if len(there) < 2 or (panel.reference and panel.reference not in there):
                continue
            reference = effects[variants[panel.reference]] if panel.reference else None
            for context in there:
                variant = variants[context]
                contrast, is_reference = own.loc[variant], context == panel.reference
                line = {
                    **{"measure": measure, "key": panel.key, "value": panel.contexts[context], "context": context},
                    **{"row": name, "reg": rows.loc[rows["variant"] == variant, "reg"].iloc[0], "variant": variant},
                    **{"baseline": baselines[variant], "n": contrast["n"], "difference": contrast["mean_difference"]},
                    **{key: contrast[key] for key in ("ci_low", "ci_high", "p_holm")},
                    "is_reference": is_reference,
                }
                compares = reference is not None and not is_reference
                lines.append({**line, **_change(effects[variant] - reference, testing)} if compares else line)
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    if len(table):
        table["p_change_holm"] = inference.holm(table["p_change"].to_numpy(float))
    return table


def _effects(rows: pd.DataFrame, baselines: Mapping[str, str], measure: str) -> dict[str, pd.Series]:
    """The difference of each variant to its baseline, by seed."""
    complete = rows[rows["state"] == "complete"]
    values = complete.pivot_table(index="seed", columns="variant", values=measure)
    empty = pd.Series(np.nan, values.index)
    return {
        variant: values.get(variant, empty) - values.get(baseline, empty) for variant, baseline in baselines.items()
    }


def _change(differences: pd.Series, testing: Testing) -> dict[str, float]:
    """The mean of differences of effects over seeds, with interval and p-value where there are enough seeds."""
    d = differences.dropna().to_numpy(float)
    if not len(d):
        return {}
    found = {"change": float(d.mean())}
    if len(d) < inference.INTERVALS_FROM:
        return found
    if inference.no_spread(d):
        return {**found, "p_change": float(testing.p(np.array([inference.sign_flip(d)]))[0])}
    interval, (_, p) = inference.mean_interval(d, testing.confidence(1)), inference.paired_t(d)
    ends = {"change_low": interval.low, "change_high": interval.high}
    return {**found, **ends, "p_change": float(testing.p(np.array([p]))[0])}


def marked(table: pd.DataFrame, p: str) -> pd.Series:
    """Whether a corrected p-value (a column's name) is below the level, with as many seeds as a star needs."""
    return (table[p].astype(float) < LEVEL) & (table["n"] >= inference.STARS_FROM)


def better(table: pd.DataFrame) -> int:
    """1 if larger values of the table's measure are better, else −1."""
    return MEASURES[table["measure"].iloc[0]].better


def _row_names(rows: pd.DataFrame) -> dict[str, str]:
    """The name of each variant without its setting: regularizer and λ; without λ if it is tuned for each setting."""
    each = rows.groupby("variant", sort=False)[["reg", "lam", "takes_lam", "context", "scope"]].first()
    once = each.groupby(["reg", "context"]).size().groupby("reg").max() == 1
    lams = each.groupby("reg")["lam"].nunique()
    names = {}
    for variant, row in each.iterrows():
        with_lam = row["takes_lam"] and not (once[row["reg"]] and lams[row["reg"]] > 1)
        names[str(variant)] = row["reg"] + (f"-lam{row['lam']:.15g}" if with_lam and pd.notna(row["lam"]) else "")
    doubled = pd.Series(names).groupby([list(names.values()), each["context"].to_numpy()]).size()
    ambiguous = {name for (name, _), count in doubled.items() if count > 1}  # such as the same λ with two scopes
    return {variant: name for variant, name in names.items() if name not in ambiguous}


def panels_of(rows: pd.DataFrame) -> list[Panel]:
    """The settings of a study by the key in which they differ from one of them, the reference.

    The reference is the setting from which most others differ in one key. A group's option and its own keys, such as
    `optimizer` and `optimizer.lr`, count as one key where both differ. If the settings do not have such a form, they
    are one panel. One context, or contexts within which settings differ, give no panel.
    """
    by_context = rows.groupby("context", sort=False)["setting"].unique()
    if len(by_context) < 2:
        return []
    found = {str(context): _common(texts) for context, texts in by_context.items()}
    settings = {context: setting or {} for context, setting in found.items()}
    if None in found.values():  # tuned for each variant
        settings = {context: {ALL_KEYS: context} for context in found}
    away = {base: _single_keys(base, settings) for base in settings}
    base = max(away, key=lambda context: len(away[context]))
    panels = []
    for key in dict.fromkeys(away[base].values()):
        contexts = [base, *(context for context, other in away[base].items() if other == key)]
        panels.append(Panel(key, _ordered({context: settings[context].get(key) for context in contexts}), base))
    if sum(len(panel.contexts) - 1 for panel in panels) != len(settings) - 1:
        first = next(iter(settings))
        panels = [Panel(ALL_KEYS, {context: context or ALL_KEYS for context in settings}, first)]
    data = {context: json.loads(texts[0]).get("data") for context, texts in by_context.items()}
    of_one = [len({data[context] for context in panel.contexts}) == 1 for panel in panels]
    return [panel if same else replace(panel, reference="") for panel, same in zip(panels, of_one, strict=True)]


def _common(texts: Sequence[str]) -> dict[str, Any] | None:
    """The setting of all runs of a context; None if some differ. Runs lack keys that their regularizer sets."""
    found: dict[str, Any] = {}
    for own in map(json.loads, texts):
        if any(found.get(key, value) != value for key, value in own.items()):
            return None
        found |= own
    return found


def _single_keys(base: str, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The contexts that differ from `base` in a single key, with the key."""
    found = {}
    for context, setting in settings.items():
        keys = differing([settings[base], setting])
        one_side = [key for key in {**settings[base], **setting} if (key in settings[base]) != (key in setting)]
        groups = [key for key in keys if key in GROUPS]
        left = {key for key in [*keys, *one_side] if not (key.partition(".")[0] in groups and "." in key)}
        if context != base and len(left) == 1:
            found[context] = left.pop()
    return found


def _ordered(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as text, numbers in ascending order; None, which means all, comes last."""
    numeric = all(isinstance(value, int | float | None) for value in values.values())
    order: Sequence[str] = list(values)
    if numeric:
        order = sorted(values, key=lambda context: np.inf if values[context] is None else float(values[context]))
    return {context: _as_text(values[context]) for context in order}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return "–".join(map(str, value))
    return "all" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
