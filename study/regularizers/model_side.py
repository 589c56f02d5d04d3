"""Regularizers that are part of the model. They set options of the model: `reg=dropout` sets `model.dropout`."""

from collections.abc import Mapping
from typing import Any

from study.regularizers.base import LamRange, Regularizer

WITH_UNITS = ("mlp", "cnn", "resnet18", "vit_tiny")


class Dropout(Regularizer):
    """Sets a fraction λ of the units of each hidden layer to 0 in each step, and multiplies the others by 1/(1 − λ).

    Srivastava et al. 2014, where p is the fraction that is kept. Sets `model.dropout`.
    """

    takes_scope = False
    acts = False
    of_models = WITH_UNITS
    lam_range = LamRange(high=1.0)
    in_step: Mapping[str, float] = {}

    def model_options(self, lam: float) -> Mapping[str, Any]:
        return {"dropout": lam}


class BatchNorm(Regularizer):
    """Batch normalization (Ioffe and Szegedy 2015). It has no λ. Sets `model.norm`."""

    takes_lam = False
    takes_scope = False
    acts = False
    of_models = WITH_UNITS
    in_step: Mapping[str, float] = {}

    def model_options(self, lam: float) -> Mapping[str, Any]:
        return {"norm": "batch"}


class StochasticDepth(Regularizer):
    """Drops the residual branch of each block with a probability that grows linearly to λ in the last block.

    Huang et al. 2016, arXiv:1603.09382. Branches that are kept are divided by the probability of keeping them. Sets
    `model.stochastic_depth`.
    """

    takes_scope = False
    acts = False
    of_models = ("resnet18", "vit_tiny")
    lam_range = LamRange(high=1.0)
    in_step: Mapping[str, float] = {}

    def model_options(self, lam: float) -> Mapping[str, Any]:
        return {"stochastic_depth": lam}
