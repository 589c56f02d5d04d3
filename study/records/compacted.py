"""Runs that `study compact` has folded into a Parquet data set, for readers that otherwise read folders.

A row of the data set is a run, and a column is one of its files, so a reader takes from the disk only the files that it
needs. `CompactedRun` and `CompactedFile` answer like a `Path`: code that reads a run takes both, as `Traversable`.
A folder of the same name counts in place of the row, and a row of a later part in place of an earlier one.
"""

import errno
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any, NoReturn

from study.errors import ConfigError, StudyError
from study.records.contract import FILES

COMPACTED = "compacted"  # folder of the data set, in a study's folder
RUN, OTHERS = "run", "others"  # columns: the name of the run's folder; files that are not in the contract, by name
GROUP_RUNS, GROUP_BYTES = 200, 1 << 25  # at most so many runs, and about so many bytes, in a row group
READ_AT_ONCE = 32  # columns of row groups that are kept in memory

StrPath = str | os.PathLike[str]


class CompactedFile(Traversable):
    """A file of a compacted run.

    Attributes:
        run: the run.
    """

    def __init__(self, run: "CompactedRun", name: str):
        self.run, self._name = run, name

    @property
    def name(self) -> str:
        """The file's name."""
        return self._name

    def __str__(self) -> str:
        return f"{self.run}/{self._name}"

    def read_bytes(self) -> bytes:
        """The content.

        Raises:
            OSError: the run has no such file, or the data set is damaged.
        """
        content = self.run.content(self._name)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return content

    def read_text(self, encoding: str | None = None) -> str:
        """The content as text, in UTF-8 unless said otherwise."""
        return self.read_bytes().decode(encoding or "utf-8")

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> IO[Any]:
        """The content as an open file, to be read."""
        content = io.BytesIO(self.read_bytes())
        return content if "b" in mode else io.TextIOWrapper(content, *args, **{"encoding": "utf-8", **kwargs})

    def is_file(self) -> bool:
        """Whether the run has this file. Of a damaged data set this is not known, so reading the file says so."""
        try:
            return self.run.content(self._name) is not None
        except OSError:
            return True

    def is_dir(self) -> bool:
        """False: runs with folders in them are not compacted."""
        return False

    def iterdir(self) -> Iterator[Traversable]:
        """Raise the error of a file that is no folder."""
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self))

    def joinpath(self, *descendants: StrPath) -> NoReturn:
        """Raise the error of a file that is no folder."""
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self))


@dataclass(frozen=True)
class Part:
    """A file of the data set, as it is now."""

    path: Path
    identity: tuple[int, int, int, int]  # inode, size, times of modification and change in ns

    @property
    def study_folder(self) -> Path:
        """outputs/<name>."""
        return self.path.parent.parent


class CompactedRun(Traversable):
    """A run in the data set.

    Attributes:
        part: the file that holds it.
        group: the number of its row group.
        row: its row in the group.
    """

    def __init__(self, part: Part, group: int, row: int, name: str):
        self.part, self.group, self.row, self._name = part, group, row, name

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self._name

    @property
    def folder(self) -> Path:
        """Where its folder would be."""
        return self.part.study_folder / self._name

    def __str__(self) -> str:
        return str(self.folder)

    def __truediv__(self, child: StrPath) -> CompactedFile:
        return CompactedFile(self, str(child))

    def joinpath(self, *descendants: StrPath) -> CompactedFile:
        """A file of the run."""
        return CompactedFile(self, "/".join(map(str, descendants)))

    def content(self, name: str) -> bytes | None:
        """The content of a file; None if the run has no such file.

        Raises:
            OSError: the data set is damaged.
        """
        if name in FILES:
            return _column(os.getpid(), self.part, self.group, name)[self.row].as_py()
        others = dict(_column(os.getpid(), self.part, self.group, OTHERS)[self.row].as_py())
        return others.get(name)

    def iterdir(self) -> Iterator[CompactedFile]:
        """The files of the run.

        Raises:
            OSError: the data set is damaged.
        """
        others = _column(os.getpid(), self.part, self.group, OTHERS)[self.row].as_py()
        names = [*(name for name in FILES if self.content(name) is not None), *(name for name, _ in others)]
        return iter([CompactedFile(self, name) for name in names])

    def files(self) -> dict[str, bytes]:
        """The content of all files, by name.

        Raises:
            OSError: the data set is damaged.
        """
        return {file.name: file.read_bytes() for file in self.iterdir()}

    def is_dir(self) -> bool:
        """True: it has files."""
        return True

    def is_file(self) -> bool:
        """False: it has files."""
        return False

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> NoReturn:
        """Raise the error of a folder that is no file."""
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self))

    def read_bytes(self) -> bytes:
        """Raise the error of a folder that is no file."""
        return self.open()

    def read_text(self, encoding: str | None = None) -> str:
        """Raise the error of a folder that is no file."""
        return self.open()

    def identity(self, settled: float) -> list[list[int] | None] | None:
        """The identity of its files for an index, which changes with them; None if they are newer than some seconds."""
        inode, size, modified, changed = self.part.identity
        if time.time() - max(modified, changed) / 1e9 < settled:
            return None
        return [[inode, size, modified, changed], [self.group, self.row]]


