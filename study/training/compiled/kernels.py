"""Train one epoch of a ReLU MLP, and compute its logits, as compiled code (Numba).

At these sizes a CPU waits for memory as much as for arithmetic, because the weights, their gradient and Adam's two
moments exceed its caches. So each weight matrix is processed in parts. The gradient of a part is used for the update,
penalty included, while it is in the cache, and is never written to memory. The first layer is the largest. Each part of
it is multiplied with the next batch right after its update.

The inputs of the first layer are images, and their background is zero. So it has its own products (`sparse_products`)
on blocks of units (`layout`). The output layer has few units, so it has its own products too (`output_layer`). All
other layers use BLAS. For BLAS, arrays are transposed, (width, n) instead of (n, width), so that each row of a weight
matrix gives a row of the output.
"""

import numpy as np

from study.training.compiled.input_layer import activate_blocks, sums_of_blocks, units_of, update_first
from study.training.compiled.layout import (
    Layout,
    bias_in,
    blocks_for,
    blocks_in,
    into_blocks,
    out_of_blocks,
    output_blocks_in,
    weight_in,
)
from study.training.compiled.output_layer import cross_entropy, output_logits, pass_back, update_output
from study.training.compiled.sparse_products import WIDTH, Entries, aligned, multiply, room_for_entries, transpose
from study.training.compiled.steps import (
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

SCORED = 64  # number of images that are scored at a time


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
    """Train for one epoch. Weights, biases and the optimizer's moments change in place.

    Args:
        images: entries of the images, (n, inputs).
        labels: int64 (n,).
        order: int64 (images of the epoch,), rows of the images in the order of training. Each batch takes the next
            `batch_size` of them; the last batch may be short.
        batch_size: images per step.
        layout: layout of the weights and biases.
        packed: the weights and biases, (size,).
        moment1: their first moments with Adam, or their momentum. Not touched if the optimizer has none.
        moment2: their second moments with Adam. Not touched by other optimizers.
        steps: number of optimizer steps before this epoch.
        rule: the optimizer.
        coefficients: COEFFICIENTS of each layer's weight and bias, (layers, 2, 7). A bias belongs to its unit's group
            if both have the coefficient `group`.
        smoothing: share of label smoothing.

    Returns:
        The mean over the batches of data loss plus penalty, in nats.
    """
    layers, pixels = len(layout.starts), np.arange(layout.widths[0])
    first, first_bias = blocks_in(packed, layout), bias_in(packed, layout, 0)
    first_state = (blocks_in(moment1, layout), blocks_in(moment2, layout))
    norms = np.zeros((layers, 2, 3))  # current Σ|w|, Σw² and Σ‖group‖₂ of each weight and bias
    norms[0, 0, 0], norms[0, 0, 1] = sums_of(first.reshape(-1))
    for k in range(len(first)):
        units = units_of(k, first_bias)
        norms[0, 0, 2] += group_norms(first[k].T[: units.stop - units.start], first_bias[units], coefficients[0])
    for layer in range(layers):
        bias = bias_in(packed, layout, layer)
        norms[layer, 1, 0], norms[layer, 1, 1] = sums_of(bias)
        if 0 < layer < layers - 1:
            weight = weight_in(packed, layout, layer)
            norms[layer, 0, 0], norms[layer, 0, 1] = sums_of(weight.reshape(-1))
            norms[layer, 0, 2] = group_norms(weight, bias, coefficients[layer])
        elif layer > 0:
            norms[layer, 0, 0], norms[layer, 0, 1] = sums_of(output_blocks_in(packed, layout).reshape(-1))
    outputs = [np.empty((width, batch_size), packed.dtype) for width in layout.widths[1:]]
    errors = [np.empty_like(output) for output in outputs]  # derivatives of the loss by the outputs
    first_output = aligned((len(first), batch_size, WIDTH), packed)
    first_error = aligned((len(first), batch_size, WIDTH), packed)
    # The inputs of the output layer. With one hidden layer, these are the outputs of the first layer.
    last_output, last_error = first_output, first_error
    if layers > 2:
        last_output = aligned((blocks_for(layout.widths[-2]), batch_size, WIDTH), packed)
        last_error = aligned((blocks_for(layout.widths[-2]), batch_size, WIDTH), packed)
    by_pixel = room_for_entries(len(pixels), batch_size, packed)

    objective, count = 0.0, 0
    for k in range(len(first)):
        rows = order[:batch_size]
        multiply(images, rows, first[k], first_output[k, : len(rows)])
    for begin in range(0, len(order), batch_size):
        rows, following = order[begin:][:batch_size], order[begin + batch_size :][:batch_size]
        size = len(rows)
        transpose(images, rows, by_pixel)
        _outputs(first_output, last_output, packed, layout, size, outputs)
        loss = cross_entropy(_columns(outputs[-1], size), labels, rows, _columns(errors[-1], size), smoothing)

        steps += 1
        count += 1
        objective += loss
        for layer in range(layers - 1, -1, -1):
            error, bias = _columns(errors[layer], size), bias_in(packed, layout, layer)
            below = _columns(errors[max(layer - 1, 0)], size)
            if layer == 0:
                if layers != 2:
                    into_blocks(error, first_error)
            elif layer == layers - 1:  # before the update of the weight
                pass_back(error, output_blocks_in(packed, layout), last_output, last_error)
                if layer > 1:
                    out_of_blocks(last_error, below)
            else:
                np.dot(weight_in(packed, layout, layer).T, error, below)
                _pass_relu(below, _columns(outputs[layer - 1], size))
            for kind in range(2):
                objective += penalty_value(coefficients[layer, kind], norms[layer, kind])
            bias_state = (bias_in(moment1, layout, layer), bias_in(moment2, layout, layer))
            slopes = _row_sums(error) if layer > 0 else sums_of_blocks(first_error, size, len(bias))
            norms[layer, 1, 0], norms[layer, 1, 1] = step_tensor(
                bias, slopes, bias_state, coefficients[layer, 1], norms[layer, 1], rule, steps
            )
            group = (bias, bias_state[1], coefficients[layer])
            if layer == 0:
                sums = update_first(
                    *(first, first_error[:, :size], by_pixel, pixels, first_state, group, norms[0, 0], rule, steps),
                    *(images, following, first_output[:, : len(following)]),
                )
            elif layer < layers - 1:
                weight = weight_in(packed, layout, layer)
                state = (weight_in(moment1, layout, layer), weight_in(moment2, layout, layer))
                seen = _columns(outputs[layer - 1], size)
                sums = _update_weight(weight, error, seen, state, group, norms[layer, 0], rule, steps)
            else:
                weight = output_blocks_in(packed, layout)
                state = (output_blocks_in(moment1, layout), output_blocks_in(moment2, layout))
                sums = update_output(
                    weight, error, last_output, state, coefficients[layer, 0], norms[layer, 0], rule, steps
                )
            norms[layer, 0, 0], norms[layer, 0, 1], norms[layer, 0, 2] = sums
            if coefficients[layer, 1, GROUP] > 0:
                norms[layer, 1, 0], norms[layer, 1, 1] = sums_of(bias)
    return objective / count


@compiled
def logits(images: Entries, rows: np.ndarray, layout: Layout, packed: np.ndarray, found: np.ndarray) -> None:
    """Compute the logits of some rows (n,) of images. `found`, (n, classes), gets them."""
    first = blocks_in(packed, layout)
    outputs = [np.empty((width, SCORED), packed.dtype) for width in layout.widths[1:]]
    first_output = aligned((len(first), SCORED, WIDTH), packed)
    last_output = first_output
    if len(outputs) > 2:
        last_output = aligned((blocks_for(layout.widths[-2]), SCORED, WIDTH), packed)
    for begin in range(0, len(rows), SCORED):
        some = rows[begin : begin + SCORED]
        size = len(some)
        for k in range(len(first)):
            multiply(images, some, first[k], first_output[k, :size])
        _outputs(first_output, last_output, packed, layout, size, outputs)
        output = _columns(outputs[-1], size)
        for i in range(size):
            for c in range(len(output)):
                found[begin + i, c] = output[c, i]


@inlined
def _outputs(
    first: np.ndarray, last: np.ndarray, packed: np.ndarray, layout: Layout, size: int, outputs: list[np.ndarray]
):
    """Compute the outputs of all layers for a batch.

    Args:
        first: products of the first weight, (blocks, batch_size, WIDTH). They become the outputs of the first layer.
        last: gets the outputs of the last hidden layer. With one hidden layer, the same array as `first`.
        packed: weights and biases, (size,).
        layout: layout of `packed`.
        size: number of images in the batch.
        outputs: get the outputs of the other layers, (width, size) each.
    """
    layers, logits, bias = len(outputs), _columns(outputs[-1], size), bias_in(packed, layout, len(outputs) - 1)
    if layers > 1:
        activate_blocks(first, bias_in(packed, layout, 0), size)
    if layers != 2:
        out_of_blocks(first, _columns(outputs[0], size))
    for layer in range(1, layers - 1):
        output = _columns(outputs[layer], size)
        np.dot(weight_in(packed, layout, layer), _columns(outputs[layer - 1], size), output)
        _activate(output, bias_in(packed, layout, layer))
    if layers > 2:
        into_blocks(_columns(outputs[layers - 2], size), last)
    if layers > 1:
        output_logits(last, output_blocks_in(packed, layout), bias, logits)
    else:
        for c in range(len(bias)):
            for i in range(size):
                logits[c, i] += bias[c]


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
    """Update a weight between the first and the output layer; return the same sums as `update_first`.

    Args:
        weight: (outputs, inputs).
        error: derivatives of the loss by the outputs, (outputs, n).
        outputs_below: outputs of the layer below, (inputs, n).
        state: the weight's first and second moments.
        group: as in `update_first`.
        norms: the weight's norms before the update.
        rule: the optimizer.
        step: the number of the step, from 1.
    """
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
def _rows_at_a_time(size: int, width: int):
    """The number of rows of a tile, small enough for the cache and for OpenBLAS's kernels for small matrices."""
    return max(1, min(32, 1_200 // size, 1_000_000 // (size * width)))


@inlined
def _columns(buffer: np.ndarray, size: int):
    """The first part of a buffer (width, batch_size), as a contiguous array (width, size)."""
    return buffer.reshape(-1)[: buffer.shape[0] * size].reshape(buffer.shape[0], size)


@inlined
def _activate(output: np.ndarray, bias: np.ndarray):
    """Add the bias to the products of a weight, (width, n), and apply ReLU."""
    zero = output.dtype.type(0)
    for j in range(output.shape[0]):
        for i in range(output.shape[1]):
            value = output[j, i] + bias[j]
            output[j, i] = zero if value < zero else value


@inlined
def _pass_relu(error: np.ndarray, output: np.ndarray):
    """Turn derivatives by the outputs of a ReLU into derivatives by its inputs, in place."""
    zero = error.dtype.type(0)
    for j in range(error.shape[0]):
        for i in range(error.shape[1]):
            error[j, i] = error[j, i] if output[j, i] > zero else zero


@inlined
def _row_sums(error: np.ndarray):
    """Sum an error (width, n) over the images: the gradient of the bias."""
    sums = np.empty(error.shape[0], error.dtype)
    for j in range(len(sums)):
        sums[j] = 0
        for i in range(error.shape[1]):
            sums[j] += error[j, i]
    return sums
