"""How a variant or a regularizer appears on the page: its label as plain text, its colour and its dash."""

from typing import Any

from study.analysis.drawing.looks import Look
from study.analysis.text.escaping import plain


def appearance(look: Look) -> dict[str, Any]:
    """Return `label, colour, dash`; the dash as lengths in widths of the line, empty for a solid line."""
    dash = [] if look.dash == "solid" else [float(length) for length in look.dash[1]]
    return {"label": plain(look.label), "colour": look.colour, "dash": dash}
