"""One epoch of a ReLU MLP, and its scores, as compiled code (Numba).

At these sizes a CPU waits for memory as much as for arithmetic: the weights, their gradient and Adam's two moments
exceed its caches. So a weight matrix is worked on a part at a time. Its gradient is used for the update, penalty
included, while it is in cache, and never goes to memory; and a part of the first layer, the largest, is multiplied with
the next batch right after it was updated.

The first layer sees images, whose background is zero: it has products of its own (`sparse_products`), block by block of
its units (`mlp_layout`). The other layers' products are BLAS's. What is (n, width) elsewhere is transposed here,
(width, n): the rows of a weight matrix make rows of the output.
"""

import numpy as np

from study.mlp_layout import Layout, bias_in, blocks_in, weight_in
from study.mlp_steps import (
    CAP,
    GROUP,
    Rule,
    compiled,
    group_norms,
    inlined,
    limit_units,
    penalty_value,
    step_tensor,
    sums_of,
)
from study.sparse_products import WIDTH, Entries, aligned, multiply, room_for_entries, transpose

PIXELS = 256  # rows of a block that are updated at a time
SCORED = 64  # images that are scored at a time


@compiled
def train_epoch(
    images: Entries,
    labels: np.ndarray,
    order: np.ndarray,
    batch_size: int,
    layout: Layout,
    packed: np.ndarray,
    moment1: np.ndarray,
    moment2: np.ndarray,
    steps: int,
    rule: Rule,
    coefficients: np.ndarray,
    smoothing: float,
) -> float:
    """Train for one epoch; weights, biases and the optimizer's moments change in place.

    Args:
        images: of (n, inputs).
        labels: int64 (n,).
        order: int64 (n,), rows of the images: each batch is the next `batch_size` of them, the last one may be short.
        batch_size: images a step.
        layout: of the weights and biases.
        packed: these, (size,).
        moment1: their first moments, Adam's or the momentum's; what an optimizer does not have is not touched.
        moment2: their second moments, Adam's alone.
        steps: optimizer steps before this epoch.
        rule: the optimizer.
        coefficients: (layers, 2, 7), for a layer's weight and bias COEFFICIENTS. A bias belongs to its unit's group if
            both have that coefficient.
        smoothing: share of label smoothing.

    Returns:
        The mean over the batches of data loss plus penalty, in nats.
    """
    layers, pixels = len(layout.starts), np.arange(layout.widths[0])
    first, first_bias = blocks_in(packed, layout), bias_in(packed, layout, 0)
    first_state = (blocks_in(moment1, layout), blocks_in(moment2, layout))
    norms = np.zeros((layers, 2, 3))  # Σ|w| and Σw² of each weight and bias, and Σ‖group‖₂, as they are at present
    norms[0, 0, 0], norms[0, 0, 1] = sums_of(first.reshape(-1))
    for k in range(len(first)):
        units = _units_of(k, first_bias)
        norms[0, 0, 2] += group_norms(first[k].T[: units.stop - units.start], first_bias[units], coefficients[0])
    for layer in range(layers):
        bias = bias_in(packed, layout, layer)
        norms[layer, 1, 0], norms[layer, 1, 1] = sums_of(bias)
        if layer > 0:
            weight = weight_in(packed, layout, layer)
            norms[layer, 0, 0], norms[layer, 0, 1] = sums_of(weight.reshape(-1))
            norms[layer, 0, 2] = group_norms(weight, bias, coefficients[layer])
    outputs = [np.empty((width, batch_size), packed.dtype) for width in layout.widths[1:]]
    errors = [np.empty_like(output) for output in outputs]  # derivatives of the loss by the outputs
    first_output = aligned((len(first), batch_size, WIDTH), packed)
    first_error = aligned((len(first), batch_size, WIDTH), packed)
    by_pixel = room_for_entries(len(pixels), batch_size, packed)

    objective, count = 0.0, 0
    for k in range(len(first)):
        rows = order[:batch_size]
        multiply(images, rows, first[k], first_output[k, : len(rows)])
    for begin in range(0, len(order), batch_size):
        rows, following = order[begin:][:batch_size], order[begin + batch_size :][:batch_size]
        size = len(rows)
        transpose(images, rows, by_pixel)
        _outputs(first_output, packed, layout, size, outputs)
        loss = _cross_entropy(_columns(outputs[-1], size), labels, rows, _columns(errors[-1], size), smoothing)

        steps += 1
        count += 1
        objective += loss
        for layer in range(layers - 1, -1, -1):
            error, bias = _columns(errors[layer], size), bias_in(packed, layout, layer)
            if layer > 0:  # before the weight changes
                below = _columns(errors[layer - 1], size)
                np.dot(weight_in(packed, layout, layer).T, error, below)
                _pass_relu(below, _columns(outputs[layer - 1], size))
            for kind in range(2):
                objective += penalty_value(coefficients[layer, kind], norms[layer, kind])
            bias_state = (bias_in(moment1, layout, layer), bias_in(moment2, layout, layer))
            norms[layer, 1, 0], norms[layer, 1, 1] = step_tensor(
                bias, _row_sums(error), bias_state, coefficients[layer, 1], norms[layer, 1], rule, steps
            )
            group = (bias, bias_state[1], coefficients[layer])
            if layer > 0:
                weight = weight_in(packed, layout, layer)
                state = (weight_in(moment1, layout, layer), weight_in(moment2, layout, layer))
                seen = _columns(outputs[layer - 1], size)
                sums = _update_weight(weight, error, seen, state, group, norms[layer, 0], rule, steps)
            else:
                _into_blocks(error, first_error)
                sums = _update_first(
                    *(first, first_error[:, :size], by_pixel, pixels, first_state, group, norms[0, 0], rule, steps),
                    *(images, following, first_output[:, : len(following)]),
                )
            norms[layer, 0, 0], norms[layer, 0, 1], norms[layer, 0, 2] = sums
            if coefficients[layer, 1, GROUP] > 0:
                norms[layer, 1, 0], norms[layer, 1, 1] = sums_of(bias)
    return objective / count


