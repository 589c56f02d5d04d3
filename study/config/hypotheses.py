"""The questions of a study, fixed before its first run: each names a measure, and a contrast or another measure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.errors import ConfigError
from study.measures.catalog import check_described

EACH = "each"  # in a contrast: every regularizer but the other one
KEYS = ("question", "measure", "contrast", "matched", "with", "equivalence")
EXAMPLE = "{l1_helps: {question: Does L1 help?, measure: val_accuracy, contrast: [l1, none]}}"


@dataclass(frozen=True)
class Hypothesis:
    """A question with a test that answers it.

    Attributes:
        name: its key in `hypotheses`.
        question: in words.
        measure: what is compared, or what is to be predicted; see `catalog.check_described`.
        first: option of `reg` of which `baseline` is subtracted, or `each`; empty for an association.
        baseline: option of `reg`.
        matched: the measure at whose equal values the contrast is made, along the λ paths; empty: as trained.
        other: the measure that may predict `measure`, by its rank over the variants; empty for a contrast.
        equivalence: margin below which a difference does not matter, in displayed units; None: no margin.
    """

    name: str
    question: str
    measure: str
    first: str = ""
    baseline: str = ""
    matched: str = ""
    other: str = ""
    equivalence: float | None = None


def read_hypotheses(given: Any, task: str) -> list[Hypothesis]:
    """Check and return the questions of a config.

    Args:
        given: the value of `hypotheses`: by name, a mapping with KEYS.
        task: classification or regression; it decides which measures there are.

    Raises:
        ConfigError: a question is not complete, or its measure does not exist.
    """
    if not given:
        return []
    if not isinstance(given, Mapping):
        raise ConfigError(f"hypotheses={given}: must be a mapping. Example: {EXAMPLE}")
    return [_read(str(name), own, task) for name, own in given.items()]


def _read(name: str, own: Any, task: str) -> Hypothesis:
    where = f"hypotheses.{name}"
    if not isinstance(own, Mapping):
        raise ConfigError(f"{where}={own}: must be a mapping with the keys {', '.join(KEYS)}. Example: {EXAMPLE}")
    for key in own:
        if key not in KEYS:
            raise ConfigError(f"{where}.{key} is not a key of a hypothesis. Allowed: {', '.join(KEYS)}")
    for key in ("question", "measure"):
        if not isinstance(own.get(key), str) or not own[key].strip():
            raise ConfigError(f"{where}.{key}={own.get(key)}: must be a text. Example: {EXAMPLE}")
    contrast, other = own.get("contrast"), own.get("with")
    if (contrast is None) == (other is None):
        raise ConfigError(f"{where}: give either contrast=[l1, none] or with=accuracy_gap, not both and not neither")
    for key in ("matched", "equivalence"):
        if own.get(key) is not None and contrast is None:
            raise ConfigError(f"{where}.{key}: only a contrast can have it. Leave it out, or give a contrast")
    measure = check_described(own["measure"], task, f"{where}.measure")
    if other is not None:
        return Hypothesis(name, own["question"], measure, other=check_described(str(other), task, f"{where}.with"))
    if not isinstance(contrast, list) or len(contrast) != 2 or not all(isinstance(reg, str) for reg in contrast):
        raise ConfigError(
            f"{where}.contrast={contrast}: must be two options of reg. Example: [l1, none], or [{EACH}, none]"
        )
    if contrast[0] == contrast[1] or contrast[1] == EACH:
        raise ConfigError(f"{where}.contrast={contrast}: the second must be another option of reg. Example: [l1, none]")
    matched, margin = own.get("matched"), own.get("equivalence")
    if margin is not None and (not isinstance(margin, int | float) or isinstance(margin, bool) or not 0 < margin < 1e9):
        raise ConfigError(f"{where}.equivalence={margin}: must be a number above 0. Example: 0.3")
    if matched is not None:
        matched = check_described(str(matched), task, f"{where}.matched")
    return Hypothesis(
        name, own["question"], measure, contrast[0], contrast[1], matched=matched or "", equivalence=margin
    )
