"""One epoch of a ReLU MLP as compiled code (Numba): matrix products by BLAS, all else in single passes over memory.

At these sizes a CPU waits for memory, not for arithmetic: the weights, their gradient and Adam's two moments exceed
its caches. So a weight matrix is worked on a few rows at a time. Their gradient is used for the update, penalty
included, while it is in cache, and never goes to memory; and the rows of the first layer, the largest, are multiplied
with the next batch right after they were updated.

What is (n, width) elsewhere is transposed here, (width, n): the rows of a weight matrix make rows of the output.
"""

import numpy as np
from numba import njit

from study.mlp_steps import (
    CAP,
    FLAGS,
    GROUP,
    Rule,
    group_norms,
    inlined,
    limit_rows,
    penalty_value,
    shrink_groups,
    step_tensor,
    sums_of,
)

compiled = njit(cache=True, **FLAGS)


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
    coefficients: np.ndarray,
    smoothing: float,
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
        coefficients: (layers, 2, 7), for a layer's weight and bias COEFFICIENTS. A bias belongs to its unit's group if
            both have that coefficient.
        smoothing: share of label smoothing.

    Returns:
        The mean over the batches of data loss plus penalty, in nats.
    """
    layers, width = len(weights), images.shape[1]
    weight_moment1, weight_moment2, bias_moment1, bias_moment2 = moments
    norms = np.zeros((layers, 2, 3))  # Σ|w| and Σw² of each weight and bias, and Σ‖group‖₂, as they are at present
    for layer in range(layers):
        norms[layer, 0, :2] = sums_of(weights[layer].reshape(-1))
        norms[layer, 1, :2] = sums_of(biases[layer])
        norms[layer, 0, 2] = group_norms(weights[layer], biases[layer], coefficients[layer])
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
        loss = _cross_entropy(
            _columns(outputs[-1], size), labels, order[begin:end], _columns(errors[-1], size), smoothing
        )

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
                objective += penalty_value(coefficients[layer, kind], norms[layer, kind])
            bias_state = (bias_moment1[layer], bias_moment2[layer])
            norms[layer, 1, :2] = step_tensor(
                biases[layer], _row_sums(error), bias_state, coefficients[layer, 1], norms[layer, 1], rule, steps
            )
            state = (weight_moment1[layer], weight_moment2[layer])
            group = (biases[layer], bias_state[1], coefficients[layer])
            # The first layer sees images and the others outputs, which lie the other way round in memory.
            seen = _columns(outputs[max(layer - 1, 0)], size)
            following = (batch_next[:size_next], _columns(first_next, size_next))
            norms[layer, 0] = _update_weight(
                *(weight, error, layer == 0, batch[:size], seen, following),
                *(state, group, norms[layer, 0], rule, steps),
            )
            if coefficients[layer, 1, GROUP] > 0:
                norms[layer, 1, :2] = sums_of(biases[layer])
    return objective / count


@inlined
def _update_weight(
    weight: np.ndarray,
    error: np.ndarray,
    first: bool,
    batch: np.ndarray,
    outputs_below: np.ndarray,
    following: tuple[np.ndarray, np.ndarray],
    state: tuple[np.ndarray, np.ndarray],
    group: tuple[np.ndarray, np.ndarray, np.ndarray],
    norms: np.ndarray,
    rule: Rule,
    step: int,
):
    """Update a weight tile by tile; returns its Σ|w|, Σw² and Σ‖group‖₂ afterwards.

    Args:
        weight: (outputs, inputs).
        error: (outputs, n), derivatives of the loss by the outputs.
        first: whether it is the first layer's, which sees the batch; another sees the outputs below.
        batch: (n, inputs of the first layer).
        outputs_below: (inputs, n).
        following: the next batch, (n', inputs of the first layer), and what becomes the updated first weight's product
            with it, (outputs, n').
        state: the weight's first and second moments.
        group: the bias, (outputs,), already updated, its second moment, and both tensors' coefficients, (2, 7).
        norms: the weight's before the update.
        rule: the optimizer.
        step: its number, from 1.
    """
    rows = _rows_at_a_time(error.shape[1], weight.shape[1])
    gradient = np.empty((rows, weight.shape[1]), weight.dtype)
    bias, bias_moment2, coefficients = group
    updated = np.zeros(3)
    for row in range(0, len(weight), rows):
        tile = slice(row, min(row + rows, len(weight)))
        part = gradient[: tile.stop - tile.start]
        if first:
            np.dot(error[tile], batch, part)
        else:
            np.dot(error[tile], outputs_below.T, part)
        moments = (state[0][tile].reshape(-1), state[1][tile].reshape(-1))
        sums = step_tensor(weight[tile].reshape(-1), part.reshape(-1), moments, coefficients[0], norms, rule, step)
        if coefficients[0, GROUP] > 0:
            shrink_groups(weight[tile], bias[tile], state[1][tile], bias_moment2[tile], coefficients, rule, step)
            updated[2] += group_norms(weight[tile], bias[tile], coefficients)
            sums = sums_of(weight[tile].reshape(-1))
        if coefficients[0, CAP] < np.inf:
            limit_rows(weight[tile], coefficients[0, CAP])
            sums = sums_of(weight[tile].reshape(-1))
        updated[:2] += sums
        if first and len(following[0]) > 0:
            np.dot(weight[tile], following[0].T, following[1][tile])
    return updated


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
def _cross_entropy(logits: np.ndarray, labels: np.ndarray, rows: np.ndarray, error: np.ndarray, smoothing: float):
    """The mean cross-entropy of logits (classes, n), by smoothed labels; `error` becomes its derivatives by them."""
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
        error[label, i] -= logits.dtype.type((1 - smoothing) / size)
        total += np.log(exponentials) - (1 - smoothing) * (logits[label, i] - largest)
        if smoothing > 0:
            for c in range(classes):
                error[c, i] -= logits.dtype.type(smoothing / classes / size)
                total -= smoothing / classes * (logits[c, i] - largest)
    return total / size


@inlined
def _row_sums(error: np.ndarray):
    sums = np.empty(error.shape[0], error.dtype)
    for j in range(len(sums)):
        sums[j] = 0
        for i in range(error.shape[1]):
            sums[j] += error[j, i]
    return sums
