"""Draw figures in parallel and write each as PDF, SVG and PNG, with its caption as text."""

import importlib
import io
import multiprocessing
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, Formatter

from study.analysis.drawing import unchanged
from study.analysis.drawing.bands import INTERVAL
from study.analysis.drawing.captions import caption_of
from study.analysis.drawing.labels import as_drawn
from study.analysis.drawing.specs import Spec
from study.analysis.drawing.style import PNG_DPI
from study.analysis.drawing.view import View
from study.analysis.statistics.seed_design import shares_seeds
from study.errors import USER_ERRORS, ConfigError, StudyError, one_line
from study.records.files import write_whole

MOST_LAYOUTS = 5
FOLDER = "figures"  # in the folder analysis/ of a study
# Without dates, the same figure gives the same bytes.
CAPTION = "txt"
METADATA = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": None}
KINDS = (*METADATA, CAPTION)


def draw_all(target: Path, specs: Sequence[Spec], view: View, selection: str, usetex: bool) -> None:
    """Draw the figures that have changed, in parallel.

    Figures are drawn one by one where processes cannot be forked. A figure whose process failed is drawn again in this
    process, so that its error message is shown.

    Args:
        target: the folder analysis/ of a study.
        specs: the figures.
        view: the runs to draw.
        selection: a line that states which variants are shown; empty if all are.
        usetex: whether LaTeX sets the text.

    Raises:
        ConfigError: an option of a figure is not allowed.
        StudyError: the study lacks the data for a figure.
    """
    intervals = [spec.name for spec in specs if spec.options.get("band") == INTERVAL]
    if intervals and shares_seeds(view.rows):
        raise ConfigError(
            f"figures={intervals[0]}: band=interval requires independent runs, and runs of this study share seeds of"
            " single sources. Use band=range"
        )
    folder = target / FOLDER
    folder.mkdir(exist_ok=True)
    keys = unchanged.keys_of(specs, view, selection, usetex)
    same = unchanged.same(view.study.folder, folder, keys, KINDS)
    specs = [spec for spec in specs if spec.name not in same]
    if not specs:
        return
    if any(spec.reads_histograms for spec in specs):
        for rows in (view.rows, view.rows.assign(epoch=0)):  # read in this process, so that the index stores them
            view.study.histograms(rows)
    arguments = {spec.name: (target, spec, view, selection, usetex) for spec in specs}
    if sys.platform == "linux":
        for backend in ("pdf", "svg"):  # once here, not in every process
            importlib.import_module(f"matplotlib.backends.backend_{backend}")
        context = multiprocessing.get_context("fork")  # forked processes share the data that is already in memory
        processes = {name: context.Process(target=_draw_quietly, args=arguments[name]) for name in arguments}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the threads of the BLAS; it has fork handlers
            for process in processes.values():
                process.start()
        for name, process in processes.items():
            process.join()
            if process.exitcode == 0:
                del arguments[name]
    try:
        for name in list(arguments):
            _draw(*arguments[name])
            del arguments[name]
    finally:
        drawn = {spec.name: keys[spec.name] for spec in specs if spec.name not in arguments}
        with suppress(OSError):  # must not hide the error of a figure; if it fails, figures are drawn again next time
            unchanged.remember(view.study.folder, folder, drawn, KINDS)


def lay_out(figure: Figure) -> None:
    """Fix the position of everything in a figure.

    A layout can change the ticks, and ticks can change the layout. It is therefore repeated until positions are stable.
    """
    places: list[tuple[float, ...]] = []
    for _ in range(MOST_LAYOUTS):
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
        before, places = places, [axis.get_position().bounds for axis in figure.axes]
        if before and np.allclose(before, places, atol=1e-3):
            break
    figure.set_layout_engine("none")


def _draw_quietly(target: Path, spec: Spec, view: View, selection: str, usetex: bool) -> None:
    try:
        _draw(target, spec, view, selection, usetex)
    except BaseException:  # Ctrl-C included: the parent process reports it
        os._exit(1)  # the parent process draws it again and reports the error


