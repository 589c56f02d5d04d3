"""Arguments that several subcommands take: key=value, a study, a run."""

from collections.abc import Mapping
from pathlib import Path

from study.errors import ConfigError, StudyError
from study.records.claims import work_folders
from study.records.contract import OUTPUTS, STATUS
from study.records.status import read_status


def study_folder(folder: Path) -> Path:
    """The folder of a study, if it is there.

    Raises:
        StudyError: it is not.
    """
    if not folder.is_dir():
        names = ", ".join(sorted(path.name for path in OUTPUTS.glob("*/"))) or "none"
        raise StudyError(f"{folder} does not exist; studies here: {names}. Work from the folder that holds outputs/")
    return folder


def find_run(given: str) -> Path:
    """The run folder that is meant by a path or by the beginning of a run id.

    Raises:
        StudyError: no run, or several, fit.
    """
    if read_status(Path(given)):
        return Path(given)
    if given and Path(given).is_dir():
        raise StudyError(f"{given} has no readable {STATUS}: it is not a run, or was damaged; give a run's folder")
    folders = [path.parent for path in OUTPUTS.glob("*/*/status.json")]
    folders += [work for study in OUTPUTS.glob("*/") for work in work_folders(study)]
    fitting = [folder for folder in folders if ((read_status(folder) or {}).get("run_id") or "").startswith(given)]
    if len(fitting) != 1:
        found = f"fits {', '.join(map(str, fitting[:5]))}" if fitting else "matches no run in outputs/"
        raise StudyError(f"{given} {found}; give a run's folder, or enough of its id")
    return fitting[0]


def key_values(
    arguments: list[str], defaults: Mapping[str, str], allowed: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, str]:
    """The arguments `key=value` of a subcommand, over their defaults.

    Raises:
        ConfigError: a key is unknown, or its value is not among those allowed.
    """
    given = dict(defaults)
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in given:
            meant = f". Example: {next(iter(defaults))}={argument}" if not equals and argument.isprintable() else ""
            raise ConfigError(f"{argument}: allowed: {', '.join(f'{key}=...' for key in defaults)}{meant}")
        values = (allowed or {}).get(key, (value,))
        if value not in values:
            raise ConfigError(f"{argument}: allowed: {', '.join(values)}")
        given[key] = value
    return given
