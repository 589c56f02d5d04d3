"""The look of variants: a colour, dash and marker for each regularizer, and shades of its colour for its λ."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from matplotlib.colors import is_color_like, to_hex, to_rgb
from matplotlib.lines import Line2D

from study.analysis.drawing.labels import option_label, reference_label, variant_label
from study.analysis.text.escaping import mathtext
from study.config.folders import CONF
from study.config.options import checked_arguments
from study.errors import ConfigError, StudyError
from study.records.files import write_whole

FOLDER = Path("style") / "looks"  # in conf/, or in a user's --config-dir
REMEMBERED = "looks.yaml"  # in the folder of a study
DASHES = {
    "solid": "solid",
    "dashed": (0, (5, 1.5)),
    "dotted": (0, (1, 1)),
    "dashdot": (0, (5, 1.5, 1, 1.5)),
    "long": (0, (8, 2)),
    "dashdotdot": (0, (3, 1, 1, 1, 1, 1)),
    "short": (0, (2, 2)),
}
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">")
REFERENCE = "none"  # the option without a regularizer
LIGHTEST, DARKEST = 0.55, 0.5  # fractions of white and of black in the shades of the smallest and the largest λ


@dataclass(frozen=True)
class OptionLook:
    """The look of one option: a colour, a dash (a name of DASHES, or lengths in line widths), and a marker."""

    colour: str
    dash: Any
    marker: str


@dataclass(frozen=True)
class Look:
    """The label, colour, dash and marker of one variant, the same in every figure of a study."""

    label: str
    colour: str
    dash: Any
    marker: str

    def line(self) -> dict[str, Any]:
        """Return Matplotlib's arguments for a line without markers."""
        return {"color": self.colour, "linestyle": self.dash}


@lru_cache(maxsize=8)
def read_looks(folders: tuple[Path, ...] = (CONF,)) -> Mapping[str, OptionLook]:
    """Return the look of each option that the files of style/looks/ in some folders name; earlier folders count more.

    Raises:
        ConfigError: a file cannot be read, or a look is not allowed.
    """
    found: dict[str, OptionLook] = {}
    for folder in reversed(folders):
        for file in sorted((folder / FOLDER).glob("*.yaml")):
            found |= _read(file)
    return found


def _read(file: Path) -> dict[str, OptionLook]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{file} cannot be read ({reason})") from None
    example = 'Example: bridge: {colour: "#0072B2", dash: dotted, marker: s}'
    if not isinstance(content, dict) or not all(isinstance(look, dict) for look in content.values()):
        raise ConfigError(f"{file}: must map options of reg to looks. {example}")
    return {str(reg): _checked(f"{file}: {reg}", look) for reg, look in content.items()}


def _checked(where: str, given: Mapping[str, Any]) -> OptionLook:
    look = OptionLook(**checked_arguments(where, OptionLook, given, name="a look"))
    if not is_color_like(look.colour):
        raise ConfigError(f'{where}.colour={look.colour}: must be a colour. Example: colour: "#0072B2"')
    lengths = look.dash if isinstance(look.dash, list) else []
    positive = all(isinstance(length, int | float) and 0 < length < 100 for length in lengths)
    if look.dash not in DASHES if not lengths else not positive or len(lengths) % 2:
        raise ConfigError(
            f"{where}.dash={look.dash}: allowed: {', '.join(DASHES)}, or lengths of dashes and gaps in line widths,"
            " such as [5, 2]"
        )
    if look.marker not in Line2D.markers or look.marker in ("", " ", "None", "none"):
        raise ConfigError(
            f"{where}.marker={look.marker}: must be a marker of Matplotlib. Examples: {', '.join(MARKERS)}"
        )
    return look


