"""The figure at the top of the page, with its text for readers who do not see it."""

import base64
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from study.analysis.drawing.captions import ALT
from study.analysis.drawing.draw import CAPTION, FOLDER

ANSWERS = ("answer", "gap")  # the first one that has been drawn is shown
FONTS = ("'DejaVu Sans'", "'STIXGeneral'")


def answer_figure(target: Path, drawn: Collection[str]) -> dict[str, Any] | None:
    """Return the figure as the source of an image, with its alternative text; None if it has not been drawn.

    Args:
        target: the folder analysis/ of a study.
        drawn: the figures of this analysis. Files of others may show other runs.

    Returns:
        `name, source, caption, alt`, and `column`: whether it is about as high as wide, so that it fills half a page.
    """
    for name in ANSWERS:
        if name not in drawn:
            continue
        try:
            content = (target / FOLDER / f"{name}.svg").read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
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
            "column": size is not None and float(size[1]) < 1.2 * float(size[2]),
            "caption": caption,
            "alt": alt or f"Figure {name}",
        }
    return None
