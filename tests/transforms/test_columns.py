"""A column put together from pieces holds what the pieces say, and null elsewhere."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.columns import Piece, column, words

CODED = pa.dictionary(pa.int32(), pa.string())
VALUES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text(max_size=5)),
    (pa.binary(), st.binary(max_size=5)),
    (CODED, st.sampled_from(["", "ok", "abort", "字"])),
]


def as_piece(rows: list[tuple[int, Any]], type: pa.DataType) -> Piece:
    values = [value for _, value in rows]
    row = np.array([number for number, _ in rows], np.int64)
    if pa.types.is_dictionary(type):
        return Piece(row, pa.array(values, pa.string()).dictionary_encode())
    if pa.types.is_string(type) or pa.types.is_binary(type):
        return Piece(row, pa.array(values, type))
    return Piece(row, np.array(values, type.to_pandas_dtype()))


@pytest.mark.parametrize(("type", "values"), VALUES, ids=lambda each: str(each)[:10])
@given(data=st.data())
def test_a_column_holds_its_pieces_and_null_elsewhere(
    type: pa.DataType, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    owners = data.draw(st.lists(st.integers(0, 3), max_size=30))
    expected = [data.draw(values) if owner else None for owner in owners]
    pieces = [
        as_piece([(n, expected[n]) for n, each in enumerate(owners) if each == owner], type)
        for owner in (1, 2, 3)
    ]
    found = column(pieces, len(owners), type)
    found.validate(full=True)
    assert found.type == type
    assert found.to_pylist() == expected


def test_texts_may_be_a_slice_of_an_array() -> None:
    texts = pa.array(["out", "of", "sight", "in", "sight"]).slice(3)
    found = column([Piece(np.array([1, 3]), texts)], 5, pa.string())
    found.validate(full=True)
    assert found.to_pylist() == [None, "in", None, "sight", None]


def test_timestamps_are_numbers() -> None:
    found = column([Piece(np.array([1]), np.array([1_000_000]))], 2, pa.timestamp("us"))
    assert [str(each) for each in found] == ["None", "1970-01-01 00:00:01"]


def test_words_are_chosen_by_their_index() -> None:
    assert words(np.array([1, 0, 1], np.int8), ["a", "b"]).to_pylist() == ["b", "a", "b"]
