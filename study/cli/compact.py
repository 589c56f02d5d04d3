"""`study compact` and `study expand`: fold the folders of ended runs into Parquet files, and turn these back."""

import sys

from study.cli.arguments import key_values, study_folder
from study.config.run_config import check_name
from study.errors import StudyError
from study.records.changes import MEND
from study.records.compacted import COMPACTED, parts_of
from study.records.compacting import compact
from study.records.contract import OUTPUTS
from study.records.expanding import expand
from study.sweep.progress import console

SHOWN = 5  # names that are printed for one reason


def study_compact(arguments: list[str]) -> int:
    """study compact name=mine: fold the folders of complete and diverged runs into Parquet files.

    outputs/mine/compacted/ then has a row per run and a column per file. study analyze, status, show, diff, verify and
    merge read these rows as they read folders, and a sweep skips their runs as complete. study expand turns them back.
    A run that has changed since it ended, or has no seal, is named and stays a folder. So does a run that keeps its
    checkpoint. Requires pyarrow: pip install 'regstudy[parquet]'.
    """
    given = key_values(arguments, {"name": "default"})
    folder = study_folder(OUTPUTS / check_name(given["name"]))
    done = compact(folder, lambda line: console.print(line, markup=False))
    for reason, runs in done.kept.items():
        more = f", and {len(runs) - SHOWN} more" if len(runs) > SHOWN else ""
        console.print(f"{len(runs)} runs stay folders ({reason}): {', '.join(runs[:SHOWN])}{more}", markup=False)
    for line in done.changed:
        print(f"study: error: {line}; it stays a folder. {MEND}", file=sys.stderr)
    if done.runs:
        sizes = f"{_megabytes(done.bytes_before)} are now {_megabytes(done.bytes_after)}"
        console.print(f"{folder / COMPACTED}: {done.runs} runs folded; {sizes}", markup=False)
    else:
        console.print(f"{folder}: nothing to compact", markup=False)
    return 1 if done.changed else 0


def study_expand(arguments: list[str]) -> int:
    """study expand name=mine: turn the runs that study compact has folded back into folders.

    Their files have the same bytes as before, but new times of modification. outputs/mine/compacted/ is deleted when
    all folders are there.
    """
    given = key_values(arguments, {"name": "default"})
    folder = study_folder(OUTPUTS / check_name(given["name"]))
    if not parts_of(folder):
        raise StudyError(f"{folder} has no compacted runs, so there is nothing to expand")
    count, unlike = expand(folder, lambda line: console.print(line, markup=False))
    console.print(f"{folder}: {count} runs are folders again", markup=False)
    for line in unlike:
        print(f"study: error: {line}", file=sys.stderr)
    return 1 if unlike else 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
