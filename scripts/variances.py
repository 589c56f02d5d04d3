"""Write study/planning/variances.csv, from which `study plan` takes the spread of differences of a study like yours.

    study -m reg=none,l1,l2,dropout seeds=10 data=digits epochs=20 name=digits
    python scripts/variances.py outputs/digits outputs/book     # adds their rows, or replaces them

Each row is a contrast of a trained study with the variant without a regularizer: the standard deviation of the
seed-paired differences in one measure. Accuracies are fractions, losses are in nats, those of regressions in MSE.
"""

import csv
import io
import json
import sys
from pathlib import Path

from study.analysis.comparison import Options, compare
from study.analysis.statistics import contrasts
from study.planning.differences import TABLE
from study.records.files import write_whole
from study.records.sweeps import recorded_commands

COLUMNS = (*("data", "task", "model", "variant", "epochs", "n_train", "n_val", "seeds", "measure", "sd", "command"),)
MEASURES = ("val_accuracy", "val_loss", "val_r2", "val_mae")
HOW = ("workers=", "name=", "threads=", "device=", "loop=", "dry_run=")  # keys that change no result


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Return a row for each contrast and measure of a study."""
    compared = compare(folder, Options(folder.name))
    rows, first = compared.rows, compared.rows.iloc[0]
    table = contrasts.contrasts(rows, compared.baselines, compared.primary, dict.fromkeys(rows["variant"], 0.0), {})
    known = table[table["measure"].isin(MEASURES) & (table["sd"] > 0)]
    command = " ".join(word for word in recorded_commands(folder)[0] if not word.startswith(HOW))
    setting = json.loads(first["setting"])
    shared = {
        "data": first["data"],
        "task": compared.study.task,
        "model": setting["model"],
        "epochs": str(first["epochs"]),
        "n_train": str(first["train_images"]),
        "n_val": str(first["val_images"]),
        "command": f"study {command}",
    }
    return [
        {**shared, "variant": r.variant, "seeds": str(r.n), "measure": r.measure, "sd": f"{r.sd:.3g}"}
        for r in known.itertuples()
    ]


def main() -> int:
    """Add the studies of the command line to the table."""
    new = [row for folder in sys.argv[1:] for row in rows_of(Path(folder))]
    commands = {row["command"] for row in new}
    old = list(csv.DictReader(TABLE.open(newline=""))) if TABLE.exists() else []
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([row for row in old if row["command"] not in commands] + new)
    write_whole(TABLE, text.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
