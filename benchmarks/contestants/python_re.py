"""Python's `re`, line by line: one regular expression for each shape, batches of rows to Arrow."""

import gc
import re
import time
from calendar import timegm
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contestants.columns import COLUMNS

_BATCH_ROWS = 1 << 17

_HEAD = rb"(\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\]), \(([^)\r\0]*)\), "
_ACCEPT = re.compile(_HEAD + rb"\[([^\]]*)\]:([1-9]\d{0,4})( SSL)?, Client accept now\.\r?\n?")
_VERDICT = re.compile(
    _HEAD + rb"([^\[\r\0]*)\[([^\]]*)\], "
    rb"(?:AUTH-(PLAIN|LOGIN|CRAM-MD5|XAOUTH2|unknown):([^\n\0]*) \[(success|failed)\]|([^\r\n\0]*))"
    rb",<(B\d{10}|B\d[1-9a-c]\d{10}|0{12}|)>,(ok|abort|connection timeout)\r?\n?"
)
_DEBUG = re.compile(
    rb" <(B\d{10}|B\d[1-9a-c]\d{10}|0{12}|)>, \[[^\r\n\0]*\](?:, [^\r\n\0]*)?\r?\n?"
)
_NO_IDS = {b"B0000000000", b"000000000000", b""}
_SENTENCES = {
    b"It was in the ORDB IP.": "rejected_dnsbl",
    b'"Revers DNS" was failed.': "rejected_reverse_dns",
}

_Row = tuple[Any, ...]
_NOTHING = (None,) * 11


def parse(log: str, out: str) -> dict[str, str]:
    """Read line by line, write by batches."""
    gc.disable()  # all these tuples die young, and none is in a cycle
    with (
        Path(log).open("rb") as lines,
        pq.ParquetWriter(out, COLUMNS, compression="zstd", compression_level=1) as writer,
    ):
        numbered = enumerate(lines, 1)
        while batch := list(islice(rows(numbered), _BATCH_ROWS)):
            columns = zip(*batch, strict=True)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, COLUMNS, strict=True)]
            writer.write_table(pa.table(arrays, schema=COLUMNS))
    return {"events": out}


def rows(lines: Iterator[tuple[int, bytes]]) -> Iterator[_Row]:
    accept, verdict = _ACCEPT.fullmatch, _VERDICT.fullmatch
    for number, line in lines:
        row: _Row | None = None
        if match := accept(line):
            stamp, server, client, port, tls = match.groups()
            ts = _ts(stamp)
            if ts is not None and is_address(client) and int(port) < 65536:
                head = (number, "accept", ts, _text(server), client.decode(), int(port))
                row = (*head, tls is not None, *_NOTHING[:8])
        elif match := verdict(line):
            row = _verdict(number, *match.groups())
        elif not line.strip():
            row = (number, "blank", *_NOTHING, None, None)
        elif match := _DEBUG.fullmatch(line):
            message_id = None if match[1] in _NO_IDS else match[1].decode()
            row = (number, "debug", *_NOTHING[:10], message_id, None, None)
        yield row or (number, "malformed", *_NOTHING, None, None)


def _verdict(
    number: int,
    stamp: bytes,
    server: bytes,
    peer: bytes,
    client: bytes,
    mechanism: bytes | None,
    user: bytes | None,
    outcome: bytes | None,
    subject: bytes | None,
    message_id: bytes,
    status: bytes,
) -> _Row | None:
    ts = _ts(stamp)
    if ts is None or not is_address(client):
        return None
    has_id = message_id not in _NO_IDS
    at_once = None
    if status == b"ok":
        verdict = "accepted"
    elif status != b"abort":
        verdict = "timeout"
    elif has_id:
        verdict = "rejected_content"
    elif outcome is not None:
        verdict = "rejected_auth" if outcome == b"failed" else "rejected_policy"
    else:
        at_once = _SENTENCES.get(subject or b"")
        verdict = at_once or "rejected_policy"
    return (
        number,
        "verdict",
        ts,
        _text(server),
        client.decode(),
        None,
        None,
        _text(peer.removesuffix(b" ")),
        None if at_once or subject is None else _text(subject),
        None if mechanism is None else mechanism.decode(),
        None if user is None else _text(user),
        None if outcome is None else outcome == b"success",
        message_id.decode() if has_id else None,
        status.decode(),
        verdict,
    )


@lru_cache(maxsize=1 << 12)
def _ts(stamp: bytes) -> int | None:
    hour, minute, second = int(stamp[13:15]), int(stamp[16:18]), int(stamp[19:21])
    midnight = _midnight(stamp[1:12])
    if midnight is None or hour > 23 or minute > 59 or second > 59:
        return None
    return (midnight + 3600 * hour + 60 * minute + second) * 1_000_000


@lru_cache
def _midnight(day: bytes) -> int | None:
    try:
        return timegm(time.strptime(day.decode(), "%d/%b/%Y"))
    except ValueError:
        return None


@lru_cache(maxsize=1 << 16)
def is_address(text: bytes) -> bool:
    try:
        ip_address(text.decode("ascii"))
    except ValueError:
        return False
    return True


def _text(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        pass
    try:
        return text.decode("cp932")
    except UnicodeDecodeError:
        return text.decode("ascii", "backslashreplace")
