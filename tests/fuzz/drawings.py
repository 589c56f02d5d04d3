"""Figure functions as users write them, with mistakes."""

from matplotlib import pyplot as plt

number = 3


def sound(view, title: str = "Own", size=1):
    figure, axis = plt.subplots()
    axis.plot(view.rows["train_accuracy"], view.rows["val_accuracy"], "o", markersize=size)
    axis.set_title(title)
    return figure


def of_nothing(view):
    return None


def raising(view, message="no column"):
    raise KeyError(message)


def without_view():
    return plt.figure()


def any_options(view, **options):
    return plt.figure(**options)
