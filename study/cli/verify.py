"""`study verify`: train a run again in another folder and compare its files byte by byte."""

from dataclasses import replace
from pathlib import Path

from study.cli.arguments import find_run
from study.config.identity import identify
from study.errors import ConfigError, StudyError
from study.records.changes import refuse_changed
from study.records.comparison import COMPARED, differing
from study.records.contract import STATUS, WITH_RESULT
from study.records.existing import read_config
from study.records.status import read_status
from study.sweep.progress import console
from study.sweep.temporary import remove_abandoned, temporary_folder
from study.training.crew import train_alone
from study.training.run import begin_run
from study.training.task import Task


def study_verify(arguments: list[str]) -> int:
    """study verify <run>: train a complete run again in a temporary folder, and compare the bytes of its files.

    Give the run's folder, or the first characters of its id. The run is only read. Exits with 1 if a file differs. A
    run whose files have changed since it ended is refused.
    """
    if len(arguments) != 1:
        raise ConfigError("study verify takes one run: its folder, or the first characters of its id")
    folder = find_run(arguments[0])
    status, config = read_status(folder) or {}, read_config(folder)
    if status.get("state") in WITH_RESULT:
        refuse_changed(folder, status)
    if lacking := {"run_id", "variant_id", "variant", "path"} - status.keys():
        raise StudyError(
            f"{folder}: {STATUS} has no {sorted(lacking)[0]}. Train the run again: study show prints its config"
        )
    if config is None or status.get("state") not in WITH_RESULT:
        raise StudyError(f"{folder} is {status.get('state')}: only a complete or diverged run can be verified")
    run = identify(config)
    if run.run_id != status["run_id"]:
        raise StudyError(
            f"{folder} cannot be verified: its code or data have changed since (its config now gives another run id)."
            " Restore them, or verify another run"
        )
    remove_abandoned()
    with temporary_folder() as place:
        work = place / folder.name
        alone = replace(run, config=replace(config, keep_checkpoint=False, keep_model=False))
        task = Task.of(alone, status["variant"], Path(str(folder)), path=status["path"])
        outcome = train_alone(begin_run(task, work, lambda epoch, row: _progress(epoch, config.epochs)))
        if outcome.state not in WITH_RESULT:
            raise StudyError(f"{folder}: training it again failed: {outcome.cause}")
        files = differing(folder, work)
        now = read_status(work) or {}
    if not files:
        console.print(f"{folder}: the same bytes in {', '.join(COMPARED)} (seconds excluded)", markup=False)
        return 0
    console.print(f"{folder}: different bytes in {', '.join(files)}", markup=False)
    for key in ("device", "threads", "path", "versions"):
        if status.get(key) != now.get(key):
            console.print(f"  {key}: {status.get(key)} then, {now.get(key)} now", markup=False)
    return 1


def _progress(epoch: int, epochs: int) -> bool:
    console.print(f"epoch {epoch} of {epochs}")
    return True
