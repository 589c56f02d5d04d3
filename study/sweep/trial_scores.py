"""The score of a trial's run, and for how many epochs it was trained, read from its files."""

import csv

from study.errors import StudyError
from study.records.changes import refuse_changed
from study.records.contract import CONFIG, PRUNED, WITH_RESULT
from study.records.existing import Existing

# By measure, the column of val.csv, and −1 if lower is better.
COLUMNS = {"val_accuracy": ("accuracy", 1), "val_loss": ("loss", -1), "val_r2": ("r2", 1), "val_mae": ("mae", -1)}


def sign_of(select: str) -> int:
    """1 if a higher value of a measure is better, −1 if a lower one is."""
    return COLUMNS[select][1]


def score_of(run: Existing | None, select: str, until: int | None = None) -> tuple[float, int]:
    """The score of a run, and the number of its epochs.

    The score after an epoch before the last does not change when the run goes on. So a search that is repeated decides
    as it did the first time.

    Args:
        run: the run; None if it does not exist.
        select: the measure.
        until: the epoch after which it is scored; None: its last one.

    Returns:
        The score, of which more is better, and −∞ if the run has diverged by then. And the number of epochs by then.

    Raises:
        StudyError: the run has not come so far, or its files are not valid.
    """
    state = run.status["state"] if run else "missing"
    if run is None or state not in (*WITH_RESULT, PRUNED):
        raise _no_choice(state)
    refuse_changed(run.folder, run.status, ("val.csv", "metrics.csv", CONFIG))
    column, sign = COLUMNS[select]
    if state == "complete":
        last = run.status.get("epochs_trained")
        if until is None or last is None or last <= until:
            return sign * float(_rows(run, "val.csv", column)[0][column]), last or 0
    rows = _rows(run, "metrics.csv", f"val_{column}")
    last = int(rows[-1]["epoch"])
    if state == "diverged" and (until is None or last <= until):
        return -float("inf"), last
    if until is None or last < until:
        raise _no_choice(state)
    row = next(row for row in rows if int(row["epoch"]) == until)
    return sign * float(row[f"val_{column}"]), until


def _no_choice(state: str) -> StudyError:
    return StudyError(
        f"a trial is {state}, so no choice can be made. Give the same command again, with retry_failed=true for failed"
        " trials. study status shows details"
    )


def _rows(run: Existing, name: str, column: str) -> list[dict[str, str]]:
    """The rows of a CSV of a run, at least one.

    Raises:
        StudyError: it is missing, or has not the form of such a file.
    """
    try:
        with (run.folder / name).open() as file:
            rows = list(csv.DictReader(file))
        for row in rows[-1:]:
            float(row[column])
        if rows:
            return rows
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        pass
    raise StudyError(f"{run.folder} has no valid {name}. Delete the folder, then give the same command again")
