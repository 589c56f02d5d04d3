"""Folders in the system's temporary folder, each with a file that names its owner.

A command removes its own folders when it ends. The next command on the same host removes those of a killed command.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from study.records import processes

OWNER = "regstudy-owner"  # file in each folder: the process that made the folder
KINDS = ("pymp-*", "regstudy-*")  # Python's folders for sockets between processes, and this package's


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is removed after the block."""
    with tempfile.TemporaryDirectory(prefix="regstudy-") as name:
        mark(Path(name))
        yield Path(name)


def mark(folder: Path) -> None:
    """Write into a folder that this process owns it."""
    (folder / OWNER).write_text(processes.this_process())


def remove_abandoned() -> None:
    """Remove the folders of processes that have ended on this host."""
    place = Path(tempfile.gettempdir())
    for file in (file for kind in KINDS for file in place.glob(f"{kind}/{OWNER}")):
        with suppress(OSError, ValueError):  # another user owns it, or another command has just removed it
            if processes.is_gone(file.read_text()):
                shutil.rmtree(file.parent, ignore_errors=True)
