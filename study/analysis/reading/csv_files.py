"""The CSVs and predictions of runs, checked against the file contract."""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources.abc import Traversable

import numpy as np
import pandas as pd

from study.errors import one_line
from study.errors.faults import is_fault
from study.records.contract import ADDED, PREDICTIONS, columns_of
from study.tasks import CLASSIFICATION

TOGETHER = 200  # files parsed at once, because a call of pandas costs more than a short file
TAIL = 1 << 16  # bytes at the end of a file that are read first
AGAIN = "delete the folder and train the run again"
# test.csv has no rows if the test set is the validation set; ranks.csv has none for a model without a matrix.
EMPTY = ("test.csv", "ranks.csv")
WORDS = ("parameter", "split", "labels", "measure")  # columns that hold words


@dataclass(frozen=True)
class Rows:
    """The content of one CSV.

    Attributes:
        values: float64 (rows, columns), columns in the contract's order; a word is stored as its position in `words`.
        words: for each column of `WORDS` in the CSV, all words that occur in it, and perhaps more.
    """

    values: np.ndarray
    words: Mapping[str, Sequence[str]]


class DamagedError(Exception):
    """A folder is not a valid run: the reason, and what to do."""


def read_tables(runs: Sequence[Traversable], name: str, task: str = CLASSIFICATION) -> Iterator[Rows | DamagedError]:
    """Read one CSV of each run.

    Args:
        runs: folders, or what answers like them.
        name: the file's name, a key of `COLUMNS`.
        task: that of all of these runs, which decides the columns.

    Yields:
        The rows, in the order of the runs; an error if the file is missing, incomplete, or violates the contract.
    """
    return _read([partial(_whole, run / name, columns_of(name, task)) for run in runs], columns_of(name, task), name)


def read_histograms(runs: Sequence[Traversable], epochs: Sequence[Sequence[int]]) -> Iterator[Rows | DamagedError]:
    """Read histogram.csv of each run at one epoch, without parsing the other epochs.

    Args:
        runs: folders, or what answers like them.
        epochs: for each run, the acceptable epochs, preferred ones first.

    Yields:
        The rows of the first acceptable epoch in the file; no rows if it has none of them.
    """
    name = "histogram.csv"
    columns = columns_of(name, CLASSIFICATION)  # those of both tasks
    contents = [partial(_of_epoch, run / name, of, columns) for run, of in zip(runs, epochs, strict=True)]
    yield from _read(contents, columns, name)


def correct_bits(run: Traversable) -> np.ndarray:
    """The test images that a run classifies correctly, uint8: their number in eight bytes, then a bit for each image.

    Raises:
        DamagedError: see `read_correct`.
    """
    right = read_correct(run, "test")
    return np.concatenate([np.array([len(right)]).view(np.uint8), np.packbits(right)])


def read_correct(run: Traversable, split: str) -> np.ndarray:
    """The images of a split that a run classifies correctly, from its predictions.npz; bool (images,).

    Raises:
        DamagedError: the file is missing, is not a file of this project, or has no such split.
    """
    label, predicted = read_predictions(run, split)
    return label == predicted


