"""Spans: many ranges of one byte buffer, looked at all at once.

The scanner never touches a line; it asks one question of all lines together. A question is about
*positions* (int64 offsets into a `Text`) or *spans* (pairs of them), and its answer is an array as
long as the positions: the bytes there, whether a shape fits there, the number written there.

Everything rests on one trick. `Text.words` views the buffer as overlapping little-endian 8-byte
integers, one at every offset, so that eight bytes of thirty thousand lines are one numpy gather,
comparing them with a literal is one integer comparison, and picking digits is arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.columns import spread

Positions = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

PADDING = b"\n" * 8
"""What must follow a text, so that a word can be loaded at its last byte."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Half-open ranges `[start, end)` of one text, ascending and disjoint."""

    start: Positions
    end: Positions

    def __getitem__(self, chosen: Positions | Mask) -> "Spans":
        return Spans(self.start[chosen], self.end[chosen])

    @property
    def length(self) -> Positions:
        """Bytes in each."""
        return self.end - self.start


class Text:
    """A buffer of bytes and the questions that can be asked of it at many positions at once.

    Args:
        padded: the bytes, followed by `PADDING`.
    """

    def __init__(self, padded: bytes) -> None:
        self.padded = padded
        self.size = len(padded) - len(PADDING)
        self.bytes = np.frombuffer(padded, np.uint8)
        self._words: Words = np.ndarray(self.size + 1, "<u8", padded, strides=(1,))

    def find(self, *wanted: bytes) -> Positions:
        """Where any of these single bytes stands, ascending; the first byte of padding counts."""
        reached = self.bytes[: self.size + 1]
        found = reached == ord(wanted[0])
        for byte in wanted[1:]:
            found |= reached == ord(byte)
        return np.flatnonzero(found)

    def byte(self, at: Positions) -> npt.NDArray[np.uint8]:
        """The byte at each position."""
        return self.bytes[at]

    def word(self, at: Positions) -> Words:
        """The eight bytes from each position on; the first is the lowest byte of the word."""
        return self._words[at]

    def has(self, at: Positions, literal: bytes) -> Mask:
        """Whether `literal`, of any length, stands from each position on."""
        return self._at_every_word(at, literal, has)

    def fits(self, at: Positions, shape: bytes) -> Mask:
        """Whether `shape`, of any length, stands there; a `#` in it is any ASCII digit."""
        return self._at_every_word(at, shape, fits)

    def _at_every_word(
        self, at: Positions, wanted: bytes, test: Callable[[Words, bytes], Mask]
    ) -> Mask:
        answer = test(self.word(at), wanted[:8])
        for offset in range(8, len(wanted), 8):
            # The last load overlaps the one before it, so that none reads beyond what is wanted.
            offset = min(offset, len(wanted) - 8)
            answer &= test(self.word(at + offset), wanted[offset : offset + 8])
        return answer

    def strings(self, spans: Spans, rows: Positions, count: int) -> pa.StringArray:
        """`count` strings: the span's text in its row, null elsewhere. The text must be UTF-8."""
        return self._gather(pa.string(), spans, rows, count)

    def coded(self, spans: Spans) -> tuple[npt.NDArray[np.int32], pa.StringArray]:
        """The text of each span as an index into its distinct texts. The text must be UTF-8."""
        count = len(spans.start)
        if count:
            first = self.padded[spans.start[0] : spans.end[0]]
            are_as_long = (spans.length == len(first)).all()
            if are_as_long and self.has(spans.start, first).all():  # as the server's own name is
                return np.zeros(count, np.int32), pa.array([first.decode()])
        encoded = self.strings(spans, np.arange(count), count).dictionary_encode()
        return encoded.indices.to_numpy(), encoded.dictionary

    def binaries(self, spans: Spans, rows: Positions, count: int) -> pa.BinaryArray:
        """`count` byte strings: the span's bytes in its row, null elsewhere."""
        return self._gather(pa.binary(), spans, rows, count)

    def _gather(self, type: pa.DataType, spans: Spans, rows: Positions, count: int) -> pa.Array:
        # Seen as an Arrow array over this buffer, the offsets alternate: span, gap, span, gap, …
        # Taking the even entries copies every span once, and nothing else.
        offsets = np.empty(2 * len(rows) + 1, np.int32)
        offsets[0:-1:2] = spans.start
        offsets[1::2] = spans.end
        offsets[-1] = self.size
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.padded)]
        alternating = pa.Array.from_buffers(type, 2 * len(rows), buffers)
        even = np.arange(0, 2 * len(rows), 2, dtype=np.int32)
        return alternating.take(spread(rows, even, count, pa.int32()))


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


def digit(words: Words, place: int) -> npt.NDArray[np.int64]:
    """The value of the digit in the given place (0 = first byte) of each word."""
    return ((words >> _bits(place)) & np.uint64(0x0F)).astype(np.int64)


def _as_word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


def _bits(places: int) -> np.uint64:
    return np.uint64(8 * places)
