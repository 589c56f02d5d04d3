"""What is part of the model: these options set the model's own, and `model.dropout=0.5` means the same as they do."""

from collections.abc import Mapping
from typing import Any

from study.regularizers.base import LamRange, Regularizer


class Dropout(Regularizer):
    """After each hidden layer a share λ of the units is set to 0 in each step, the others are multiplied by 1/(1 − λ)
    (Srivastava et al. 2014, who call the share that is kept p). Sets `model.dropout`.
    """

    takes_scope = False
    acts = False
    lam_range = LamRange(high=1.0)
    in_step: Mapping[str, float] = {}

    def model_options(self, lam: float) -> Mapping[str, Any]:
        return {"dropout": lam}


class BatchNorm(Regularizer):
    """Batch normalization before each ReLU (Ioffe and Szegedy 2015); it has no strength. Sets `model.batch_norm`."""

    takes_lam = False
    takes_scope = False
    acts = False
    in_step: Mapping[str, float] = {}

    def model_options(self, lam: float) -> Mapping[str, Any]:
        return {"batch_norm": True}
