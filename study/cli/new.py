"""`study new`: write a variant of the user's own from a template: a YAML file, its code, and a test of the code."""

import importlib.util
import keyword
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from study.cli.hydra_app import config_dirs
from study.config.folders import CONF
from study.config.run_config import check_name
from study.errors import ConfigError, StudyError

TEMPLATES = Path(__file__).parent / "templates"  # a folder for each group: option.yaml, code.py, test.py
MINE = Path("mine")
NOT_TEXT = ("null", "true", "false", "nan", "inf")  # Hydra reads these words as values of other types
EXAMPLE = "study new reg bridge"
FEW = "data=digits epochs=5"
# What trains, or draws, the new variant in seconds, by group.
COMMANDS = {
    "reg": [f"study -m --config-dir DIR reg=none,NAME {FEW} name=NAME"],
    "model": [f"study -m --config-dir DIR model=NAME reg=none,l1 {FEW} name=NAME"],
    "data": ["study -m --config-dir DIR data=NAME reg=none,l1 epochs=5 name=NAME"],
    "optimizer": [f"study -m --config-dir DIR optimizer=NAME reg=none,l1 {FEW} name=NAME"],
    "figure": [
        f"study -m reg=none,l1 {FEW} name=NAME",
        'study analyze --config-dir DIR name=NAME "figures=[NAME]"',
    ],
}


def study_new(arguments: list[str]) -> int:
    """study new GROUP NAME: write a variant of your own, ready to run and to change.

    GROUP is reg, model, data, optimizer or figure. The command writes mine/GROUP/NAME.yaml, mine/NAME.py with
    commented code, and mine/test_NAME.py. It prints the commands that run the variant and its test. For another folder
    than mine, add --config-dir DIR. Existing files are never changed.

    Example: study new reg bridge
    """
    if len(arguments) != 2:
        raise ConfigError(f"study new takes a group and a name. Groups: {', '.join(COMMANDS)}. Example: {EXAMPLE}")
    group, name = arguments
    folder = next(iter(config_dirs(sys.argv)), MINE)
    _check_group(group)
    _check_name(group, name, folder)
    here = shlex.quote(str(folder))
    words = {"NAME": name, "CLASS": _class_name(name)}
    files = {
        folder / group / f"{name}.yaml": _filled(group, "option.yaml", words),
        folder / f"{name}.py": _filled(group, "code.py", words),
        folder / f"test_{name}.py": _filled(group, "test.py", words),
    }
    _write(files)
    for file in files:
        print(f"written: {file}")
    print("Run it:")
    for line in COMMANDS[group]:
        print(f"  {line.replace('NAME', name).replace('DIR', here)}")
    print("Test it:")
    print(f"  python -m pytest {shlex.quote(str(folder / f'test_{name}.py'))}")
    return 0


def _check_group(group: str) -> None:
    if group not in COMMANDS:
        close = get_close_matches(group, COMMANDS, n=1) or [known for known in COMMANDS if group.startswith(known)]
        hint = f"Did you mean {close[0]}?" if close else f"Example: {EXAMPLE}"
        raise ConfigError(f"{_shown(group)}: there is no such group. Allowed: {', '.join(COMMANDS)}. {hint}")


def _check_name(group: str, name: str, folder: Path) -> None:
    """Refuse a name that cannot be both an option and a module.

    Raises:
        ConfigError: it is no name for a module, or Hydra or Python use it already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in NOT_TEXT:
        reserved = f"{name} has a meaning of its own in Python or YAML. " if name.isidentifier() else ""
        raise ConfigError(
            f"{_shown(name)}: {reserved}A name must be a lower-case letter, then such letters, digits and '_'."
            f" Example: {EXAMPLE}"
        )
    check_name(name)
    if name.startswith("test"):
        raise ConfigError(f"{name}: pytest would take {name}.py for a test. Give another name. Example: {EXAMPLE}")
    if (CONF / group / f"{name}.yaml").is_file():
        raise ConfigError(f"{group}={name} comes with study. Give another name. Example: study new {group} my_{name}")
    found = None
    with suppress(ImportError, ValueError):  # a module may have no valid description, as __main__ has none
        found = importlib.util.find_spec(name)
    if found is not None and not _is_in(found.origin, folder):
        raise ConfigError(
            f"{name} is the name of a Python module already ({found.origin or 'a folder'}), which {name}.py would hide."
            f" Give another name. Example: study new {group} my_{name}"
        )


def _is_in(origin: str | None, folder: Path) -> bool:
    """Whether a module is a file in a folder; `_write` refuses it then, because the file exists."""
    return origin is not None and Path(origin).parent == folder.absolute()


def _shown(text: str) -> str:
    return text if text and text.isprintable() else repr(text)


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _filled(group: str, template: str, words: Mapping[str, str]) -> str:
    text = (TEMPLATES / group / template).read_text(encoding="utf-8")
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text


def _write(files: Mapping[Path, str]) -> None:
    """Write all files, or none.

    Raises:
        StudyError: a file exists, or cannot be written.
    """
    for file in files:
        if file.exists() or file.is_symlink():
            raise StudyError(f"{file} exists, and is not changed. Give another name, or move it elsewhere")
    made: list[Path] = []
    try:
        for file, text in files.items():
            for folder in reversed([file.parent, *file.parent.parents]):
                if not folder.exists():
                    folder.mkdir()
                    made.append(folder)
            with open(file, "x", encoding="utf-8", newline="\n") as opened:
                made.append(file)
                opened.write(text)
    except BaseException as error:  # Ctrl-C as well
        for path in reversed(made):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if isinstance(error, OSError):
            raise StudyError(
                f"{file}: cannot be written ({error.strerror}). Run the command where you may write, or give another"
                " folder with --config-dir DIR"
            ) from None
        raise
