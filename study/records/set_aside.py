"""Folders that are moved aside while a command compacts or expands their study, and what a kill leaves of them."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from study.errors import StudyError
from study.errors.faults import is_fault
from study.records import owners, processes
from study.records.compacted import COMPACTED, CompactedRun, damaged, rows_of

WHOLE = "compact"  # what these commands own, in place of a run
HIDDEN = Path(".compacting")  # in a study's folder, with folders of runs:
ASIDE = HIDDEN / "aside"  # moved aside, to be compared with their rows
EQUAL = HIDDEN / "equal"  # equal to their rows, being deleted
WRITTEN = HIDDEN / "written"  # being written by `expand`
LARGEST = 1 << 30  # bytes of a file that is folded


@contextmanager
def alone(study_folder: Path) -> Iterator[None]:
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
        remove_written(study_folder)
        ownership.release()


def _clear(study_folder: Path) -> None:
    """End what a killed command had begun."""
    remove_written(study_folder)
    if (study_folder / ASIDE).is_dir():
        rows = rows_of(study_folder)
        for aside in sorted((study_folder / ASIDE).iterdir()):
            delete_aside(study_folder / aside.name, aside, rows.get(aside.name))


def remove_written(study_folder: Path) -> None:
    """Remove folders and files that were not written to their end, and empty folders."""
    for place in (WRITTEN, EQUAL):
        if (study_folder / place).is_dir():
            shutil.rmtree(study_folder / place)
    for beside in study_folder.glob(f"{COMPACTED}/.*.part"):
        beside.unlink()
    for folder in (study_folder / ASIDE, study_folder / HIDDEN, study_folder / COMPACTED):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def delete_aside(folder: Path, aside: Path, row: CompactedRun | None) -> int | None:
    """Delete a folder that was moved aside, or move it back if it does not equal its row."""
    files, _ = held(aside)
    try:
        same = row is not None and not differs(row, files)
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


def differs(run: CompactedRun, files: Mapping[str, bytes]) -> bool:
    """Whether a row has other files, or other bytes, than a folder.

    Raises:
        StudyError: the row cannot be read.
    """
    try:
        return run.files() != files
    except OSError as error:
        if is_fault(error):
            raise
        raise damaged(run.part, error) from None


def held(folder: Path) -> tuple[dict[str, bytes], str | None]:
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