def read_predictions(run: Traversable, split: str, dimensions: Sequence[int] = (1,)) -> tuple[np.ndarray, np.ndarray]:
    """The labels of a split and a run's predictions, from its predictions.npz, (images,).

    Args:
        run: the run's folder.
        split: `val` or `test`.
        dimensions: the allowed numbers of dimensions. Targets of regression may be (images, k).

    Raises:
        DamagedError: the file is missing, is not a file of this project, or has no such split.
    """
    try:
        with (run / PREDICTIONS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            label, predicted = stored[f"{split}_label"], stored[f"{split}_predicted"]
        if label.ndim not in dimensions or label.shape != predicted.shape:
            raise ValueError(f"shapes {label.shape} and {predicted.shape}")
    except OSError as error:
        raise DamagedError(f"has an unreadable {PREDICTIONS} ({error.strerror}); {AGAIN}") from None
    except Exception as error:  # for damaged bytes, numpy, zipfile and zlib raise different exceptions
        if is_fault(error):
            raise
        reason = one_line(error).partition(".")[0]
        raise DamagedError(f"has a {PREDICTIONS} without valid {split} predictions ({reason}); {AGAIN}") from None
    return label, predicted


def _read(contents: Sequence[Callable[[], bytes]], columns: Sequence[str], name: str) -> Iterator[Rows | DamagedError]:
    for first in range(0, len(contents), TOGETHER):
        found = [_attempted(content) for content in contents[first : first + TOGETHER]]
        sound = [content for content in found if isinstance(content, bytes)]
        together = _parsed(sound, columns)
        tables: list[Rows | DamagedError] = [*together] if together is not None else []
        if together is None:  # at least one file is damaged: parse each alone to find it
            alone = [_parsed([content], columns) for content in sound]
            half = DamagedError(f"has an incomplete {name}; {AGAIN}")
            tables = [half if table is None else table[0] for table in alone]
        rest = iter(tables)
        yield from (next(rest) if isinstance(content, bytes) else content for content in found)


def _attempted(content: Callable[[], bytes]) -> bytes | DamagedError:
    try:
        return content()
    except DamagedError as problem:
        return problem


def _whole(file: Traversable, columns: Sequence[str]) -> bytes:
    """The rows of a CSV, without its header."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DamagedError(f"has an unreadable {file.name} ({error.strerror}); {AGAIN}") from None
    rows = _after_header(file, content, columns)
    if not rows and file.name not in EMPTY:
        raise DamagedError(f"has an incomplete {file.name}; {AGAIN}")
    return rows


def _after_header(file: Traversable, content: bytes, columns: Sequence[str]) -> bytes:
    header, added = _header(columns), ADDED.get(file.name, ())
    earlier = _header(columns[: -len(added)]) if added else header
    if added and content.startswith(earlier):
        content = header + content[len(earlier) :].replace(b"\n", b"," * len(added) + b"\n")
    if not content.startswith(header):
        raise DamagedError(f"has a {file.name} whose columns this project does not write; {AGAIN}")
    if not content.endswith(b"\n"):
        raise DamagedError(f"has an incomplete {file.name}; {AGAIN}")
    return content[len(header) :]


def _header(columns: Sequence[str]) -> bytes:
    return (",".join(columns) + "\n").encode()


def _of_epoch(file: Traversable, epochs: Sequence[int], columns: Sequence[str]) -> bytes:
    """The rows of the first of some epochs that a CSV has. Rows are in ascending order of epoch."""
    try:
        with file.open("rb") as opened:
            size, length = opened.seek(0, os.SEEK_END), TAIL
            while True:
                whole = length >= size
                opened.seek(0 if whole else size - length)
                rows = b"\n" + _after_header(file, opened.read(), columns) if whole else opened.read()
                for epoch in epochs:
                    start = b"\n%d," % epoch
                    begin = rows.find(start)
                    if begin >= 0 and (whole or rows.find(b"\n", 0, begin) >= 0):  # its first row is in view
                        return rows[begin + 1 : rows.find(b"\n", rows.rfind(start) + 1) + 1]
                    if begin >= 0:
                        break  # its first row may be further up: read more
                if whole:
                    return b""
                length *= 8
    except OSError as error:
        raise DamagedError(f"has an unreadable {file.name} ({error.strerror}); {AGAIN}") from None


def _parsed(contents: Sequence[bytes], columns: Sequence[str]) -> list[Rows] | None:
    """The rows of each of the contents; None if one of them does not have the right form."""
    kinds = dict.fromkeys([column for column in columns if column in WORDS], "category")
    counts = [content.count(b"\n") for content in contents]
    if not sum(counts):
        return [Rows(np.empty((0, len(columns))), dict.fromkeys(kinds, ())) for _ in contents]
    try:
        table = pd.read_csv(io.BytesIO(b"".join(contents)), names=columns, header=None, dtype=kinds)
    except ValueError:
        return None
    numeric = table.drop(columns=list(kinds)).infer_objects()
    extra = not isinstance(table.index, pd.RangeIndex)  # pandas reads an extra column as the index
    if extra or len(table) != sum(counts) or any(dtype.kind not in "if" for dtype in numeric.dtypes):
        return None
    words = {column: (*table[column].cat.categories, "") for column in kinds}
    codes = {column: table[column].cat.codes.astype(int) % len(words[column]) for column in kinds}  # -1: the empty word
    values = table.assign(**codes).to_numpy(float)
    return [Rows(of_one, words) for of_one in np.split(values, np.cumsum(counts)[:-1])]
