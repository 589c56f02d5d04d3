"""One step of the optimizer and the regularizers, as compiled code.

These functions are parts of `kernels.train_epoch`, except `step_of_tensor`, the whole step of any other model's tensor.
Each makes one pass over memory, or over data in the cache.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

# Sums may be reordered, so that they can be vectorized. NaN and infinity keep their meaning, to show divergence.
FLAGS = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
# `inlined` makes a function part of its caller. A separate function would exist in several versions of machine code
# that round differently, and what else the process has compiled would decide which version is called.
# No wrappers for Python and C are compiled, because only compiled code calls these functions.
inlined = njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **FLAGS)
compiled = njit(cache=True, no_cfunc_wrapper=True, **FLAGS)

# The columns of `coefficients`: what the regularizers do to one tensor in a step. The first three are the λ of the
# penalties Σ|w|, Σw² and ‖w‖₂. Then come the λ of decoupled weight decay, of soft-thresholding, and of shrinking groups
# (the weights and the bias of a unit). The last is the largest norm allowed for a unit's weights, by default infinite.
COEFFICIENTS = ("absolute", "square", "norm", "decay", "soft", "group", "cap")
ABSOLUTE, SQUARE, NORM, DECAY, SOFT, GROUP, CAP = range(7)
IN_CACHE = 4_096  # numbers of a tensor at a time
NEWTON = 8  # iterations, as in regularizers.projections


class Rule(NamedTuple):
    """An optimizer: Adam, or gradient descent with momentum `decay1`."""

    adam: bool
    lr: float
    decay1: float  # Adam's β₁
    decay2: float  # Adam's β₂
    eps: float  # Adam's ε


@inlined
def penalty_value(coefficients: np.ndarray, norms: np.ndarray) -> float:
    """Compute λR of one tensor from its Σ|w|, Σw² and Σ‖group‖₂."""
    absolute = coefficients[ABSOLUTE] + coefficients[SOFT]
    powers = absolute * norms[0] + coefficients[SQUARE] * norms[1] + coefficients[NORM] * np.sqrt(norms[1])
    return powers + coefficients[GROUP] * norms[2]


@inlined
def step_tensor(
    w: np.ndarray,
    gradient: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
    coefficients: np.ndarray,
    norms: np.ndarray,
    rule: Rule,
    step: int,
) -> tuple[float, float]:
    """Make one step for a tensor or a part of it, without groups and limits; return Σ|w| and Σw² after the step.

    Σ|w| may be 0 if it is not penalized, because it is not needed then.

    Args:
        w: the values, (n,).
        gradient: gradient of the data loss, (n,).
        state: first and second moments, (n,) each.
        coefficients: COEFFICIENTS of the tensor.
        norms: norms of the whole tensor before the step.
        rule: the optimizer.
        step: the number of the step, from 1.
    """
    sign, decay = coefficients[ABSOLUTE], 2 * coefficients[SQUARE]
    if norms[1] > 0:  # the subgradient of the norm at 0 is 0
        decay += coefficients[NORM] / np.sqrt(norms[1])
    if coefficients[DECAY] > 0:
        keep = w.dtype.type(1 - rule.lr * coefficients[DECAY])
        for i in range(len(w)):
            w[i] *= keep
    sums = _update(w, gradient, state, sign, decay, rule, step)
    if coefficients[SOFT] > 0:
        thresholds = _step_sizes(state[1], coefficients[SOFT], rule, step)
        for i in range(len(w)):
            x, threshold = w[i], thresholds[i]
            w[i] = x - threshold if x > threshold else (x + threshold if x < -threshold else w.dtype.type(0))
        sums = sums_of(w)
    return sums


@compiled
def step_of_tensor(
    w: np.ndarray,
    gradient: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
    coefficients: np.ndarray,
    rule: Rule,
    step: int,
) -> float:
    """Make one step for a whole tensor; return its penalty before the step. The arguments are those of `step_tensor`.

    The coefficients of groups and limits are ignored.
    """
    norms = np.zeros(3)
    if coefficients[NORM] > 0:  # its gradient depends on the whole tensor
        for begin in range(0, len(w), IN_CACHE):
            norms[1] += sums_of(w[begin : begin + IN_CACHE])[1]
    absolute = squares = 0.0
    for begin in range(0, len(w), IN_CACHE):
        part = slice(begin, min(begin + IN_CACHE, len(w)))
        sums = sums_of(w[part])
        absolute += sums[0]
        squares += sums[1]
        step_tensor(w[part], gradient[part], (state[0][part], state[1][part]), coefficients, norms, rule, step)
    norms[0], norms[1] = absolute, squares
    return penalty_value(coefficients, norms)


@inlined
def _step_sizes(moment2: np.ndarray, lam: float, rule: Rule, step: int):
    """λ times the optimizer's step for a constant gradient of 1, from the second moment; see regularizers.metric."""
    real = moment2.dtype.type
    sizes = np.empty_like(moment2)
    if rule.adam:
        lr, eps, correction = real(lam * rule.lr), real(rule.eps), real(1 / np.sqrt(1 - rule.decay2**step))
        for i in range(len(sizes)):
            sizes[i] = lr / (np.sqrt(moment2[i]) * correction + eps)
    else:
        sizes[:] = real(lam * rule.lr / (1 - rule.decay1))
    return sizes


@inlined
def group_norms(weight: np.ndarray, bias: np.ndarray, coefficients: np.ndarray) -> float:
    """Compute Σ‖group‖₂ over the rows of a weight; 0 if they are no groups."""
    total = 0.0
    if coefficients[0, GROUP] > 0:
        for j in range(len(weight)):
            squares = bias[j] * bias[j] if coefficients[1, GROUP] > 0 else bias.dtype.type(0)
            for i in range(weight.shape[1]):
                squares += weight[j, i] * weight[j, i]
            total += np.sqrt(squares)
    return total


