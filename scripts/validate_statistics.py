"""Check each test and interval of the analysis on cases with a known truth.

    python scripts/validate_statistics.py                    # all checks; minutes on two cores
    python scripts/validate_statistics.py --groups 40        # fewer repetitions of the trainings

A/A comparisons: several variants train on digits. Those of one seed share the split and differ only in initial weights
and batch order, so no variant is better. Each group of seeds is one study, and groups have no seed in common. For the
first n seeds of each group, the table has the rate at which each test rejects at 5 %, beside the level that the test
can attain with n seeds (a sign-flip test has only 2ⁿ⁻¹ p-values). It also has the rate at which one of several
contrasts gets a star after Holm's correction, and the rate at which one gets the verdict better or worse with a margin
of equivalence. Coverage and power are simulated. So is equivalence where the true difference is exactly the margin, so
that each claim of equivalence is false.

Rates have an exact 99 % interval. `too often` marks a rate whose whole interval is above its level; then the script
exits with 1. Writes outputs/validation/validation.md.
"""

import argparse
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from study import optimizers
from study.analysis.statistics import inference, tost, verdicts
from study.data import load_splits
from study.data.digits import digits
from study.measures.scoring import score
from study.models import MLP
from study.randomness import Stream, global_stream, torch_generator
from study.records.files import write_whole
from study.regularizers import Combined
from study.tasks import CLASSIFICATION
from study.training.compiled import mlp
from study.training.process import prepare_process
from study.training.state import State

TARGET = Path("outputs/validation/validation.md")
SEEDS, VARIANTS, EPOCHS = 10, 5, 5  # seeds per group; variants per seed, the first is the baseline; epochs per training
SIZES = (3, 5, 6, 7, 10)
DRAWS = 4_000  # simulated studies
LEVEL = 0.05
MARGIN = 0.3  # of equivalence, in points
TRAIN_IMAGES, VAL_IMAGES = 1249, 249  # of digits


