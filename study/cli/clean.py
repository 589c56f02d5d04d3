"""`study clean`: list or delete the runs that a study no longer needs."""

import shutil
from pathlib import Path

from study.cli.arguments import key_values, study_folder
from study.config.identity import identify
from study.config.run_config import check_name
from study.errors import USER_ERRORS, one_line
from study.errors.faults import is_fault
from study.records.contract import OUTPUTS
from study.records.existing import existing_runs
from study.records.owners import OWNERS, Ownership
from study.records.unfinished import WORK, digits_of, is_held, owner_of, work_folders
from study.sweep.progress import console


def study_clean(arguments: list[str]) -> int:
    """study clean name=mine: list interrupted and outdated runs. With remove=true, delete them.

    A run is outdated when its config now gives another run id, because the code or the data have changed. A sweep
    trains such a run anew; study analyze still reads the old one. Runs in training, runs whose code cannot be loaded,
    complete runs that are not outdated, and other folders are kept.
    """
    given = key_values(arguments, {"name": "default", "remove": "false"}, {"remove": ("true", "false")})
    folder = study_folder(OUTPUTS / check_name(given["name"]))
    found, unknown, compacted = checked_runs(folder)
    for run, reason in found:
        console.print(f"{'deleted' if given['remove'] == 'true' else 'to delete'}: {run} ({reason})", markup=False)
        if given["remove"] == "true":
            shutil.rmtree(run)
            if run.parent.name == WORK:
                Ownership(folder / OWNERS / digits_of(run) / owner_of(run)).release()
    for line in compacted:
        console.print(line, markup=False)
    for reason, runs in unknown.items():
        console.print(f"kept: {len(runs)} runs, such as {runs[0]}, cannot be checked: {reason}", markup=False)
    if not found:
        console.print(f"{folder}: nothing to delete")
    elif given["remove"] != "true":
        console.print("Nothing was deleted. remove=true deletes these runs")
    return 0


def checked_runs(folder: Path) -> tuple[list[tuple[Path, str]], dict[str, list[str]], list[str]]:
    """Return the run folders that can be deleted, each with the reason, and those whose code cannot be loaded.

    The latter are listed by the error. They may be outdated or not. The third list has a line about compacted runs
    that are outdated: they have no folder to delete.
    """
    reason = "interrupted; the same sweep would resume it"
    deletable = [(work, reason) for work in work_folders(folder) if not is_held(work)]
    unknown: dict[str, list[str]] = {}
    compacted = []
    for run in existing_runs(folder).values():
        if not run.is_published or run.config is None:
            continue
        try:
            current = identify(run.config).run_id
        except USER_ERRORS as error:  # the user's own code may be elsewhere
            if is_fault(error):
                raise
            unknown.setdefault(one_line(error), []).append(str(run.folder))
            continue
        if current != run.status["run_id"]:
            if isinstance(run.folder, Path):
                deletable.append((run.folder, "outdated: its config now gives another run id"))
            else:
                compacted.append(run.folder.name)
    first = f"To delete them, give study expand name={folder.name} first"
    return deletable, unknown, [f"kept: {len(compacted)} outdated runs are compacted. {first}"] if compacted else []
