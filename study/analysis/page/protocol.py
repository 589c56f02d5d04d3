"""The question of a study, and the protocol that answers it, in words."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from study.analysis.drawing.labels import option_label
from study.analysis.page.analysis import Analysis
from study.analysis.text.escaping import plain
from study.config.names import differing
from study.measures.catalog import MAIN, MEASURES, measures_of

MOST_NAMED = 6  # regularizers in the question
AT = {"last": "the end of training", "best": "the epoch of the best {words}"}


def question(analysis: Analysis) -> str:
    """Return the question of the study, as a sentence."""
    regs = [reg for reg in analysis.compared.rows["reg"].unique() if reg != "none"]
    names = [_in_sentence(plain(option_label(reg))) for reg in regs]
    if not names:
        return "How do the variants differ in overfitting, accuracy and weights?"
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    subject = listed if len(names) <= MOST_NAMED else f"{len(names)} regularizers"
    do, cost = ("does", "does it cost") if len(names) == 1 else ("do", "do they cost")
    return f"How much {do} {subject} reduce overfitting, what {cost}, and what happens to the weights?"


def _in_sentence(label: str) -> str:
    """Return a label without its capital, unless it is a symbol such as L1 or SAM."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def terms(analysis: Analysis, listed: Mapping[str, Any]) -> list[list[str]]:
    """Return the protocol as pairs of a term and its value.

    Args:
        analysis: the analyzed study.
        listed: its runs, from `runs.every_run`.
    """
    compared = analysis.compared
    rows, task, at = compared.rows, compared.study.task, compared.at
    settings = [json.loads(text) for text in rows["setting"].unique()]
    varying = differing(settings)
    found = [
        ["Data", f"{_each(rows['data'])}, data.split={_each(rows['split'])}"],
        ["Images", f"{_each(rows['train_images'])} training, {_each(rows['val_images'])} validation"],
        ["Model", _of_group("model", settings)],
        ["Optimizer", f"{_of_group('optimizer', settings)}; batch size {_values(settings, 'batch_size')}"],
        ["Budget", f"{_each(rows['epochs'])} epochs"],
        ["Seeds", _each(sorted(rows["seed"].unique())) + _rounds(analysis)],
        ["Variants", _counted(analysis)],
        ["Primary measure", _measure(analysis.view.primary, task)],
        ["Margin of equivalence", _margin(analysis)],
        ["Values at", AT.get(str(at), f"epoch {at}").format(words=MAIN[task].words)],
        [
            "Baseline",
            ", ".join(dict.fromkeys(analysis.compared.baselines.values()))
            or "none chosen, so differences are not computed",
        ],
        ["Tuning", _tuning(analysis.compared.manifest)],
        ["Versions", "; ".join(filter(None, map(_version, listed["versions"])))],
    ]
    named = ("model", "optimizer", "batch_size", "epochs", "data", "data.split")
    others = [key for key in varying if not key.startswith(("model.", "optimizer.")) and key not in named]
    if others:
        found.insert(7, ["Also varies", "; ".join(f"{key}: {_values(settings, key)}" for key in others)])
    return [pair for pair in found if pair[1]]


def _each(values: Iterable[Any]) -> str:
    """Return the different values, in order; a range of whole numbers as its ends."""
    found = list(dict.fromkeys(values))
    if len(found) > 2 and all(isinstance(v, int) or hasattr(v, "dtype") for v in found):
        numbers = [int(v) for v in found]
        if numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(str(value) for value in found[:8]) + (", …" if len(found) > 8 else "")


def _values(settings: list[dict[str, Any]], key: str) -> str:
    return _each(_text(setting[key]) for setting in settings if key in setting)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _of_group(group: str, settings: list[dict[str, Any]]) -> str:
    """Return an option with its settings, such as `adam (lr 0.001)`."""
    prefix = f"{group}."
    keys = dict.fromkeys(key for setting in settings for key in setting if key.startswith(prefix))
    unset = ("none", "0.0", "null", "false")
    shown = {key.removeprefix(prefix): _values(settings, key) for key in keys}
    details = ", ".join(f"{key} {value}" for key, value in shown.items() if value not in unset)
    return _values(settings, group) + (f" ({details})" if details else "")


def _counted(analysis: Analysis) -> str:
    rows = analysis.compared.rows
    states = rows["state"].value_counts()
    diverged = f", {states['diverged']} diverged" if "diverged" in states else ""
    return f"{rows['variant'].nunique()}, with {len(rows)} runs{diverged}"


def _measure(name: str, task: str) -> str:
    measure = measures_of(task).get(name, MEASURES.get(name))
    return f"{measure.label} ({name}), fixed before the first run" if measure else name


def _rounds(analysis: Analysis) -> str:
    """Return when the study adds no more seeds; empty if their number was given."""
    testing = analysis.compared.testing
    if testing.round is None:
        return ""
    unit = measures_of(analysis.compared.study.task)[analysis.view.primary].difference_unit
    return (
        f", in {testing.round.number} of at most {len(testing.round.seeds)} rounds, until intervals are"
        f" ±{testing.half_width:.6g}{f' {unit}' if unit else ''}"
    )


def _margin(analysis: Analysis) -> str:
    """Return the margin of equivalence with its unit; empty if the study has none."""
    margin, name = analysis.compared.margin, analysis.view.primary
    if margin is None:
        return ""
    unit = measures_of(analysis.compared.study.task)[name].difference_unit
    return f"±{margin:.6g}{f' {unit}' if unit else ''} in {name}, fixed before the first run"


def _tuning(manifest: Mapping[str, Any] | None) -> str:
    if manifest is None:
        return "none: settings were given"
    tuning = manifest["tuning"]
    trials = f"{tuning['trials']} trials of each regularizer" if tuning.get("trials") else "all listed values"
    budgets = manifest.get("budgets", {}).values()
    if budgets:
        counts, epochs = (_each(budget[key] for budget in budgets) for key in ("trials", "epochs"))
        trials = f"{counts} trials and {epochs} epochs of each regularizer"
    return (
        f"{tuning['search']}, {trials}, chosen by mean {tuning['select']} over seeds {_each(tuning['tuning_seeds'])},"
        f" compared on fresh seeds {_each(tuning['fresh_seeds'])}"
    )


def _version(versions: Mapping[str, str]) -> str:
    names = {"regstudy": "regstudy", "torch": "torch", "python": "Python", "numba": "Numba", "device": "on"}
    return ", ".join(f"{name} {versions[key]}" for key, name in names.items() if key in versions)
