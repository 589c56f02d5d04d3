"""Mean ranks by test accuracy, for docs/explanation/findings.md: `study analyze` ranks by validation accuracy alone.

    python scripts/flagship/test_ranks.py outputs/flagship OUT

Reads the study's analysis/runs.csv, and writes test_ranks.csv and .md to the folder OUT.
"""

import argparse
from pathlib import Path

import pandas as pd

from study.analysis.statistics import ranks
from study.analysis.text.formats import p_value

MEASURES = ("val_accuracy", "test_accuracy")


def main(study: Path, out: Path) -> None:
    """Write the table."""
    runs = pd.read_csv(study / "analysis/runs.csv")
    out.mkdir(parents=True, exist_ok=True)
    table, tests = pd.DataFrame(), []
    for measure in MEASURES:
        means = runs.pivot_table(index="context", columns="reg", values=measure)
        ranked = ranks.ranks(means.to_numpy())
        table[measure] = pd.Series(ranked.mean(axis=0), means.columns)
        tests.append(f"{measure}: p = {p_value(ranks.permuted(ranked))}")
    table = table.sort_values("test_accuracy", kind="stable").rename_axis("reg").reset_index()
    table.to_csv(out / "test_ranks.csv", index=False)
    rows = [f"| {row.reg} | {row.val_accuracy:.2f} | {row.test_accuracy:.2f} |" for row in table.itertuples()]
    lines = ["| regularizer | mean rank by validation accuracy | by test accuracy |", "|---|---:|---:|", *rows]
    note = f"1 is best. Friedman's test by permutation: {', '.join(tests)}."
    (out / "test_ranks.md").write_text("\n".join([*lines, "", note, ""]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("study", "out"):
        parser.add_argument(name, type=Path)
    main(**vars(parser.parse_args()))
