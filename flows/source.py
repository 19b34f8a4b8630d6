"""Log files as streams of blocks of whole lines, decompressed and hashed as they are read."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain

import numpy as np
import pyarrow as pa

from flows.discover import LogFile
from flows.errors import SourceError, printable
from transforms.spans import PADDING

BLOCK_BYTES = 4 << 20
_MOST_LINES = 1 << 17
"""In a block; of ordinary lines a block holds about 40,000."""
LONGEST_LINE = 256 << 20
"""A log has no such line; what looks like one is another file, or an attack on memory."""


class Log:
    """The bytes of a log, read once from start to end.

    Args:
        name: what to call it in errors.
        chunks: its bytes, in pieces of any size.
        known_bytes: size of the part of the log that the lake already holds; its hash is taken
            on the way, as `known_sha256`.
    """

    def __init__(self, name: str, chunks: Iterable[bytes], known_bytes: int = 0) -> None:
        self.name = name
        self.size = 0
        """Bytes of the log read so far."""
        self._chunks = chunks
        self._hash = sha256()
        self._known_bytes = known_bytes
        self.known_sha256: str | None = self._hash.hexdigest() if known_bytes == 0 else None
        """Hash of the first `known_bytes`; None as long as, or because, the log is shorter."""

    @property
    def sha256(self) -> str:
        """Hash of what was read so far, hexadecimal."""
        return self._hash.hexdigest()

    def head(self, size: int) -> bytes:
        """The first bytes of the log, or all it has; to be asked before it is read."""
        chunks = iter(self._chunks)
        first: list[bytes] = []
        missing = size
        while missing > 0 and (chunk := next(chunks, b"")):
            first.append(chunk)
            missing -= len(chunk)
        self._chunks = chain(first, chunks)
        return b"".join(first)[:size]

    def blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines, in order, each followed by `PADDING`; the last may be torn.

        Raises:
            SourceError: the compressed file is damaged, or no log.
            OSError: it cannot be read.
        """
        rest: list[bytes] = []
        waiting = 0
        for chunk in chain.from_iterable(map(_portions, self._chunks)):
            self._digest(chunk)
            cut = chunk.rfind(b"\n") + 1
            if cut:
                yield b"".join((*rest, memoryview(chunk)[:cut], PADDING))
                rest, waiting = [], 0
            rest.append(chunk[cut:])
            waiting += len(chunk) - cut
            if waiting > LONGEST_LINE:
                raise SourceError(
                    f"{self.name}: a line of more than"
                    f" {LONGEST_LINE >> 20} MiB ends at byte {self.size} or later;"
                    " this is no acceptlog"
                )
        if waiting:
            yield b"".join((*rest, PADDING))

    def pieces(self) -> Iterator[bytes]:
        """The blocks without padding."""
        return (block[: -len(PADDING)] for block in self.blocks())

    def _digest(self, chunk: bytes) -> None:
        missing = self._known_bytes - self.size
        if 0 < missing <= len(chunk):
            part = self._hash.copy()
            part.update(memoryview(chunk)[:missing])
            self.known_sha256 = part.hexdigest()
        self._hash.update(chunk)
        self.size += len(chunk)


def _portions(chunk: bytes) -> Iterator[bytes]:
    """A chunk in one piece, or in several where its lines are so short that memory would suffer."""
    if np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord("\n")) <= _MOST_LINES:
        yield chunk
        return
    for start in range(0, len(chunk), _MOST_LINES):
        yield chunk[start : start + _MOST_LINES]


def open_log(file: LogFile, known_bytes: int = 0) -> Log:
    """The log in a file, as big as it was when it was discovered.

    A busy server may append to it in the meantime; that is for the next run.
    """
    chunks = _plain(file) if file.compression is None else _unpacked(file)
    return Log(repr(printable(file.path.name)), chunks, known_bytes)


def _plain(file: LogFile) -> Iterator[bytes]:
    left = file.size
    with file.path.open("rb", buffering=0) as content:
        while left and (chunk := content.read(min(BLOCK_BYTES, left))):
            left -= len(chunk)
            yield chunk
    if left:
        raise SourceError(
            f"{printable(str(file.path))!r} became shorter while it was read: {file.size - left}"
            f" bytes instead of {file.size}; what the lake has of it is unchanged"
        )


def _unpacked(file: LogFile) -> Iterator[bytes]:
    with pa.OSFile(str(file.path), "rb") as packed:
        try:
            if not packed.size():  # which Arrow takes for a log without lines
                raise OSError("it is empty")
            content = pa.CompressedInputStream(packed, file.compression)
            while chunk := content.read(BLOCK_BYTES):
                yield chunk
        except OSError as error:
            if error.errno is not None:
                raise
            raise SourceError(
                f"{printable(str(file.path))!r} is no whole {file.compression} file: {error};"
                " if it is still being compressed, the next run will take it"
            ) from error
