"""Write the table of all regularizers in docs/reference/regularizers.md from conf/reg/ and four finished studies.

    study experiment=zoo
    study experiment=zoo data=fashion_mnist seeds=3 epochs=5 name=zoo_fashion_mnist
    study experiment=zoo data=fashion_mnist data.train_size=20000 seeds=1 epochs=3 loop=general name=zoo_general
    study experiment=zoo data=fashion_mnist data.train_size=20000 seeds=1 epochs=3 loop=fastest name=zoo_fastest
    python scripts/zoo_table.py        # rewrites the page between its two marks

Val and gap are means over seeds ± their standard deviation, from the first two studies. Cost is the training time of an
epoch relative to `none`, the median over epochs, from the last two studies: one with the general loop, and one with the
compiled loop for the options that it can train. Run these two on a machine without other programs.
"""

import re
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

from study.analysis.reading.collect import collect
from study.analysis.reading.study import Study
from study.analysis.statistics.gaps import at_epoch, gap_table
from study.config.build import build_regularizer
from study.records.contract import OUTPUTS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "regularizers.md"
STUDIES = {"digits": "zoo", "Fashion-MNIST": "zoo_fashion_mnist"}
GENERAL, FASTEST = "zoo_general", "zoo_fastest"
BEGIN, END = "<!-- table: scripts/zoo_table.py -->\n", "<!-- end of table -->"
HEADER = ["`reg`", "What it does", "λ", "Default", "Cost", "Compiled", "Val, %", "Gap, points", "Val, %", "Gap, points"]


def described(option: str) -> tuple[str, str, str]:
    """Return the description of an option, its allowed λ, and its defaults, from its YAML file."""
    text = (ROOT / "conf" / "reg" / f"{option}.yaml").read_text()
    content = OmegaConf.create(text)
    line = text.splitlines()[0].removeprefix("# ")
    if "_target_" not in content:
        return line, "one in each part", ", ".join(f"{part.reg} {part.lam:g}" for part in content.parts)
    own = {key: value for key, value in content.items() if key not in ("lam", "_target_")}
    regularizer = build_regularizer({"option": option, "_target_": content["_target_"], **own})
    default = [f"{content.lam:g}"] if regularizer.takes_lam else []
    default += [f"{key} {value}" for key, value in own.items()]
    return line, str(regularizer.lam_range) if regularizer.takes_lam else "–", ", ".join(default) or "–"


def cost(study: Study) -> pd.Series:
    """Return the training time of an epoch relative to `none`, by variant."""
    trained = study.metrics[study.metrics["epoch"] > 0]
    seconds = trained.groupby(["seed", "variant"])["seconds"].median().unstack("variant")
    return seconds.div(seconds["none"], axis=0).median()


def _compiled_cost() -> pd.Series:
    """Return the same for the variants that the compiled loop trains."""
    study = collect(OUTPUTS / FASTEST)
    return cost(study.of_variants(study.runs.loc[study.runs["path"] == "mlp", "variant"].unique()))


def main() -> None:
    """Write the table into the page, and print it."""
    studies = {name: collect(OUTPUTS / folder) for name, folder in STUDIES.items()}
    results = {name: gap_table(at_epoch(study, "last")).set_index("variant") for name, study in studies.items()}
    costs, compiled, first = cost(collect(OUTPUTS / GENERAL)), _compiled_cost(), results["digits"]
    costs, compiled = (
        of_loop.rename(lambda key: key.removesuffix("-train_size20000")) for of_loop in (costs, compiled)
    )
    lines = [
        "| | | | | | | " + " | | ".join(f"{name}, n = {table['n'].max()}" for name, table in results.items()) + " | |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|",
        "| " + " | ".join(f"**{cell}**" for cell in HEADER) + " |",
    ]
    for variant, row in first.iterrows():
        what, allowed, default = described(row["reg"])
        lam = re.search(r"-lam([^-]+(?:-\d+)?)$", variant)
        shown = f"`{row['reg']}`" + (f" at λ = {lam[1]}" if lam and (first["reg"] == row["reg"]).sum() > 1 else "")
        cells = [shown, what.replace("|", "\\|"), allowed, default, f"{costs[variant]:.2f}"]
        cells.append(f"{compiled[variant]:.2f}" if variant in compiled else "–")
        for table in results.values():
            found = table.loc[variant]
            cells.append(f"{100 * found['val_accuracy']:.2f} ± {100 * found['val_accuracy_sd']:.2f}")
            cells.append(f"{found['accuracy_gap']:.2f} ± {found['accuracy_gap_sd']:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])
    print("\n".join(lines))


if __name__ == "__main__":
    main()
