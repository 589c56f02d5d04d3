"""The memory layout of an MLP's tensors for compiled code: one array, so that the same code serves all depths.

The weight of the first layer is stored in blocks of WIDTH units, (blocks, inputs, WIDTH). The weight of the output
layer, if that is not the first layer, is stored in blocks of WIDTH inputs, (blocks, outputs, WIDTH). The last block of
each is padded with zeros. All other weights are stored as in torch, (outputs, inputs). The moments of an optimizer have
the layout of the parameters.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from study.training.compiled.sparse_products import LINE, WIDTH
from study.training.compiled.steps import inlined


class Layout(NamedTuple):
    """The places of the tensors in the array.

    Attributes:
        widths: int64 (layers + 1,): number of inputs, and number of outputs of each layer.
        starts: int64 (layers, 2): where the weight and the bias of each layer start.
    """

    widths: np.ndarray
    starts: np.ndarray


def layout_of(layers: Sequence[nn.Linear]) -> Layout:
    """Compute the layout for the layers of an MLP."""
    starts, end = [], 0
    for i, layer in enumerate(layers):
        inputs, outputs = layer.in_features, layer.out_features
        if i == 0:
            outputs = _round_up(outputs, WIDTH)
        elif i == len(layers) - 1:
            inputs = _round_up(inputs, WIDTH)
        bias = _round_up(end + outputs * inputs, LINE)  # a multiple of LINE numbers is also whole cache lines in bytes
        starts.append((end, bias))
        end = _round_up(bias + layer.out_features, LINE)
    return Layout(np.array([layers[0].in_features, *(layer.out_features for layer in layers)]), np.array(starts))


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def pack(tensors: Sequence[tuple[Tensor, Tensor]], layout: Layout) -> Tensor:
    """Pack the weight and the bias of each layer, or their moments in an optimizer, into one tensor, (size,)."""
    packed = tensors[0][0].new_zeros(layout.starts[-1, 1] + len(tensors[-1][1]))
    for place, tensor in _places(packed, tensors, layout):
        place.copy_(tensor.detach())
    return packed


def unpack(packed: Tensor, tensors: Sequence[tuple[Tensor, Tensor]], layout: Layout) -> None:
    """Copy packed values back into the tensors."""
    for place, tensor in _places(packed, tensors, layout):
        tensor.copy_(place)


def _places(
    packed: Tensor, tensors: Sequence[tuple[Tensor, Tensor]], layout: Layout
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield views of a packed tensor, each with the tensor, or the part of a tensor, that belongs there."""
    for layer, (weight, bias) in enumerate(tensors):
        start, start_of_bias = layout.starts[layer]
        if layer == 0:
            yield from _in_blocks(packed[start:], weight.T)
        elif layer == len(tensors) - 1:
            yield from _in_blocks(packed[start:], weight)
        else:
            yield packed[start:][: weight.numel()].view_as(weight), weight
        yield packed[start_of_bias:][: len(bias)], bias


def _in_blocks(packed: Tensor, matrix: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the places of a matrix in blocks of WIDTH columns: first all full blocks, then the rest of the columns."""
    rows, columns = matrix.shape
    full, rest = divmod(columns, WIDTH)
    size = rows * WIDTH
    if full:
        blocks = packed[: full * size].view(full, rows, WIDTH)
        yield blocks, matrix[:, : full * WIDTH].unflatten(1, (full, WIDTH)).transpose(0, 1)
    if rest:
        yield packed[full * size :][:size].view(rows, WIDTH)[:, :rest], matrix[:, full * WIDTH :]


@inlined
def blocks_for(units: int) -> int:
    """The number of blocks for a number of units."""
    return (units + WIDTH - 1) // WIDTH


@inlined
def blocks_in(packed: np.ndarray, layout: Layout) -> np.ndarray:
    """The first layer's weight, (blocks, inputs, WIDTH)."""
    inputs, blocks = layout.widths[0], blocks_for(layout.widths[1])
    return packed[: blocks * inputs * WIDTH].reshape(blocks, inputs, WIDTH)


@inlined
def output_blocks_in(packed: np.ndarray, layout: Layout) -> np.ndarray:
    """The output layer's weight, (blocks, outputs, WIDTH), if it is not the first layer."""
    blocks, outputs, start = blocks_for(layout.widths[-2]), layout.widths[-1], layout.starts[-1, 0]
    return packed[start : start + blocks * outputs * WIDTH].reshape(blocks, outputs, WIDTH)


@inlined
def weight_in(packed: np.ndarray, layout: Layout, layer: int) -> np.ndarray:
    """The weight of a layer between the first and the output layer, (outputs, inputs)."""
    inputs, outputs, start = layout.widths[layer], layout.widths[layer + 1], layout.starts[layer, 0]
    return packed[start : start + outputs * inputs].reshape(outputs, inputs)


@inlined
def bias_in(packed: np.ndarray, layout: Layout, layer: int) -> np.ndarray:
    """The bias of a layer, (outputs,)."""
    start = layout.starts[layer, 1]
    return packed[start : start + layout.widths[layer + 1]]


@inlined
def out_of_blocks(blocks: np.ndarray, output: np.ndarray) -> None:
    """Copy (blocks, n, WIDTH) into `output`, (width, n)."""
    for j in range(output.shape[0]):
        for i in range(output.shape[1]):
            output[j, i] = blocks[j // WIDTH, i, j % WIDTH]


@inlined
def into_blocks(output: np.ndarray, blocks: np.ndarray) -> None:
    """Copy `output`, (width, n), into (blocks, n, WIDTH)."""
    for j in range(output.shape[0]):
        for i in range(output.shape[1]):
            blocks[j // WIDTH, i, j % WIDTH] = output[j, i]
