"""Compare the flagship's effects with those at the default learning rate, for docs/explanation/findings.md.

    python scripts/flagship/rates.py outputs/flagship outputs/flagship_default OUT

The effect of a regularizer is its mean seed-paired difference to none in test accuracy, in each setting. Over the
settings of both studies, a paired t-test asks whether tuning the learning rate changes it. Reads both studies'
analysis/runs.csv, and writes rates.csv, .md and .png to the folder OUT.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from study.analysis.drawing.labels import option_label
from study.analysis.drawing.layout import legend_below
from study.analysis.drawing.style import style_of
from study.analysis.statistics import inference
from study.analysis.text.formats import interval, p_value, signed

SAME = ("data", "model", "data.train_size", "data.label_noise", "data.draw")  # keys that make settings the same
NONE = "none"


def main(tuned: Path, default: Path, out: Path) -> None:
    """Write the table and the figure."""
    effects = {name: effects_of(folder) for name, folder in {"tuned": tuned, "default": default}.items()}
    settings = effects["default"].index.intersection(effects["tuned"].index)
    before, after = (effects[name].loc[settings] for name in ("default", "tuned"))
    table = compared(before, after)
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "rates.csv", index=False)
    (out / "rates.md").write_text(as_markdown(table, len(settings)))
    style = style_of("plain")
    with plt.rc_context(style.rc()):
        drawn(table, style.single, style.size).savefig(out / "rates.png", dpi=300)


def effects_of(folder: Path) -> pd.DataFrame:
    """Differences to none in test accuracy, in points: a row per setting, a column per regularizer.

    Column none has the test accuracy of none itself, in percent.
    """
    runs = pd.read_csv(folder / "analysis/runs.csv")
    runs = runs[runs["state"] == "complete"]
    keys = [json.dumps([json.loads(text).get(key) for key in SAME]) for text in runs["setting"]]
    values = 100 * runs.assign(key=keys).pivot_table(index=["key", "seed"], columns="reg", values="test_accuracy")
    differences = values.drop(columns=NONE).sub(values[NONE], axis=0).assign(none=values[NONE])
    return differences.groupby("key").mean()


def compared(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """A row per regularizer, with its mean effects, their change, and a paired t-test of it over settings (Holm).

    The row of none is what tuning the learning rate does to a network without a regularizer.
    """
    lines = []
    for reg in [NONE, *sorted(set(before) - {NONE}, key=lambda reg: -before[reg].mean())]:
        change = (after[reg] - before[reg]).to_numpy(float)
        ends, (_, p) = inference.mean_interval(change), inference.paired_t(change)
        own = {"default": before[reg].mean(), "tuned": after[reg].mean(), "change": change.mean()}
        lines.append({"reg": reg, **own, "ci_low": ends.low, "ci_high": ends.high, "p": p})
    table = pd.DataFrame(lines)
    return table.assign(p_holm=inference.holm(table["p"].to_numpy(float)))


def as_markdown(table: pd.DataFrame, settings: int) -> str:
    """The table as Markdown. Means of none are those of its accuracy, not of a difference."""
    lines = [
        "| regularizer | default rate (points) | tuned rate (points) | change | 95 % interval | p (Holm) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in table.itertuples():
        both = [f"{row.default:.2f} %", f"{row.tuned:.2f} %"]
        if row.reg != NONE:
            both = [signed(row.default, 2), signed(row.tuned, 2)]
        ends = interval(row.ci_low, row.ci_high, 1, 2)
        lines.append(f"| {row.reg} | {' | '.join(both)} | {signed(row.change, 2)} | {ends} | {p_value(row.p_holm)} |")
    note = f"Means over {settings} settings of seed-paired differences to none in test accuracy; none: its accuracy."
    return "\n".join([*lines, "", note, ""])


def drawn(table: pd.DataFrame, width: float, size: float) -> plt.Figure:
    """Each regularizer's effect at the default rate (hollow) and at the tuned rate (filled)."""
    shown = table[table["reg"] != NONE].iloc[::-1]
    figure, axis = plt.subplots(figsize=(width, (0.22 * len(shown) + 0.7) * size / 9), layout="constrained")
    places = np.arange(len(shown))
    axis.hlines(places, shown["default"], shown["tuned"], color="0.7", linewidth=1)
    axis.plot(shown["default"], places, "o", markerfacecolor="white", markeredgecolor="black", label="default rate")
    axis.plot(shown["tuned"], places, "o", color="black", label="tuned rate")
    axis.axvline(0, color="0.5", linewidth=0.8, zorder=0)
    axis.set_yticks(places, [option_label(reg) for reg in shown["reg"]])
    axis.set_xlabel("Difference to none\nin test accuracy (points)")
    legend_below(figure, *axis.get_legend_handles_labels())
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tuned", "default", "out"):
        parser.add_argument(name, type=Path)
    main(**vars(parser.parse_args()))
