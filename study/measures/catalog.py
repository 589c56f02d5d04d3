"""What is measured of a run: names, units, and which direction is better."""

from dataclasses import dataclass

from study.errors import ConfigError


@dataclass(frozen=True)
class Measure:
    """One number of a run at one epoch.

    Attributes:
        name: a column of `gaps.at_epoch`.
        label: in words, for axes and headers.
        unit: of its values as they are stored.
        better: 1 where larger is better, -1 where smaller is.
        selectable: whether a choice may be made by it: not by test scores, and not by a gap, which fitting less
            shrinks.
    """

    name: str
    label: str
    unit: str
    better: int
    selectable: bool = False

    @property
    def factor(self) -> int:
        """What values are multiplied by to be shown."""
        return 100 if self.unit == "fraction" else 1

    @property
    def shown_unit(self) -> str:
        """The unit of values that are shown."""
        return "%" if self.unit == "fraction" else self.unit

    @property
    def difference_unit(self) -> str:
        """The unit of differences that are shown."""
        return "points" if self.unit == "fraction" else self.unit


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("train_accuracy", "Training accuracy", "fraction", 1),
        Measure("val_accuracy", "Validation accuracy", "fraction", 1, selectable=True),
        Measure("test_accuracy", "Test accuracy", "fraction", 1),
        Measure("accuracy_gap", "Accuracy gap", "points", -1),
        Measure("train_loss", "Training loss", "nats", -1),
        Measure("val_loss", "Validation loss", "nats", -1, selectable=True),
        Measure("test_loss", "Test loss", "nats", -1),
        Measure("loss_gap", "Loss gap", "nats", -1),
        Measure("val_ece", "Validation ECE", "fraction", -1),
        Measure("val_brier", "Validation Brier score", "", -1),
        Measure("test_ece", "Test ECE", "fraction", -1),
        Measure("test_brier", "Test Brier score", "", -1),
        Measure("weights_l1", "Σ|w|", "", -1),
        Measure("weights_l2", "‖w‖₂", "", -1),
        Measure("abs_max", "Maximum |w|", "", -1),
        Measure("zero_fraction", "w = 0", "fraction", 1),
        Measure("near_zero_fraction", "|w| < 0.001", "fraction", 1),
    )
}
SELECTABLE = [name for name, measure in MEASURES.items() if measure.selectable]


def check_primary(name: str) -> str:
    """The measure that a study decides by.

    Raises:
        ConfigError: there is no such measure.
    """
    if name not in MEASURES:
        raise ConfigError(f"primary={name}: allowed: {', '.join(MEASURES)}")
    return name


def check_selectable(name: str) -> str:
    """A measure by which a tuned study may choose.

    Raises:
        ConfigError: it is a test score, a gap, or no measure.
    """
    if name in SELECTABLE:
        return name
    reason = ""
    if name.startswith("test"):
        reason = ": the test set is for what has been chosen, not for choosing"
    elif name.endswith("gap"):
        reason = ": a gap can be had by fitting less"
    raise ConfigError(f"select={name}: allowed: {', '.join(SELECTABLE)}{reason}")
