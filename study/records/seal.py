"""The seal of a run: size and SHA-256 of each of its files. With it, a reader detects later changes."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

AT_ONCE = 1 << 20  # bytes
Seal = Mapping[str, Mapping[str, int | str]]  # for each file, its `size` in bytes and its `sha256` in hex


def seal_of(folder: Path, names: Iterable[str]) -> Seal:
    """Size and SHA-256 of the files as they are now, without those that do not exist.

    Args:
        folder: the run's folder.
        names: the names of the files.
    """
    files = [(name, folder / name) for name in names]
    return {name: {"size": file.stat().st_size, "sha256": sha256_of(file)} for name, file in files if file.is_file()}


OWN = "status_sha256"  # key of status.json: the checksum of all its other entries, the seal included


def with_own_sum(status: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the content of a status.json the checksum of that content."""
    return {**status, OWN: own_sum(status)}


def own_sum(status: Mapping[str, Any]) -> str:
    """SHA-256 in hex of the content of status.json without this checksum; the order of keys does not matter."""
    content = {key: value for key, value in status.items() if key != OWN}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as content:
        while part := content.read(AT_ONCE):  # faster on small files than hashlib.file_digest, which allocates a buffer
            digest.update(part)
    return digest.hexdigest()
