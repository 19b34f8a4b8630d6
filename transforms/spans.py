"""Spans: many ranges of one byte buffer, looked at all at once.

The scanner never touches a line; it asks one question of all lines together. A question is about
*positions* (int64 offsets into a `Text`) or *spans* (pairs of them), and its answer is an array as
long as the positions: the bytes there, whether a shape fits there, the number written there.

Everything rests on one trick. `Text.words` views the buffer as overlapping little-endian 8-byte
integers, one at every offset, so that eight bytes of thirty thousand lines are one numpy gather,
comparing them with a literal is one integer comparison, and picking digits is arithmetic.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.columns import words

Positions = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Numbers = TypeVar("Numbers", npt.NDArray[np.uint8], npt.NDArray[np.uint64])

PADDING = b"\n" * 8
"""What must follow a text, so that a word can be loaded at its last byte."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Half-open ranges `[start, end)` of one text, ascending and disjoint."""

    start: Positions
    end: Positions

    def __getitem__(self, chosen: Positions | Mask | slice) -> "Spans":
        return Spans(self.start[chosen], self.end[chosen])

    def slices(self) -> Iterator[slice]:
        """Each as Python's own kind of span."""
        return map(slice, self.start.tolist(), self.end.tolist())

    @property
    def length(self) -> Positions:
        """Bytes in each."""
        return self.end - self.start


_STRETCH = 1 << 18
"""So many bytes are looked at in one go where every byte is; what comes of them stays in cache."""


class Text:
    """A buffer of bytes and the questions that can be asked of it at many positions at once.

    Args:
        padded: the bytes, followed by `PADDING`.
    """

    def __init__(self, padded: bytes) -> None:
        self.padded = padded
        self.size = len(padded) - len(PADDING)
        self.bytes = np.frombuffer(padded, np.uint8)

    def find(self, *wanted: bytes) -> Positions:
        """Where any of these single bytes stands, ascending; the first byte of padding counts."""

        def is_wanted(stretch: npt.NDArray[np.uint8]) -> Mask:
            answer: Mask = stretch == ord(wanted[0])
            for byte in wanted[1:]:
                answer |= stretch == ord(byte)
            return answer

        return _where(is_wanted, self.bytes[: self.size + 1])

    def beyond_ascii(self) -> Positions:
        """Positions around all bytes that are not ASCII, ascending: of each the word it is in."""

        def is_beyond(stretch: Words) -> Mask:
            return (stretch & _as_word(b"\x80" * 8)) != 0

        whole: Words = np.frombuffer(self.padded, "<u8", len(self.padded) // 8)
        first = 8 * _where(is_beyond, whole)
        return np.stack([first, np.minimum(first + 7, self.size - 1)], axis=1).ravel()

    def byte(self, at: Positions) -> npt.NDArray[np.uint8]:
        """The byte at each position."""
        return self.bytes[at]

    def word(self, at: Positions) -> Words:
        """The eight bytes from each position on; the first is the lowest byte of the word."""
        return self.words(at, 1)[0]

    def words(self, at: Positions, count: int) -> Words:
        """`count` words from each position on, one row for each word: shape (count, positions).

        Raises:
            IndexError: they would reach beyond the padding.
        """
        size = 8 * count
        room = max(0, len(self.padded) - size + 1)
        windows = np.ndarray(room, f"V{size}", self.padded, strides=(1,))
        return windows[at].view("<u8").reshape(len(at), count).T

    def has(self, at: Positions, literal: bytes) -> Mask:
        """Whether `literal`, one byte or more, stands from each position on.

        Raises:
            IndexError: whole words with it in them would reach beyond the padding.
        """
        return self._at_every_word(at, literal, has)

    def fits(self, at: Positions, shape: bytes) -> Mask:
        """Whether `shape`, one byte or more, stands there; a `#` in it is any ASCII digit.

        Raises:
            IndexError: as `has`.
        """
        return self._at_every_word(at, shape, fits)

    def _at_every_word(
        self, at: Positions, wanted: bytes, test: Callable[[Words, bytes], Mask]
    ) -> Mask:
        parts = [wanted[offset : offset + 8] for offset in range(0, len(wanted), 8)]
        first, *others = zip(self.words(at, len(parts)), parts, strict=True)
        answer = test(*first)
        for word, part in others:
            answer &= test(word, part)
        return answer

    def strings(self, spans: Spans) -> pa.StringArray:
        """The text of each span, which must be UTF-8."""
        # Seen as an Arrow array over this buffer, the offsets alternate: span, gap, span, gap, …
        # Taking the even entries copies every span once, and nothing else.
        count = len(spans.start)
        offsets = np.empty(2 * count + 1, np.int32)
        offsets[0:-1:2] = spans.start
        offsets[1::2] = spans.end
        offsets[-1] = self.size
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.padded)]
        alternating = pa.Array.from_buffers(pa.string(), 2 * count, buffers)
        return alternating.take(pa.array(np.arange(0, 2 * count, 2, dtype=np.int32)))

    def binaries(self, spans: Spans) -> pa.BinaryArray:
        """The bytes of each span; for a few of them."""
        return pa.array([self.padded[each] for each in spans.slices()], pa.binary())

    def coded(self, spans: Spans) -> pa.DictionaryArray:
        """The text of each span, which must be UTF-8, as an index into the distinct texts."""
        first = next((self.padded[each] for each in spans[:1].slices()), b"")
        are_as_long = (spans.length == len(first)).all()
        if first and are_as_long and self.has(spans.start, first).all():
            # As the server's own name is.
            return words(np.zeros(len(spans.start), np.int32), [first.decode()])
        return self.strings(spans).dictionary_encode()


