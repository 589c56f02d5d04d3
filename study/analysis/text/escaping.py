"""Escape text that a user chose, such as the name of an option, for LaTeX, mathtext, Markdown and plain text."""

import re
import unicodedata

# Characters that are written differently in LaTeX. If two entries match, the longer one is used.
SPELLINGS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    '"': r"\char34{}",
    "`": r"\`{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "--": "-{}-",  # LaTeX would print one dash
    "''": "'{}'",
    ",,": ",{},",
    "Σ|w|": r"$\Sigma|w|$",
    "Σ‖in‖‖out‖": r"$\Sigma\|\mathrm{in}\|\|\mathrm{out}\|$",
    "|w|": "$|w|$",
    "‖w‖₂": r"$\|w\|_2$",
    "‖": r"$\|$",
    "ℓ1": r"$\ell_1$",
    "ℓ2": r"$\ell_2$",
    "ℓ": r"$\ell$",
    "½": r"$\frac12$",
    "\u00b5": r"$\mu$",
    "°": r"$^\circ$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "√": r"$\surd$",
    "∂": r"$\partial$",
    "∇": r"$\nabla$",
    "→": r"$\to$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "\u00a0": "~",
    **{sign: f"$^{{{number}}}$" for sign, number in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", [*range(10), "-", "+"], strict=True)},
    **{sign: f"$_{{{number}}}$" for sign, number in zip("₀₁₂₃₄₅₆₇₈₉", range(10), strict=True)},
}
TOKEN = re.compile("|".join(map(re.escape, sorted(SPELLINGS, key=len, reverse=True))) + "|.", re.DOTALL)
ACCENTS = {  # by combining mark
    **{"\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0304": r"\=", "\u0306": r"\u"},
    **{"\u0307": r"\.", "\u0308": r"\"", "\u030a": r"\r", "\u030b": r"\H", "\u030c": r"\v", "\u0323": r"\d"},
    **{"\u0327": r"\c", "\u0328": r"\k", "\u0331": r"\b"},
}
OGONEK = "\u0328"
EVERYWHERE = "ßæÆøØœŒłŁıȘșȚț¡¿§¶©®£‘’“”†‡•"  # in both font encodings, OT1 and T1; not accented letters
IN_T1 = "ðÐþÞđĐŋŊ«»„‚‹›"
RAISED = str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
LOWERED = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
SYMBOLS = {  # of mathtext, in plain text; Greek letters are found by their names
    **{"cdot": " · ", "times": " × ", "pm": "±", "ell": "ℓ", "infty": "∞", "leq": "≤", "geq": "≥", "neq": "≠"},
    **{"approx": "≈", "sum": "Σ", "partial": "∂", "nabla": "∇", "|": "‖", "Vert": "‖", "to": "→", "lambda": "λ"},
    **{",": " ", ";": " ", " ": " ", "!": "", "{": "{", "}": "}", "%": "%", "_": "_", "&": "&", "#": "#", "$": "$"},
}
GREEK_ACCENTS = {"\u0301": r"\acute", "\u0308": r"\ddot", "\u0300": r"\grave", "\u0342": r"\tilde"}
GREEK_CAPITALS = ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega")
LIKE_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEZHIKMNOPTX", strict=True))
# Prints a character if the document can show it (the font encoding has it; XeLaTeX, LuaLaTeX), else its number.
UNICODE_OR = (
    r"\providecommand*{\unicodeor}[2]{\ifdefined\Umathchar\iffontchar\font`#1 #1\else#2\fi\else"
    r"\ifcsname u8:\detokenize{#1}\endcsname#1\else#2\fi\fi}"
)


def latex(text: str) -> str:
    """Convert plain text to LaTeX, for pdflatex with utf8 and any font encoding.

    Letters with accents stay as they are or become accent commands. Greek letters become mathematics. All other
    characters need the command UNICODE_OR. It prints `[U+4E2D]` if the document has no font for the character.
    """
    whole = unicodedata.normalize("NFC", text)
    return TOKEN.sub(lambda found: SPELLINGS.get(found[0]) or _character(found[0]), whole)


def latex_of_mathtext(text: str) -> str:
    """Convert a figure's label to LaTeX. Mathematics between dollar signs stays; `\\$` is a dollar sign."""
    parts = [part.replace(r"\$", "$") for part in re.split(r"(?<!\\)\$", text)]
    if len(parts) % 2 == 0:  # an unpaired dollar sign
        return latex("$".join(parts))
    return "$".join(part if number % 2 else latex(part) for number, part in enumerate(parts))


