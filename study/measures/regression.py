"""Scores of a regression: mean squared error, R² and mean absolute error."""

from dataclasses import dataclass

from torch import Tensor

from study.data.splits import Unit


@dataclass(frozen=True)
class RegressionScore:
    """Scores of one split of a regression.

    Attributes:
        loss: mean squared error without the penalty, mean over examples and outputs. If the targets were standardized,
            its unit is the variance of the training targets.
        r2: coefficient of determination, at most 1; None if a target is constant in the split.
        mae: mean absolute error in the targets' own unit.
        count: number of examples scored.
    """

    loss: float
    r2: float | None
    mae: float
    count: int


@dataclass(frozen=True)
class RegressionPredictions:
    """Target and prediction in the targets' own unit, float32 (n,), or (n, k) for k > 1 targets."""

    label: Tensor
    predicted: Tensor


@dataclass(frozen=True)
class ScoredRegression:
    """A scored split of a regression.

    Attributes:
        targets: y, (n, k).
        outputs: ŷ of the model, (n, k).
        losses: the squared error of each example, mean over its outputs, (n,).
        unit: how the targets were standardized; None if they were not.
    """

    targets: Tensor
    outputs: Tensor
    losses: Tensor
    unit: Unit | None

    def score(self) -> RegressionScore:
        """Loss, R² and mean absolute error, summed in float64 on the CPU."""
        targets, outputs = self.targets.cpu().double(), self.outputs.cpu().double()
        errors = outputs - targets
        scale = 1.0 if self.unit is None else self.unit.scale.cpu().double()
        loss = float(self.losses.cpu().double().mean())
        return RegressionScore(loss, r_squared(targets, errors), float((errors.abs() * scale).mean()), len(targets))

    def predictions(self) -> RegressionPredictions:
        """The predictions that predictions.npz stores."""
        return RegressionPredictions(self._in_own_unit(self.targets), self._in_own_unit(self.outputs))

    def _in_own_unit(self, values: Tensor) -> Tensor:
        values = values.cpu().double()
        if self.unit is not None:
            values = values * self.unit.scale.cpu().double() + self.unit.mean.cpu().double()
        return (values[:, 0] if values.shape[1] == 1 else values).float()


def r_squared(targets: Tensor, errors: Tensor) -> float | None:
    """1 − Σ(y − ŷ)²/Σ(y − ȳ)², with the mean ȳ of these targets; the mean over outputs if there are several.

    It is negative where predictions are worse than that mean.

    Args:
        targets: y, (n, k).
        errors: ŷ − y, (n, k).

    Returns:
        The value; None if a target is constant, which leaves it undefined.
    """
    total = (targets - targets.mean(dim=0)).square().sum(dim=0)
    if not bool((total > 0).all()):
        return None
    return float((1 - errors.square().sum(dim=0) / total).mean())