@compiled
def logits(images: Entries, rows: np.ndarray, layout: Layout, packed: np.ndarray, found: np.ndarray) -> None:
    """What the MLP makes of some rows (n,) of images, goes to `found`, (n, classes)."""
    first = blocks_in(packed, layout)
    outputs = [np.empty((width, SCORED), packed.dtype) for width in layout.widths[1:]]
    first_output = aligned((len(first), SCORED, WIDTH), packed)
    for begin in range(0, len(rows), SCORED):
        some = rows[begin : begin + SCORED]
        size = len(some)
        for k in range(len(first)):
            multiply(images, some, first[k], first_output[k, :size])
        _outputs(first_output, packed, layout, size, outputs)
        output = _columns(outputs[-1], size)
        for i in range(size):
            for c in range(len(output)):
                found[begin + i, c] = output[c, i]


@inlined
def _outputs(first_output: np.ndarray, packed: np.ndarray, layout: Layout, size: int, outputs: list[np.ndarray]):
    """The outputs of all layers for a batch, (width, size) each, from the first weight's products with it."""
    layers = len(outputs)
    for layer in range(layers):
        output = _columns(outputs[layer], size)
        if layer > 0:
            np.dot(weight_in(packed, layout, layer), _columns(outputs[layer - 1], size), output)
        else:
            _out_of_blocks(first_output, output)
        _add_bias(output, bias_in(packed, layout, layer), layer < layers - 1)


@inlined
def _update_first(
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
):
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
            units = _units_of(k, bias)
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
def _update_weight(
    weight: np.ndarray,
    error: np.ndarray,
    outputs_below: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
    group: tuple[np.ndarray, np.ndarray, np.ndarray],
    norms: np.ndarray,
    rule: Rule,
    step: int,
):
    """The same for a weight (outputs, inputs) of another layer, from outputs of the layer below, (inputs, n)."""
    rows = _rows_at_a_time(error.shape[1], weight.shape[1])
    gradient = np.empty((rows, weight.shape[1]), weight.dtype)
    bias, bias_moment2, coefficients = group
    absolute = squares = groups = 0.0
    for row in range(0, len(weight), rows):
        tile = slice(row, min(row + rows, len(weight)))
        part = gradient[: tile.stop - tile.start]
        np.dot(error[tile], outputs_below.T, part)
        moments = (state[0][tile].reshape(-1), state[1][tile].reshape(-1))
        tile_absolute, tile_squares = step_tensor(
            weight[tile].reshape(-1), part.reshape(-1), moments, coefficients[0], norms, rule, step
        )
        if coefficients[0, GROUP] > 0 or coefficients[0, CAP] < np.inf:
            tile_absolute, tile_squares, norm = limit_units(
                weight[tile], bias[tile], state[1][tile], bias_moment2[tile], coefficients, rule, step
            )
            groups += norm
        absolute += tile_absolute
        squares += tile_squares
    return absolute, squares, groups


@inlined
def _units_of(block: int, bias: np.ndarray):
    """The units whose weights are in a block of the first layer."""
    return slice(block * WIDTH, min(block * WIDTH + WIDTH, len(bias)))


@inlined
def _out_of_blocks(blocks: np.ndarray, output: np.ndarray):
    """From (blocks, n, WIDTH) to (width, n)."""
    for j in range(output.shape[0]):
        for i in range(output.shape[1]):
            output[j, i] = blocks[j // WIDTH, i, j % WIDTH]


@inlined
def _into_blocks(output: np.ndarray, blocks: np.ndarray):
    """From (width, n) to (blocks, n, WIDTH)."""
    for j in range(output.shape[0]):
        for i in range(output.shape[1]):
            blocks[j // WIDTH, i, j % WIDTH] = output[j, i]


@inlined
def _rows_at_a_time(size: int, width: int):
    """Few enough for a tile to stay in cache, and for the kernels that OpenBLAS has for small matrices."""
    return max(1, min(32, 1_200 // size, 1_000_000 // (size * width)))


@inlined
def _columns(buffer: np.ndarray, size: int):
    """The beginning of a buffer (width, batch_size) as a contiguous (width, size)."""
    return buffer.reshape(-1)[: buffer.shape[0] * size].reshape(buffer.shape[0], size)


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
