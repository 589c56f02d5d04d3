"""A run's CSVs as numbers, checked, as the index keeps them, and back again as the tables of a study."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis import index
from study.analysis.index import Entry
from study.analysis.reading import DamagedError
from study.recording import COLUMNS, INVARIANTS
from study.weights import ALL

WORDS = {"parameter", "split", "labels", "measure"}  # columns that hold words
SPLITS, LABELS = ("train", "val", "test"), ("given", "clean", "flipped")


def joined(entries: Mapping[str, Entry], name: str) -> pd.DataFrame:
    """One CSV of all runs that have it."""
    having = [entry for entry in entries.values() if name in entry.tables]
    tables = [entry.tables[name] for entry in having]
    lengths = [len(rows) for rows in tables]
    columns = COLUMNS[name]
    table = pd.DataFrame(np.concatenate([np.empty((0, len(columns))), *tables]), columns=columns)
    for column in {"epoch", "count", "removed", "effective_parameters"} & set(columns):
        table[column] = table[column].astype(int)
    for column in WORDS & set(columns):
        words = [np.array(_words(entry.facts, column), object) for entry in having]
        codes = [rows[:, columns.index(column)].astype(int) for rows in tables]
        table[column] = np.concatenate(
            [np.empty(0, object), *(word[code] for word, code in zip(words, codes, strict=True))]
        )
    for key in ("run", "variant", "seed"):
        table[key] = np.repeat([entry.facts[key] for entry in having], lengths)
    return table


def _words(facts: Mapping[str, Any], column: str) -> list[str]:
    """What the codes of a column stand for."""
    known = {"parameter": [*facts["parameters"], ALL, ""], "split": SPLITS, "labels": LABELS, "measure": INVARIANTS}
    return list(known[column])


def entry_of(
    identity: index.Identity | None, facts: Mapping[str, Any], tables: Mapping[str, pd.DataFrame | DamagedError]
) -> Entry:
    """A run as read, checked; raises DamagedError where rows are missing."""
    for table in tables.values():
        if isinstance(table, DamagedError):
            raise table
    metrics, weights = tables["metrics.csv"], tables["weights.csv"]
    epochs, last = metrics["epoch"].tolist(), len(metrics) - 1
    if epochs != list(range(last + 1)) or (facts["state"] == "complete" and last != facts["epochs_trained"]):
        raise DamagedError(
            f"has {len(epochs)} rows in metrics.csv, expected epochs 0 to {facts['epochs_trained']}; train it again"
        )
    if sorted(set(weights["epoch"].tolist())) != list(range(last + 1)):
        raise DamagedError("has another set of epochs in weights.csv than in metrics.csv; delete it and train it again")
    facts = {**facts, "parameters": list(pd.unique(weights["parameter"]))}
    if facts["state"] == "diverged":
        facts |= {"epochs_trained": last, "scored_epoch": last}
    return Entry(identity, facts, {name: _coded(table, name, facts) for name, table in tables.items()})


def _coded(table: pd.DataFrame, name: str, facts: Mapping[str, Any]) -> np.ndarray:
    """A table as numbers; raises DamagedError where it speaks of an unknown parameter or split."""
    for column in WORDS & set(table.columns):
        codes = table[column].fillna("").map({word: code for code, word in enumerate(_words(facts, column))})
        if codes.isna().any():
            raise DamagedError(f"has an unknown {column} in {name}; delete it and train it again")
        table = table.assign(**{column: codes})
    return table.to_numpy(float)
