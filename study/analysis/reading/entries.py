"""Convert a run's CSVs to checked numbers, the form of the index, and convert these back to the tables of a study."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.reading import index
from study.analysis.reading.csv_files import AGAIN, WORDS, DamagedError, Rows
from study.analysis.reading.index import Entry
from study.measures.catalog import INVARIANTS, RANKS
from study.measures.weights import ALL, BINS
from study.records.contract import COLUMNS, STATUS, columns_of
from study.tasks import CLASSIFICATION

COUNTED = ("epoch", "count", "removed", "effective_parameters")  # columns of integers
_LEFT, _RIGHT = np.array(BINS).T
SPLITS, LABELS = ("train", "val", "test"), ("given", "clean", "flipped")


def joined(entries: Mapping[str, Entry], name: str) -> pd.DataFrame:
    """One CSV of all runs that have it, as a table. All runs have one task."""
    task = next((entry.facts["task"] for entry in entries.values()), CLASSIFICATION)
    having = [entry for entry in entries.values() if name in entry.tables]
    tables = [entry.tables[name] for entry in having]
    lengths = [len(rows) for rows in tables]
    columns = columns_of(name, task)
    table = pd.DataFrame(np.concatenate([np.empty((0, len(columns))), *tables]), columns=columns)
    table = table.astype({column: int for column in columns if column in COUNTED})
    for column in columns:
        if column in WORDS:
            words = [_words(entry.facts, column) for entry in having]
            begin = np.repeat(np.cumsum([0, *map(len, words)])[:-1], lengths)
            table[column] = _texts(itertools.chain.from_iterable(words)).take(begin + table[column].to_numpy(int))
    for key in ("run", "variant"):
        table[key] = _texts(entry.facts[key] for entry in having).repeat(lengths)
    seeds = [entry.facts["seed"] for entry in having]
    split = any(isinstance(entry.facts["seed"], str) for entry in entries.values())
    table["seed"] = _texts(map(str, seeds)).repeat(lengths) if split else np.repeat(seeds, lengths)
    return table


def _texts(words: Iterable[str]) -> pd.api.extensions.ExtensionArray:
    return pd.array(list(words), dtype="str")


def _words(facts: Mapping[str, Any], column: str) -> list[str]:
    """The words of a column, by their codes."""
    known = {
        "parameter": [*facts["parameters"], ALL, ""],
        "split": SPLITS,
        "labels": LABELS,
        "measure": (*RANKS, *INVARIANTS),
    }
    return list(known[column])


def entry_of(
    identity: index.Identity | None, facts: Mapping[str, Any], tables: Mapping[str, Rows | DamagedError]
) -> Entry:
    """Check a run and return its entry.

    Raises:
        DamagedError: rows are missing or not valid.
    """
    sound: dict[str, Rows] = {}
    for name, table in tables.items():
        if isinstance(table, DamagedError):
            raise table
        sound[name] = table
    weights = sound["weights.csv"]
    epochs = sound["metrics.csv"].values[:, 0]
    last, expected = len(epochs) - 1, np.arange(len(epochs))
    if not np.array_equal(epochs, expected) or (facts["state"] == "complete" and last != facts["epochs_trained"]):
        raise DamagedError(
            f"has {len(epochs)} rows in metrics.csv instead of epochs 0 to {facts['epochs_trained']}; {AGAIN}"
        )
    if facts["state"] == "complete" and not 0 <= facts["scored_epoch"] <= last:
        raise DamagedError(f"has a scored_epoch in {STATUS} that is not in metrics.csv; {AGAIN}")
    if not np.array_equal(np.unique(weights.values[:, 0]), expected):
        raise DamagedError(f"has different epochs in weights.csv and metrics.csv; {AGAIN}")
    codes = dict.fromkeys(weights.values[:, COLUMNS["weights.csv"].index("parameter")].astype(int).tolist())
    facts = {**facts, "parameters": [weights.words["parameter"][code] for code in codes]}
    if facts["state"] == "diverged":
        facts |= {"epochs_trained": last, "scored_epoch": last}
    return Entry(identity, facts, {name: coded(table, name, facts) for name, table in sound.items()})


def histogram_of(rows: Rows | DamagedError, facts: Mapping[str, Any]) -> np.ndarray:
    """A histogram in the form of the index; see `Entry`.

    Raises:
        DamagedError: its bins are not those of this project.
    """
    name = "histogram.csv"
    columns = dict(zip(COLUMNS[name], coded(rows, name, facts).T, strict=True))
    left, right = columns["bin_left"], columns["bin_right"]
    bins = np.searchsorted(_LEFT, left) + ((left == 0) & (right > 0))  # the bin of exact zeros comes first
    if (bins >= len(BINS)).any() or (_LEFT[bins] != left).any() or (_RIGHT[bins] != right).any():
        raise DamagedError(f"has a {name} whose bins this project does not write; {AGAIN}")
    return np.stack([columns["parameter"], bins, columns["count"]], 1).astype(np.int32)


@lru_cache(maxsize=1 << 10)
def _codes(words: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """The codes of words; −1 for an unknown one. Kept, because most runs have the same words."""
    allowed = {word: code for code, word in enumerate(known)}
    return np.array([allowed.get(word, -1) for word in words], int)


def coded(rows: Rows | DamagedError, name: str, facts: Mapping[str, Any]) -> np.ndarray:
    """A table whose words are replaced by the run's codes, the form of an `Entry`.

    Raises:
        DamagedError: a word is unknown, or a count is not a whole number.
    """
    if isinstance(rows, DamagedError):
        raise rows
    values, columns = rows.values.copy(), columns_of(name, facts["task"])
    for column in COUNTED:
        if column in columns:
            counts = values[:, columns.index(column)]
            if not (np.isfinite(counts) & (counts == np.floor(counts))).all():
                raise DamagedError(f"has a {column} in {name} that is not a whole number; {AGAIN}")
    for column, words in rows.words.items():
        place = columns.index(column)
        codes = _codes(tuple(words), tuple(_words(facts, column)))[values[:, place].astype(int)]
        if (codes < 0).any():
            raise DamagedError(f"has an unknown {column} in {name}; {AGAIN}")
        values[:, place] = codes
    return values
