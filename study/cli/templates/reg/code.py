"""The penalty of reg=NAME."""

from torch import Tensor


def NAME(w: Tensor, power: float) -> Tensor:
    """Return R(w) = Σ|w|^power of one tensor, a scalar (bridge, Frank and Friedman 1993).

    study adds λR(w) to the loss for each parameter tensor in reg.scope. Autograd computes the gradient.

    Args:
        w: a parameter tensor of any shape.
        power: a key of reg/NAME.yaml. Further arguments are further keys.
    """
    return w.abs().pow(power).sum()


# To change data, gradients, weights or the model instead of the loss, write a subclass of
# study.regularizers.Regularizer, and name it in _target_. Its docstrings describe the hooks.
