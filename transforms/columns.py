"""Arrow columns made of what is known about some of the rows; the others are null."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Rows = npt.NDArray[np.int64]


def scatter(
    row: Rows, codes: npt.ArrayLike, count: int, dtype: npt.DTypeLike = np.int8
) -> npt.NDArray[np.signedinteger]:
    """`count` codes: each in its row, -1 elsewhere."""
    scattered = np.full(count, -1, dtype)
    scattered[row] = codes
    return scattered


def spread(row: Rows, values: npt.NDArray[np.generic], count: int, type: pa.DataType) -> pa.Array:
    """`count` values: each in its row, null elsewhere.

    Args:
        values: as the type stores them: seconds, microseconds, booleans.
    """
    data = np.zeros(count, values.dtype)
    is_there = np.zeros(count, np.bool_)
    data[row] = values
    is_there[row] = True
    return _array(type, data, is_there)


def coded(
    codes: npt.NDArray[np.signedinteger], words: Sequence[str] | pa.Array
) -> pa.DictionaryArray:
    """Words by their index; null for -1."""
    indices = _array(pa.int32(), np.maximum(codes, 0).astype(np.int32, copy=False), codes >= 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def overlay(column: pa.Array, row: Rows, patch: pa.Array) -> pa.Array:
    """A column with the values of a patch in the given rows."""
    if patch.null_count == len(patch):
        return column  # the rows are null already
    order = np.arange(len(column))
    order[row] = np.arange(len(column), len(column) + len(row))
    both = pa.chunked_array([column, patch]).unify_dictionaries().combine_chunks()
    return both.take(pa.array(order))


def _array(
    type: pa.DataType, data: npt.NDArray[np.generic], is_there: npt.NDArray[np.bool_]
) -> pa.Array:
    packed = (
        np.packbits(data.astype(np.bool_), bitorder="little") if pa.types.is_boolean(type) else data
    )
    validity = np.packbits(is_there, bitorder="little")
    buffers = [pa.py_buffer(validity), pa.py_buffer(packed)]
    return pa.Array.from_buffers(type, len(is_there), buffers)
