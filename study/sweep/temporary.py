"""Folders in the system's temporary folder that say whose they are.

A command removes its own when it ends. What a killed one leaves is removed by the next command on that host.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from study.records import claims

OWNER = "regstudy-owner"  # a file in each of them: the process that made it
KINDS = ("pymp-*", "regstudy-*")  # Python's, for sockets between processes, and ours


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is removed after the block."""
    with tempfile.TemporaryDirectory(prefix="regstudy-") as name:
        mark(Path(name))
        yield Path(name)


def mark(folder: Path) -> None:
    """Write into a folder that it is this process's."""
    (folder / OWNER).write_text(claims.this_process())


def remove_abandoned() -> None:
    """Remove the folders of processes on this host that are gone."""
    place = Path(tempfile.gettempdir())
    for file in (file for kind in KINDS for file in place.glob(f"{kind}/{OWNER}")):
        with suppress(OSError, ValueError):  # another user's, or just removed by another command
            if claims.is_gone(file.read_text()):
                shutil.rmtree(file.parent, ignore_errors=True)
