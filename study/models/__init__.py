"""Models. Each is a function that `_target_` in conf/model/ names. Torch's defaults initialize the weights."""

from study.models.fully_connected import MLP, BatchNorm, linear, mlp

__all__ = ["MLP", "BatchNorm", "linear", "mlp"]