def _draw(target: Path, spec: Spec, view: View, selection: str, usetex: bool) -> None:
    try:
        _draw_one(target, spec, view, selection, usetex)
    except (RuntimeError, FileNotFoundError) as error:
        if not usetex:
            raise
        reason = next((line for line in str(error).splitlines() if line.startswith("!")), one_line(error))
        raise StudyError(
            f"usetex=true: LaTeX cannot set the text of {spec.name} ({reason}). Install dvipng and the packages"
            " type1cm, cm-super and underscore, or remove usetex=true"
        ) from None


def _draw_one(target: Path, spec: Spec, view: View, selection: str, usetex: bool) -> None:
    with plt.rc_context(view.style.rc(usetex)):
        figure = drawn(spec, view, selection)
        with plt.rc_context({"figure.constrained_layout.use": False}):
            for kind, metadata in METADATA.items():
                content = io.BytesIO()
                figure.savefig(content, format=kind, dpi=PNG_DPI, metadata=metadata)
                write_whole(target / FOLDER / f"{spec.name}.{kind}", content.getvalue())
            write_whole(
                target / FOLDER / f"{spec.name}.{CAPTION}", caption_of(spec, view.filtered(spec.filter), selection)
            )


def drawn(spec: Spec, view: View, selection: str) -> Figure:
    """Return a figure with its final layout, closed for pyplot. The style's settings must be in force.

    Args:
        spec: the figure.
        view: the runs to draw, before the figure's own filter.
        selection: a line that states which variants are shown; empty if all are.

    Raises:
        ConfigError: an option of the figure is not allowed.
        StudyError: the study lacks the data for it.
    """
    try:
        figure = _drawn_by(spec, view.filtered(spec.filter))
    except ConfigError as error:
        raise ConfigError(f"figure {spec.name}: {str(error).removeprefix('figures: ')}") from None
    plt.close(figure)
    if selection and not spec.shows_all_variants and figure.get_suptitle() == "":
        figure.suptitle(selection[0].upper() + selection[1:], fontsize="small")
    _change_texts(figure)
    lay_out(figure)
    with plt.rc_context({"figure.constrained_layout.use": False}):
        # Matplotlib draws a figure with any layout engine, even "none", once more before it writes each file.
        figure.set_layout_engine(None)
    return figure


def _change_texts(figure: Figure) -> None:
    """Replace each text of a figure by the text that can be drawn; see `as_drawn`.

    Matplotlib sets the labels of ticks again at each drawing, so a formatter replaces those.
    """
    changed = []
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        names = axis.get_major_formatter()  # axes that share ticks share one formatter
        if isinstance(axis.get_major_locator(), FixedLocator) and names not in changed:
            axis.set_major_formatter(partial(_tick_text, names))
            changed.append(axis.get_major_formatter())
    for text in figure.findobj(Text):
        text.set_text(as_drawn(text.get_text()))


def _tick_text(names: Formatter, value: float, place: int | None) -> str:
    return as_drawn(names(value, place))


def _drawn_by(spec: Spec, view: View) -> Figure:
    """Return the figure that the function of a spec draws; an exception in a user's function becomes a ConfigError."""
    own = spec.draw.__module__.startswith(f"{__name__.partition('.')[0]}.")
    function = f"{spec.draw.__module__}.{getattr(spec.draw, '__qualname__', spec.draw)}"
    try:
        figure = spec.draw(view, **spec.options)
    except USER_ERRORS:
        raise
    except Exception as error:
        if own:
            raise
        raise ConfigError(f"{function} fails ({type(error).__name__}: {one_line(error)})") from error
    if not isinstance(figure, Figure):
        raise ConfigError(f"{function} returns {type(figure).__name__}: it must return a matplotlib.figure.Figure")
    return figure