def _where(test: Callable[[Numbers], Mask], values: Numbers) -> Positions:
    """The indices of the values that pass a test, stretch by stretch."""
    step = _STRETCH // values.itemsize
    starts = range(0, len(values), step)
    return np.concatenate(
        [np.flatnonzero(test(values[start : start + step])) + start for start in starts]
    )


def has(words: Words, literal: bytes) -> Mask:
    """Whether each word begins with `literal`, which has at most 8 bytes."""
    answer: Mask = (words << _bits(8 - len(literal))) == _as_word(literal.rjust(8, b"\0"))
    return answer


def fits(words: Words, shape: bytes) -> Mask:
    """Whether each word begins with `shape`: up to 8 bytes, in which `#` stands for any digit."""
    literal = bytes(0xFF * (byte != ord("#")) for byte in shape)
    answer: Mask = (words & _as_word(literal)) == (_as_word(shape) & _as_word(literal))
    # 0x30–0x39 are the only bytes whose high half is 3 both before and after adding 6; a byte so
    # high that the sum carries into its neighbour has already failed the first test.
    digits = bytes(0xFF - byte for byte in literal)
    high, low, six = (_as_word(bytes(byte & each for byte in digits)) for each in (0xF0, 0x30, 6))
    answer &= ((words & high) == low) & (((words + six) & high) == low)
    return answer


def ends_with(words: Words, literal: bytes) -> Mask:
    """Whether each word ends with `literal`, which has at most 8 bytes."""
    answer: Mask = (words >> _bits(8 - len(literal))) == _as_word(literal)
    return answer


def number(words: Words, length: int) -> npt.NDArray[np.int64]:
    """The number that the first `length` bytes of each word spell, which are digits."""
    value = digit(words, 0)
    for place in range(1, length):
        value = 10 * value + digit(words, place)
    return value


def digit(words: Words, place: int) -> npt.NDArray[np.int64]:
    """The value of the digit in the given place (0 = first byte) of each word."""
    return ((words >> _bits(place)) & np.uint64(0x0F)).astype(np.int64)


def _as_word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


def _bits(places: int) -> np.uint64:
    return np.uint64(8 * places)
