"""A/A comparisons: variants that differ only in random draws train on digits, so every difference found is false."""

import multiprocessing

import numpy as np
from validation.equivalence import verdicts_on
from validation.rates import LEVEL, MARGIN, SIZES, rate

from study import optimizers
from study.analysis.statistics import inference, verdicts
from study.data import load_splits
from study.data.digits import digits
from study.measures.scoring import score
from study.models import MLP
from study.randomness import Stream, global_stream, torch_generator
from study.regularizers import Combined
from study.training.compiled import mlp
from study.training.process import prepare_process
from study.training.state import State

SEEDS, VARIANTS, EPOCHS = 10, 5, 5  # seeds per group; variants per seed, the first is the baseline; epochs per training
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
