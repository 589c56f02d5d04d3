"""The ledger of looks at test scores: append-only, never recomputed, so that looking often cannot be forgotten."""

from pathlib import Path

from study.recording import append_whole, now

LEDGER = "ledger.csv"  # in a study's folder, outside analysis/
HEADER = "when,variants,n\n"


def look(study_folder: Path, variants: int, n: int) -> int:
    """Note that test scores are looked at; returns how often that has been done, this time included.

    Args:
        study_folder: outputs/<name>.
        variants: how many have a test score.
        n: the number of their runs.
    """
    ledger = study_folder / LEDGER
    line = f"{now()},{variants},{n}\n"
    append_whole(ledger, (line if ledger.exists() else HEADER + line).encode())
    return ledger.read_text().count("\n") - 1
