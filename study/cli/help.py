"""`study --help` and `study help KEY`: explain commands, keys and options from the comments in the YAML files.

The comment on a key's line explains the key. Comment lines below it are details; the last may be `Example: ...`. The
first comment line of an option's file explains the option. Further comment lines are details.
"""

import difflib
import re
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from study.errors import ConfigError

WIDTH = 80
LAUNCHER = "hydra/launcher"  # the group of the shipped launchers
HEADER = "study trains neural networks with and without regularization, and compares them."
KEY_LINE = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z_][\w.]*):(?P<value>[^#]*?)(?:\s+#\s*(?P<text>.*))?$")
EXAMPLES = (
    ("study reg=l1 lam=1e-4", "one run"),
    ("study -m reg=none,l1,l2 lam=1e-4,1e-3 name=mine", "a sweep"),
    ("study experiment=book", "a study written in YAML"),
    ("study analyze name=mine", "its tables and figures"),
)
TO_ANALYZE = (
    ("study analyze name=mine", "the last epoch of every run"),
    ("study analyze name=mine at=best", "the best epoch of every run"),
    ('study analyze name=mine "figures=[forest,matched]"', "other figures"),
)


@dataclass(frozen=True)
class Explained:
    """The explanation of a key or an option in its YAML file.

    Attributes:
        name: `lam`, `data.split`, or the name of an option.
        default: the key's value in the file; empty for an option.
        text: the explanation, one line.
        details: further sentences, or empty.
    """

    name: str
    default: str
    text: str
    details: str

    @property
    def alternatives(self) -> list[str]:
        """The values that `text` lists, as in `holdout | textbook`; empty if it lists none."""
        listed = re.sub(r"^.*: ", "", self.text)
        return [part.strip() for part in listed.split("|")] if "|" in listed else []


def keys_in(file: Path, prefix: str = "") -> list[Explained]:
    """Return the keys of a YAML file with their explanations. Keys of nested mappings have dotted names."""
    found: list[tuple[str, str, list[str]]] = []
    path: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if (match := KEY_LINE.match(line)) and not line.lstrip().startswith("#"):
            path[len(match["indent"]) // 2 :] = [match["key"]]
            found.append((prefix + ".".join(path), match["value"].strip(), [match["text"] or ""]))
        elif line.startswith("  ") and line.lstrip().startswith("#") and found:
            found[-1][2].append(line.strip(" #"))
        elif line.startswith("#"):
            path = []
    return [Explained(name, value, lines[0], " ".join(lines[1:])) for name, value, lines in found]


def option_in(file: Path) -> Explained:
    """Return an option with the explanation at the top of its file."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            lines.append(line.lstrip("# "))
    return Explained(file.stem, "", lines[0] if lines else "", " ".join(lines[1:]))


def options(folders: Sequence[Path], group: str) -> list[tuple[Path, Explained]]:
    """Return the file and the explanation of each option in a group.

    If several folders have an option of the same name, the first folder counts.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted((folder / group).glob("*.yaml")):
            found.setdefault(file.stem, file)
    return [(file, option_in(file)) for file in found.values()]


def study_keys(conf: Path, config: str = "config") -> list[Explained]:
    """Return the keys of config.yaml or analysis.yaml that a command line can set."""
    keys = keys_in(conf / f"{config}.yaml")
    hidden = ("defaults", "hydra", "reg", "data", "schedule")
    return [key for key in keys if key.name not in hidden and not key.name.startswith("hydra.")]


def overview(conf: Path, folders: Sequence[Path], commands: Mapping[str, str]) -> str:
    """Return the text of `study --help`.

    Args:
        conf: folder of the configs that come with study.
        folders: all folders with options, `conf` included.
        commands: one line for each subcommand.
    """
    groups = {
        "data": "a data set",
        "model": "a model",
        "optimizer": "an optimizer",
        "schedule": "a schedule of the learning rate",
        "reg": "a regularizer",
        "experiment": "a study written in YAML",
    }
    lines = [
        HEADER,
        "",
        "Commands",
        *_table([("KEY=VALUE ...", "train one run; with -m, sweep over lists of values")]),
    ]
    lines += [*_table(commands.items()), "", "Examples", *_examples(EXAMPLES)]
    for group, what in groups.items():
        lines += ["", f"{group}=OPTION   {what}"]
        lines += _table((option.name, option.text) for _, option in options(folders, group))
    lines += ["", "KEY=VALUE, with defaults", *_keys(study_keys(conf))]
    lines += ["", "study help KEY explains a key, an option or a command, with its allowed values."]
    lines += ["For your own options, write DIR/reg/mine.yaml and add --config-dir DIR.", ""]
    return "\n".join(lines)


def of_analysis(conf: Path, folders: Sequence[Path]) -> str:
    """Return the text of `study analyze --help`."""
    lines = ["study analyze makes tables and figures from the files of a study's runs.", "", "Examples"]
    lines += [*_examples(TO_ANALYZE), "", "KEY=VALUE, with defaults", *_keys(study_keys(conf, "analysis"))]
    lines += ["", "Figures, for figures=[...]"]
    lines += _table((option.name, option.text) for _, option in options(folders, "figure"))
    lines += ["", "Styles of figures, for style=..."]
    lines += _table((option.name, option.text) for _, option in options(folders, "style"))
    return "\n".join([*lines, "", "study help KEY explains a key, with its allowed values.", ""])


def explanation(asked: str, conf: Path, folders: Sequence[Path], commands: Mapping[str, str]) -> str:
    """Return the text of `study help KEY`.

    Args:
        asked: a key (`lam`, `data.split`), a group, an option (`l1`, `reg=l1`), or a subcommand.
        conf: folder of the configs that come with study.
        folders: all folders with options, `conf` included.
        commands: the text for each subcommand; only the text of `asked` is used.

    Raises:
        ConfigError: no key, option or command has this name.
    """
    asked = "lam" if asked == "reg.lam" else asked
    group, _, name = asked.rpartition("=")
    groups = [path.name for path in conf.iterdir() if path.is_dir() and path.name != "hydra"] + [LAUNCHER]
    pages: list[str] = [commands[asked]] if asked in commands else []
    if asked in groups:
        listed = [f"{asked} is a group: choose one option, {asked}=OPTION.", ""]
        pages.append("\n".join([*listed, *_table((o.name, o.text) for _, o in options(folders, asked))]))
    for config, command in (("config", "study"), ("analysis", "study analyze")):
        pages += [_page(key, command) for key in study_keys(conf, config) if key.name == asked]
    for of_group in groups:
        if group not in ("", of_group):
            continue
        for file, option in options(folders, of_group):
            own = keys_in(file, "" if of_group in ("figure", "experiment") else f"{of_group.replace('/', '.')}.")
            if option.name == name:
                pages.append(_option_page(of_group, option, own, _flag(file, conf)))
            elif of_group not in ("figure", "experiment") or asked.startswith("tune."):
                command = f"study{_flag(file, conf)} {of_group}={option.name}"
                pages += [_page(key, command) for key in own if key.name == asked]
    if not pages:
        names = [
            *commands,
            *groups,
            *(key.name for config in ("config", "analysis") for key in study_keys(conf, config)),
        ]
        names += [option.name for of_group in groups for _, option in options(folders, of_group)]
        close = difflib.get_close_matches(asked, names, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise ConfigError(
            f"{asked}: no key, option or command has this name. {hint}study --help lists the names;"
            " --config-dir DIR adds your own options"
        )
    return "\n\n".join(dict.fromkeys(pages)) + "\n"


def _flag(file: Path, conf: Path) -> str:
    """Return ` --config-dir DIR` if an option's file is the user's own: its examples need the flag."""
    folder = file.parent.parent
    return "" if file.is_relative_to(conf) else f" --config-dir {shlex.quote(str(folder))}"


def _page(key: Explained, command: str) -> str:
    known = key.alternatives
    details, _, given = key.details.partition("Example: ")
    other = next((value for value in known if value not in (key.default, "a number") and " " not in value), key.default)
    example = given or (_quoted(f"{key.name}={other}") if other else "")
    lines = [key.name, *_wrapped(_sentence(key.text)), *_wrapped(details.strip())]
    lines += [f"  default: {key.default}"] if "${" not in key.default else []
    lines += [f"  allowed: {', '.join(known)}"] if known else []
    return "\n".join([*lines, *([f"  example: {command} {example}"] if example else [])])


def _option_page(group: str, option: Explained, keys: Sequence[Explained], flag: str) -> str:
    lines = [f"{group}={option.name}", *_wrapped(_sentence(option.text)), *_wrapped(option.details)]
    own = [key for key in keys if not key.name.endswith(("_target_", "defaults"))]
    own = [replace(key, name="lam") if key.name == "reg.lam" else key for key in own]  # a command line sets it as lam
    lines += ["", *_keys(own)] if own else []
    figure = f'study analyze{flag} name=mine "figures=[{option.name}]"'
    style = f"study analyze{flag} name=mine style={option.name}"
    command = {"figure": figure, "style": style}.get(group, f"study{flag} {group}={option.name}")
    return "\n".join([*lines, "", f"  example: {command}"])


def _quoted(override: str) -> str:
    """Return an override as a shell requires it: in quotes if it has brackets or spaces."""
    return f'"{override}"' if re.search(r"[\[\]{} *]", override) else override


def _sentence(text: str) -> str:
    return f"{text}." if text and text[-1] not in ".?!" else text


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _examples(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return [f"  {command:<50} {text}" for command, text in pairs]


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [line for name, text in rows for line in _row(name, text, 20)]


def _keys(keys: Sequence[Explained]) -> list[str]:
    return [line for key in keys for line in _row(f"{key.name}={_short(key.default)}", key.text, 26)]


def _short(value: str) -> str:
    """Return a default for display: empty if it comes from another key or from a variable."""
    return "" if "${" in value else value


def _row(name: str, text: str, room: int) -> list[str]:
    begin = f"  {name:<{room}} "
    if len(begin) > room + 3:
        return [
            begin.rstrip(),
            *textwrap.wrap(text, WIDTH, initial_indent=" " * (room + 3), subsequent_indent=" " * (room + 3)),
        ]
    return textwrap.wrap(text, WIDTH, initial_indent=begin, subsequent_indent=" " * (room + 3)) or [begin.rstrip()]
