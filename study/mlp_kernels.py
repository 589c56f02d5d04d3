"""One epoch of a ReLU MLP as compiled code (Numba): matrix products by BLAS, all else in single passes over memory.

At these sizes a CPU waits for memory, not for arithmetic: the weights, their gradient and Adam's two moments exceed
its caches. So a weight matrix is worked on a few rows at a time. Their gradient is used for the update, penalty
included, while it is in cache, and never goes to memory; and the rows of the first layer, the largest, are multiplied
with the next batch right after they were updated.

What is (n, width) elsewhere is transposed here, (width, n): the rows of a weight matrix make rows of the output.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

# Sums may be reordered, and so vectorized; NaN and infinity keep their meaning, since divergence must show.
FLAGS = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
compiled = njit(cache=True, **FLAGS)
# A part of its caller: as a function of its own it would exist in several machine codes that round differently, and
# the one that is called would depend on what else the process has compiled.
inlined = njit(forceinline=True, **FLAGS)


class Rule(NamedTuple):
    """An optimizer: Adam, or gradient descent, whose momentum is `decay1`."""

    adam: bool
    lr: float
    decay1: float  # Adam's β₁
    decay2: float  # Adam's β₂
    eps: float  # Adam's ε


@compiled
def train_epoch(
    images: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    batch_size: int,
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    moments: tuple[tuple[np.ndarray, ...], ...],
    steps: int,
    rule: Rule,
    penalty: tuple[float, float, float],
    in_scope: np.ndarray,
) -> float:
    """Train for one epoch; weights, biases and moments change in place.

    Args:
        images: float (n, inputs).
        labels: int64 (n,).
        order: int64 (n,), rows of the images: each batch is the next `batch_size` of them, the last one may be short.
        batch_size: images a step.
        weights: a tuple, (outputs, inputs) of each layer.
        biases: a tuple, (outputs,) of each layer.
        moments: of the weights a first and a second tuple, of the biases a first and a second one. The first are
            Adam's or the momentum's, the second Adam's alone; what an optimizer does not have is not touched.
        steps: optimizer steps before this epoch.
        rule: the optimizer.
        penalty: (a, b, c) of λR(w) = aΣ|w| + bΣw² + c‖w‖₂.
        in_scope: bool (layers, 2), whether a layer's weight and bias are penalized.

    Returns:
        The mean over the batches of data loss plus penalty, in nats.
    """
    layers, width = len(weights), images.shape[1]
    weight_moment1, weight_moment2, bias_moment1, bias_moment2 = moments
    norms = np.empty((layers, 2, 2))  # Σ|w| and Σw² of each weight and bias, as they are at present
    for layer in range(layers):
        norms[layer, 0] = _sums(weights[layer].reshape(-1))
        norms[layer, 1] = _sums(biases[layer])
    dtype = images.dtype
    outputs = [np.empty((len(bias), batch_size), dtype) for bias in biases]
    errors = [np.empty((len(bias), batch_size), dtype) for bias in biases]  # derivatives of the loss by the outputs
    first_next = np.empty_like(outputs[0])
    batch, batch_next = np.empty((batch_size, width), dtype), np.empty((batch_size, width), dtype)

    objective, count = 0.0, 0
    size = min(batch_size, len(order))
    _gather(images, order[:size], batch_next)
    np.dot(weights[0], batch_next[:size].T, _columns(first_next, size))
    for begin in range(0, len(order), batch_size):
        end = min(begin + batch_size, len(order))
        size, size_next = end - begin, min(batch_size, len(order) - end)
        batch, batch_next = batch_next, batch
        _gather(images, order[end : end + size_next], batch_next)
        outputs[0], first_next = first_next, outputs[0]
        for layer in range(layers):
            output = _columns(outputs[layer], size)
            if layer > 0:
                np.dot(weights[layer], _columns(outputs[layer - 1], size), output)
            _add_bias(output, biases[layer], layer < layers - 1)
        loss = _cross_entropy(_columns(outputs[-1], size), labels, order[begin:end], _columns(errors[-1], size))

        steps += 1
        count += 1
        objective += loss
        for layer in range(layers - 1, -1, -1):
            weight, error = weights[layer], _columns(errors[layer], size)
            if layer > 0:  # before the weight changes
                below = _columns(errors[layer - 1], size)
                np.dot(weight.T, error, below)
                _pass_relu(below, _columns(outputs[layer - 1], size))
            for kind in range(2):
                if in_scope[layer, kind]:
                    objective += _value(penalty, norms[layer, kind])
            sign, decay = _coefficients(penalty, norms[layer, 0], in_scope[layer, 0])
            state = (weight_moment1[layer], weight_moment2[layer])
            if layer > 0:
                below = _columns(outputs[layer - 1], size).T
                norms[layer, 0] = _update_weight(weight, error, below, state, sign, decay, rule, steps, None, None)
            else:
                norms[layer, 0] = _update_weight(
                    *(weight, error, batch[:size], state, sign, decay, rule, steps),
                    *(batch_next[:size_next], _columns(first_next, size_next)),
                )
            sign, decay = _coefficients(penalty, norms[layer, 1], in_scope[layer, 1])
            state = (bias_moment1[layer], bias_moment2[layer])
            norms[layer, 1] = _update(biases[layer], _row_sums(error), state, sign, decay, rule, steps)
    return objective / count


@inlined
def _update_weight(
    weight: np.ndarray,
    error: np.ndarray,
    below: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
    sign: float,
    decay: float,
    rule: Rule,
    step: int,
    below_next: np.ndarray | None,
    output_next: np.ndarray | None,
):
    """Update a weight tile by tile; returns its Σ|w| and Σw² afterwards.

    Args:
        weight: (outputs, inputs).
        error: (outputs, n), derivatives of the loss by the outputs.
        below: (n, inputs), what the layer saw.
        state: the weight's first and second moments.
        sign: see `_coefficients`.
        decay: likewise.
        rule: the optimizer.
        step: its number, from 1.
        below_next: (n', inputs), what the layer sees in the next batch, if it is known.
        output_next: (outputs, n'), becomes the updated weight's product with it.
    """
    rows = _rows_at_a_time(error.shape[1], weight.shape[1])
    gradient = np.empty((rows, weight.shape[1]), weight.dtype)
    norms = np.zeros(2)
    for row in range(0, len(weight), rows):
        tile = slice(row, min(row + rows, len(weight)))
        part = gradient[: tile.stop - tile.start]
        np.dot(error[tile], below, part)
        moments = (state[0][tile].reshape(-1), state[1][tile].reshape(-1))
        norms += _update(weight[tile].reshape(-1), part.reshape(-1), moments, sign, decay, rule, step)
        if below_next is not None and len(below_next) > 0:
            np.dot(weight[tile], below_next.T, output_next[tile])
    return norms


@inlined
def _rows_at_a_time(size: int, width: int):
    """Few enough for a tile to stay in cache, and for the kernels that OpenBLAS has for small matrices."""
    return max(1, min(32, 1_200 // size, 1_000_000 // (size * width)))


@inlined
def _columns(buffer: np.ndarray, size: int):
    """The beginning of a buffer (width, batch_size) as a contiguous (width, size)."""
    return buffer.reshape(-1)[: buffer.shape[0] * size].reshape(buffer.shape[0], size)


@inlined
def _gather(images: np.ndarray, rows: np.ndarray, out: np.ndarray):
    for i in range(len(rows)):
        for j in range(images.shape[1]):
            out[i, j] = images[rows[i], j]


@inlined
def _add_bias(output: np.ndarray, bias: np.ndarray, relu: bool):
    zero = output.dtype.type(0)
    for j in range(output.shape[0]):
        for i in range(output.shape[1]):
            value = output[j, i] + bias[j]
            output[j, i] = zero if relu and value < zero else value


@inlined
def _pass_relu(error: np.ndarray, output: np.ndarray):
    """Derivatives by what went into a ReLU, from those by what came out of it."""
    zero = error.dtype.type(0)
    for j in range(error.shape[0]):
        for i in range(error.shape[1]):
            error[j, i] = error[j, i] if output[j, i] > zero else zero


@inlined
def _cross_entropy(logits: np.ndarray, labels: np.ndarray, rows: np.ndarray, error: np.ndarray):
    """The mean cross-entropy of logits (classes, n); `error` becomes its derivatives by them."""
    classes, size = logits.shape
    total = 0.0
    for i in range(size):
        label = labels[rows[i]]
        largest = logits[0, i]
        for c in range(1, classes):
            largest = max(largest, logits[c, i])
        exponentials = logits.dtype.type(0)
        for c in range(classes):
            error[c, i] = np.exp(logits[c, i] - largest)
            exponentials += error[c, i]
        for c in range(classes):
            error[c, i] /= exponentials * size
        error[label, i] -= logits.dtype.type(1 / size)
        total += np.log(exponentials) - (logits[label, i] - largest)
    return total / size


@inlined
def _row_sums(error: np.ndarray):
    sums = np.empty(error.shape[0], error.dtype)
    for j in range(len(sums)):
        sums[j] = 0
        for i in range(error.shape[1]):
            sums[j] += error[j, i]
    return sums


@inlined
def _value(penalty: tuple[float, float, float], norms: np.ndarray):
    """λR of one tensor, from its Σ|w| and Σw²."""
    return penalty[0] * norms[0] + penalty[1] * norms[1] + penalty[2] * np.sqrt(norms[1])


@inlined
def _coefficients(penalty: tuple[float, float, float], norms: np.ndarray, in_scope: bool):
    """(s, d) of the penalty's gradient s sign(w) + d w; the subgradient of the norm at 0 is 0."""
    if not in_scope:
        return 0.0, 0.0
    return penalty[0], 2 * penalty[1] + (penalty[2] / np.sqrt(norms[1]) if norms[1] > 0 else 0.0)


@inlined
def _sums(w: np.ndarray):
    """Σ|w| and Σw²."""
    absolute = squares = w.dtype.type(0)
    for i in range(len(w)):
        absolute += abs(w[i])
        squares += w[i] * w[i]
    return np.array([absolute, squares], np.float64)


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
    """Add the penalty's gradient, and make one optimizer step; returns Σ|w| and Σw² afterwards.

    Adam as Kingma and Ba (2015, algorithm 1) and momentum as torch.optim.SGD have it.
    """
    moment1, moment2 = state
    real = w.dtype.type
    sign, decay = real(sign), real(decay)
    zero = absolute = squares = real(0)
    if rule.adam:
        rest1, decay2, rest2 = real(1 - rule.decay1), real(rule.decay2), real(1 - rule.decay2)
        lr, eps = real(rule.lr / (1 - rule.decay1**step)), real(rule.eps)
        correction = real(1 / np.sqrt(1 - rule.decay2**step))
        for i in range(len(w)):
            x = w[i]
            g = gradient[i] + decay * x + (sign if x > zero else (-sign if x < zero else zero))
            m = moment1[i] + rest1 * (g - moment1[i])
            v = decay2 * moment2[i] + rest2 * g * g
            moment1[i], moment2[i] = m, v
            x -= lr * m / (np.sqrt(v) * correction + eps)
            w[i] = x
            absolute += abs(x)
            squares += x * x
        return np.array([absolute, squares], np.float64)
    lr, momentum = real(rule.lr), real(rule.decay1)
    for i in range(len(w)):
        x = w[i]
        g = gradient[i] + decay * x + (sign if x > zero else (-sign if x < zero else zero))
        if momentum > real(0):
            moment1[i] = momentum * moment1[i] + g
            g = moment1[i]
        w[i] = x - lr * g
    return _sums(w)
