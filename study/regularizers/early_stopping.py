"""Early stopping: training ends when the validation score stops improving, and the best weights are the result."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from study.errors import ConfigError
from study.regularizers.base import Regularizer

BETTER = {"val_loss": -1, "val_accuracy": 1}  # sign of an improvement


class EarlyStopping(Regularizer):
    """Stops after `patience` epochs without a new best `monitor`, and restores the best weights (Prechelt 1998).

    Epoch 0 counts. With a patience of at least the budget, training never stops early, but the best epoch is still
    chosen. The validation score of the result is biased upwards, because it was selected. The test set is scored at
    the chosen epoch.
    """

    takes_lam = False
    takes_scope = False
    selects = True
    in_step: Mapping[str, float] = {}

    def __init__(self, patience: int = 5, monitor: str = "val_loss"):
        if patience < 1:
            raise ConfigError(f"reg.patience={patience}: a whole number of at least 1 is allowed")
        if monitor not in BETTER:
            raise ConfigError(f"reg.monitor={monitor}: allowed: {', '.join(BETTER)}")
        self.patience, self.monitor = patience, monitor
        if monitor == "val_accuracy":
            self.classification_only = "reg.monitor=val_accuracy requires classes (reg.monitor=val_loss does not)"
        self._best: dict[str, Any] = {"epoch": -1, "score": None, "weights": {}}
        self._epoch = -1

    def after_epoch(self, epoch: int, scores: Mapping[str, float], model: nn.Module) -> None:
        self._epoch, score = epoch, BETTER[self.monitor] * scores[self.monitor]
        if self._best["score"] is None or score > self._best["score"]:
            weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
            self._best = {"epoch": epoch, "score": score, "weights": weights}

    @property
    def stops(self) -> bool:
        return self._epoch - self._best["epoch"] >= self.patience

    def chosen_epoch(self, last: int) -> int:
        return self._best["epoch"]

    def choose(self, model: nn.Module) -> None:
        model.load_state_dict(self._best["weights"])

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "epoch": self._epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best, self._epoch = dict(state["best"]), state["epoch"]
