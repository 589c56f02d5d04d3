"""Regularizers that are part of the model. They set options of the model: `reg=dropout` sets `model.dropout`."""

from collections.abc import Mapping
from typing import Any

from study.regularizers.base import LamRange, Regularizer


class Dropout(Regularizer):
    """Sets a fraction λ of the units of each hidden layer to 0 in each step, and multiplies the others by 1/(1 − λ).

    Srivastava et al. 2014, where p is the fraction that is kept. Sets `model.dropout`.
    """

    takes_scope = False
    acts = False
    lam_range = LamRange(high=1.0)
    in_step: Mapping[str, float] = {}

    def model_options(self, lam: float) -> Mapping[str, Any]:
        return {"dropout": lam}


class BatchNorm(Regularizer):
    """Batch normalization before each ReLU (Ioffe and Szegedy 2015). It has no λ. Sets `model.batch_norm`."""

    takes_lam = False
    takes_scope = False
    acts = False
    in_step: Mapping[str, float] = {}

    def model_options(self, lam: float) -> Mapping[str, Any]:
        return {"batch_norm": True}
