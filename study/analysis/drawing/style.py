"""The requirements of venues on figures: widths, sizes and fonts, from the YAML files of conf/style/.

All fonts ship with Matplotlib, so figures look the same everywhere.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from cycler import cycler

from study.analysis.drawing.looks import REFERENCE, read_looks
from study.analysis.text.escaping import UNICODE_OR
from study.config.folders import CONF
from study.config.options import checked_arguments
from study.errors import ConfigError

PNG_DPI = 300
FOLDER = "style"  # in conf/, or in a user's --config-dir
SERIF, SANS = "serif", "sans"


@dataclass(frozen=True)
class Style:
    """The requirements of a venue on figures.

    Attributes:
        single: width of one column, in inches.
        double: width of the text, in inches.
        size: size of text in figures, in points.
        family: font family: `serif` (STIX, similar to Times) or `sans` (DejaVu).
        line: width of lines, in points.
        column: width of a column of text, in inches, if it is not `single`.
    """

    single: float
    double: float
    size: float
    family: str
    line: float = 1.2
    column: float | None = None

    @property
    def column_width(self) -> float:
        """The width of a column of text, in inches."""
        return self.single if self.column is None else self.column

    def rc(self, usetex: bool = False) -> Any:
        """Return the settings for Matplotlib."""
        serif = self.family == SERIF
        colours = [look.colour for reg, look in read_looks().items() if reg != REFERENCE]
        return {
            "font.family": "STIXGeneral" if serif else "DejaVu Sans",
            "mathtext.fontset": "stix" if serif else "dejavusans",
            "text.usetex": usetex,
            "text.latex.preamble": UNICODE_OR if usetex else "",
            "font.size": self.size,
            "axes.titlesize": self.size,
            "axes.labelsize": self.size,
            "legend.fontsize": self.size - 1,
            "xtick.labelsize": self.size - 1,
            "ytick.labelsize": self.size - 1,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.6,
            "axes.grid": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.5,
            "axes.axisbelow": True,
            "axes.unicode_minus": True,
            "lines.linewidth": self.line,
            "lines.markersize": 2.6 * self.line,
            "legend.frameon": False,
            "figure.constrained_layout.use": True,
            "pdf.fonttype": 42,  # embeds TrueType fonts: text stays text, as venues require
            "svg.fonttype": "none",
            "svg.hashsalt": "regstudy",  # the same figure gives the same bytes
            "axes.prop_cycle": cycler(color=colours),
        }


def style_names(folders: Sequence[Path] = (CONF,)) -> list[str]:
    """Return the names of all styles in the folders."""
    return sorted(_files(folders))


def _files(folders: Sequence[Path]) -> dict[str, Path]:
    return {file.stem: file for folder in reversed(folders) for file in sorted((folder / FOLDER).glob("*.yaml"))}


def style_of(style: str | Mapping[str, Any], folders: Sequence[Path] = (CONF,)) -> Style:
    """Return the style of a venue.

    Args:
        style: name of a file of style/, or its content.
        folders: folders that contain a folder style/, in search order.

    Raises:
        ConfigError: no style has this name, or something in it is not allowed.
    """
    if isinstance(style, str):
        files = _files(folders)
        if style not in files:
            raise ConfigError(f"style={style}: there is no such style. Allowed: {', '.join(sorted(files))}")
        content: Mapping[str, Any] = yaml.safe_load(files[style].read_text(encoding="utf-8"))
    else:
        content = style
    found = Style(**checked_arguments("style", Style, content, name="a style"))
    for key in (field.name for field in fields(Style) if field.name != "family"):
        value = getattr(found, key)
        if value is not None and not (math.isfinite(value) and 0 < value <= 60):
            raise ConfigError(f"style.{key}={value}: must be a number above 0, at most 60")
    if found.family not in (SERIF, SANS):
        raise ConfigError(f"style.family={found.family}: allowed: {SERIF}, {SANS}")
    return found
