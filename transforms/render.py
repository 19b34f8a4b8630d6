"""Events back to the log they were read from, byte for byte, with Arrow's string kernels.

The counterpart of `transforms.scanner`: what `grammar.render_line` does for one line, for many.
"""

from datetime import date, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms import grammar
from transforms.grammar import Dialect, Kind, Verdict

_EPOCH = date(1970, 1, 1)
_DAY_S = 86_400


def render(events: pa.Table, dialect: Dialect, *, is_torn: bool = False) -> bytes:
    """The lines of some consecutive events, with their line ends.

    Args:
        events: rows of `EVENTS`, text columns plain or dictionary-encoded.
        dialect: of the file they come from.
        is_torn: whether the last of them is the torn last line of its file.
    """
    line = pc.coalesce(_large(events["raw"]), _rebuilt(events, dialect))
    # A line that keeps its bytes keeps its line end with them, where that is not the usual one.
    ends = pc.if_else(pc.ends_with(line, "\n"), b"", dialect.line_end).to_pylist()
    if is_torn:
        ends[-1] = b""
    whole = _join(line, pa.array(ends, pa.large_binary()))
    return b"".join(_bytes(chunk) for chunk in whole.chunks)


def _rebuilt(events: pa.Table, dialect: Dialect) -> pa.ChunkedArray:
    """The lines without line end, as far as their columns tell; null for debug and malformed."""
    is_accept, is_verdict, is_blank = (
        pc.equal(_plain(events["kind"]), kind) for kind in (Kind.ACCEPT, Kind.VERDICT, Kind.BLANK)
    )
    empty = pa.scalar(b"", pa.large_binary())
    nothing = pa.scalar(None, pa.large_binary())
    return pc.if_else(
        is_accept,
        _accepts(events),
        pc.if_else(is_verdict, _verdicts(events, dialect), pc.if_else(is_blank, empty, nothing)),
    )


def _accepts(events: pa.Table) -> pa.ChunkedArray:
    return _join(
        _head(events),
        b"[",
        events["client_ip"],
        b"]:",
        events["port"].cast("string"),
        pc.if_else(events["tls"], grammar.TLS, b""),
        grammar.ACCEPT,
    )


def _verdicts(events: pa.Table, dialect: Dialect) -> pa.ChunkedArray:
    peer = _large(events["peer_name"])
    return _join(
        _head(events),
        peer,
        pc.if_else(pc.equal(pc.binary_length(peer), 0), b"", dialect.peer_gap),
        b"[",
        events["client_ip"],
        b"], ",
        _subjects(events),
        b",<",
        pc.coalesce(_large(events["message_id"]), pa.scalar(dialect.no_id, pa.large_binary())),
        b">,",
        events["status"],
    )


def _subjects(events: pa.Table) -> pa.ChunkedArray:
    auth = _join(
        grammar.AUTH,
        events["auth_mechanism"],
        b":",
        events["auth_user"],
        pc.if_else(events["auth_success"], grammar.SUCCESS, grammar.FAILED),
    )
    is_dnsbl = pc.equal(_plain(events["verdict"]), Verdict.REJECTED_DNSBL)
    sentence = pc.if_else(is_dnsbl, grammar.DNSBL, grammar.REVERSE_DNS).cast(pa.large_binary())
    return pc.coalesce(auth, _large(events["sender"]), sentence)


def _head(events: pa.Table) -> pa.ChunkedArray:
    """`[DD/Mon/YYYY:HH:MM:SS], (server), `"""
    seconds = events["ts"].cast(pa.int64()).fill_null(0).to_numpy() // 1_000_000
    days, day = np.unique(seconds // _DAY_S, return_inverse=True)
    dates = pa.array([_date(number) for number in days.tolist()], pa.large_binary())
    times = _times().take(pa.array(seconds % _DAY_S))
    return _join(
        b"[", dates.take(pa.array(day)), b":", times, b"], (", events["server_name"], b"), "
    )


def _date(number: int) -> bytes:
    day = _EPOCH + timedelta(number)
    return b"%02d/%b/%04d" % (day.day, grammar.MONTHS[day.month - 1], day.year)


@cache
def _times() -> pa.LargeBinaryArray:
    """All times of day, `HH:MM:SS`."""
    times = [b"%02d:%02d:%02d" % (s // 3600, s // 60 % 60, s % 60) for s in range(_DAY_S)]
    return pa.array(times, pa.large_binary())


def _join(*parts: pa.Array | pa.ChunkedArray | bytes) -> pa.ChunkedArray:
    """The parts of each line one after the other; null where one of them is."""
    large = [
        pa.scalar(part, pa.large_binary()) if isinstance(part, bytes) else _large(part)
        for part in parts
    ]
    return pc.binary_join_element_wise(*large, pa.scalar(b"", pa.large_binary()))


def _large(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    # Large, since a row group of hostile lines may well hold more than 2 GiB.
    return _plain(texts).cast(pa.large_binary())


def _plain(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return texts.cast(texts.type.value_type) if pa.types.is_dictionary(texts.type) else texts


def _bytes(texts: pa.LargeBinaryArray) -> memoryview:
    """All values of an array without nulls, in one piece."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[bounds[0] : bounds[-1]]
