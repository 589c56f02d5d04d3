"""The keys `table.*`: caption, label, width and kind of columns of each table in LaTeX."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.analysis.drawing.style import SERIF, style_names, style_of
from study.analysis.text.fitting import Width
from study.analysis.text.latex import Form
from study.errors import ConfigError

AUTO = "auto"
MAIN_TABLE = "gap_table"  # the table that a single caption or label is for
POINTS = {"pt": 1.0, "bp": 72.27 / 72, "in": 72.27, "cm": 72.27 / 2.54, "mm": 72.27 / 25.4, "pc": 12.0}
NARROWEST, WIDEST = 2.0, 60.0  # inches


def table_forms(
    given: Mapping[str, Any], study: str, titles: Mapping[str, str], folders: Sequence[Path]
) -> dict[str, Form]:
    """The form of each table.

    Args:
        given: the values of the keys below `table`.
        study: the study's name, for captions and labels.
        titles: the title of each table, by stem.
        folders: folders that contain a folder style/.

    Raises:
        ConfigError: a value is not allowed.
    """
    width = _width(given.get("width"), folders)
    captions = _of_tables("caption", given.get("caption", AUTO), titles)
    labels = {
        stem: _checked_label(label) for stem, label in _of_tables("label", given.get("label", AUTO), titles).items()
    }
    return {
        stem: Form(
            captions.get(stem, f"{title}."),
            labels.get(stem, f"tab:{study}-{stem}"),
            bool(given.get("siunitx", False)),
            width,
        )
        for stem, title in titles.items()
    }


def _of_tables(key: str, given: Any, titles: Mapping[str, str]) -> dict[str, str]:
    """What a key gives, by table. A single text is for the gap table; null is no text for any table."""
    if given == AUTO:
        return {}
    if given is None or given == "":
        return dict.fromkeys(titles, "")
    if isinstance(given, list):
        raise ConfigError(f"table.{key}={given}: must be {AUTO}, a text, or texts by table: {{gap_table: text}}")
    if not isinstance(given, Mapping):
        return {MAIN_TABLE: str(given)}
    for stem in given:
        if stem not in titles:
            raise ConfigError(f"table.{key}: there is no table {stem}. Allowed: {', '.join(titles)}")
    return {stem: "" if text is None else str(text) for stem, text in given.items()}


def _checked_label(label: str) -> str:
    if label and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:._/+-]*", label):
        raise ConfigError(
            f"table.label={label}: allowed are letters, digits and : . _ / + - after a letter or digit."
            " Example: table.label=tab:gaps"
        )
    return label


def _width(given: Any, folders: Sequence[Path]) -> Width | None:
    """The width that `table.width` means."""
    if given is None or given == "":
        return None
    allowed = "a length such as 3.25in (pt, bp, in, cm, mm, pc)"
    if found := re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) ?([a-z]{2})", str(given)):
        number, unit = found.groups()
        if unit in POINTS:
            inches = float(number) * POINTS[unit] / POINTS["in"]
            if not (math.isfinite(inches) and NARROWEST <= inches <= WIDEST):
                raise ConfigError(f"table.width={given}: must be between {NARROWEST:g}in and {WIDEST:g}in")
            return Width(float(number) * POINTS[unit], str(given), times=False)
    names = style_names(folders)
    if str(given) not in names:
        raise ConfigError(
            f"table.width={given}: must be {allowed}, or the name of a venue: {', '.join(names)}. Example:"
            " table.width=ieee"
        )
    style = style_of(str(given), folders)
    return Width(style.column_width * POINTS["in"], str(given), times=style.family == SERIF)
