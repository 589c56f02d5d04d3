"""`study export` and `study import`: a study in other formats, or as one archive, and back from an archive."""

import csv
import shutil
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from study.cli.arguments import key_values, study_folder
from study.config.run_config import check_name
from study.errors import ConfigError, StudyError, one_line
from study.loggers.choice import require
from study.records.changes import MEND, changes, described
from study.records.contract import ANALYSIS, OUTPUTS, WITH_RESULT
from study.records.existing import Existing, existing_runs
from study.records.supplement import write_supplement
from study.records.unpacking import Archive
from study.sweep.progress import console

SHOWN = 5  # runs that are named


def study_export(arguments: list[str]) -> int:
    """study export csv|parquet|mlflow|zip name=mine: write a study for other programs, or for a paper's supplement.

    csv, parquet: all tables, a file each, in outputs/mine/analysis/csv/ or parquet/ (as study analyze export=...).
    mlflow: complete runs, with all epochs, in the store of MLFLOW_TRACKING_URI, or else the SQLite file
    outputs/mine/loggers/mlflow.db. Runs and epochs that are there are not added again.
    zip: outputs/mine.zip with configs, CSVs, tables, figures, checksums, versions, and the commands that made it; study
    import checks and unpacks it. It requires tables and figures: give study analyze first. The same study gives the
    same bytes. Checkpoints and weights are not in it. Like the runs' files, it names your host and data folder.
    Runs that have not ended are left out. Exits with 1 if a run has changed since it ended; such a run is named and
    left out.
    """
    kind = arguments[0] if arguments else ""
    if kind not in EXPORTS:
        what = f"study export {kind}: there is no such format" if kind else "study export takes a format"
        raise ConfigError(f"{what}. Allowed: {', '.join(EXPORTS)}. Example: study export zip name=mine")
    given = key_values(arguments[1:], {"name": "default"})
    return EXPORTS[kind](study_folder(OUTPUTS / check_name(given["name"])))


def study_import(arguments: list[str]) -> int:
    """study import FILE.zip [name=other]: check an archive of study export zip, and unpack it to outputs/<name>/.

    Each file must have its checksum, and each run must match its seal. Otherwise nothing is imported. A study that
    exists is not changed: give another name. The default is the name that the study had.
    """
    if not arguments or "=" in arguments[0]:
        raise ConfigError("study import takes a file. Example: study import mine.zip name=other")
    archive = Archive(Path(arguments[0]))
    given = key_values(arguments[1:], {"name": archive.study})
    folder = OUTPUTS / check_name(given["name"])
    if folder.exists() or folder.is_symlink():
        raise StudyError(f"{folder} exists, and is not changed. Give another name. Example: name={folder.name}2")
    OUTPUTS.mkdir(exist_ok=True)
    part = OUTPUTS / f".import-{uuid.uuid4().hex}"
    try:
        count = archive.unpack(part)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    console.print(f"{folder}: {count} runs imported; all checksums and seals match", markup=False)
    console.print(f"study analyze name={folder.name} makes its tables and figures again", markup=False)
    return 0


def _tables(kind: str) -> Callable[[Path], int]:
    def export_tables(folder: Path) -> int:
        from study.analysis.reading.collect import collect  # imports pandas, which import and mlflow do not need
        from study.analysis.tidy import export

        study = collect(folder)
        for target in export(folder / ANALYSIS, study, [kind]):
            console.print(f"{target}: the tables of {len(study.runs)} runs", markup=False)
        for line in study.left_out:
            console.print(line, markup=False)
        for line in study.damaged:
            print(f"study: error: {line}", file=sys.stderr)
        return 1 if study.damaged else 0

    return export_tables


def _mlflow(folder: Path) -> int:
    require("mlflow", "study export mlflow")
    from study.loggers.logged import LoggedRun, final_scores, rows_of
    from study.loggers.mlflow_store import start

    runs, changed = _usable(folder)
    for run in runs:
        assert run.config is not None  # as `_usable` says
        state = run.status["state"]
        logged = LoggedRun(run.config, run.status["run_id"], run.status["variant"], run.published)
        try:
            start(logged, rows_of(run.folder)).end(state, final_scores(run.folder, state))
        except Exception as error:  # MLflow and its store have exceptions of their own
            reason = f"{type(error).__name__}: {one_line(error)[:300]}"
            raise StudyError(f"{run.published}: MLflow failed ({reason})") from error
    console.print(f"{len(runs)} runs of {folder} are in MLflow, in the experiment {folder.name}", markup=False)
    return changed


def _zip(folder: Path) -> int:
    analysis = folder / ANALYSIS
    if not (analysis / "runs.csv").is_file():
        raise StudyError(f"{folder} has no tables and figures yet. Give study analyze name={folder.name} first")
    runs, changed = _usable(folder)
    with (analysis / "runs.csv").open(newline="") as file:
        shown = {row.get("run", "") for row in csv.DictReader(file)}
    if not shown <= {run.published.name for run in runs}:
        raise StudyError(f"{analysis} shows runs that are left out. Give study analyze name={folder.name} again")
    target = folder.with_name(f"{folder.name}.zip")
    if target.is_dir():
        raise StudyError(f"{target} is a folder. Move it elsewhere, then give the same command again")
    count = write_supplement(target, folder, runs, analysis)
    size = f"{target.stat().st_size / 1e6:,.1f} MB"
    console.print(f"{target}: {len(runs)} runs, {count} files, {size}. study import checks it", markup=False)
    if len(shown) < len(runs):
        console.print(f"its tables show {len(shown)} of these runs, as the last study analyze did", markup=False)
    return changed


EXPORTS = {"csv": _tables("csv"), "parquet": _tables("parquet"), "mlflow": _mlflow, "zip": _zip}


def _usable(folder: Path) -> tuple[list[Existing], int]:
    """The runs with a result that match their seals, by name; and 1 if a run has changed, which is named, else 0.

    Raises:
        StudyError: there is none.
    """
    usable, left, changed = [], [], 0
    for run in sorted(existing_runs(folder).values(), key=lambda run: run.published.name):
        if not run.is_published or run.status["state"] not in WITH_RESULT or run.config is None:
            left.append(run.published.name)
        elif found := changes(run.folder, run.status):
            print(f"study: error: {run.published} {described(found)}; left out. {MEND}", file=sys.stderr)
            changed = 1
        else:
            usable.append(run)
    if left:
        more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        console.print(f"left out, not complete: {', '.join(left[:SHOWN])}{more}", markup=False)
    if not usable:
        raise StudyError(f"{folder} has no complete run to export. study status name={folder.name} lists its runs")
    return usable, changed
