"""Small tables as the statistics return them, without runs, for figures that draw them."""

import json

import numpy as np
import pandas as pd

from study.analysis.tables.variance_tables import NAMES


def answers_of():
    """Answers to three questions, as `hypotheses.answers` returns them."""
    each = [(reg, np.linspace(-0.02, 0.01 + 0.01 * i, 8)) for i, reg in enumerate(("l1", "l2_norm", "label_smoothing"))]
    lines = [
        {
            **{"hypothesis": "helps", "question": "Does any of them help, over all of the settings of the study?"},
            **{"measure": "test_accuracy", "compared": f"{reg} − none", "margin": 0.005, "answer": answer},
            **{"each": json.dumps(dict(enumerate(values))), "estimate": values.mean()},
            **{"ci_low": values.mean() - 0.004, "ci_high": values.mean() + 0.004},
        }
        for (reg, values), answer in zip(each, ("worse", "undecided", "equivalent"), strict=True)
    ]
    kurtosis = {
        "hypothesis": "tails",
        "question": "Does L1 change the tails?",
        "measure": "kurtosis of hidden.0.weight",
    }
    kurtosis |= {"compared": "l1 − l2", "each": "{}", "estimate": 0.7, "answer": "not tested"}
    gap = {"hypothesis": "gap", "question": "Does the gap tell?", "measure": "val_accuracy", "answer": "rises with it"}
    gap |= {"compared": "val_accuracy with accuracy_gap", "estimate": 0.4, "ci_low": 0.1, "ci_high": 0.7}
    gap["each"] = json.dumps({"digits": 0.2, "wine": 0.6})
    return pd.DataFrame([*lines, kurtosis, gap])


def interactions_of(variant):
    """Effects in several settings as `interaction.interaction` returns them, without runs."""
    values = {
        "optimizer.lr": ["0.0001", "0.001", "0.01"],
        "optimizer": ["adam", "rmsprop"],
        "data.train_size": ["500", "all"],
    }
    lines = [
        {
            "key": key,
            "value": value,
            "row": row,
            "reg": row.split("-")[0],
            "is_reference": value in ("0.001", "adam", "all"),
        }
        for row in ("l1-lam0.0001", "label_smoothing-lam0.1", "max_norm-lam3")
        for key, of_key in values.items()
        for value in of_key
    ]
    table = pd.DataFrame(lines).assign(measure="val_accuracy", variant=variant, n=6)
    table["difference"] = np.linspace(-0.12, 0.02, len(table))
    table["p_holm"], table["p_change_holm"] = np.linspace(0, 0.1, len(table)), np.linspace(0.2, 0, len(table))
    return table


def components_of(variants):
    """Variance components as `crossed_runs.variance_tables` returns them, without runs."""
    lines = [
        {"measure": "val_accuracy", "variant": variant, "quantity": quantity, "component": component, "sd": sd}
        for place, variant in enumerate(variants)
        for quantity in ("score", "difference")
        if place or quantity == "score"
        for component, sd in zip(NAMES, (6e-3, 0, 1e-3, 2e-3, 4e-3, 7.5e-3), strict=True)
    ]
    table = pd.DataFrame(lines)
    return table.assign(sd_low=table["sd"] * 0.6, sd_high=table["sd"] * 1.5 + 2e-3)
