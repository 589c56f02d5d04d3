"""Quantiles of the weights over the epochs, a panel per variant."""

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from study.analysis.drawing.layout import grid_shape, wrapped
from study.analysis.drawing.scaling import chosen
from study.analysis.drawing.view import View
from study.errors import ConfigError

COLUMNS = 4
LINEAR = 1e-3  # |value| below which the scale is linear
TICKS = (0.01, 0.1, 1.0, 10.0)
BANDS = (("q001", "q999", 0.15), ("q01", "q99", 0.2), ("q05", "q95", 0.3), ("q25", "q75", 0.45))  # with their opacity


def fan(view: View, parameter: str = r"hidden\.0\.weight", logarithmic: bool = True) -> Figure:
    """Draw the median of one parameter tensor, and bands between quantiles, over the epochs.

    The bands are 0.1 to 99.9 %, 1 to 99 %, 5 to 95 %, and 25 to 75 %. Each quantile is the mean over seeds.

    Args:
        view: the runs.
        parameter: a regular expression that must match the whole name of one parameter.
        logarithmic: whether the scale is signed-logarithmic, linear between ±0.001.

    Raises:
        ConfigError: `parameter` matches no name, or several.
    """
    table = chosen(view.study.weights, parameter)
    names = table["parameter"].unique()
    if len(names) > 1:
        raise ConfigError(f"parameter={parameter}: matches {', '.join(names)}. It must match exactly one")
    rows, columns = grid_shape(len(view.looks), COLUMNS)
    width = view.style.double * min(1.0, columns / COLUMNS + 0.1)
    size = (width, (1.15 * width / columns + 0.1) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
    for axis in axes.ravel()[len(view.looks) :]:
        axis.set_axis_off()
    title_width = int(19 * (width / columns / 1.75) * 9 / view.style.size)
    for number, (variant, look) in enumerate(view.looks.items()):
        axis, own = axes.ravel()[number], table[table["variant"] == variant]
        quantiles = own.groupby("epoch")[[name for low, high, _ in BANDS for name in (low, high)] + ["q50"]].mean()
        for low, high, opacity in BANDS:
            axis.fill_between(quantiles.index, quantiles[low], quantiles[high], color=look.colour, alpha=opacity, lw=0)
        axis.plot(quantiles.index, quantiles["q50"], color="white", linewidth=1)
        axis.set_title(wrapped(look.label, title_width))
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        if logarithmic:
            axis.set_yscale("symlog", linthresh=LINEAR, linscale=0.6)
            axis.yaxis.set_major_locator(FixedLocator([-t for t in reversed(TICKS)] + [0.0, *TICKS]))
        if number % columns == 0:
            axis.set_ylabel(names[0], family="monospace")
        if number >= len(view.looks) - columns:
            axis.set_xlabel("Epoch")
            axis.tick_params(labelbottom=True)
    return figure
