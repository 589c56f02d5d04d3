"""The output layer of an MLP as compiled code.

It has few units, and for so few, BLAS needs more time to pack a matrix than to multiply it. Its inputs are the outputs
of the layer below, stored in blocks of WIDTH units, (blocks, batch_size, WIDTH), as the first layer stores them. Its
weight has the same blocks, (blocks, classes, WIDTH). The last block is padded with zeros.
"""

import numpy as np

from study.training.compiled.sparse_products import WIDTH, aligned, list_entries, multiply
from study.training.compiled.steps import Rule, inlined, step_tensor


@inlined
def output_logits(below: np.ndarray, weight: np.ndarray, bias: np.ndarray, logits: np.ndarray) -> None:
    """Compute the logits (classes, n) of a batch from the outputs of the layer below."""
    last, zero = len(bias) - 1, bias.dtype.type(0)
    for i in range(logits.shape[1]):
        for a in range(0, last + 1, 5):  # five classes at a time; an index beyond the last class means the last class
            b, c, d, e = min(a + 1, last), min(a + 2, last), min(a + 3, last), min(a + 4, last)
            of_a = of_b = of_c = of_d = of_e = zero
            for k in range(len(below)):
                for j in range(WIDTH):
                    value = below[k, i, j]
                    of_a += value * weight[k, a, j]
                    of_b += value * weight[k, b, j]
                    of_c += value * weight[k, c, j]
                    of_d += value * weight[k, d, j]
                    of_e += value * weight[k, e, j]
            logits[a, i], logits[b, i], logits[c, i] = of_a + bias[a], of_b + bias[b], of_c + bias[c]
            logits[d, i], logits[e, i] = of_d + bias[d], of_e + bias[e]


@inlined
def pass_back(error: np.ndarray, weight: np.ndarray, below: np.ndarray, error_below: np.ndarray) -> None:
    """Compute derivatives of the loss by the inputs of the ReLUs below, from those by the logits, (classes, n)."""
    size, zero = error.shape[1], error.dtype.type(0)
    by_image, images = list_entries(error.T.copy()), np.arange(size)
    for k in range(len(below)):
        multiply(by_image, images, weight[k], error_below[k, :size])
        for i in range(size):
            for j in range(WIDTH):
                error_below[k, i, j] = error_below[k, i, j] if below[k, i, j] > zero else zero


@inlined
def update_output(
    weight: np.ndarray,
    error: np.ndarray,
    below: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
    coefficients: np.ndarray,
    norms: np.ndarray,
    rule: Rule,
    step: int,
) -> tuple[float, float, float]:
    """Update the weight block by block; return its Σ|w| and Σw² after the update, and 0.

    The 0 stands for Σ‖group‖₂, because the rows of this weight are no groups.

    Args:
        weight: (blocks, classes, WIDTH).
        error: derivatives of the loss by the logits, (classes, n).
        below: outputs of the layer below.
        state: the weight's first and second moments.
        coefficients: the weight's coefficients.
        norms: the weight's norms before the update.
        rule: the optimizer.
        step: the number of the step, from 1.
    """
    by_class, classes = list_entries(error), np.arange(len(error))
    gradient = aligned(weight.shape[1:], weight)
    absolute = squares = 0.0
    for k in range(len(weight)):
        multiply(by_class, classes, below[k, : error.shape[1]], gradient)
        moments = (state[0][k].reshape(-1), state[1][k].reshape(-1))
        sums = step_tensor(weight[k].reshape(-1), gradient.reshape(-1), moments, coefficients, norms, rule, step)
        absolute += sums[0]
        squares += sums[1]
    return absolute, squares, 0.0


@inlined
def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, rows: np.ndarray, error: np.ndarray, smoothing: float
) -> float:
    """Compute the mean cross-entropy of logits (classes, n) with smoothed labels. `error` gets its derivatives."""
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
