"""`study verify`: train a run again, elsewhere, and compare its files byte by byte."""

from dataclasses import replace

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
from study.training.run import train_run
from study.training.task import Task


def study_verify(arguments: list[str]) -> int:
    """study verify <run>: train a complete run again in a temporary folder, and compare bytes.

    The run is given by its folder or by the beginning of its id; it is only read. Exits with 1 where a file differs.
    A run whose files have changed since it ended is refused.
    """
    if len(arguments) != 1:
        raise ConfigError("study verify takes one run: its folder, or the beginning of its id")
    folder = find_run(arguments[0])
    status, config = read_status(folder) or {}, read_config(folder)
    if status.get("state") in WITH_RESULT:
        refuse_changed(folder, status)
    if lacking := {"run_id", "variant_id", "variant", "path"} - status.keys():
        raise StudyError(f"{folder} has no {sorted(lacking)[0]} in {STATUS}: train the run again; see study show")
    if config is None or status.get("state") not in WITH_RESULT:
        raise StudyError(f"{folder} is {status.get('state')}: only a run that is complete or diverged can be verified")
    run = identify(config)
    if run.run_id != status["run_id"]:
        raise StudyError(
            f"{folder} was trained by other code or on other data than are here now (its id is no longer that of its"
            " config): there is nothing to compare it with"
        )
    remove_abandoned()
    with temporary_folder() as place:
        work = place / folder.name
        alone = replace(run, config=replace(config, keep_checkpoint=False, keep_model=False))
        task = Task.of(alone, status["variant"], folder, path=status["path"])
        outcome = train_run(task, work, lambda epoch, row: _progress(epoch, config.epochs))
        if outcome.state not in WITH_RESULT:
            raise StudyError(f"{folder} could not be trained again: {outcome.cause}")
        files = differing(folder, work)
        now = read_status(work) or {}
    if not files:
        console.print(f"{folder}: the same bytes in {', '.join(COMPARED)} (but for seconds)", markup=False)
        return 0
    console.print(f"{folder}: other bytes in {', '.join(files)}", markup=False)
    for key in ("device", "threads", "path", "versions"):
        if status.get(key) != now.get(key):
            console.print(f"  {key}: {status.get(key)} then, {now.get(key)} now", markup=False)
    return 1


def _progress(epoch: int, epochs: int) -> bool:
    console.print(f"epoch {epoch} of {epochs}")
    return True
