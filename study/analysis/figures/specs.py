"""Figures as YAML files: conf/figure/, or the folder figure/ of one's own --config-dir."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from study.errors import ConfigError

TARGET, FILTER = "_target_", "filter"


@dataclass(frozen=True)
class Spec:
    """One figure: its name, the function that draws it, the options of that, and which runs it shows."""

    name: str
    draw: Callable[..., Figure]
    options: Mapping[str, Any]
    filter: Mapping[str, Any]

    @property
    def reads_histograms(self) -> bool:
        """Whether it is drawn from histogram.csv."""
        return getattr(sys.modules[self.draw.__module__], "READS_HISTOGRAMS", False)


def read_specs(names: Sequence[str], folders: Sequence[Path]) -> list[Spec]:
    """The figures of some names.

    Args:
        names: of YAML files.
        folders: that hold a folder figure/, in the order in which they are searched.

    Raises:
        ConfigError: there is no such file, or something in it is not allowed.
    """
    there = {file.stem: file for folder in reversed(folders) for file in sorted((folder / "figure").glob("*.yaml"))}
    unknown = [name for name in names if name not in there]
    if unknown:
        raise ConfigError(f"figures: there is no {unknown[0]}; allowed: {', '.join(sorted(there))}")
    return [_read(name, there[name]) for name in dict.fromkeys(names)]


def _read(name: str, file: Path) -> Spec:
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"figures: {file} cannot be read ({reason})") from None
    if not isinstance(content, dict) or TARGET not in content:
        raise ConfigError(f"figures: {file} names no {TARGET}, such as study.analysis.figures.lines.lines")
    module, _, function = str(content[TARGET]).rpartition(".")
    try:
        draw = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"figures: {file}: {TARGET} cannot be found ({error})") from None
    options = {key: value for key, value in content.items() if key not in (TARGET, FILTER)}
    allowed = list(inspect.signature(draw).parameters)[1:]
    for key in options:
        if key not in allowed:
            raise ConfigError(
                f"figures: {file}: {key} is no option of {function}; allowed: {', '.join(allowed)}, filter"
            )
    needed = [
        key
        for key, parameter in list(inspect.signature(draw).parameters.items())[1:]
        if parameter.default is parameter.empty
    ]
    for key in needed:
        if key not in options:
            raise ConfigError(f"figures: {file}: {key} is missing; {function} needs {', '.join(needed)}")
    return Spec(name, draw, options, content.get(FILTER) or {})
