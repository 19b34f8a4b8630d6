"""The log as it was, out of the lake; and the proof that it is."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain, zip_longest

import pyarrow.parquet as pq

from flows.errors import LakeError, printable
from flows.lake import Key, Lake, TableName
from flows.ledger import Entry
from transforms.render import render

_QUOTED = 120


def export_log(lake: Lake, key: Key) -> Iterator[bytes]:
    """The bytes of a day's log, in order, in pieces of whole lines.

    Raises:
        LakeError: the lake has no such day, or it is damaged.
    """
    with _opened(lake, key) as file:
        yield from _pieces(file)


def reproduces(lake: Lake, key: Key) -> bool:
    """Whether a partition gives back exactly the log that was ingested, by its SHA-256."""
    digest = sha256()
    with _opened(lake, key) as file:
        for piece in _pieces(file):
            digest.update(piece)
        return digest.hexdigest() == Entry.from_footer(file.metadata.metadata).sha256


def _opened(lake: Lake, key: Key) -> pq.ParquetFile:
    try:
        return lake.open(TableName.EVENTS, key, encoded=True)
    except FileNotFoundError:
        raise LakeError(
            f"{key} is not in the lake; 'acceptlake sql' and the view ingested_files show what is"
        ) from None


def _pieces(file: pq.ParquetFile) -> Iterator[bytes]:
    # Rows and ledger are taken from the same open file, which nobody can replace under us.
    entry = Entry.from_footer(file.metadata.metadata)
    groups = file.num_row_groups
    for group in range(groups):
        is_torn = entry.is_torn and group == groups - 1
        yield render(file.read_row_group(group), entry.dialect, is_torn=is_torn)


def first_difference(old: Iterable[bytes], new: Iterable[bytes]) -> str:
    """Where two logs first differ: the line's number and how it begins in both.

    Args:
        old: pieces of whole lines; only as much as there is of it is compared.
        new: likewise.
    """
    for number, (was, now) in enumerate(zip_longest(_lines(old), _lines(new)), start=1):
        if was is None:
            break
        if was != now:
            return f"line {number} was {_quote(was)} and is {_quote(now)}"
    return "no line differs"


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return chain.from_iterable(piece.removesuffix(b"\n").split(b"\n") for piece in pieces)


def _quote(line: bytes | None) -> str:
    if line is None:
        return "missing"
    return printable(repr(line.removesuffix(b"\r")[:_QUOTED])[1:])
