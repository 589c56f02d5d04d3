"""Write files so that a reader never sees half a file or half a row."""

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

from study.records import processes
from study.records.contract import PART, PREDICTIONS, columns_of
from study.tasks import CLASSIFICATION


class _Fault:
    """Kills this process halfway through its n-th write. Only scripts/reliability.py uses it."""

    left = int(os.environ.get("REGSTUDY_FAULT_AT_WRITE", "0"))

    @classmethod
    def point(cls, file: BinaryIO, content: bytes) -> None:
        """Count a write, and die in it if it is the n-th. Every write calls this first."""
        if cls.left:
            cls.left -= 1
            if not cls.left:
                file.write(content[: len(content) // 2])
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, then rename it. Readers see the old content or the new, never a part.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    beside = path.with_name(f".{path.name}.{processes.host()}.{os.getpid()}{PART}")
    content = content.encode() if isinstance(content, str) else content
    with _naming(path):
        try:
            with open(beside, "wb") as file:
                _Fault.point(file, content)
                file.write(content)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):  # the error of the write is the one to report
                beside.unlink(missing_ok=True)
            raise


def append_whole(path: Path, content: bytes) -> None:
    """Append to a file all of the content or, if the disk is full, nothing.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    rest = memoryview(content)
    with _naming(path), open(path, "ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            _Fault.point(file, content)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with suppress(OSError):  # the error of the write is the one to report
                file.truncate(before)
            raise


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Add the name of the file to any OSError of the block, because an error of a write has none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def now() -> str:
    """The current time in UTC, in ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_table(folder: Path, name: str, rows: Iterable[Sequence[Any]], task: str = CLASSIFICATION) -> None:
    """Write a whole CSV of a run, with the header of its task."""
    write_whole(folder / name, as_csv([columns_of(name, task), *rows]))


def save_predictions(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write predictions.npz."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    write_whole(folder / PREDICTIONS, content.getvalue())


def as_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Format rows as the text of a CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        rows
    )  # csv writes floats with all digits, so reading gives the same float
    return text.getvalue()