def train_variants(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Train the variants of a seed.

    Returns:
        Validation accuracies (VARIANTS,), and which test images are correct (VARIANTS, images).
    """
    device = prepare_process(1, "cpu")
    options = {"root": "", "split": "holdout", "train_size": None, "label_noise": 0.0}
    splits = load_splits(digits(), options, seed, device)
    val, test = [], []
    for variant in range(VARIANTS):
        own = 1_000_000 + VARIANTS * seed + variant  # seed of the streams that the variants do not share
        with global_stream(own, Stream.INITIALIZATION):
            model = MLP(64, [50], 10)
        optimizer, order = optimizers.adam(model.parameters(), 1e-2), torch_generator(own, Stream.BATCH_ORDER)
        for _ in range(EPOCHS):
            mlp.train_epoch(State(model, Combined([]), optimizer, order), splits.train, 32)
        val.append(score(model, splits.val).score().accuracy)
        said = score(model, splits.test).predictions()
        test.append((said.label == said.predicted).numpy())
    return np.array(val), np.array(test)


def rate(hits: np.ndarray, level: float | None = None) -> list[str]:
    """Return table cells: the rate of hits with its exact 99 % interval, the level, and a mark if it is too high."""
    count, n = int(np.sum(hits)), len(hits)
    interval = stats.binomtest(count, n).proportion_ci(0.99)
    cells = [f"{count / n:.3f} [{interval.low:.3f}, {interval.high:.3f}]"]
    return cells if level is None else [*cells, f"{level:.3f}", "too often" if interval.low > level else ""]


def same_and_same(groups: int) -> list[list[str]]:
    """Return rows with rejection rates of A/A comparisons: of one contrast, and of several after Holm's correction."""
    with multiprocessing.get_context("spawn").Pool() as pool:
        found = pool.map(train_variants, range(groups * SEEDS), chunksize=SEEDS)
    val = np.array([v for v, _ in found]).reshape(groups, SEEDS, VARIANTS)
    test = np.array([t for _, t in found], float).reshape(groups, SEEDS, VARIANTS, -1)
    lines = []
    for n in SIZES:
        differences = [group[:n, 1] - group[:n, 0] for group in val]
        flips = np.array([inference.sign_flip(d) for d in differences])
        attainable = np.floor(LEVEL * 2 ** (n - 1)) / 2 ** (n - 1)
        lines.append([f"A/A, n = {n}: sign flips, val", *rate(flips <= LEVEL, attainable)])
        t = np.array([inference.paired_t(d)[1] for d in differences])
        lines.append([f"A/A, n = {n}: paired t, val", *rate(t <= LEVEL, LEVEL)])
        wide = [inference.new_data_interval(d, VAL_IMAGES / TRAIN_IMAGES) for d in differences]
        lines.append(
            [f"A/A, n = {n}: paired t with new data, val", *rate(np.array([p for _, p in wide]) <= LEVEL, LEVEL)]
        )
        crossed = [inference.new_images_interval(group[:n, 1] - group[:n, 0]) for group in test]
        excluded = np.array([not i.low <= 0 <= i.high for i in crossed])
        lines.append([f"A/A, n = {n}: seeds crossed with images, test", *rate(excluded, LEVEL)])
        if n >= inference.STARS_FROM:
            starred = []
            for group in val:
                p = [inference.paired_t(group[:n, variant] - group[:n, 0])[1] for variant in range(1, VARIANTS)]
                starred.append(bool(np.any(inference.holm(np.array(p)) < LEVEL)))
            lines.append(
                [f"A/A, n = {n}: a star among {VARIANTS - 1} contrasts (Holm)", *rate(np.array(starred), LEVEL)]
            )
            for margin in (MARGIN, 10 * MARGIN):
                each = [verdicts_on(100 * (group[:n, 1:] - group[:n, :1]), margin) for group in val]
                what = f"A/A, n = {n}: among {VARIANTS - 1} contrasts with margin {margin:g} points:"
                false = np.array([not {verdicts.BETTER, verdicts.WORSE}.isdisjoint(found) for found in each])
                lines.append([f"{what} better or worse", *rate(false, LEVEL)])
                lines.append([f"{what} equivalent", *rate(np.array([verdicts.EQUIVALENT in found for found in each]))])
    return lines


def verdicts_on(differences: np.ndarray, margin: float = MARGIN) -> list[str]:
    """Return the verdict on each contrast of a study.

    Args:
        differences: in points, (seeds, contrasts).
        margin: the margin of equivalence, in points.
    """
    each = differences.T / 100
    p = [inference.sign_flip(d) if inference.no_spread(d) else inference.paired_t(d)[1] for d in each]
    table = pd.DataFrame({"measure": "val_accuracy", "n": len(differences), "p_holm": inference.holm(np.array(p))})
    table["mean_difference"] = each.mean(axis=1)
    table["sd"] = [0.0 if inference.no_spread(d) else d.std(ddof=1) for d in each]
    return list(verdicts.with_verdicts(table, "val_accuracy", margin, CLASSIFICATION)["verdict"])


def equivalence(generator: np.random.Generator, sd: float) -> list[list[str]]:
    """Return rows with the rates of false and of true claims of equivalence."""

    def found(draws: np.ndarray, margin: float) -> np.ndarray:
        each = zip(draws.mean(axis=1), draws.std(axis=1, ddof=1), strict=True)
        return np.array([tost.p_value(mean, own, draws.shape[1], margin) < LEVEL for mean, own in each])

    lines = []
    for n in SIZES:
        for spread in (sd / 3, sd, 3 * sd):
            draws = generator.normal(MARGIN, spread, size=(DRAWS, n))
            what = f"True difference = margin, n = {n}, sd {spread:g} points: equivalent"
            lines.append([what, *rate(found(draws, MARGIN), LEVEL)])
        for sign, tail in ((1, "towards zero"), (-1, "away from zero")):
            draws = MARGIN - sign * sd * (generator.exponential(size=(DRAWS, n)) - 1)
            what = f"True difference = margin, n = {n}, skewed {tail}, sd {sd:g} points: equivalent"
            lines.append([what, *rate(found(draws, MARGIN))])
        margin = tost.provable_margin(sd, n)
        draws = generator.normal(0, sd, size=(DRAWS, n))
        what = f"No true difference, n = {n}, sd {sd:g} points, margin {margin:.2f} points: equivalent"
        lines.append([what, *rate(found(draws, margin)), "0.800", ""])
    for n in (6, 7, 10):
        for name, shifts in (
            ("all at the margin", np.full(VARIANTS - 1, MARGIN)),
            ("half at the margin, half without a difference", MARGIN * (np.arange(VARIANTS - 1) % 2)),
        ):
            false = []
            for _ in range(DRAWS // 2):  # variants share the baseline, so contrasts are correlated
                scores = generator.normal(0, sd / np.sqrt(2), size=(n, VARIANTS))
                said = verdicts_on(scores[:, 1:] - scores[:, :1] + shifts)
                false.append(any(v == verdicts.EQUIVALENT and s > 0 for v, s in zip(said, shifts, strict=True)))
            what = f"{VARIANTS - 1} contrasts, {name}, n = {n}: false equivalent (Holm)"
            lines.append([what, *rate(np.array(false), LEVEL)])
    return lines


def coverage(generator: np.random.Generator) -> list[list[str]]:
    """Return rows with the rates at which 95 % intervals miss the truth: normal, skewed, seeds crossed with images."""
    draws = {
        "normal": lambda n: generator.normal(size=n),
        "skewed (exponential)": lambda n: generator.exponential(size=n) - 1,
    }
    lines = []
    for n in (3, 5, 10, 20):
        for name, draw in draws.items():
            intervals = [inference.mean_interval(draw(n)) for _ in range(DRAWS)]
            missed = np.array([not i.low <= 0 <= i.high for i in intervals])
            level = LEVEL if name == "normal" else None  # no t-interval guarantees the level for skewed values
            lines.append([f"Missed truth, n = {n}: t, {name}", *rate(missed, level)])
        missed = []
        for _ in range(DRAWS // 4):
            of_seeds, of_images = generator.normal(size=(n, 1)), generator.normal(size=(1, 200)) * 3
            interval = inference.new_images_interval(of_seeds + of_images + generator.normal(size=(n, 200)) * 5)
            missed.append(not interval.low <= 0 <= interval.high)
        lines.append([f"Missed truth, n = {n}: seeds crossed with images", *rate(np.array(missed), LEVEL)])
    return lines


def power(generator: np.random.Generator, sd: float) -> list[list[str]]:
    """Return rows with the rates at which an effect is found, beside the value of `inference.power`."""
    lines = []
    for effect in (0.2, 0.5, 1.0):
        for n in (3, 5, 7, 10, 20):
            draws = generator.normal(effect, sd, size=(DRAWS, n))
            found = np.array([inference.paired_t(d)[1] < LEVEL for d in draws])
            says = inference.power(effect / sd, n)
            lines.append([f"Power, {effect} points, sd {sd} points, n = {n}", *rate(found), f"{says:.3f}", ""])
    return lines


def main() -> int:
    """Run all checks, and print and write the table; return 1 if a rate is too high."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=400, help="number of studies of the A/A comparison")
    groups = parser.parse_args().groups
    generator = np.random.default_rng(0)
    lines = [*same_and_same(groups), *coverage(generator), *power(generator, 0.3), *equivalence(generator, 0.3)]
    header = ["What", "Rate and 99 % interval", "Level, or power by formula", ""]
    rows = [line + [""] * (len(header) - len(line)) for line in lines]
    page = "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]) + "\n"
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    write_whole(TARGET, page)
    print(page)
    return 1 if any("too often" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