def remembered_looks(
    study_folder: Path, regs: Sequence[str], folders: Sequence[Path], store: bool = True
) -> Mapping[str, OptionLook]:
    """Return the looks of the options of a study.

    An option that no file of style/looks/ names gets the next free look. `looks.yaml` in the study's folder stores it,
    so that the option keeps it when others join the study.

    Args:
        study_folder: outputs/<name>.
        regs: the options of the study, in the order in which they are shown.
        folders: the user's folders of options and conf/, in search order.
        store: whether to write new looks to the study's file.

    Raises:
        ConfigError: a file of looks is not allowed.
        StudyError: the study's file cannot be written.
    """
    file, given = study_folder / REMEMBERED, read_looks(tuple(folders))
    stored = _read(file) if file.is_file() else {}
    known = {**stored, **given}
    complete = with_free_looks(known, regs)
    new = {reg: asdict(complete[reg]) for reg in regs if reg not in known}
    if new and store:
        content = {reg: asdict(look) for reg, look in stored.items()} | new
        try:
            write_whole(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        except OSError as error:
            raise StudyError(f"{file} cannot be written ({error.strerror})") from error
    return complete


def with_free_looks(known: Mapping[str, OptionLook], regs: Sequence[str]) -> Mapping[str, OptionLook]:
    """Return the known looks, and for each other option the next free one.

    A free look has the colour that the fewest options of the study have, and a dash and marker that no option has,
    with a marker that no option of this colour has if there is one.
    """
    result = dict(known)
    colours = list(dict.fromkeys(look.colour for reg, look in read_looks().items() if reg != REFERENCE))
    names = [name for name in DASHES if name != "solid"]
    pairs = [(names[n % len(names)], MARKERS[(n + n // 24) % len(MARKERS)]) for n in range(48)]
    for reg in regs:
        if reg not in result:
            inside = Counter(result[other].colour for other in regs if other in result)
            colour = min(colours, key=lambda colour: inside[colour])
            taken = {(str(look.dash), look.marker) for look in result.values()}
            of_colour = {look.marker for look in result.values() if look.colour == colour}
            free = [pair for pair in pairs if pair not in taken] or [pairs[len(result) % len(pairs)]]
            result[reg] = OptionLook(colour, *min(free, key=lambda pair: pair[1] in of_colour))
    return result


def looks(runs: pd.DataFrame, options: Mapping[str, OptionLook] | None = None) -> dict[str, Look]:
    """Return the look of each variant, in the order in which variants are shown.

    A variant has the colour of its regularizer, in a shade that shows its λ: light for small, dark for large. It has
    the dash and marker of its regularizer. Variants with the same λ that differ otherwise differ in dash and marker.

    Args:
        runs: all runs of the study, with `variant, reg, lam, model_regularizers`.
        options: looks of the options; None: those of conf/, and free ones for others.
    """
    options = with_free_looks(read_looks() if options is None else options, list(runs["reg"].unique()))
    found: dict[str, Look] = {}
    variants = runs.drop_duplicates("variant")
    for reg, own in variants.groupby("reg", sort=False):
        base = options[str(reg)]
        strengths = sorted(own["lam"].dropna().unique())
        shades = dict(zip(strengths, shades_of(base.colour, len(strengths)), strict=True))
        at_lam: Counter[Any] = Counter()
        for row in own.itertuples():
            key = row.lam if pd.notna(row.lam) else None
            label = variant_label(row.variant, row.reg, row.lam, row.model_regularizers)
            dash, marker = _shifted(base, at_lam[key])
            found[row.variant] = Look(label, shades.get(row.lam, to_hex(base.colour)), dash, marker)
            at_lam[key] += 1
    return _told_apart({variant: found[variant] for variant in variants["variant"]})


def group_looks(
    values: Sequence[Any], column: str, runs: pd.DataFrame, options: Mapping[str, OptionLook] | None = None
) -> dict[Any, Look]:
    """Return the look of each value of a column such as `reg`, in order.

    Args:
        values: values of the column.
        column: name of the column, other than `variant`. Numbers get shades of one colour, in their order.
        runs: all runs that may be drawn. The label of `none` names the regularizers inside their models.
        options: looks of the options of `reg`; None: those of conf/, and free ones for others.
    """
    if column == "reg":
        options = with_free_looks(read_looks() if options is None else options, list(values))
        found = {reg: _option(options[reg]) for reg in values}
        return _told_apart(
            {
                reg: replace(look, label=reference_label(runs) if reg == REFERENCE else option_label(reg))
                for reg, look in found.items()
            }
        )
    of_numbers = all(isinstance(value, Real) and not isinstance(value, bool) for value in values)
    looks_of_options = [look for reg, look in read_looks().items() if reg != REFERENCE]
    found = {value: _option(looks_of_options[n % len(looks_of_options)]) for n, value in enumerate(values)}
    if of_numbers:
        ordered = sorted(values)
        shades = dict(zip(ordered, shades_of(looks_of_options[0].colour, len(ordered)), strict=True))
        found = {value: replace(look, colour=shades[value]) for value, look in found.items()}
    of_noise = column == "label_noise"
    return _told_apart(
        {
            value: replace(look, label=f"{100 * value:g} % flipped labels" if of_noise else mathtext(str(value)))
            for value, look in found.items()
        }
    )


def shades_of(colour: str, count: int) -> list[str]:
    """Return shades of a colour from light to dark; a single one is the colour itself."""
    if count == 1:
        return [to_hex(colour)]
    return [_shade(colour, place / (count - 1)) for place in range(count)]


def _shade(colour: str, place: float) -> str:
    """Return a shade: 0 is the lightest, 1 the darkest, and in between the brightness falls evenly."""
    red, green, blue = to_rgb(colour)
    if max(red, green, blue) == 0:  # black has no darker shade
        return to_hex((LIGHTEST * (1 - place),) * 3)
    own = np.array([red, green, blue])
    lightest, darkest = LIGHTEST + (1 - LIGHTEST) * own, (1 - DARKEST) * own
    start, end = (lightest, own) if place < 0.5 else (own, darkest)
    share = 2 * place if place < 0.5 else 2 * place - 1
    return to_hex(tuple((1 - share) * start + share * end))


def _option(look: OptionLook, number: int = 0) -> Look:
    dash, marker = _shifted(look, number)
    return Look("", to_hex(look.colour), dash, marker)


def _shifted(look: OptionLook, number: int) -> tuple[Any, str]:
    """Return the dash and marker of the variant of this number, among those that have one option and one λ."""
    if number == 0:
        return (0, tuple(look.dash)) if isinstance(look.dash, list) else DASHES[look.dash], look.marker
    dashes = [dash for name, dash in DASHES.items() if name not in ("solid", look.dash)]
    markers = [marker for marker in MARKERS if marker != look.marker]
    return dashes[(number - 1) % len(dashes)], markers[(number - 1 + (number - 1) // len(dashes)) % len(markers)]


def _told_apart(found: Mapping[Any, Look]) -> dict[Any, Look]:
    """Return the looks; labels that are alike, as those of `a_b` and `a b`, are replaced by their keys."""
    texts = Counter(look.label for look in found.values())
    return {
        key: replace(look, label=mathtext(str(key))) if texts[look.label] > 1 else look for key, look in found.items()
    }
