"""The measures of a run: names, units, and which direction is better."""

from dataclasses import dataclass

from study.errors import ConfigError


@dataclass(frozen=True)
class Measure:
    """One number of a run at one epoch.

    Attributes:
        name: a column of `gaps.at_epoch`.
        label: name for axes and headers.
        unit: unit of the stored values.
        better: 1 if larger is better, -1 if smaller is better.
        selectable: whether a choice may use it. Test scores are not allowed, and neither are gaps: fitting less
            shrinks a gap.
    """

    name: str
    label: str
    unit: str
    better: int
    selectable: bool = False

    @property
    def factor(self) -> int:
        """The factor from stored values to displayed values."""
        return 100 if self.unit == "fraction" else 1

    @property
    def shown_unit(self) -> str:
        """The unit of displayed values."""
        return "%" if self.unit == "fraction" else self.unit

    @property
    def difference_unit(self) -> str:
        """The unit of displayed differences."""
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
        Measure("support_precision", "Support precision", "fraction", 1),
        Measure("support_recall", "Support recall", "fraction", 1),
    )
}
SELECTABLE = [name for name, measure in MEASURES.items() if measure.selectable]


def check_primary(name: str) -> str:
    """Return the name of a study's primary measure if it exists.

    Raises:
        ConfigError: there is no such measure.
    """
    if name not in MEASURES:
        raise ConfigError(f"primary={name}: allowed: {', '.join(MEASURES)}")
    return name


def check_selectable(name: str) -> str:
    """Return the name of a measure if a tuned study may choose by it.

    Raises:
        ConfigError: it is a test score, a gap, or no measure.
    """
    if name in SELECTABLE:
        return name
    reason = ""
    if name.startswith("test"):
        reason = "the test set must not take part in a choice; "
    elif name.endswith("gap"):
        reason = "a model that fits less has a smaller gap; "
    raise ConfigError(f"select={name}: {reason}allowed: {', '.join(SELECTABLE)}")
