"""Models, each a function that `_target_` names in conf/model/; initialized as torch does by default."""

from study.models.fully_connected import MLP, BatchNorm, linear, mlp

__all__ = ["MLP", "BatchNorm", "linear", "mlp"]