def plain(text: str) -> str:
    """Convert a figure's label to plain text: `$\\lambda$ = $10^{-4}$` becomes `λ = 10⁻⁴`.

    Commands without a character, such as `\\mathrm`, are left out.
    """
    parts = [part.replace(r"\$", "$") for part in re.split(r"(?<!\\)\$", text)]
    if len(parts) % 2 == 0:  # an unpaired dollar sign
        return "$".join(parts)
    return "".join(_plain_mathematics(part) if number % 2 else part for number, part in enumerate(parts))


def _plain_mathematics(code: str) -> str:
    code = re.sub(r"\\([A-Za-z]+ ?|.)", lambda found: _symbol(found[1].strip() or " "), code)
    code = re.sub(r"\^(\{[^{}]*\}|.)", lambda found: _shifted(found[1], "^", RAISED), code)
    code = re.sub(r"_(\{[^{}]*\}|.)", lambda found: _shifted(found[1], "_", LOWERED), code)
    return re.sub(r" {2,}", " ", re.sub(r"[{}]", "", code)).replace("-", "−")


def _symbol(command: str) -> str:
    """The character of a command of mathtext; empty if there is none."""
    if command in SYMBOLS:
        return SYMBOLS[command]
    kind = "CAPITAL" if command[:1].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {kind} LETTER {command.upper()}")
    except KeyError:
        return ""


def _shifted(text: str, sign: str, characters: dict[int, int]) -> str:
    """A superscript or subscript, in characters of Unicode if it has all of them."""
    inner = text.removeprefix("{").removesuffix("}")
    return inner.translate(characters) if all(ord(c) in characters for c in inner) else f"{sign}{inner}"


def mathtext(text: str) -> str:
    """Convert plain text to a figure's label: a dollar sign stays a dollar sign and does not start mathematics."""
    return text.replace("$", r"\$")


def markdown(text: str) -> str:
    """Convert plain text to Markdown without emphasis, code, links, HTML or mathematics."""
    text = re.sub(r"[\\`*~^$]", r"\\\g<0>", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word, _ is not emphasis
    text = re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text)
    text = re.sub(r"&(?=#|[A-Za-z][A-Za-z0-9]*;)", r"\\&", text)
    return re.sub(r"\](?=[(\[:])", r"\\]", text)


def _character(char: str) -> str:
    if " " <= char <= "~":
        return char
    if char.isspace():
        return " "
    number = f"[U+{ord(char):04X}]"
    if unicodedata.category(char).startswith("C"):  # a control character, or unassigned
        return number
    base, *marks = list(unicodedata.normalize("NFD", char))
    if unicodedata.name(base, "").startswith("GREEK") and all(mark in GREEK_ACCENTS for mark in marks):
        letter = _greek(base)
        for mark in marks if letter else ():
            letter = f"{GREEK_ACCENTS[mark]}{{{letter}}}"
        if letter:
            return f"${letter}$"
    if char in EVERYWHERE:
        return char
    letter = char
    if base.isascii() and base.isalpha() and marks and all(mark in ACCENTS for mark in marks):
        if char <= "ſ" and OGONEK not in marks:
            return char
        letter = base
        for mark in marks:
            letter = f"{ACCENTS[mark]}{{{letter}}}"
        if OGONEK not in marks:
            return letter
    elif char not in IN_T1:
        return rf"\unicodeor{{{char}}}{{{number}}}"
    return rf"{{\fontencoding{{T1}}\selectfont {letter}}}"


def _greek(letter: str) -> str | None:
    """The mathematics command of a Greek letter; None if LaTeX has no such letter."""
    if letter in LIKE_LATIN:
        return rf"\mathrm{{{LIKE_LATIN[letter]}}}"
    if letter in "ος":
        return {"ο": "o", "ς": r"\varsigma"}[letter]
    kind, _, name = unicodedata.name(letter).removeprefix("GREEK ").partition(" LETTER ")
    name = "lambda" if name == "LAMDA" else name.lower()
    if kind == "SMALL" and name.isalpha() and "α" <= letter <= "ω":
        return rf"\{name}"
    return rf"\{name.capitalize()}" if kind == "CAPITAL" and name.capitalize() in GREEK_CAPITALS else None
