"""Fold the folders of a study's ended runs into Parquet files, and turn these back into folders.

At any moment, each run is whole in at least one place. A folder is moved aside when its row has been written and
synced. It is deleted only if the row, read back, has the same bytes. A Parquet file is deleted only when all its
runs are folders again. After a kill, the next call of either function ends what the first had begun.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.errors.faults import is_fault
from study.records import owners, processes
from study.records.changes import changes, described
from study.records.compacted import (
    COMPACTED,
    GROUP_BYTES,
    GROUP_RUNS,
    OTHERS,
    RUN,
    CompactedRun,
    Part,
    close_all,
    damaged,
    parquet,
    parts_of,
    rows_of,
)
from study.records.contract import CHECKPOINT, FILES, STATUS, WITH_RESULT
from study.records.status import read_status

WHOLE = "compact"  # what these commands own, in place of a run
HIDDEN = Path(".compacting")  # in a study's folder, with folders of runs:
ASIDE = HIDDEN / "aside"  # moved aside, to be compared with their rows
EQUAL = HIDDEN / "equal"  # equal to their rows, being deleted
WRITTEN = HIDDEN / "written"  # being written by `expand`
PART_RUNS = 10_000  # at most so many runs in a file
LARGEST = 1 << 30  # bytes of a file that is folded
UNSEALED = "has no seal, because an earlier version trained it"
KEPT_CHECKPOINT = f"keeps {CHECKPOINT}, with which a longer run starts"


@dataclass
class Folded:
    """What `compact` did.

    Attributes:
        runs: number of runs folded.
        bytes_before: size of their files.
        bytes_after: size of the new Parquet files.
        kept: names of runs that stay folders although they have ended, by the reason.
        changed: a line for each run that does not match its seal.
    """

    runs: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    kept: dict[str, list[str]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)


def compact(study_folder: Path, say: Callable[[str], None] = lambda line: None) -> Folded:
    """Fold the folders of complete and diverged runs into new files of the data set.

    Args:
        study_folder: outputs/<name>.
        say: takes a line about the progress.

    Raises:
        ConfigError: pyarrow is not installed.
        StudyError: the data set is damaged, or another command compacts or expands the study.
        OSError: a file cannot be read or written.
    """
    parquet()
    result = Folded()
    with _alone(study_folder):
        names = sorted(path.name for path in study_folder.glob("*-seed*-*") if path.is_dir() and not path.is_symlink())
        for first in range(0, len(names), PART_RUNS):
            _compact_some(study_folder, names[first : first + PART_RUNS], result)
            if len(names) > PART_RUNS:
                say(
                    f"{min(first + PART_RUNS, len(names))} of {len(names)} folders looked at, {result.runs} runs folded"
                )
    return result


def _compact_some(study_folder: Path, names: list[str], result: Folded) -> None:
    known = rows_of(study_folder)
    to_move = []

    def runs() -> Iterator[tuple[str, Mapping[str, bytes]]]:
        for name in names:
            files = _foldable(study_folder / name, result)
            if files is None:
                continue
            to_move.append(name)
            if name not in known or _differs(known[name], files):  # else it was killed before it moved the folder
                yield name, files

    result.bytes_after += _write_part(study_folder, runs())
    rows = rows_of(study_folder)
    for name in to_move:
        size = _move_and_delete(study_folder / name, rows[name])
        result.runs += size is not None
        result.bytes_before += size or 0


def _foldable(folder: Path, result: Folded) -> Mapping[str, bytes] | None:
    """The content of the files of a run that can be folded. None for another: it is noted why, if it has ended."""
    try:
        status = read_status(folder)
        if status is None or status["state"] not in WITH_RESULT:
            return None
        files, reason = _held(folder)
    except FileNotFoundError:  # a training command has just taken it, to score its test set
        return None
    if reason is None:
        found = changes(_Held(folder, files), status)
        if found:
            result.changed.append(f"{folder} {described(found)}")
            return None
        reason = UNSEALED if found is None else KEPT_CHECKPOINT if CHECKPOINT in files else None
    if reason is not None:
        result.kept.setdefault(reason, []).append(folder.name)
        return None
    return files


def _held(folder: Path) -> tuple[dict[str, bytes], str | None]:
    """The content of a folder's files by name, and why it cannot be folded, or None."""
    files = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                return {}, "has a folder or a link in it"
            if entry.stat().st_size > LARGEST:
                return {}, "has a file of more than 1 GiB"
            if not _is_utf8(entry.name):
                return {}, "has a file whose name is not UTF-8"
            files[entry.name] = Path(entry.path).read_bytes()
    return files, None


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Held(CompactedRun):
    """A run whose files are in memory."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]):
        self._folder, self._files = folder, files

    def __str__(self) -> str:
        return str(self._folder)

    def content(self, name: str) -> bytes | None:
        return self._files.get(name)


def _differs(run: CompactedRun, files: Mapping[str, bytes]) -> bool:
    try:
        return run.files() != files
    except OSError as error:
        if is_fault(error):
            raise
        raise damaged(run.part, error) from None


def _write_part(study_folder: Path, runs: Iterator[tuple[str, Mapping[str, bytes]]]) -> int:
    """Write runs to a new file of the data set, and sync it; return its size, 0 if there are no runs."""
    import pyarrow as pa

    target = study_folder / COMPACTED / _next_name(study_folder)
    beside = study_folder / COMPACTED / f".{target.name}.part"
    names, others = pa.string(), pa.map_(pa.string(), pa.large_binary())
    schema = pa.schema([(RUN, names), *((name, pa.large_binary()) for name in FILES), (OTHERS, others)])
    first = next(runs, None)
    if first is None:
        return 0
    beside.parent.mkdir(exist_ok=True)
    # No statistics: they would repeat the content. No dictionaries: hardly any content occurs twice.
    how = {"compression": "zstd", "compression_level": 3, "use_dictionary": False, "write_statistics": False}
    with open(beside, "wb") as file:
        with parquet().ParquetWriter(file, schema, write_page_checksum=True, **how) as writer:
            for group in _groups(first, runs):
                writer.write_table(pa.Table.from_pylist(group, schema), row_group_size=len(group))
        file.flush()
        os.fsync(file.fileno())
    os.rename(beside, target)
    for folder in (target.parent, study_folder):
        _sync(folder)
    return target.stat().st_size


def _groups(
    first: tuple[str, Mapping[str, bytes]], rest: Iterator[tuple[str, Mapping[str, bytes]]]
) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    name, files = first
    while True:
        others = [(key, content) for key, content in files.items() if key not in FILES]
        group.append({RUN: name, OTHERS: others} | {key: files.get(key) for key in FILES})
        size += sum(map(len, files.values()))
        following = next(rest, None)
        if len(group) == GROUP_RUNS or size >= GROUP_BYTES or following is None:
            yield group
            group, size = [], 0
        if following is None:
            return
        name, files = following


def _next_name(study_folder: Path) -> str:
    numbers = [
        int(digits) for part in parts_of(study_folder) if (digits := part.path.stem.rpartition("-")[2]).isdigit()
    ]
    return f"part-{max(numbers, default=-1) + 1:05d}.parquet"


def _sync(folder: Path) -> None:
    if os.name == "posix":  # other systems cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _move_and_delete(folder: Path, row: CompactedRun) -> int | None:
    """Delete a folder whose row has the same bytes; return their number. None: it has other bytes, or is gone.

    It is moved aside first, so no reader sees it half, and no training command takes it meanwhile.
    """
    aside = folder.parent / ASIDE / folder.name
    aside.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(folder, aside)
    except FileNotFoundError:  # a training command has just taken it, to score its test set
        return None
    return _delete_aside(folder, aside, row)


def _delete_aside(folder: Path, aside: Path, row: CompactedRun | None) -> int | None:
    """Delete a folder that was moved aside, or move it back if it does not equal its row."""
    files, _ = _held(aside)
    try:
        same = row is not None and not _differs(row, files)
    except BaseException:
        _move_back(aside, folder)
        raise
    if not same:
        _move_back(aside, folder)
        return None
    equal = folder.parent / EQUAL / folder.name
    equal.parent.mkdir(exist_ok=True)
    os.rename(aside, equal)  # so that the next command knows that it may delete what a kill leaves of it
    shutil.rmtree(equal)
    return sum(map(len, files.values()))


def _move_back(aside: Path, folder: Path) -> None:
    if folder.exists():
        raise StudyError(f"{aside} was moved aside to be compacted, and {folder} is there again. Keep one of them")
    os.rename(aside, folder)


def expand(study_folder: Path, say: Callable[[str], None] = lambda line: None) -> tuple[int, list[str]]:
    """Turn all compacted runs back into folders, with the same files, byte for byte, and delete the data set.

    Args:
        study_folder: outputs/<name>.
        say: takes a line about the progress.

    Returns:
        The number of folders written; and a line for each run that is also there as another folder, which has
        changed. The file with its row stays.

    Raises:
        ConfigError: pyarrow is not installed.
        StudyError: the data set is damaged, or another command compacts or expands the study.
        OSError: a file cannot be read or written.
    """
    count, unlike = 0, list[str]()
    with _alone(study_folder):
        all_rows = rows_of(study_folder)
        by_part: dict[Part, list[CompactedRun]] = {part: [] for part in parts_of(study_folder)}
        for row in all_rows.values():
            by_part[row.part].append(row)
        for part, rows in by_part.items():
            before = len(unlike)
            for row in rows:
                if row.folder.exists():
                    unlike += _unlike(row)
                else:
                    _write_folder(row)
                    count += 1
            if len(unlike) == before:
                if hasattr(os, "sync"):
                    os.sync()  # the folders must be on the disk before the file goes
                close_all()
                part.path.unlink()
            if len(by_part) > 1:
                say(f"{count} of {len(all_rows)} runs written")
        if not unlike and (study_folder / COMPACTED).is_dir():
            (study_folder / COMPACTED).rmdir()
    return count, unlike


def _unlike(row: CompactedRun) -> list[str]:
    """A line if a run is there as a folder that neither equals the row nor matches its own seal.

    A folder that matches its seal is newer than the row: a command has scored its test set meanwhile.
    """
    files, reason = _held(row.folder)
    if reason is None and not _differs(row, files):
        return []
    found = changes(row.folder, read_status(row.folder) or {}) if (row.folder / STATUS).is_file() else None
    if found == []:
        return []
    why = described(found) if found else "has no seal"
    return [f"{row.folder} {why}, and is compacted with other content. Keep one: move the folder elsewhere"]


def _write_folder(row: CompactedRun) -> None:
    beside = row.folder.parent / WRITTEN / row.name
    beside.mkdir(parents=True)
    try:
        files = row.files()
        if found := changes(row, read_status(row) or {}):
            raise damaged(row.part, f"{row.name}: {', '.join(found)}")
    except OSError as error:
        if is_fault(error):
            raise
        raise damaged(row.part, error) from None
    for name, content in files.items():
        (beside / name).write_bytes(content)
    if _held(beside)[0] != files:
        raise StudyError(f"{beside} has other bytes than were written. Check the disk")
    os.rename(beside, row.folder)


@contextmanager
def _alone(study_folder: Path) -> Iterator[None]:
    """Keep other commands from compacting or expanding the study meanwhile, and end what a killed one had begun."""
    ownership = owners.own(study_folder, WHOLE, processes.new_owner(os.getpid()))
    if ownership is None:
        raise StudyError(
            f"another command compacts or expands {study_folder}. Wait until it has ended. If it was killed on another"
            f" host, delete {study_folder / owners.OWNERS / WHOLE}"
        )
    try:
        with ownership.heartbeat():
            _clear(study_folder)
            yield
    finally:
        _remove_written(study_folder)
        ownership.release()


def _clear(study_folder: Path) -> None:
    """End what a killed command had begun."""
    _remove_written(study_folder)
    if (study_folder / ASIDE).is_dir():
        rows = rows_of(study_folder)
        for aside in sorted((study_folder / ASIDE).iterdir()):
            _delete_aside(study_folder / aside.name, aside, rows.get(aside.name))


def _remove_written(study_folder: Path) -> None:
    """Remove folders and files that were not written to their end, and empty folders."""
    for place in (WRITTEN, EQUAL):
        if (study_folder / place).is_dir():
            shutil.rmtree(study_folder / place)
    for beside in study_folder.glob(f"{COMPACTED}/.*.part"):
        beside.unlink()
    for folder in (study_folder / ASIDE, study_folder / HIDDEN, study_folder / COMPACTED):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