def parts_of(study_folder: Path) -> tuple[Part, ...]:
    """The files of a study's data set, in the order in which they were written; empty if nothing is compacted."""
    found = []
    try:
        names = sorted(name for name in os.listdir(study_folder / COMPACTED) if name.endswith(".parquet"))
        for path in (study_folder / COMPACTED / name for name in names):
            stat = path.stat()
            found.append(Part(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)))
    except (FileNotFoundError, NotADirectoryError):  # it may have been expanded just now
        return ()
    return tuple(found)


def rows_of(study_folder: Path) -> dict[str, CompactedRun]:
    """All rows of a study's data set by the name of their run, in the order of the files.

    Raises:
        ConfigError: pyarrow is not installed.
        StudyError: the data set is damaged.
    """
    parts = parts_of(study_folder)
    return dict(_rows(parts)) if parts else {}


def compacted_runs(study_folder: Path) -> dict[str, CompactedRun]:
    """The compacted runs of a study by name, without those whose folder exists; arguments and errors as `rows_of`."""
    rows = rows_of(study_folder)
    there = set(os.listdir(study_folder)) if rows else ()
    return {name: run for name, run in rows.items() if name not in there}


def located(folder: Path) -> Path | CompactedRun:
    """Where the files of a run are: the folder if it exists, else the row of that name, if there is one."""
    if folder.exists():
        return folder
    parts = parts_of(folder.parent)
    return _rows(parts).get(folder.name, folder) if parts else folder


def damaged(part: Part, reason: OSError | str) -> StudyError:
    """Return the error for a file of the data set that cannot be read. `reason`: the error, or what is damaged."""
    if isinstance(reason, OSError):
        reason = "it is no readable Parquet file" if reason.errno == errno.EBADMSG else reason.strerror or str(reason)
    return StudyError(
        f"{part.path} is damaged ({reason}). Nothing was deleted. Restore it from a copy, or move it elsewhere: its"
        " runs are then trained again"
    )


def parquet() -> Any:
    """Import the library that reads and writes Parquet.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise ConfigError("compacted runs require pyarrow: pip install 'regstudy[parquet]'") from None
    return pyarrow.parquet


def close_all() -> None:
    """Close the files of all data sets, because some systems do not delete an open file."""
    _opened.cache_clear()
    _column.cache_clear()


@lru_cache(maxsize=8)
def _rows(parts: tuple[Part, ...]) -> dict[str, CompactedRun]:
    found: dict[str, CompactedRun] = {}
    for part in parts:
        try:
            groups = _opened(os.getpid(), part).num_row_groups
            columns = [_column(os.getpid(), part, group, RUN).to_pylist() for group in range(groups)]
        except OSError as error:
            raise damaged(part, error) from None
        for group, names in enumerate(columns):
            for row, name in enumerate(names):
                found.pop(name, None)  # so that its place is that of the later part
                found[name] = CompactedRun(part, group, row, name)
    return found


@lru_cache(maxsize=16)
def _opened(pid: int, part: Part) -> Any:
    """An open file of the data set. `pid`: a forked process opens its own."""
    library = parquet()
    try:
        return library.ParquetFile(part.path, page_checksum_verification=True)
    except (ValueError, OSError) as error:
        raise _as_damage(part, error) from None


@lru_cache(maxsize=READ_AT_ONCE)
def _column(pid: int, part: Part, group: int, name: str) -> Any:
    """A column of a row group, as an Arrow array."""
    file = _opened(pid, part)
    try:
        return file.read_row_group(group, columns=[name], use_threads=False).column(0).combine_chunks()
    except (ValueError, OSError, LookupError) as error:
        raise _as_damage(part, error) from None


def _as_damage(part: Part, error: Exception) -> OSError:
    """The error for a file that cannot be read: that of the system if there was one, else one that says `damaged`."""
    if isinstance(error, OSError) and error.errno is not None:
        error.filename = error.filename or str(part.path)
        return error
    return OSError(errno.EBADMSG, f"damaged in {part.path}", str(part.path))
