"""`study clean`: what can go from a study's folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from study.cli.arguments import key_values, study_folder
from study.config.identity import identify
from study.config.run_config import check_name
from study.errors import USER_ERRORS
from study.errors.faults import is_fault
from study.records.claims import is_held, work_folders
from study.records.contract import OUTPUTS
from study.records.existing import existing_runs
from study.sweep.progress import console


def study_clean(arguments: list[str]) -> int:
    """study clean name=mine: list runs that were interrupted, and runs that are outdated; remove=true removes them.

    A run is outdated when its config no longer gives its id: the code or the data behind it have changed, so no
    command would use it again. Runs that are being trained, complete ones that are up to date, and folders that are
    no runs are kept.
    """
    given = key_values(arguments, {"name": "default", "remove": "false"}, {"remove": ("true", "false")})
    folder = study_folder(OUTPUTS / check_name(given["name"]))
    found = list(removable(folder))
    for run, reason in found:
        console.print(
            f"{'removed' if given['remove'] == 'true' else 'would be removed'}: {run} ({reason})", markup=False
        )
        if given["remove"] == "true":
            shutil.rmtree(run)
    if not found:
        console.print(f"{folder}: nothing to remove")
    elif given["remove"] != "true":
        console.print("remove=true removes them")
    return 0


def removable(folder: Path) -> Iterator[tuple[Path, str]]:
    """Run folders that may go, with the reason."""
    for work in work_folders(folder):
        if not is_held(work):
            yield work, "interrupted; the sweep's command would resume it"
    for run in existing_runs(folder).values():
        if run.folder != run.published or run.config is None:
            continue
        try:
            current = identify(run.config).run_id
        except USER_ERRORS as error:  # a target of the user's that is gone
            if is_fault(error):
                raise
            current = None
        if current != run.status["run_id"]:
            yield run.folder, "outdated: its config gives another run now"
