"""Each question about many positions at once, against the same question asked one by one."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.spans import PADDING, Spans, Text, digit, ends_with, fits, has, number

BYTES = st.one_of(st.binary(max_size=60), st.text("019#a[]", max_size=60).map(str.encode))
LITERALS = st.one_of(
    st.binary(min_size=1, max_size=30), st.text("01a[", min_size=1).map(str.encode)
)
SHAPES = st.text("#01a[", min_size=1, max_size=20).map(str.encode)


def at(*positions: int) -> npt.NDArray[np.int64]:
    return np.array(positions, np.int64)


def is_fitting(content: bytes, shape: bytes) -> bool:
    """`#` is any ASCII digit, all else is itself."""
    return len(content) >= len(shape) and all(
        byte in b"0123456789" if wanted == ord("#") else byte == wanted
        for byte, wanted in zip(content, shape, strict=False)
    )


def words(content: bytes) -> npt.NDArray[np.uint64]:
    """One word."""
    return Text(content + PADDING).word(at(0))


@st.composite
def spans_of(draw: st.DrawFn, content: bytes) -> list[tuple[int, int]]:
    """Ascending, disjoint ranges of a text, some of them empty, some touching."""
    bounds = draw(st.lists(st.integers(0, len(content)), max_size=12).map(sorted))
    return list(zip(bounds[0::2], bounds[1::2], strict=False))


def as_spans(ranges: list[tuple[int, int]]) -> Spans:
    return Spans(at(*(start for start, _ in ranges)), at(*(end for _, end in ranges)))


@given(BYTES, st.lists(st.binary(min_size=1, max_size=1), min_size=1, max_size=4))
def test_find_gives_every_place_up_to_the_first_byte_of_padding(
    content: bytes, wanted: list[bytes]
) -> None:
    reached = content + PADDING[:1]
    expected = [n for n in range(len(reached)) if reached[n : n + 1] in wanted]
    assert Text(content + PADDING).find(*wanted).tolist() == expected


@given(BYTES)
def test_bytes_and_words_can_be_read_up_to_the_end_of_the_text(content: bytes) -> None:
    text, padded = Text(content + PADDING), content + PADDING
    everywhere = np.arange(len(content) + 1)
    assert text.byte(everywhere).tolist() == [padded[n] for n in everywhere]
    assert text.word(everywhere).astype("<u8").tobytes() == b"".join(
        padded[n : n + 8] for n in everywhere
    )


@settings(max_examples=300, deadline=None)
@given(BYTES, LITERALS, st.data())
def test_has_is_startswith_wherever_the_literal_has_room(
    content: bytes, literal: bytes, data: st.DataObject
) -> None:
    content += data.draw(st.sampled_from([b"", literal, literal[:-1]]))
    room = len(content) - len(literal)
    places = np.arange(room + 1) if room >= 0 else at()
    found = Text(content + PADDING).has(places, literal)
    assert found.tolist() == [content.startswith(literal, n) for n in places]


@settings(max_examples=300, deadline=None)
@given(BYTES, SHAPES, st.data())
def test_a_shape_fits_where_its_digits_and_letters_stand(
    content: bytes, shape: bytes, data: st.DataObject
) -> None:
    digits = data.draw(st.binary(min_size=1, max_size=1) | st.sampled_from([b"0", b"9"]))
    content += shape.replace(b"#", digits)
    places = np.arange(len(content) - len(shape) + 1)
    found = Text(content + PADDING).fits(places, shape)
    assert found.tolist() == [is_fitting(content[n:], shape) for n in places]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 19])
def test_a_digit_is_one_of_ten_bytes_at_each_place_of_a_shape(size: int) -> None:
    """Also when neighbours are such that a sum could carry over from them."""
    shape = b"#" * size
    for place in range(size):
        for others in (b"0", b"9"):
            content = [
                others * place + bytes([byte]) + others * (size - place - 1) for byte in range(256)
            ]
            text = Text(b"".join(content) + PADDING)
            fitting = text.fits(np.arange(256) * size, shape)
            assert np.flatnonzero(fitting).tolist() == list(b"0123456789")


@pytest.mark.parametrize("place", range(8))
def test_what_is_beside_a_digit_does_not_matter_to_it(place: int) -> None:
    shape = bytearray(b"\xff" * 8)
    shape[place] = ord("#")
    for byte in range(256):
        word = bytes(shape[:place]) + bytes([byte]) + bytes(shape[place + 1 :])
        assert fits(words(word), bytes(shape)).tolist() == [byte in b"0123456789"]


@given(st.binary(min_size=8, max_size=8), st.integers(1, 8), st.booleans())
def test_words_begin_and_end_with_literals(word: bytes, size: int, same: bool) -> None:
    literal = word if same else bytes(reversed(word))
    assert has(words(word), literal[:size]).tolist() == [word.startswith(literal[:size])]
    assert ends_with(words(word), literal[-size:]).tolist() == [word.endswith(literal[-size:])]


@given(st.lists(st.integers(0, 9), min_size=8, max_size=8), st.integers(0, 7))
def test_digits_have_values(digits: list[int], place: int) -> None:
    word = words("".join(map(str, digits)).encode())
    assert digit(word, place).tolist() == [digits[place]]


@given(st.integers(0, 99_999), BYTES)
def test_a_number_is_what_its_digits_spell(value: int, behind: bytes) -> None:
    digits = str(value).encode()
    assert number(words(digits + behind), len(digits)).tolist() == [value]


@given(BYTES, st.integers(1, 5), st.data())
def test_words_are_consecutive(content: bytes, count: int, data: st.DataObject) -> None:
    text, padded = Text(content + PADDING), content + PADDING
    room = len(padded) - 8 * count
    places = data.draw(st.lists(st.integers(0, room), max_size=5)) if room >= 0 else []
    found = text.words(at(*places), count)
    assert found.shape == (count, len(places))
    for nth in range(count):
        assert found[nth].tolist() == text.word(at(*places) + 8 * nth).tolist()


@given(st.text("aé字😀\n", min_size=1, max_size=40).map(str.encode))
def test_every_byte_beyond_ascii_is_between_two_of_the_positions_around_them(
    content: bytes,
) -> None:
    around = Text(content + PADDING).beyond_ascii().tolist()
    assert around == sorted(around)
    assert all(0 <= position < len(content) for position in around)
    ranges = list(zip(around[0::2], around[1::2], strict=True))
    assert all(last - first < 8 for first, last in ranges)
    for position, byte in enumerate(content):
        assert byte < 0x80 or any(first <= position <= last for first, last in ranges)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.data())
def test_binaries_are_the_bytes_of_the_spans(content: bytes, data: st.DataObject) -> None:
    ranges = data.draw(spans_of(content))
    gathered = Text(content + PADDING).binaries(as_spans(ranges))
    gathered.validate(full=True)
    assert gathered.to_pylist() == [content[start:end] for start, end in ranges]


@given(st.lists(st.text(max_size=5), max_size=8))
def test_gathered_strings_are_text(texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    lengths = at(*(len(each) for each in encoded))
    ends = np.cumsum(lengths + 1) - 1
    text = Text(b"".join(each + b"\xff" for each in encoded) + PADDING)
    spans = Spans(ends - lengths, ends)
    gathered = text.strings(spans)
    gathered.validate(full=True)
    assert gathered.to_pylist() == texts


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["", "a", "ab", "mx1.example.jp", "字" * 20]), max_size=8))
def test_coded_texts_are_the_texts(texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    lengths = at(*(len(each) for each in encoded))
    ends = np.cumsum(lengths)
    spans = Spans(ends - lengths, ends)
    coded = Text(b"".join(encoded) + PADDING).coded(spans)
    coded.validate(full=True)
    assert coded.to_pylist() == texts
    assert len(coded.dictionary.unique()) == len(coded.dictionary)


def test_spans_are_chosen_and_measured() -> None:
    spans = Spans(at(0, 3, 9), at(3, 3, 12))
    assert spans.length.tolist() == [3, 0, 3]
    chosen = spans[np.array([True, False, True])]
    assert (chosen.start.tolist(), chosen.end.tolist()) == ([0, 9], [3, 12])
    assert spans[at(1)].length.tolist() == [0]
