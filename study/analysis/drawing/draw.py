"""Drawing figures side by side, and writing each as PDF, SVG and PNG."""

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
from study.analysis.drawing.specs import Spec
from study.analysis.drawing.style import PNG_DPI, as_drawn
from study.analysis.drawing.view import View
from study.errors import USER_ERRORS, ConfigError, StudyError, one_line
from study.records.files import write_whole

MOST_LAYOUTS = 5
FOLDER = "figures"  # in a study's folder analysis/
METADATA = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": None}  # the same bytes every time


def draw_all(target: Path, specs: Sequence[Spec], view: View, selection: str, usetex: bool) -> None:
    """Draw the figures that have changed side by side; one by one where processes cannot be forked, or one failed.

    Args:
        target: a study's folder analysis/.
        specs: what to draw.
        view: of what.
        selection: a line that says which variants are shown, where nobody asked for these.
        usetex: whether LaTeX sets the text.

    Raises:
        ConfigError: an option of a figure is not allowed.
        StudyError: the study has nothing for one of them.
    """
    folder = target / FOLDER
    folder.mkdir(exist_ok=True)
    keys = unchanged.keys_of(specs, view, selection, usetex)
    same = unchanged.same(view.study.folder, folder, keys, tuple(METADATA))
    specs = [spec for spec in specs if spec.name not in same]
    if not specs:
        return
    if any(spec.reads_histograms for spec in specs):
        for rows in (view.rows, view.rows.assign(epoch=0)):  # read here, so that the index gets them
            view.study.histograms(rows)
    arguments = {spec.name: (target, spec, view, selection, usetex) for spec in specs}
    if sys.platform == "linux":
        for backend in ("pdf", "svg"):  # here once, instead of in every process
            importlib.import_module(f"matplotlib.backends.backend_{backend}")
        context = multiprocessing.get_context("fork")  # what was read is shared, not sent
        processes = {name: context.Process(target=_draw_quietly, args=arguments[name]) for name in arguments}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of the BLAS, which takes part in forks
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
        with suppress(OSError):  # without it they are drawn again; what is told is why one could not be drawn
            unchanged.remember(view.study.folder, folder, drawn, tuple(METADATA))


def lay_out(figure: Figure) -> None:
    """Fix where everything lies: a layout changes ticks, which change the layout, until both agree."""
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
    except BaseException:  # Ctrl-C and its like included, of which the command tells
        os._exit(1)  # drawn once more where errors can be told


def _draw(target: Path, spec: Spec, view: View, selection: str, usetex: bool) -> None:
    try:
        _draw_one(target, spec, view, selection, usetex)
    except (RuntimeError, FileNotFoundError) as error:
        if not usetex:
            raise
        reason = next((line for line in str(error).splitlines() if line.startswith("!")), one_line(error))
        raise StudyError(
            f"usetex=true: LaTeX cannot set the text of {spec.name} ({reason}); it needs dvipng and the packages"
            " type1cm, cm-super and underscore; or leave usetex out"
        ) from None


def _draw_one(target: Path, spec: Spec, view: View, selection: str, usetex: bool) -> None:
    with plt.rc_context(view.style.rc(usetex)):
        try:
            figure = _drawn_by(spec, view.filtered(spec.filter))
        except ConfigError as error:
            raise ConfigError(f"figure {spec.name}: {str(error).removeprefix('figures: ')}") from None
        if selection and figure.get_suptitle() == "":
            figure.suptitle(selection[0].upper() + selection[1:], fontsize="small")
        _change_texts(figure)
        lay_out(figure)
        with plt.rc_context({"figure.constrained_layout.use": False}):
            # A figure that has a layout engine, be it "none", is drawn once more before each file is written.
            figure.set_layout_engine(None)
            for kind, metadata in METADATA.items():
                content = io.BytesIO()
                figure.savefig(content, format=kind, dpi=PNG_DPI, metadata=metadata)
                write_whole(target / FOLDER / f"{spec.name}.{kind}", content.getvalue())
        plt.close(figure)


def _change_texts(figure: Figure) -> None:
    """Make all texts of a figure what is drawn; names at ticks are set anew whenever that happens, by a formatter."""
    changed = []
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        names = axis.get_major_formatter()  # one for axes that share ticks
        if isinstance(axis.get_major_locator(), FixedLocator) and names not in changed:
            axis.set_major_formatter(partial(_tick_text, names))
            changed.append(axis.get_major_formatter())
    for text in figure.findobj(Text):
        text.set_text(as_drawn(text.get_text()))


def _tick_text(names: Formatter, value: float, place: int | None) -> str:
    return as_drawn(names(value, place))


def _drawn_by(spec: Spec, view: View) -> Figure:
    """The figure that a function returns; what goes wrong in one that is not this package's is told."""
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
        raise ConfigError(f"{function} returns no matplotlib.figure.Figure")
    return figure
