"""Models. Each is a function that `_target_` in conf/model/ names. Torch's defaults initialize the weights."""

from study.models.blocks import BatchNorm
from study.models.convolutional import cnn
from study.models.fully_connected import MLP, linear, mlp
from study.models.transformer import vit_tiny

__all__ = ["MLP", "BatchNorm", "cnn", "linear", "mlp", "vit_tiny"]
