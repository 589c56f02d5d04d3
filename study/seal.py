"""The seal of a run: size and SHA-256 of each of its files, by which a later reader knows whether one has changed."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

AT_ONCE = 1 << 20  # bytes
Seal = Mapping[str, Mapping[str, int | str]]  # by file: its `size` in bytes and its `sha256` in hex


def seal_of(folder: Path, names: Iterable[str]) -> Seal:
    """Size and SHA-256 of files as they are now; a file that is not there has no part in it.

    Args:
        folder: the run's.
        names: of the files.
    """
    files = [(name, folder / name) for name in names]
    return {name: {"size": file.stat().st_size, "sha256": sha256_of(file)} for name, file in files if file.is_file()}


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as content:
        while part := content.read(AT_ONCE):  # faster on small files than hashlib.file_digest, which makes a buffer
            digest.update(part)
    return digest.hexdigest()
