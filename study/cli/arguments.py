"""Read the arguments that several subcommands share: key=value, a study, a run."""

from collections.abc import Mapping
from pathlib import Path

from study.errors import ConfigError, StudyError
from study.records.compacted import CompactedRun, compacted_runs, located
from study.records.contract import OUTPUTS, STATUS
from study.records.status import read_status
from study.records.unfinished import work_folders


def study_folder(folder: Path) -> Path:
    """Return the folder of a study, after a check that it exists.

    Raises:
        StudyError: the folder does not exist.
    """
    if not folder.is_dir():
        names = ", ".join(sorted(path.name for path in OUTPUTS.glob("*/"))) or "none"
        raise StudyError(f"{folder} does not exist. Studies here: {names}. Run study in the folder that holds outputs/")
    return folder


def find_run(given: str) -> Path | CompactedRun:
    """Return the folder of a run, or the run itself if it is compacted.

    Args:
        given: the run's folder, or the first characters of its id.

    Raises:
        StudyError: no run matches, or more than one.
    """
    place = located(Path(given))
    if read_status(place):
        return place
    if given and Path(given).is_dir():
        raise StudyError(f"{given} has no readable {STATUS}: it is no run, or it is damaged. Give the folder of a run")
    folders: list[Path | CompactedRun] = [path.parent for path in OUTPUTS.glob("*/*/status.json")]
    for study in OUTPUTS.glob("*/"):
        folders += [*work_folders(study), *compacted_runs(study).values()]
    fitting = [folder for folder in folders if ((read_status(folder) or {}).get("run_id") or "").startswith(given)]
    if len(fitting) != 1:
        found = f"matches {', '.join(map(str, fitting[:5]))}" if fitting else "matches no run in outputs/"
        raise StudyError(f"{given} {found}. Give the folder of one run, or more characters of its id")
    return fitting[0]


def key_values(
    arguments: list[str], defaults: Mapping[str, str], allowed: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, str]:
    """Return the values of a subcommand's keys.

    Args:
        arguments: `key=value` each.
        defaults: value of each known key where no argument sets it.
        allowed: the values that a key accepts; a key that is missing here accepts any.

    Raises:
        ConfigError: a key is unknown, or its value is not allowed.
    """
    given = dict(defaults)
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in given:
            meant = f". Example: {next(iter(defaults))}={argument}" if not equals and argument.isprintable() else ""
            raise ConfigError(f"{argument}: there is no such key. Allowed keys: {', '.join(defaults)}{meant}")
        values = (allowed or {}).get(key, (value,))
        if value not in values:
            raise ConfigError(f"{argument}: allowed: {', '.join(values)}")
        given[key] = value
    return given