@inlined
def shrink_groups(
    weight: np.ndarray,
    bias: np.ndarray,
    moment2: np.ndarray,
    bias_moment2: np.ndarray,
    coefficients: np.ndarray,
    rule: Rule,
    step: int,
) -> None:
    """Make the proximal step of λ‖w‖₂ for each unit. regularizers.projections.shrink_groups explains the iteration."""
    lam, width = coefficients[0, GROUP], weight.shape[1]
    with_bias = coefficients[1, GROUP] > 0
    row, steps = np.empty(width + 1), np.empty(width + 1)  # for one unit, with its bias last
    bias_steps = _step_sizes(bias_moment2, lam, rule, step)
    for j in range(len(weight)):
        unit_steps = _step_sizes(moment2[j], lam, rule, step)
        for i in range(width):
            row[i], steps[i] = weight[j, i], unit_steps[i]
        row[width], steps[width] = bias[j] if with_bias else 0.0, bias_steps[j]
        strength = 0.0
        for i in range(width + 1):
            strength += (row[i] / steps[i]) ** 2
        norm = 0.0
        if strength > 1:
            for _ in range(NEWTON):
                size, slope = 0.0, 0.0
                for i in range(width + 1):
                    share = row[i] / (norm + steps[i])
                    size += share * share
                    slope += share * share / (norm + steps[i])
                norm += (1 - 1 / np.sqrt(size)) * size**1.5 / slope
        for i in range(width):
            weight[j, i] = row[i] * norm / (norm + steps[i])
        if with_bias:
            bias[j] = row[width] * norm / (norm + steps[width])


@inlined
def limit_rows(weight: np.ndarray, limit: float) -> None:
    """Scale rows down to a limit if their norm is above it."""
    for j in range(len(weight)):
        squares = weight.dtype.type(0)
        for i in range(weight.shape[1]):
            squares += weight[j, i] * weight[j, i]
        if squares > limit * limit:
            scale = weight.dtype.type(limit / np.sqrt(squares))
            for i in range(weight.shape[1]):
                weight[j, i] *= scale


@inlined
def limit_units(
    weight: np.ndarray,
    bias: np.ndarray,
    moment2: np.ndarray,
    bias_moment2: np.ndarray,
    coefficients: np.ndarray,
    rule: Rule,
    step: int,
) -> tuple[float, float, float]:
    """Shrink groups and limit norms of units after a step; return Σ|w|, Σw² and Σ‖group‖₂ of the weights.

    Args:
        weight: weights of some or all units of a layer, (units, inputs); need not be contiguous.
        bias: (units,).
        moment2: the weight's second moment.
        bias_moment2: the bias's second moment.
        coefficients: coefficients of weight and bias, (2, 7).
        rule: the optimizer.
        step: the number of the step, from 1.
    """
    if coefficients[0, GROUP] > 0:
        shrink_groups(weight, bias, moment2, bias_moment2, coefficients, rule, step)
    if coefficients[0, CAP] < np.inf:
        limit_rows(weight, coefficients[0, CAP])
    absolute = squares = 0.0
    for j in range(len(weight)):
        unit_absolute = unit_squares = weight.dtype.type(0)
        for i in range(weight.shape[1]):
            unit_absolute += abs(weight[j, i])
            unit_squares += weight[j, i] * weight[j, i]
        absolute += unit_absolute
        squares += unit_squares
    return absolute, squares, group_norms(weight, bias, coefficients)


@inlined
def sums_of(w: np.ndarray) -> tuple[float, float]:
    """Compute Σ|w| and Σw²."""
    absolute = squares = w.dtype.type(0)
    for i in range(len(w)):
        absolute += abs(w[i])
        squares += w[i] * w[i]
    return np.float64(absolute), np.float64(squares)


@inlined
def _update(
    w: np.ndarray,
    gradient: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
    sign: float,
    decay: float,
    rule: Rule,
    step: int,
):
    """Add the gradient of the penalty, and make one optimizer step; return Σ|w| and Σw² after the step.

    Adam follows Kingma and Ba (2015, algorithm 1); momentum follows torch.optim.SGD. With Adam, Σ|w| is 0 if it is not
    penalized.
    """
    moment1, moment2 = state
    real = w.dtype.type
    sign, decay = real(sign), real(decay)
    zero = absolute = squares = real(0)
    # The compiler makes two loops of the one below. The loop without signs takes three quarters of the time.
    signed = sign > zero
    if rule.adam:
        rest1, decay2, rest2 = real(1 - rule.decay1), real(rule.decay2), real(1 - rule.decay2)
        lr, eps = real(rule.lr / (1 - rule.decay1**step)), real(rule.eps)
        correction = real(1 / np.sqrt(1 - rule.decay2**step))
        for i in range(len(w)):
            x = w[i]
            g = gradient[i] + decay * x
            if signed:
                g += sign if x > zero else (-sign if x < zero else zero)
            m = moment1[i] + rest1 * (g - moment1[i])
            v = decay2 * moment2[i] + rest2 * g * g
            moment1[i], moment2[i] = m, v
            x -= lr * m / (np.sqrt(v) * correction + eps)
            w[i] = x
            if signed:
                absolute += abs(x)
            squares += x * x
        return np.float64(absolute), np.float64(squares)
    lr, momentum = real(rule.lr), real(rule.decay1)
    for i in range(len(w)):
        x = w[i]
        g = gradient[i] + decay * x + (sign if x > zero else (-sign if x < zero else zero))
        if momentum > real(0):
            moment1[i] = momentum * moment1[i] + g
            g = moment1[i]
        w[i] = x - lr * g
    return sums_of(w)
