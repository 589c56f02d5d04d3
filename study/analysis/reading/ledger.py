"""The ledger counts the looks at test scores. It is append-only and never recomputed, so no look is lost."""

from pathlib import Path

from study.errors import StudyError
from study.records.contract import LEDGER
from study.records.files import append_whole, now

HEADER = "when,variants,n\n"


def look(study_folder: Path, variants: int, n: int) -> int:
    """Record a look at test scores, and return the number of looks, this one included.

    Args:
        study_folder: outputs/<name>.
        variants: the number of variants with a test score.
        n: the number of their runs.

    Raises:
        StudyError: the file is not a ledger, so the count would be wrong. The file is not changed.
    """
    ledger = study_folder / LEDGER
    looks = _looks(ledger)
    line = f"{now()},{variants},{n}\n"
    append_whole(ledger, (line if looks is not None else HEADER + line).encode())
    return (looks or 0) + 1


def _looks(ledger: Path) -> int | None:
    """The number of looks at test scores; None if there is no ledger yet."""
    try:
        content = ledger.read_bytes()
    except FileNotFoundError:
        return None
    lines = content.removeprefix(HEADER.encode()).splitlines(keepends=True)
    whole = all(line.endswith(b"\n") and line.count(b",") == 2 for line in lines)
    if not (content.startswith(HEADER.encode()) and whole):
        raise StudyError(
            f"{ledger} is damaged. It counts how often test scores were looked at. Restore it, or delete it to"
            " start a new count"
        )
    return len(lines)
