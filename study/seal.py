"""The seal of a run: size and SHA-256 of each of its files, which tell a later reader whether one has changed."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

Seal = Mapping[str, Mapping[str, int | str]]  # by file: its `size` in bytes and its `sha256` in hex


def seal_of(folder: Path, names: Iterable[str]) -> Seal:
    """Size and SHA-256 of files as they are now; a file that is not there has no part in it.

    Args:
        folder: the run's.
        names: of the files.
    """
    return {name: _sum_of(folder / name) for name in names if (folder / name).is_file()}


def _sum_of(file: Path) -> dict[str, int | str]:
    with open(file, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return {"size": content.tell(), "sha256": digest}
