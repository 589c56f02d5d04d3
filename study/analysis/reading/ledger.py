"""The ledger of looks at test scores: append-only, never recomputed, so that looking often cannot be forgotten."""

from pathlib import Path

from study.errors import StudyError
from study.records.files import append_whole, now

LEDGER = "ledger.csv"  # in a study's folder, outside analysis/
HEADER = "when,variants,n\n"


def look(study_folder: Path, variants: int, n: int) -> int:
    """Note that test scores are looked at; returns how often that has been done, this time included.

    Args:
        study_folder: outputs/<name>.
        variants: how many have a test score.
        n: the number of their runs.

    Raises:
        StudyError: the file is there and is no ledger, so that the count would be wrong; it is left as it is.
    """
    ledger = study_folder / LEDGER
    looks = _looks(ledger)
    line = f"{now()},{variants},{n}\n"
    append_whole(ledger, (line if looks is not None else HEADER + line).encode())
    return (looks or 0) + 1


def _looks(ledger: Path) -> int | None:
    """How often test scores have been looked at; None if there is no ledger yet."""
    try:
        content = ledger.read_bytes()
    except FileNotFoundError:
        return None
    lines = content.removeprefix(HEADER.encode()).splitlines(keepends=True)
    whole = all(line.endswith(b"\n") and line.count(b",") == 2 for line in lines)
    if not (content.startswith(HEADER.encode()) and whole):
        raise StudyError(
            f"{ledger} has been damaged: it counts how often test scores were looked at. Restore it, or delete it to"
            " start a new count"
        )
    return len(lines)
