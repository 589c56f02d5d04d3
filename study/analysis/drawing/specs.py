"""Read figures from YAML files: conf/figure/, or the folder figure/ of a user's --config-dir."""

import difflib
import inspect
import itertools
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from study.config.options import checked_arguments
from study.errors import USER_ERRORS, ConfigError, one_line

TARGET, FILTER, CAPTION = "_target_", "filter", "caption"


@dataclass(frozen=True)
class Spec:
    """One figure.

    Attributes:
        name: name of its files.
        draw: the function that draws it.
        options: arguments of the function.
        filter: which runs it shows.
        description: what it shows, in sentences: `caption` in its file, or else the comment at the file's beginning.
    """

    name: str
    draw: Callable[..., Figure]
    options: Mapping[str, Any]
    filter: Mapping[str, Any]
    description: str = ""

    @property
    def reads_histograms(self) -> bool:
        """Whether the figure is drawn from histogram.csv."""
        return getattr(sys.modules[self.draw.__module__], "READS_HISTOGRAMS", False)

    @property
    def shows_differences(self) -> bool:
        """Whether the figure shows differences to the baseline, on which there may be verdicts."""
        return self.draw.__name__ in getattr(sys.modules[self.draw.__module__], "OF_DIFFERENCES", ())

    @property
    def shows_all_variants(self) -> bool:
        """Whether the figure has room for all variants, so that no selection of the best ones is made for it."""
        own = getattr(sys.modules[self.draw.__module__], "ALL_VARIANTS", ())
        return bool(self.shows_suite) or self.draw.__name__ in own

    @property
    def shows_suite(self) -> str:
        """The table of a suite that the figure shows, whatever variants are chosen; empty for other figures."""
        return str(getattr(sys.modules[self.draw.__module__], "OF_SUITE", {}).get(self.draw.__name__, ""))


def read_specs(names: Sequence[str], folders: Sequence[Path]) -> list[Spec]:
    """Read the figures with the given names.

    Args:
        names: names of YAML files, without suffix.
        folders: folders that contain a folder figure/, in search order.

    Raises:
        ConfigError: a file is missing, or something in it is not allowed.
    """
    there = {file.stem: file for folder in reversed(folders) for file in sorted((folder / "figure").glob("*.yaml"))}
    unknown = [name for name in names if name not in there]
    if unknown:
        close = difflib.get_close_matches(str(unknown[0]), there, n=1)
        hint = f". Did you mean {close[0]}?" if close else ""
        raise ConfigError(f"figures={unknown[0]}: there is no such figure. Allowed: {', '.join(sorted(there))}{hint}")
    return [_read(name, there[name]) for name in dict.fromkeys(names)]


def with_options(spec: Spec, options: Mapping[str, Any]) -> Spec:
    """Return a figure with other options, which override those of its file.

    Raises:
        ConfigError: an option is not allowed.
    """
    content = {**spec.options, **{key: value for key, value in options.items() if key != FILTER}}
    wanted = options.get(FILTER) or spec.filter
    if not isinstance(wanted, Mapping):
        raise ConfigError(f"filter={wanted}: must be a mapping. Example: filter={{'reg': ['l1', 'l2']}}")
    try:
        return replace(spec, options=_checked(Path(spec.name), spec.draw, content), filter=wanted)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("figures: ")) from None


def _read(name: str, file: Path) -> Spec:
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"figures: {file} cannot be read ({reason})") from None
    if not isinstance(content, dict) or TARGET not in content:
        example = f"{TARGET}: study.analysis.figures.lines.lines"
        raise ConfigError(f"figures: {file}: {TARGET} is missing. Example: {example}")
    draw = _located(file, str(content[TARGET]))
    options = {key: value for key, value in content.items() if key not in (TARGET, FILTER, CAPTION)}
    wanted = content.get(FILTER) or {}
    if not isinstance(wanted, dict):
        raise ConfigError(f"figures: {file}: filter={wanted}: must be a mapping. Example: filter: {{reg: [l1, l2]}}")
    description = content.get(CAPTION) or _comment(text)
    if not isinstance(description, str):
        raise ConfigError(
            f"figures: {file}: {CAPTION}={description}: must be text. Example: {CAPTION}: Weights by layer."
        )
    return Spec(name, draw, _checked(file, draw, options), wanted, " ".join(description.split()))


def _comment(text: str) -> str:
    """Return the comment at the beginning of a file as sentences; its first line is a sentence of its own."""
    lines = list(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines()))
    first, *others = [line.lstrip("# ").strip() for line in lines] or [""]
    return " ".join([f"{first}." if first and first[-1] not in ".!?" else first, *others])


def _located(file: Path, path: str) -> Callable[..., Figure]:
    """Return the function that a figure names."""
    try:
        draw = pkgutil.resolve_name(path)
    except Exception as error:  # importing a user's module can raise anything
        raise ConfigError(f"figures: {file}: {TARGET} cannot be found ({one_line(error)})") from None
    if not callable(draw) or not hasattr(draw, "__module__"):
        raise ConfigError(f"figures: {file}: {TARGET}: {path} is not a function that draws a figure")
    return draw


def _checked(file: Path, draw: Callable[..., Figure], options: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the options of a figure, checked against the signature of its function."""
    function = getattr(draw, "__name__", type(draw).__name__)
    try:
        parameters = list(inspect.signature(draw).parameters.values())[1:]
    except (TypeError, ValueError):
        raise ConfigError(f"figures: {file}: {TARGET}: {function} has no readable signature") from None
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    allowed = [parameter.name for parameter in parameters]
    for key in options:
        if key not in allowed and not (open_ended and isinstance(key, str)):
            raise ConfigError(
                f"figures: {file}: {key} is not an option of {function}. Allowed: {', '.join([*allowed, FILTER])}"
            )
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    needed = [parameter.name for parameter in named if parameter.default is parameter.empty]
    for key in needed:
        if key not in options:
            raise ConfigError(f"figures: {file}: {key} is missing. {function} requires {', '.join(needed)}")
    try:
        checked = checked_arguments("figures", draw, options, supplied=1)
    except USER_ERRORS as error:
        raise ConfigError(f"figures: {file}: {one_line(error).removeprefix('figures.')}") from None
    return {key: checked[key] for key in options}
