"""Writing so that a reader never sees half a file or half a row."""

import csv
import io
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from study.records.contract import COLUMNS, PART, PREDICTIONS


class _Fault:
    """For scripts/reliability.py alone: kills this process halfway through the write of that number."""

    left = int(os.environ.get("REGSTUDY_FAULT_AT_WRITE", "0"))

    @classmethod
    def point(cls, file: BinaryIO, content: bytes) -> None:
        """Called at the beginning of every write."""
        if cls.left:
            cls.left -= 1
            if not cls.left:
                file.write(content[: len(content) // 2])
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, then rename: readers see the old content or the new, never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    content = content.encode() if isinstance(content, str) else content
    with _naming(path):
        try:
            with open(beside, "wb") as file:
                _Fault.point(file, content)
                file.write(content)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):  # what is told is why it was not written
                beside.unlink(missing_ok=True)
            raise


def append_whole(path: Path, content: bytes) -> None:
    """Add to a file: all of the content or, where the disk is full, nothing."""
    rest = memoryview(content)
    with _naming(path), open(path, "ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            _Fault.point(file, content)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with suppress(OSError):  # what is told is why it was not written
                file.truncate(before)
            raise


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of the block name the file that was to be written: an error of a write names none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_table(folder: Path, name: str, rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV of a run that is written once."""
    write_whole(folder / name, as_csv([COLUMNS[name], *rows]))


def save_predictions(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write predictions.npz."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    write_whole(folder / PREDICTIONS, content.getvalue())


def as_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as the text of a CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)  # floats in full: repr gives the same float back
    return text.getvalue()
