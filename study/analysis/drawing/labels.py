"""Readable labels of variants and options, and the characters that a figure can draw."""

import re
from collections.abc import Callable

import pandas as pd
from matplotlib import cbook
from matplotlib import pyplot as plt
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.mathtext import MathTextParser

from study.analysis.text.escaping import latex_of_mathtext, mathtext
from study.config.names import for_file_name
from study.errors import ConfigError

NAMES = {
    "none": "No regularizer",
    "l1": "L1",
    "l2": "L2",
    "l2_norm": "L2 norm",
    "l1_proximal": "L1, proximal",
    "lp": "Lp",
    "max_norm": "Max norm",
    "sam": "SAM",
    "ema": "EMA",
}


def option_label(reg: str, model_regularizers: str = "", having: str = "model has") -> str:
    """Return an option of `reg` in words; for `none`, the label names the regularizers inside the model."""
    if reg == "none" and model_regularizers:
        return f"No penalty ({having} {model_regularizers})"
    words = mathtext(reg.replace("_", " "))
    return NAMES.get(reg, words[:1].upper() + words[1:])


def variant_label(variant: str, reg: str, lam: float, model_regularizers: str) -> str:
    """Return a variant in words: `L1, λ = 10⁻⁴`, then the other parts of its key; see `option_label`."""
    option = for_file_name(reg)
    rest = variant.removeprefix(option).removeprefix(f"-lam{lam:.15g}").strip("-")
    parts = [option_label(reg, model_regularizers)]
    if variant.startswith(f"{option}-lam"):
        parts.append(f"$\\lambda$ = {power(lam)}")
    identity = re.search(r"(?:^|-)([0-9a-f]{6})$", rest)  # tells variants apart whose settings look alike
    rest = rest[: identity.start()] if identity else rest
    if rest:  # train_size500-lr0.01
        rest = mathtext(re.sub(r"-(?!\d)", ", ", rest).replace("_", " "))
        parts.append(re.sub(r"(?<=[a-z])(?=\d)", " ", rest))
    if identity:
        parts.append(identity[1])
    return ", ".join(parts)


def variant_labels(rows: pd.DataFrame, form: Callable[[str], str] = str) -> dict[str, str]:
    """Return the label of each variant in a form, from rows with `variant, reg, lam, model_regularizers`."""
    each = rows.drop_duplicates("variant").itertuples()
    return {row.variant: form(variant_label(row.variant, row.reg, row.lam, row.model_regularizers)) for row in each}


def checked_label(text: str) -> str:
    """Return a label from the user unchanged; it may contain mathematics between dollar signs.

    Raises:
        ConfigError: the text between dollar signs is not valid mathematics.
    """
    try:
        if cbook.is_math_text(text):  # otherwise a dollar sign is an ordinary character
            MathTextParser("path").parse(text)
    except ValueError:
        raise ConfigError(
            f"variants: the text between dollar signs in the label {text} is not valid mathematics. Write a plain"
            " dollar sign as \\$. Example of mathematics: '$\\ell_1$'"
        ) from None
    return text


def as_drawn(text: str) -> str:
    """Return a text of a figure in the form that is drawn.

    With `usetex`, that is LaTeX. Otherwise each character that the font lacks becomes its code, such as `[U+4E2D]`.
    """
    if plt.rcParams["text.usetex"]:
        return latex_of_mathtext(text)
    font = get_font(findfont(FontProperties(family=plt.rcParams["font.family"])))
    return "".join(c if c == "\n" or font.get_char_index(ord(c)) else f"[U+{ord(c):04X}]" for c in text)


def power(value: float) -> str:
    """Return a number as mathtext: 10⁻⁴ rather than 0.0001."""
    if value == 0 or 0.1 <= value < 1000:
        return f"{value:g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    factor = "" if float(mantissa) == 1 else f"{float(mantissa):g} \\cdot "
    return f"${factor}10^{{{int(exponent)}}}$"


def reference_label(runs: pd.DataFrame) -> str:
    """Return the label of runs with `reg=none`; it names the regularizers inside their models."""
    own = runs.loc[runs["reg"] == "none", "model_regularizers"].unique()
    names = ", ".join(dict.fromkeys(name for of_run in own if of_run for name in of_run.split(", ")))
    return option_label("none", names, "model has" if all(own) else "some models have")
