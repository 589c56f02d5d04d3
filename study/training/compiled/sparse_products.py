"""Products of a sparse and a dense matrix as compiled code (Numba), which skips the zeros of the sparse matrix.

Half of the pixels of Fashion-MNIST and four fifths of those of MNIST are background, exactly 0. The dense matrix is cut
into blocks of WIDTH columns. While a row of the product is summed for one block, it stays in registers, and the rows of
the block stay in the smallest cache. Up to rounding, the numbers are those of a dense product.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from study.training.compiled.steps import compiled, inlined

# LANES: numbers in a register. WIDTH: columns of a block; one row of a block fits into the registers of the CPU. STRIP:
# columns of the sparse matrix, so rows of a block, that are processed at a time; in float32 they fit into an L1 cache
# of 32 KB. Wide blocks and long strips mean fewer ends of loops, and the CPU cannot predict these.
_CPU = binding.get_host_cpu_features()
LANES, WIDTH, STRIP = (16, 128, 64) if _CPU.get("avx512f") else (8, 112, 72) if _CPU.get("avx2") else (4, 64, 112)
LINE = 64  # bytes of a cache line


class Entries(NamedTuple):
    """The non-zero entries of a sparse matrix, row by row, and within a row by strips of STRIP columns."""

    columns: np.ndarray  # uint8, counted from the first column of the strip
    values: np.ndarray
    starts: np.ndarray  # int64 (rows, strips + 1): where each strip of a row starts, and where the row ends


@compiled
def list_entries(matrix: np.ndarray) -> Entries:
    """List the non-zero entries of a matrix (rows, columns). NaN counts as non-zero."""
    rows, width = matrix.shape
    found = 0
    for row in range(rows):
        for column in range(width):
            found += matrix[row, column] != 0
    # Room for one more, because the loop also writes each zero, and the next entry overwrites it.
    columns, values = np.empty(found + 1, np.uint8), np.empty(found + 1, matrix.dtype)
    starts = np.empty((rows, (width + STRIP - 1) // STRIP + 1), np.int64)
    found = 0
    for row in range(rows):
        for strip, begin in enumerate(range(0, width, STRIP)):
            starts[row, strip] = found
            for column in range(begin, min(begin + STRIP, width)):
                value = matrix[row, column]
                columns[found] = column - begin
                values[found] = value
                found += value != 0  # without a branch, because the CPU could not predict it
        starts[row, -1] = found
    return Entries(columns, values, starts)


@inlined
def room_for_entries(rows: int, columns: int, values: np.ndarray) -> Entries:
    """Make room for the entries of any matrix of this shape, with numbers of the type of `values`."""
    room, strips = rows * columns, (columns + STRIP - 1) // STRIP
    return Entries(np.empty(room, np.uint8), np.empty(room, values.dtype), np.empty((rows, strips + 1), np.int64))


@inlined
def transpose(matrix: Entries, rows: np.ndarray, found: Entries) -> None:
    """List the entries of some rows of a sparse matrix by column. `found` gets them, and may have room for more."""
    columns, values, starts = matrix
    columns_found, values_found, starts_found = found
    following = np.empty(len(starts_found), np.int64)  # the next place: each column has room for an entry per row
    for column in range(len(following)):
        following[column] = column * len(rows)
    for strip_found, begin in enumerate(range(0, len(rows), STRIP)):
        for column in range(len(following)):
            starts_found[column, strip_found] = following[column]
        for i in range(begin, min(begin + STRIP, len(rows))):
            for strip in range(starts.shape[1] - 1):
                for entry in range(starts[rows[i], strip], starts[rows[i], strip + 1]):
                    column = strip * STRIP + columns[entry]
                    place = following[column]
                    following[column] = place + 1
                    columns_found[place] = i - begin
                    values_found[place] = values[entry]
    for column in range(len(following)):
        starts_found[column, (len(rows) + STRIP - 1) // STRIP] = following[column]


@inlined
def multiply(entries: Entries, rows: np.ndarray, block: np.ndarray, out: np.ndarray) -> None:
    """Multiply some rows (n,) of a sparse matrix by a dense `block` (columns, WIDTH), into `out` (n, WIDTH)."""
    columns, values, starts = entries
    for strip, begin in enumerate(range(0, len(block), STRIP)):
        for i in range(len(rows)):
            row = rows[i]
            if strip == 0:
                _sum_rows(out[i], block[begin:], columns, values, starts[row, strip], starts[row, strip + 1])
            else:
                _add_rows(out[i], block[begin:], columns, values, starts[row, strip], starts[row, strip + 1])


@inlined
def aligned(shape: tuple[int, ...], like: np.ndarray) -> np.ndarray:
    """Make an array of zeros of the type of `like`, in memory that starts at a cache line."""
    size = 1
    for length in shape:
        size *= length
    extra = LINE // like.itemsize
    memory = np.zeros(size + extra, like.dtype)
    begin = (-memory.ctypes.data % LINE) // like.itemsize
    return memory[begin : begin + size].reshape(shape)


@intrinsic
def _sum_rows(
    typing_context: Any, out: Any, block: Any, columns: Any, values: Any, begin: Any, end: Any
) -> tuple[Any, Callable]:
    """Set out = Σ values[i] · block[columns[i]] for i in begin…end−1. out (WIDTH,), block (rows, WIDTH), contiguous."""
    return types.void(out, block, columns, values, types.intp, types.intp), partial(_generate, adds=False)


@intrinsic
def _add_rows(
    typing_context: Any, out: Any, block: Any, columns: Any, values: Any, begin: Any, end: Any
) -> tuple[Any, Callable]:
    """Add the same sum to `out`."""
    return types.void(out, block, columns, values, types.intp, types.intp), partial(_generate, adds=True)


def _generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any, adds: bool) -> Any:
    """Generate the sum in LLVM IR. A loop in Python would write the sum to memory and read it back for each row."""
    arrays = [context.make_array(t)(context, builder, a) for t, a in zip(signature.args, arguments[:4])]  # noqa: B905
    out, block, columns, values = (array.data for array in arrays)
    size, number = ir.IntType(64), context.get_value_type(signature.args[0].dtype)
    vector = ir.VectorType(number, LANES)
    suffix = "f32" if signature.args[0].dtype == types.float32 else "f64"
    multiply_add = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}{suffix}"
    )
    undefined, same = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    alignment = context.get_abi_sizeof(number)  # that of one number, because not every array starts at a cache line
    registers = range(WIDTH // LANES)

    def at(pointer: ir.Value, register: int) -> ir.Value:
        return builder.bitcast(builder.gep(pointer, [size(register * LANES)]), vector.as_pointer())

    before = builder.block
    totals_before = [
        builder.load(at(out, r), align=alignment) if adds else ir.Constant(vector, None) for r in registers
    ]
    loop, body, after = (builder.append_basic_block(name) for name in ("loop", "body", "after"))
    builder.branch(loop)
    builder.position_at_end(loop)
    i, totals = builder.phi(size), [builder.phi(vector) for _ in registers]
    builder.cbranch(builder.icmp_signed("<", i, arguments[5]), body, after)
    builder.position_at_end(body)
    column = builder.zext(builder.load(builder.gep(columns, [i])), size)
    value = builder.insert_element(undefined, builder.load(builder.gep(values, [i])), ir.IntType(32)(0))
    value = builder.shuffle_vector(value, undefined, same)
    row = builder.gep(block, [builder.mul(column, size(WIDTH))])
    totals_next = [
        builder.call(multiply_add, [value, builder.load(at(row, r), align=alignment), totals[r]]) for r in registers
    ]
    i_next = builder.add(i, size(1))
    befores, followings = [arguments[4], *totals_before], [i_next, *totals_next]
    for phi, first, following in zip([i, *totals], befores, followings, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(following, body)
    builder.branch(loop)
    builder.position_at_end(after)
    for r in registers:
        builder.store(totals[r], at(out, r), align=alignment)
    return context.get_dummy_value()
