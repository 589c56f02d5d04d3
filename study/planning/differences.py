"""How much seed-paired differences vary: from the study's own runs, or from the study that is most like it."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from study.analysis.comparison import Options, compare
from study.analysis.statistics import contrasts, inference
from study.config.run_config import ResolvedRun
from study.errors import StudyError

TABLE = Path(__file__).parent / "variances.csv"  # written by scripts/variances.py


@dataclass(frozen=True)
class Spread:
    """The standard deviation of seed-paired differences in the primary measure.

    Attributes:
        sd: the median over contrasts, in the unit of stored values.
        low, high: the smallest and the largest.
        upper: the upper 80 % bound of `sd`; NaN if it is not known.
        seeds: from how many seeds.
        source: where it is from, in words.
    """

    sd: float
    low: float
    high: float
    upper: float
    seeds: int
    source: str


def pilot(folder: Path, primary: str) -> Spread | None:
    """The spread of the complete runs of a study; None if they are too few.

    Args:
        folder: outputs/<name>.
        primary: the measure.
    """
    if not folder.is_dir():
        return None
    try:
        compared = compare(folder, Options(folder.name))
    except StudyError:  # no complete run yet, or none that can be compared
        return None
    if not compared.baselines:
        return None
    table = contrasts.contrasts(
        compared.rows, compared.baselines, primary, dict.fromkeys(compared.rows["variant"], 0.0), {}
    )
    known = table[(table["measure"] == primary) & (table["sd"] > 0)]
    if known.empty:
        return None
    n = int(known["n"].min())
    sd = float(known["sd"].median())
    upper = inference.sd_upper(sd, n)
    return Spread(sd, known["sd"].min(), known["sd"].max(), upper, n, f"complete runs of {folder}, {n} seeds")


def like_study(run: ResolvedRun, primary: str, n_val: int) -> Spread | None:
    """The spread in the shipped study that is most like a run; None if none of them has the measure.

    It has the same data, if possible, then the same model, then the number of validation examples that is nearest.

    Args:
        run: one of the runs.
        primary: the measure.
        n_val: the number of validation examples.
    """
    with TABLE.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["task"], row["measure"]) == (run.task, primary)]
    if not rows:
        return None
    data, model = run.config.data["option"], run.config.model["option"]

    def unlike(row: dict[str, str]) -> tuple[bool, bool, float, str]:
        distance = abs(math.log(max(n_val, 1) / int(row["n_val"])))
        return row["data"] != data, row["model"] != model, distance, row["data"]

    nearest = min(rows, key=unlike)
    own = [row for row in rows if row["command"] == nearest["command"]]
    each = [float(row["sd"]) for row in own]
    known = nearest["data"] == data
    source = (
        f"a study of {'the same' if known else 'other'} data: {nearest['data']} ({int(nearest['n_val']):,} validation"
        f" examples), {nearest['model']}, {nearest['epochs']} epochs, {nearest['seeds']} seeds, with"
        f" {_listed([row['variant'] for row in own])}"
    )
    seeds = int(nearest["seeds"])
    return Spread(median(each), min(each), max(each), inference.sd_upper(median(each), seeds), seeds, source)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
