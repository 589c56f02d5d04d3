"""Drawing figures side by side, and writing each as PNG and PDF."""

import io
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from study.analysis import figures, weight_figures
from study.analysis.collect import Study
from study.recording import write_whole

FIGURES: dict[str, Callable[[Study, pd.DataFrame], Figure]] = {
    "curves": lambda study, _rows: figures.curves(study),
    "gap": lambda study, _rows: figures.gap(study),
    "weights": weight_figures.weights,
}


def draw_all(target: Path, names: Sequence[str], study: Study, rows: pd.DataFrame, selection: str) -> None:
    """Draw the figures side by side; one by one where processes cannot be forked, or one of them failed."""
    (target / "figures").mkdir(exist_ok=True)
    if "weights" in names:
        study.histograms(rows)  # read here, so that the index gets them
    arguments = {name: (target, name, study, rows, selection) for name in names}
    if sys.platform == "linux":
        context = multiprocessing.get_context("fork")  # what was read is shared, not sent
        processes = {name: context.Process(target=_draw_quietly, args=arguments[name]) for name in names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of the BLAS, which takes part in forks
            for process in processes.values():
                process.start()
        for name, process in processes.items():
            process.join()
            if process.exitcode == 0:
                del arguments[name]
    for name in arguments:
        _draw(*arguments[name])


def _draw_quietly(*arguments: Any) -> None:
    try:
        _draw(*arguments)
    except Exception:
        os._exit(1)  # drawn once more where errors can be told


def _draw(target: Path, name: str, study: Study, rows: pd.DataFrame, selection: str) -> None:
    figure = FIGURES[name](study, rows)
    if selection:
        figure.suptitle(selection[0].upper() + selection[1:], fontsize=8)
    figure.draw_without_rendering()  # lays it out; once is enough, and half of the time of saving
    figure.set_layout_engine("none")
    for kind in ("png", "pdf"):
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=200, metadata={"CreationDate": None} if kind == "pdf" else None)
        write_whole(target / "figures" / f"{name}.{kind}", content.getvalue())
    plt.close(figure)
