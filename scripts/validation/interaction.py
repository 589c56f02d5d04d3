"""Interaction: studies in which effects of regularizers are the same in all settings, so that each mark is false."""

import json

import numpy as np
import pandas as pd
from validation.rates import DRAWS, LEVEL, rate

from study.analysis.statistics.interaction import interaction, marked

REGS = ("none", "one", "two", "three")
BASE = {"optimizer": "adam", "optimizer.lr": 1e-3, "data.train_size": 5000}
SETTINGS = (
    BASE,
    *({**BASE, "optimizer": name} for name in ("sgd", "rmsprop")),
    *({**BASE, "optimizer.lr": lr} for lr in (1e-4, 1e-2)),
    *({**BASE, "data.train_size": size} for size in (500, 50_000)),
)


def changes(generator: np.random.Generator, draws: int = DRAWS // 8) -> list[list[str]]:
    """Return rows with the rates at which one of all changes of a study is significant, though none is real."""
    lines = []
    for n, name, effects, unlike in (
        (6, "no effects (A/A)", (0.0, 0.0, 0.0, 0.0), 0.0),
        (10, "no effects (A/A)", (0.0, 0.0, 0.0, 0.0), 0.0),
        (6, "effects alike in all settings", (0.0, 1.0, -1.0, 2.0), 0.0),
        (6, "effects alike, settings of unlike spread", (0.0, 1.0, -1.0, 2.0), 1.0),
    ):
        found = [_falsely_marked(generator, n, effects, unlike) for _ in range(draws)]
        what = f"Interaction, {len(REGS) - 1} regularizers in {len(SETTINGS)} settings, n = {n}, {name}: one marked"
        lines.append([what, *rate(np.array(found), LEVEL)])
    return lines


def _falsely_marked(generator: np.random.Generator, n: int, effects: tuple[float, ...], unlike: float) -> bool:
    """Whether a simulated study has a marked change. Settings have other means and, if `unlike`, other spreads."""
    shape = (len(SETTINGS), len(REGS), n)
    spread = np.exp(unlike * generator.normal(size=(len(SETTINGS), 1, 1)))
    scores = generator.normal(0, 3, size=(len(SETTINGS), 1, 1)) + generator.normal(size=(1, 1, n))  # of the split
    scores = scores + generator.normal(size=(len(SETTINGS), 1, n)) + spread * generator.normal(size=shape)
    scores += np.array(effects)[:, None]
    place, reg, seed = (axis.ravel() for axis in np.indices(shape))
    rows = pd.DataFrame({"context": place.astype(str), "reg": np.array(REGS)[reg], "seed": seed})
    rows = rows.assign(val_accuracy=scores.ravel() / 100, state="complete", lam=0.0, takes_lam=False, scope=None)
    rows["setting"] = np.array([json.dumps(setting) for setting in SETTINGS])[place]
    rows["variant"] = rows["reg"] + "-" + rows["context"]
    baselines = {v: f"none-{v.partition('-')[2]}" for v in rows["variant"].unique() if not v.startswith("none")}
    compared = pd.DataFrame({"variant": list(baselines), "measure": "val_accuracy", "n": n, "mean_difference": 0.0})
    compared[["ci_low", "ci_high", "p_holm"]] = np.nan
    return bool(marked(interaction(rows, baselines, compared, "val_accuracy"), "p_change_holm").any())
