"""Intervals and power: how often simulated intervals miss the truth, and how often an effect is found."""

import numpy as np
from validation.rates import DRAWS, LEVEL, rate

from study.analysis.statistics import inference


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
