"""The figure NAME."""

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from study.analysis.drawing.view import View, shown


def NAME(view: View, measure: str = "val_accuracy") -> Figure:
    """Return a figure with a row for each variant, and a dot for each of its complete runs.

    study closes and saves it. To change a figure that comes with study, a YAML file alone is enough.

    Args:
        view: `rows` has a row per run, `per_epoch` one per run and epoch, `looks` the label, colour, dash and marker
            of each variant, `style` the widths of the venue in inches.
        measure: a key of figure/NAME.yaml. Further arguments are further keys.
    """
    measure = view.in_task(measure, "measure")  # in a study of a regression, the loss in place of an accuracy
    runs = view.complete()  # without runs that diverged
    figure, axis = plt.subplots(figsize=(view.style.single, 2))
    for row, (variant, look) in enumerate(view.looks.items()):
        values = shown(runs.loc[runs["variant"] == variant, measure], measure)  # accuracies in %
        axis.plot(values, [row] * len(values), color=look.colour, marker=look.marker, linestyle="none")
    axis.set_yticks(range(len(view.looks)), [look.label for look in view.looks.values()])
    axis.set_xlabel(view.label(measure))
    return figure
