"""Changes in a run's files since the run ended, found with the seal in its status.json."""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.errors.faults import is_fault
from study.records.contract import CHECKPOINT, MODEL, SEALED, STATUS
from study.records.seal import OWN, own_sum, sha256_of

MAY_GO = (CHECKPOINT, MODEL)  # large files, kept on request: deleting them loses no result
MEND = "restore the files, or delete the folder and train the run again"


def changes(run: Traversable, status: Mapping[str, Any], summed: Collection[str] = SEALED) -> list[str] | None:
    """Compare a run's files with its seal.

    Args:
        run: a run that has ended: its folder, or what answers like one.
        status: the content of its status.json.
        summed: files whose SHA-256 is compared; for the others only the size.

    Returns:
        One entry per change, such as `metrics.csv (other content)`; None if the run has no seal.

    Raises:
        OSError: a file cannot be read because of a fault of the machine.
    """
    seal = status.get("seal")
    if seal is None:
        return None
    if not _is_seal(seal):
        return [f"{STATUS} (unreadable seal)"]
    names = [*seal, *(name for name in SEALED if name not in seal)]
    found = {name: _change(run, name, seal.get(name), name in summed) for name in names}
    return [*_own_changes(status), *(f"{name} ({change})" for name, change in found.items() if change)]


def _own_changes(status: Mapping[str, Any]) -> list[str]:
    """Compare status.json with its own checksum. Earlier versions wrote no such checksum: no changes then."""
    return [f"{STATUS} (other content)"] if status.get(OWN) not in (None, own_sum(status)) else []


def refuse_changed(run: Traversable, status: Mapping[str, Any], needed: Collection[str] = SEALED) -> None:
    """Refuse a run if a needed file or status.json does not match the seal; a run without a seal passes.

    Raises:
        StudyError: a file has changed.
    """
    names = tuple(f"{name} (" for name in (*needed, STATUS))
    found = [change for change in changes(run, status, needed) or () if change.startswith(names)]
    if found:
        raise StudyError(f"{run} {described(found)}; {MEND}")


def described(found: Collection[str]) -> str:
    """Changes as a message that continues after the run's folder."""
    return f"has changed since the run ended: {', '.join(found)}"


def _is_seal(seal: Any) -> bool:
    return isinstance(seal, dict) and all(
        "/" not in name and isinstance(of_file, dict) and {"size", "sha256"} <= of_file.keys()
        for name, of_file in seal.items()
    )


def _change(run: Traversable, name: str, sealed: Mapping[str, Any] | None, summed: bool) -> str | None:
    """What changed in a file; None if nothing did."""
    try:
        size, summed_up = _compared(run, name)
        if sealed is None:
            return "added later"
        if size != sealed["size"]:
            return f"{size} bytes instead of {sealed['size']}"
        same = not summed or summed_up() == sealed["sha256"]
    except FileNotFoundError:
        return None if sealed is None or name in MAY_GO else "missing"
    except OSError as error:
        if is_fault(error):  # the fault does not mean that the run has changed
            raise
        return f"unreadable: {error.strerror}"
    return None if same else "other content"


def _compared(run: Traversable, name: str) -> tuple[int, Callable[[], str]]:
    """The size of a file, and a function that returns its SHA-256. In a folder, the size is known without reading."""
    if isinstance(run, Path):
        file = f"{run}/{name}"  # faster than a Path
        return os.stat(file).st_size, lambda: sha256_of(Path(file))
    content = (run / name).read_bytes()
    return len(content), lambda: hashlib.sha256(content).hexdigest()
