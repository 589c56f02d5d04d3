"""Fold the folders of a study's ended runs into Parquet files.

At any moment, each run is whole in at least one place. A folder is moved aside when its row has been written and
synced. It is deleted only if the row, read back, has the same bytes. `expanding` turns the rows back
into folders. After a kill, the next call of either ends what the first had begun.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.records.changes import changes, described
from study.records.compacted import (
    COMPACTED,
    GROUP_BYTES,
    GROUP_RUNS,
    OTHERS,
    RUN,
    CompactedRun,
    parquet,
    parts_of,
    rows_of,
)
from study.records.contract import CHECKPOINT, FILES, WITH_RESULT
from study.records.set_aside import ASIDE, alone, delete_aside, differs, held
from study.records.status import read_status

PART_RUNS = 10_000  # at most so many runs in a file
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
    with alone(study_folder):
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
            if name not in known or differs(known[name], files):  # else it was killed before it moved the folder
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
        files, reason = held(folder)
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


class _Held(CompactedRun):
    """A run whose files are in memory."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]):
        self._folder, self._files = folder, files

    def __str__(self) -> str:
        return str(self._folder)

    def content(self, name: str) -> bytes | None:
        return self._files.get(name)


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
    return delete_aside(folder, aside, row)
