"""Arrow columns put together from pieces: what is known of some rows. All other rows are null."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Rows = npt.NDArray[np.int64]


class Piece(NamedTuple):
    """What some rows of a column hold."""

    row: Rows
    values: npt.NDArray[np.generic] | pa.Array
    """One for each row, none null: numbers as the column's type stores them (booleans,
    microseconds), or Arrow's binary, strings or dictionary-encoded strings."""


def column(pieces: Sequence[Piece], count: int, type: pa.DataType) -> pa.Array:
    """A column of `count` rows; those of a piece ascend, and no two pieces hold the same."""
    pieces = [piece for piece in pieces if len(piece.row)]
    if not pieces:
        return pa.nulls(count, type)
    if pa.types.is_dictionary(type):
        return _words(pieces, count)
    if pa.types.is_string(type) or pa.types.is_binary(type):
        return _texts(pieces, count, type)
    return _numbers(pieces, count, type)


def words(codes: npt.NDArray[np.integer], known: Sequence[str] | pa.Array) -> pa.DictionaryArray:
    """Words by their index."""
    return _coded(pa.array(codes.astype(np.int32, copy=False)), pa.array(known, pa.string()))


def _numbers(pieces: Sequence[Piece], count: int, type: pa.DataType) -> pa.Array:
    data = np.zeros(count, pieces[0].values.dtype)
    for row, values in pieces:
        data[row] = values
    stored = np.packbits(data, bitorder="little") if data.dtype == np.bool_ else data
    return pa.Array.from_buffers(type, count, [_validity(pieces, count), pa.py_buffer(stored)])


def _words(pieces: Sequence[Piece], count: int) -> pa.DictionaryArray:
    chunks = pa.chunked_array([values for _, values in pieces]).unify_dictionaries().chunks
    indices = [chunk.indices.to_numpy() for chunk in chunks]
    coded = [Piece(row, codes) for (row, _), codes in zip(pieces, indices, strict=True)]
    return _coded(_numbers(coded, count, pa.int32()), chunks[0].dictionary)


def _coded(indices: pa.Int32Array, dictionary: pa.StringArray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(indices, dictionary, safe=False)  # the indices are ours


def _texts(pieces: Sequence[Piece], count: int, type: pa.DataType) -> pa.Array:
    row = np.concatenate([piece.row for piece in pieces])
    values: pa.Array = pa.concat_arrays([piece.values for piece in pieces])
    if len(pieces) > 1:
        order = np.argsort(row, kind="stable")  # merges; the rows of each piece ascend
        row, values = row[order], values.take(pa.array(order))
    # The bytes of the rows stand one behind the other already; a null has none.
    _, bounds, content = values.buffers()
    bounds = np.frombuffer(bounds, np.int32)[values.offset :][: len(values) + 1]
    lengths = np.zeros(count + 1, np.int32)
    lengths[0] = bounds[0]
    lengths[row + 1] = np.diff(bounds)
    offsets = pa.py_buffer(np.cumsum(lengths, dtype=np.int32))
    return pa.Array.from_buffers(type, count, [_validity(pieces, count), offsets, content])


def _validity(pieces: Sequence[Piece], count: int) -> pa.Buffer:
    is_there = np.zeros(count, np.bool_)
    for row, _ in pieces:
        is_there[row] = True
    return pa.py_buffer(np.packbits(is_there, bitorder="little"))
