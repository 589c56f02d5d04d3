"""Comparisons of variants: over λ, against the baseline, and the trials of a tuned study."""

from typing import Any

import pandas as pd

from study.analysis.drawing.layout import is_logarithmic
from study.analysis.drawing.looks import Look
from study.analysis.drawing.view import View, difference_label, shown
from study.analysis.page.appearance import appearance
from study.analysis.page.rounding import rounded
from study.analysis.statistics.tuning import TRIAL_KEYS
from study.analysis.statistics.verdicts import verdict_text
from study.analysis.text.escaping import plain
from study.measures.catalog import MAIN, MEASURES

FEWEST = 3  # values of λ that make a path
OF_PATH = ("test_loss", "near_zero_fraction", "zero_fraction", "weights_l1", "weights_l2", "abs_max")
NAMES = {"optimizer.lr": "Learning rate", "lam": "λ"}


def strength_path(view: View) -> dict[str, Any] | None:
    """Return the measures of each regularizer over λ; None if no regularizer has three values of λ.

    Returns:
        `measures` (`name, label`), `lines`: for each regularizer and setting `label, colour, dash, lam`, `runs` (the
        complete runs at each λ), and `values`: by measure `mean, low, high` over seeds; `references`: the same for the
        runs without a regularizer, with one value each; `first`: the two measures that are shown first.
    """
    rows = view.complete()
    rows = rows[rows["variant"].isin(list(view.looks)) & ((rows["lam"] > 0) | (rows["reg"] == "none"))]
    several = rows["context"].nunique() > 1
    main = MAIN[view.task]
    wanted = [main.val, main.train, main.gap, "val_loss", "loss_gap", in_test(main.val), *OF_PATH]
    names = [n for n in dict.fromkeys(wanted) if n in rows and rows[n].notna().any()]
    keys = ["reg", "context", "lam"]
    if rows.empty:  # every run diverged, or no option has a λ
        return None
    summary = rows[[*keys, *names]].groupby(keys, sort=False).agg(["mean", "min", "max"]).sort_index()
    variants = rows.groupby(keys, sort=False)["variant"].agg(["nunique", "size"]).sort_index()
    styles = view.looks_by("reg")
    lines, references = [], []
    for reg, context in dict.fromkeys(zip(rows["reg"], rows["context"], strict=True)):
        line = _line(
            styles[reg], context if several else "", variants.loc[reg, context], summary.loc[reg, context], names
        )
        if reg == "none":
            references.append(line)
        elif len(line["lam"]) >= FEWEST and variants.loc[reg, context]["nunique"].max() == 1:
            lines.append(line)
    if not lines:
        return None
    return {
        "measures": [{"name": name, "label": plain(view.label(name))} for name in names],
        "first": [main.val, main.gap],
        "lines": lines,
        "references": references,
    }


def in_test(measure: str) -> str:
    """Return the test score that belongs to a validation score."""
    return measure.replace("val_", "test_")


def _line(look: Look, context: str, variants: pd.DataFrame, summary: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    """Return one line of `strength_path`.

    Args:
        look: that of the regularizer.
        context: the setting; empty if there is only one.
        variants: `nunique, size` of the runs at each λ.
        summary: `mean, min, max` of each measure at each λ.
        names: the measures.
    """
    values = {}
    for name in names:
        mean, low, high = (rounded(shown(summary[name, column], name)) for column in ("mean", "min", "max"))
        values[name] = {"mean": mean, "low": low, "high": high}
    return {
        **_of_group(look, context),
        "lam": [float(lam) for lam in summary.index],
        "runs": [int(size) for size in variants["size"]],
        "values": values,
    }


def _of_group(look: Look, context: str) -> dict[str, Any]:
    """Return the appearance of a regularizer, in one of several settings."""
    shown_as = appearance(look)
    return {**shown_as, "label": shown_as["label"] + (f" ({context})" if context else "")}


def differences(view: View) -> dict[str, Any] | None:
    """Return the differences to the baseline with their intervals; None without a baseline.

    Returns:
        `measures` (`name, label, better`: 1 if larger is better, `margin`: that of equivalence, or None), `primary`,
        and `rows`: `measure, variant, baseline, n, difference, seeds` (the ends of the interval over seeds, or None),
        `wide` (those of the interval that also covers new data or images, or None), `verdict` (text, or None).
    """
    table = view.contrasts
    if table.empty:
        return None
    known = view.measures
    table = table[table["measure"].isin(list(known)) & table["mean_difference"].notna()]
    found = []
    for row in table.to_dict("records"):
        factor, measure = known[row["measure"]].factor, row["measure"]
        wide = "new_images" if measure.startswith("test") else "new_data"
        found.append(
            {
                **{key: row[key] for key in ("measure", "variant", "baseline")},
                "n": int(row["n"]),
                "difference": rounded([factor * row["mean_difference"]])[0],
                "seeds": _ends(row["ci_low"], row["ci_high"], factor),
                "wide": _ends(row[f"{wide}_low"], row[f"{wide}_high"], factor),
                "verdict": None if pd.isna(row.get("verdict")) else verdict_text(row, factor),
            }
        )
    names = dict.fromkeys(table["measure"])
    described = [
        {
            "name": name,
            "label": plain(difference_label(name, task=view.task)),
            "better": known[name].better,
            "margin": view.margin if name == view.primary else None,
        }
        for name in names
    ]
    return {"measures": described, "primary": view.primary, "rows": found}


def _ends(low: float, high: float, factor: float) -> list[float | None] | None:
    return None if pd.isna(low) or pd.isna(high) else rounded([factor * low, factor * high])


def trials(view: View) -> dict[str, Any] | None:
    """Return the score of every trial over each tuned number; None if the study is not tuned.

    Returns:
        `measure` (its label), `keys` (`name, label, logarithmic`), `lines`: for each regularizer and setting `label,
        colour, dash, scores`, `pruned` (for each trial), `chosen` (the position of the chosen trial),
        and `values` by key.
    """
    table = view.trials
    if table.empty:
        return None
    keys = [str(key) for key in table.columns[TRIAL_KEYS:] if pd.api.types.is_numeric_dtype(table[key])]
    measure, several = table["measure"].iloc[0], table["context"].nunique() > 1
    styles = view.looks_by("reg", list(table["reg"].unique()))
    lines = []
    for (reg, context), own in table.groupby(["reg", "context"], sort=False):
        chosen = own["chosen"].to_numpy(bool)
        lines.append(
            {
                **_of_group(styles[reg], context if several else ""),
                "scores": rounded(shown(own["score"], measure)),
                "pruned": own["pruned"].tolist(),
                "chosen": int(chosen.argmax()) if chosen.any() else None,
                "values": {key: rounded(own[key].astype(float)) for key in keys},
            }
        )
    described = [
        {"name": key, "label": NAMES.get(key, key), "logarithmic": is_logarithmic(table[key].dropna())} for key in keys
    ]
    unit = MEASURES[measure].better
    return {"measure": plain(view.label(measure)), "better": unit, "keys": described, "lines": lines}
