"""Incoming weights of the units of the first layer as images. Requires kept models."""

from importlib.resources.abc import Traversable

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from safetensors import SafetensorError
from safetensors.numpy import load

from study.analysis.drawing.layout import wrapped
from study.analysis.drawing.view import View
from study.analysis.reading.seals import FITS
from study.errors import StudyError, one_line
from study.records.changes import MEND, refuse_changed
from study.records.contract import MODEL
from study.records.status import read_status

UNITS = 12  # shown per variant


def first_layer(view: View, parameter: str = "hidden.0.weight", units: int = UNITS) -> Figure:
    """Draw the units with the largest ‖incoming weights‖₂ of each variant.

    Each variant shows its first seed with a kept model (`keep_model=true`). Each unit has its own symmetric scale: blue
    is negative, red is positive.

    Args:
        view: the runs.
        parameter: name of a weight matrix, (units, pixels).
        units: number of units per variant.

    Raises:
        StudyError: no run has a kept model, a model is damaged, or the inputs of the layer are not square images.
    """
    found = {}
    for variant in view.looks:
        for run in view.rows.loc[view.rows["variant"] == variant, "run"]:
            place = view.study.place(run)
            if (place / MODEL).is_file():
                if view.study.entries[run].facts["seal"] == FITS:
                    refuse_changed(place, read_status(place) or {}, (MODEL,))
                found[variant] = _weight(place / MODEL, parameter)
                break
    if not found:
        raise StudyError(
            f"figures: first_layer requires kept models, and no run in {view.study.folder} has one. Train with"
            " keep_model=true"
        )
    side = round(next(iter(found.values())).shape[1] ** 0.5)
    if any(weight.shape[1] != side * side for weight in found.values()):
        raise StudyError(f"figures: first_layer: the inputs of {parameter} are not square images")
    width = view.style.double
    size = (width, width / (units + 2) * len(found) * 1.12)
    figure, axes = plt.subplots(len(found), units, figsize=size, squeeze=False)
    for row, (variant, weight) in zip(axes, found.items(), strict=True):
        order = np.argsort(-np.linalg.norm(weight, axis=1))[:units]
        for axis in row:
            axis.set_axis_off()
        for axis, unit in zip(row, order, strict=False):
            image = weight[unit].reshape(side, side)
            limit = np.abs(image).max() or 1.0
            axis.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        row[0].text(
            *(-0.15, 0.5, wrapped(view.looks[variant].label, 16)),
            **{"transform": row[0].transAxes, "ha": "right", "va": "center", "fontsize": "small"},
        )
    missing = [look.label for variant, look in view.looks.items() if variant not in found]
    if missing:
        figure.supxlabel(f"No kept model: {', '.join(missing)}", fontsize="small")
    return figure


def _weight(file: Traversable, parameter: str) -> np.ndarray:
    try:
        tensors = load(file.read_bytes())
    except (SafetensorError, OSError, ValueError) as error:
        raise StudyError(f"{file} cannot be read ({one_line(error)}); {MEND}") from None
    if parameter not in tensors or tensors[parameter].ndim != 2:
        matrices = ", ".join(name for name, tensor in tensors.items() if tensor.ndim == 2)
        raise StudyError(f"figures: first_layer: {file} has no matrix {parameter}. Its matrices: {matrices or 'none'}")
    return tensors[parameter]
