"""Optimizers. Each is a function that `_target_` in conf/optimizer/ names. None of them has weight decay."""

from study.optimizers.first_order import adam, adamw, rmsprop, sgd

__all__ = ["adam", "adamw", "rmsprop", "sgd"]
