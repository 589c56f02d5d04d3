"""The first layer of an MLP as compiled code. Its inputs are images, and their background is zero.

Its weight is stored in blocks of WIDTH units, (blocks, inputs, WIDTH). The last block is padded with zeros. Its outputs
are stored in the same blocks of units, (blocks, batch_size, WIDTH).
"""

import numpy as np

from study.training.compiled.sparse_products import WIDTH, Entries, aligned, multiply
from study.training.compiled.steps import CAP, GROUP, Rule, inlined, limit_units, step_tensor

PIXELS = 128  # number of rows of a block that are updated at a time


@inlined
def activate_blocks(blocks: np.ndarray, bias: np.ndarray, size: int) -> None:
    """Add the bias to the products of the weight with `size` images, and apply ReLU. The padding stays zero."""
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
    """Update the first weight block by block; return its Σ|w|, Σw² and Σ‖group‖₂ after the update.

    Args:
        weight: (blocks, inputs, WIDTH).
        error: derivatives of the loss by the outputs, (blocks, n, WIDTH).
        batch: entries of the transposed batch, (inputs, n).
        pixels: int64, 0…inputs−1.
        state: the weight's first and second moments.
        group: the updated bias, (outputs,), its second moment, and the coefficients of weight and bias, (2, 7).
        norms: the weight's norms before the update.
        rule: the optimizer.
        step: the number of the step, from 1.
        images: entries of all images, (m, inputs).
        following: the rows of `images` that are the next batch, (n',).
        output: gets the products of the updated weight with the next batch, (blocks, n', WIDTH).
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
    """Sum the derivatives by the outputs over `size` images: the gradient of the bias, (units,)."""
    sums = np.zeros(len(blocks) * WIDTH, blocks.dtype)
    for k in range(len(blocks)):
        for i in range(size):
            for j in range(WIDTH):
                sums[k * WIDTH + j] += blocks[k, i, j]
    return sums[:units]


@inlined
def units_of(block: int, bias: np.ndarray) -> slice:
    """The units whose weights a block of the first layer has."""
    return slice(block * WIDTH, min(block * WIDTH + WIDTH, len(bias)))
