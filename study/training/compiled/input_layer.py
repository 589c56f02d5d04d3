"""The first layer of an MLP as compiled code: it sees images, whose background is zero.

Its weight lies in blocks of WIDTH units, (blocks, inputs, WIDTH), the last one filled up with zeros; what comes out of
it accordingly, (blocks, batch_size, WIDTH).
"""

import numpy as np

from study.training.compiled.sparse_products import WIDTH, Entries, aligned, multiply
from study.training.compiled.steps import CAP, GROUP, Rule, inlined, limit_units, step_tensor

PIXELS = 128  # rows of a block that are updated at a time


@inlined
def activate_blocks(blocks: np.ndarray, bias: np.ndarray, size: int) -> None:
    """Add the bias to products of the weight with `size` images, and apply ReLU; what fills up a block stays zero."""
    zero = blocks.dtype.type(0)
    for k in range(len(blocks)):
        units = units_of(k, bias)
        for i in range(size):
            for j in range(units.stop - units.start):
                value = blocks[k, i, j] + bias[units.start + j]
                blocks[k, i, j] = zero if value < zero else value


@inlined
def update_first(
    weight: np.ndarray,
    error: np.ndarray,
    batch: Entries,
    pixels: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
    group: tuple[np.ndarray, np.ndarray, np.ndarray],
    norms: np.ndarray,
    rule: Rule,
    step: int,
    images: Entries,
    following: np.ndarray,
    output: np.ndarray,
) -> tuple[float, float, float]:
    """Update the first weight block by block; returns its Σ|w|, Σw² and Σ‖group‖₂ afterwards.

    Args:
        weight: (blocks, inputs, WIDTH).
        error: (blocks, n, WIDTH), derivatives of the loss by the outputs.
        batch: of (inputs, n), the batch by pixel.
        pixels: int64, 0…inputs−1.
        state: the weight's first and second moments.
        group: the bias, (outputs,), already updated, its second moment, and both tensors' coefficients, (2, 7).
        norms: the weight's before the update.
        rule: the optimizer.
        step: its number, from 1.
        images: of (m, inputs).
        following: rows of these that are the next batch, (n',).
        output: becomes the updated weight's product with it, (blocks, n', WIDTH).
    """
    bias, bias_moment2, coefficients = group
    gradient = aligned((PIXELS, WIDTH), weight)
    absolute = squares = groups = 0.0
    for k in range(len(weight)):
        block_absolute = block_squares = 0.0
        for pixel in range(0, weight.shape[1], PIXELS):
            tile = slice(pixel, min(pixel + PIXELS, weight.shape[1]))
            part = gradient[: tile.stop - tile.start]
            multiply(batch, pixels[tile], error[k], part)
            moments = (state[0][k, tile].reshape(-1), state[1][k, tile].reshape(-1))
            sums = step_tensor(
                weight[k, tile].reshape(-1), part.reshape(-1), moments, coefficients[0], norms, rule, step
            )
            block_absolute += sums[0]
            block_squares += sums[1]
        if coefficients[0, GROUP] > 0 or coefficients[0, CAP] < np.inf:
            units = units_of(k, bias)
            rows, rows_moment2 = weight[k].T[: units.stop - units.start], state[1][k].T[: units.stop - units.start]
            block_absolute, block_squares, norm = limit_units(
                rows, bias[units], rows_moment2, bias_moment2[units], coefficients, rule, step
            )
            groups += norm
        absolute += block_absolute
        squares += block_squares
        multiply(images, following, weight[k], output[k])
    return absolute, squares, groups


@inlined
def sums_of_blocks(blocks: np.ndarray, size: int, units: int) -> np.ndarray:
    """What the derivatives by the outputs sum up to over `size` images, (units,): the gradient of the bias."""
    sums = np.zeros(len(blocks) * WIDTH, blocks.dtype)
    for k in range(len(blocks)):
        for i in range(size):
            for j in range(WIDTH):
                sums[k * WIDTH + j] += blocks[k, i, j]
    return sums[:units]


@inlined
def units_of(block: int, bias: np.ndarray) -> slice:
    """The units whose weights are in a block of the first layer."""
    return slice(block * WIDTH, min(block * WIDTH + WIDTH, len(bias)))
