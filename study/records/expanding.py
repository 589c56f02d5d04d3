"""Turn the runs in a study's Parquet files back into folders.

A Parquet file is deleted only when all its runs are folders again.
"""

import os
from collections.abc import Callable
from pathlib import Path

from study.errors import StudyError
from study.errors.faults import is_fault
from study.records.changes import changes, described
from study.records.compacted import COMPACTED, CompactedRun, Part, close_all, damaged, parts_of, rows_of
from study.records.contract import STATUS
from study.records.set_aside import WRITTEN, alone, differs, held
from study.records.status import read_status


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
    with alone(study_folder):
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
    files, reason = held(row.folder)
    if reason is None and not differs(row, files):
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
    if held(beside)[0] != files:
        raise StudyError(f"{beside} has other bytes than were written. Check the disk")
    os.rename(beside, row.folder)
