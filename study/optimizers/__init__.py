"""Optimizers, each a function that `_target_` names in conf/optimizer/. None brings weight decay of its own."""

from study.optimizers.first_order import adam, sgd

__all__ = ["adam", "sgd"]
