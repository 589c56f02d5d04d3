"""Compare L1 with L2 at each of five equal training losses, for docs/explanation/findings.md.

    python scripts/flagship/matched.py outputs/flagship_matched OUT

`hypotheses` answers for the mean over five levels, from the smallest to the largest training loss that both λ paths
reach. This shows the levels one by one: which of them the mean comes from is a question that was asked after the
results. Reads the study's analysis/runs.csv, and writes matched.csv, .md and .png to the folder OUT.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from study.analysis.drawing.style import style_of
from study.analysis.statistics import inference
from study.analysis.statistics.matched import LEVELS, Match, interpolated
from study.analysis.text.formats import interval, p_value, signed

MEASURE = "test_accuracy"
LOSS = Match("train_loss", rises=True, measures=(MEASURE,))
PLACES = tuple(f"{share:.0%}".replace("%", " %") for share in np.linspace(0, 1, LEVELS))  # of the common range


def main(study: Path, out: Path) -> None:
    """Write the table and the figure."""
    levels, differences = at_levels(pd.read_csv(study / "analysis/runs.csv"))
    table = tested(levels, differences)
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "matched.csv", index=False)
    (out / "matched.md").write_text(as_markdown(table, len(differences)))
    style = style_of("plain")
    with plt.rc_context(style.rc()):
        drawn(table, differences, style.single).savefig(out / "matched.png", dpi=300)


def at_levels(runs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Training losses in nats, and differences L1 − L2 in points of test accuracy, (settings, LEVELS) each."""
    found = [interpolated(own, LOSS, MEASURE, LEVELS) for _, own in runs.groupby("context", sort=False)]
    differences = [100 * (values["l1"] - values["l2"]).mean(axis=0) for _, values in found]
    return np.array([levels for levels, _ in found]), np.array(differences)


def tested(levels: np.ndarray, differences: np.ndarray) -> pd.DataFrame:
    """A row per level, with the mean difference over settings, and a t-test of it (Holm over levels)."""
    lines = []
    for place, losses, own in zip(PLACES, levels.T, differences.T, strict=True):
        ends, (_, p) = inference.mean_interval(own), inference.paired_t(own)
        line = {"level": place, "loss_from": losses.min(), "loss_to": losses.max(), "difference": own.mean()}
        lines.append({**line, "ci_low": ends.low, "ci_high": ends.high, "p": p})
    table = pd.DataFrame(lines)
    return table.assign(p_holm=inference.holm(table["p"].to_numpy(float)))


def as_markdown(table: pd.DataFrame, settings: int) -> str:
    """The table as Markdown."""
    lines = [
        "| level | training loss (nats) | L1 − L2 (points) | 95 % interval | p (Holm) |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in table.itertuples():
        ends = interval(row.ci_low, row.ci_high, 1, 2)
        losses = f"{row.loss_from:.2f} to {row.loss_to:.2f}"
        lines.append(f"| {row.level} | {losses} | {signed(row.difference, 2)} | {ends} | {p_value(row.p_holm)} |")
    note = f"Means over {settings} settings. Level: of the range of training losses that both paths reach in all seeds."
    return "\n".join([*lines, "", note, ""])


def drawn(table: pd.DataFrame, differences: np.ndarray, width: float) -> plt.Figure:
    """The mean difference at each level with its interval, and grey those of the settings."""
    figure, axis = plt.subplots(figsize=(width, 0.75 * width), layout="constrained")
    places = np.arange(LEVELS)
    axis.axhline(0, color="#777777", linewidth=0.8)
    axis.plot(places, differences.T, color="0.75", linewidth=0.8)
    off = [table["difference"] - table["ci_low"], table["ci_high"] - table["difference"]]
    axis.errorbar(places, table["difference"], off, color="black", fmt="D-", markersize=3.5, capsize=2)
    axis.set_xticks(places, PLACES)
    axis.set_xlabel("Level of equal training loss\n(share of the common range)")
    axis.set_ylabel("L1 − L2 in test accuracy\n(points)")
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("study", "out"):
        parser.add_argument(name, type=Path)
    main(**vars(parser.parse_args()))
