"""The figures of the page, with their text for readers who do not see them."""

import base64
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from study.analysis.drawing.captions import ALT
from study.analysis.drawing.draw import CAPTION, FOLDER

OF_SUITE = ("ranks", "rope")
ANSWERS = ("answer", "gap")  # the first one that has been drawn is shown
FONTS = ("'DejaVu Sans'", "'STIXGeneral'")


def answer_figure(target: Path, drawn: Collection[str]) -> dict[str, Any] | None:
    """Return the first of ANSWERS that has been drawn, as `embedded` does; None if there is none.

    Args:
        target: the folder analysis/ of a study.
        drawn: the figures of this analysis. Files of others may show other runs.
    """
    return next(iter(figures_of(target, ANSWERS, drawn)), None)


def figures_of(target: Path, names: Sequence[str], drawn: Collection[str]) -> list[dict[str, Any]]:
    """Return those of some figures that have been drawn; see `answer_figure` and `embedded`."""
    found = (embedded(target, name) for name in names if name in drawn)
    return [figure for figure in found if figure is not None]


def embedded(target: Path, name: str) -> dict[str, Any] | None:
    """Return a figure as the source of an image, with its alternative text; None if its file cannot be read.

    Returns:
        `name, source, caption, alt`, and `column`: whether it has the width of a column, so that it fills half a page.
    """
    try:
        content = (target / FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    try:
        text = (target / FOLDER / f"{name}.{CAPTION}").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        text = ""
    caption, _, alt = text.partition(f"\n\n{ALT}")
    for font, rest in zip(FONTS, ("Verdana, sans-serif", "'Times New Roman', serif"), strict=True):
        content = content.replace(f"font-family: {font}", f"font-family: {font}, {rest}")
    size = re.search(r'<svg[^>]*? width="([\d.]+)pt" height="([\d.]+)pt"', content)
    source = base64.b64encode(content.encode()).decode()
    return {
        "name": name,
        "source": f"data:image/svg+xml;base64,{source}",
        "column": size is not None and (float(size[1]) < 1.2 * float(size[2]) or name in OF_SUITE),
        "caption": caption,
        "alt": alt or f"Figure {name}",
    }
