"""Blocks of log lines to Arrow tables, at the speed of the machine.

All lines of a block go through the grammar together, rule by rule, as spans. A line stays in as
long as each rule *proves* it well-formed; what drops out goes to `grammar.parse_line`, which alone
defines what a line means. So the scanner may be ignorant of a rare shape, and never wrong.

The skeleton of a line is its run of brackets. Both kinds of line worth the trouble begin

    [stamp], (server), peer[address]     and so with the marks     [ ] ) [ ]

and the marks of a block are found in one pass over its bytes, so that "the address" is simply what
stands between the fourth mark of the line and the fifth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import grammar
from transforms.clock import to_utc
from transforms.grammar import Dialect, Kind, Verdict
from transforms.schemas import EVENTS
from transforms.spans import PADDING, Mask, Positions, Spans, Text, Words, digit, ends_with, fits

Codes = npt.NDArray[np.int8]

_MARKS = (b"\n", b"[", b"]", b")")
_SKELETON = b"[])[]"
_SHORTEST = len("[03/Jun/2026:09:00:01], (), [::], ,<>,ok")
"""No well-formed line is shorter, so loads a few words into or before its end stay in the text."""

_SECOND = 1_000_000  # of a timestamp in µs
_KINDS = tuple(Kind)
_VERDICTS = tuple(Verdict)
_MECHANISMS = tuple(mechanism.decode() for mechanism in grammar.MECHANISMS)
_STATUSES = tuple(status.decode() for status in grammar.STATUSES)
_OK, _ABORT, _TIMEOUT = range(3)

_CODED = ("kind", "server_name", "client_ip", "auth_mechanism", "status", "verdict", "parse_error")
SCANNED = pa.schema(
    pa.field(field.name, pa.dictionary(pa.int32(), pa.string()) if field.name in _CODED else field.type)
    for field in EVENTS
    if field.name != "line_no"
)
"""`EVENTS` without the line number, and with the columns of few values dictionary-encoded."""


def scan(padded: bytes, dialect: Dialect, zone: ZoneInfo) -> pa.RecordBatch:
    """Parse a block of whole lines.

    Args:
        padded: lines with their line ends, the last one possibly without; then `PADDING`.
        dialect: how the file's writer ends lines and so on; decides which lines keep `raw`.
        zone: the host's time zone, for `ts_utc`.

    Returns:
        One row per line, in order, with schema `SCANNED`.
    """
    text = Text(padded)
    lines = _Lines.split(text)
    head = _Head.prove(text, lines)
    accept = _Accept.prove(text, head)
    verdict = _Verdict.prove(text, head, dialect)
    subject = verdict.subject

    count = lines.count
    kind = _scatter(accept.row, _KINDS.index(Kind.ACCEPT), count)
    kind[verdict.row] = _KINDS.index(Kind.VERDICT)
    head = head[kind[head.row] >= 0]
    columns = {
        "kind": _coded(kind, _KINDS),
        "ts": _spread(head.row, head.seconds * _SECOND, count, "ts"),
        "ts_utc": _spread(head.row, to_utc(head.seconds, zone) * _SECOND, count, "ts_utc"),
        "server_name": text.strings(head.server, head.row, count).dictionary_encode(),
        "client_ip": _coded(_scatter(head.row, head.client, count, np.int32), head.clients),
        "port": _spread(accept.row, accept.port, count, "port"),
        "tls": _spread(accept.row, accept.is_tls, count, "tls"),
        "peer_name": text.strings(verdict.peer, verdict.row, count),
        "sender": text.strings(subject.sender, subject.sender_row, count),
        "auth_mechanism": _coded(
            _scatter(subject.auth_row, subject.mechanism, count), _MECHANISMS
        ),
        "auth_user": text.strings(subject.user, subject.auth_row, count),
        "auth_success": _spread(subject.auth_row, subject.success, count, "auth_success"),
        "message_id": text.strings(verdict.id, verdict.id_row, count),
        "status": _coded(_scatter(verdict.row, verdict.status, count), _STATUSES),
        "verdict": _coded(_scatter(verdict.row, verdict.outcome, count), _VERDICTS),
        "parse_error": pa.nulls(count, SCANNED.field("parse_error").type),
    }

    has_odd_end = lines.has_odd_end(text, dialect)
    keeps_raw = has_odd_end.copy()
    keeps_raw[verdict.row[verdict.is_odd]] = True
    unproven = np.flatnonzero(kind < 0)
    if len(unproven):
        contents = lines.contents(text, unproven)
        parsed = [grammar.parse_line(content) for content in contents]
        keeps_raw[unproven] |= [
            grammar.render_line(line, dialect) != content
            for line, content in zip(parsed, contents, strict=True)
        ]
        _overlay(columns, unproven, tabulate(parsed, zone))
    raw_row = np.flatnonzero(keeps_raw)
    columns["raw"] = text.binaries(lines.raw(text, has_odd_end)[raw_row], raw_row, count)
    return pa.RecordBatch.from_pydict(columns, schema=SCANNED)


def tabulate(lines: list[grammar.Line], zone: ZoneInfo) -> pa.RecordBatch:
    """The fields of exactly parsed lines, with `ts_utc`, as columns of `SCANNED`."""
    fields = dict(zip(grammar.Line._fields, zip(*lines, strict=True), strict=True))
    columns = {
        name: pa.array(values, EVENTS.field(name).type).cast(SCANNED.field(name).type)
        for name, values in fields.items()
    }
    ts = columns["ts"]
    row = np.flatnonzero(ts.is_valid())
    seconds = ts.drop_null().cast(pa.int64()).to_numpy() // _SECOND
    columns["ts_utc"] = _spread(row, to_utc(seconds, zone) * _SECOND, len(ts), "ts_utc")
    return pa.RecordBatch.from_pydict(columns)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where the lines of a block are. One entry per line."""

    start: Positions
    end: Positions
    """Where the content ends: before CR LF, before LF, or at the end of a torn file."""
    stop: Positions
    """Where the LF is; of a torn line, where the text ends."""
    marks: Positions
    """Where the brackets and line feeds of all lines are."""
    first_mark: Positions
    """Of each line, the index of its first mark in `marks`."""
    skeleton: Text
    """The bytes at `marks`."""

    @property
    def count(self) -> int:
        return len(self.start)

    @classmethod
    def split(cls, text: Text) -> "_Lines":
        marks = text.find(*_MARKS)
        skeleton = Text(text.byte(marks).tobytes() + PADDING)
        breaks = np.flatnonzero(skeleton.bytes[: len(marks)] == ord("\n"))
        stop = marks[breaks]
        # The last break is the padding's. It ends a torn line, or nothing at all.
        if len(stop) == 1 and text.size == 0 or len(stop) > 1 and stop[-2] == text.size - 1:
            breaks, stop = breaks[:-1], stop[:-1]
        start = np.concatenate([[0], stop + 1])[:-1]
        has_cr = (text.byte(stop - 1) == ord("\r")) & (stop > start)
        first_mark = np.concatenate([[0], breaks + 1])[:-1]
        return cls(start, stop - has_cr, stop, marks, first_mark, skeleton)

    def has_odd_end(self, text: Text, dialect: Dialect) -> Mask:
        """Which lines do not end as the dialect has it; a torn line never does."""
        odd: Mask = (self.stop - self.end + 1) != len(dialect.line_end)
        odd |= self.stop == text.size
        return odd

    def raw(self, text: Text, is_odd: Mask) -> Spans:
        """The bytes a line keeps if it keeps any: its content, and its line end where odd."""
        return Spans(self.start, np.where(is_odd, np.minimum(self.stop + 1, text.size), self.end))

    def contents(self, text: Text, rows: Positions) -> list[bytes]:
        """The bytes of some lines, without line ends."""
        ranges = zip(self.start[rows].tolist(), self.end[rows].tolist(), strict=True)
        return [text.padded[start:end] for start, end in ranges]

    def are_plain(self, text: Text) -> Mask:
        """Which lines are UTF-8 without NUL and without a carriage return but in the line end."""
        plain = np.ones(self.count, np.bool_)
        if text.padded.find(b"\0") >= 0:
            plain[self._holding(text.find(b"\0"))] = False
        if text.padded.find(b"\r") >= 0:
            returns = text.find(b"\r")
            rows = self._holding(returns)
            plain[rows[returns != self.end[rows]]] = False
        if not text.padded.isascii():
            rows = np.unique(self._holding(np.flatnonzero(text.bytes >= 0x80)))
            plain[rows] = [_is_utf8(content) for content in self.contents(text, rows)]
        return plain

    def _holding(self, at: Positions) -> Positions:
        return np.searchsorted(self.stop, at)


@dataclass(frozen=True, slots=True)
class _Head:
    """`[stamp], (server), peer[address]` of the lines in which all that is proved."""

    row: Positions
    seconds: Positions
    """The stamp, in seconds since 1970 on the server's wall clock."""
    server: Spans
    peer: Spans
    """With the gap that may stand before the bracket."""
    client: npt.NDArray[np.int32]
    """The address, as an index into `clients`."""
    clients: pa.StringArray
    close: Positions
    """Where the bracket after the address is."""
    end: Positions
    """Where the line ends."""

    def __getitem__(self, chosen: Positions | Mask) -> "_Head":
        return _Head(
            self.row[chosen],
            self.seconds[chosen],
            self.server[chosen],
            self.peer[chosen],
            self.client[chosen],
            self.clients,
            self.close[chosen],
            self.end[chosen],
        )

    @classmethod
    def prove(cls, text: Text, lines: _Lines) -> "_Head":
        is_long = lines.end - lines.start >= _SHORTEST
        is_shaped = lines.skeleton.fits(lines.first_mark, _SKELETON)
        row = np.flatnonzero(is_long & is_shaped & lines.are_plain(text))
        start, first = lines.start[row], lines.first_mark[row]
        opening, closing, paren, bracket, close = (
            lines.marks[first + nth] for nth in range(len(_SKELETON))
        )

        # [DD/Mon/YYYY:HH:MM:SS], (
        clock = text.word(start + 16)
        minutes = 10 * digit(clock, 0) + digit(clock, 1)
        seconds = 10 * digit(clock, 3) + digit(clock, 4)
        full_hour = _seconds_at_hour(text.word(start), text.word(start + 8))
        proved = (opening == start) & (closing == start + len("[DD/Mon/YYYY:HH:MM:SS"))
        proved &= (full_hour != _NO_HOUR) & (minutes < 60) & (seconds < 60)
        proved &= fits(clock, b"##:##], ") & (text.byte(start + 24) == ord("("))
        # server), peer[
        proved &= text.fits(paren, b"), ")
        # address]
        address = text.strings(Spans(bracket + 1, close), np.arange(len(row)), len(row))
        clients = address.dictionary_encode()
        is_address = [grammar.is_address(ip) for ip in clients.dictionary.cast("binary").to_pylist()]
        client = clients.indices.to_numpy()
        proved &= np.array(is_address, np.bool_)[client]

        return cls(
            row=row,
            seconds=full_hour + 60 * minutes + seconds,
            server=Spans(start + len("[DD/Mon/YYYY:HH:MM:SS], ("), paren),
            peer=Spans(paren + len("), "), bracket),
            client=client,
            clients=clients.dictionary,
            close=close,
            end=lines.end[row],
        )[proved]


@dataclass(frozen=True, slots=True)
class _Accept:
    """`]:PORT, Client accept now.` or `]:PORT SSL, Client accept now.`, with nothing as peer."""

    row: Positions
    port: npt.NDArray[np.int32]
    is_tls: Mask

    @classmethod
    def prove(cls, text: Text, head: _Head) -> "_Accept":
        head = head[text.fits(head.close, b"]:") & (head.peer.length == 0)]
        is_tls = text.fits(head.end - len(grammar.TLS + grammar.ACCEPT), grammar.TLS)
        digits = Spans(
            head.close + len("]:"),
            head.end - len(grammar.ACCEPT) - np.where(is_tls, len(grammar.TLS), 0),
        )
        proved = text.fits(head.end - len(grammar.ACCEPT), grammar.ACCEPT)
        proved &= (digits.length >= 1) & (digits.length <= 5)
        proved &= text.byte(digits.start) != ord("0")

        port = np.zeros(len(head.row), np.int32)
        for place in range(5):
            is_there = place < digits.length
            value = text.byte(digits.start + place) - np.uint8(ord("0"))
            proved &= ~is_there | (value < 10)
            port = np.where(is_there, 10 * port + value, port)
        proved &= port <= 65535
        return cls(head.row[proved], port[proved], is_tls[proved])


@dataclass(frozen=True, slots=True)
class _Verdict:
    """`], SUBJECT,<ID>,STATUS`, read from its end; what stands between is the subject."""

    row: Positions
    peer: Spans
    id_row: Positions
    """The rows in which an id was assigned."""
    id: Spans
    status: Codes
    """Index into `_STATUSES`."""
    outcome: Codes
    """Index into `_VERDICTS`."""
    is_odd: Mask
    """Whether the gap or the missing id are not written as in the dialect."""
    subject: "_Subject"

    @classmethod
    def prove(cls, text: Text, head: _Head, dialect: Dialect) -> "_Verdict":
        head = head[text.fits(head.close, b"], ")]
        status, id_end = _find_status(text, head.end)
        id_start = id_end - _id_length(text, id_end)
        subject = Spans(head.close + len("], "), id_start - len(",<"))
        proved = (status >= 0) & (id_start <= id_end) & (subject.length >= 0)
        head, subject = head[proved], subject[proved]
        status, id = status[proved], Spans(id_start[proved], id_end[proved])

        is_zero = text.fits(id.end - 10, b"0" * 10) & (id.length <= len(grammar.ZERO_ID_12))
        has_id = (id.length > 0) & ~is_zero
        has_gap = (head.peer.length > 0) & (text.byte(head.peer.end - 1) == ord(" "))
        peer = Spans(head.peer.start, head.peer.end - has_gap)
        is_odd = ~has_id & (id.length != len(dialect.no_id))
        is_odd |= has_gap != ((peer.length > 0) & (len(dialect.peer_gap) > 0))

        read = _Subject.read(text, head.row, subject, (status == _ABORT) & ~has_id)
        outcome = np.select(
            [status == _OK, status == _TIMEOUT, has_id, read.dnsbl, read.reverse_dns, read.failed],
            [
                _VERDICTS.index(verdict)
                for verdict in (
                    Verdict.ACCEPTED,
                    Verdict.TIMEOUT,
                    Verdict.REJECTED_CONTENT,
                    Verdict.REJECTED_DNSBL,
                    Verdict.REJECTED_REVERSE_DNS,
                    Verdict.REJECTED_AUTH,
                )
            ],
            _VERDICTS.index(Verdict.REJECTED_POLICY),
        )
        return cls(head.row, peer, head.row[has_id], id[has_id], status, outcome, is_odd, read)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the client called itself: a sender, an AUTH user, or nobody that was asked."""

    sender_row: Positions
    sender: Spans
    auth_row: Positions
    user: Spans
    mechanism: Codes
    """Index into `_MECHANISMS`."""
    success: Mask
    failed: Mask
    """Of every verdict: whether it tells of an AUTH that failed."""
    dnsbl: Mask
    """Of every verdict: whether it is a DNSBL hit."""
    reverse_dns: Mask
    """Of every verdict: whether it is a failed reverse-DNS check."""

    @classmethod
    def read(cls, text: Text, row: Positions, subject: Spans, refused_at_once: Mask) -> "_Subject":
        def is_sentence(sentence: bytes) -> Mask:
            return (subject.length == len(sentence)) & text.fits(subject.start, sentence)

        dnsbl = refused_at_once & is_sentence(grammar.DNSBL)
        reverse_dns = refused_at_once & is_sentence(grammar.REVERSE_DNS)

        maybe = np.flatnonzero(text.fits(subject.start, grammar.AUTH))
        user_start, mechanism = subject.start[maybe], np.full(len(maybe), -1, np.int8)
        for code, name in enumerate(grammar.MECHANISMS):
            prefix = grammar.AUTH + name + b":"
            has = text.fits(subject.start[maybe], prefix)
            mechanism[has] = code
            user_start[has] += len(prefix)
        end = subject.end[maybe]
        success = text.fits(end - len(grammar.SUCCESS), grammar.SUCCESS)
        failure = text.fits(end - len(grammar.FAILED), grammar.FAILED)
        user_end = end - np.where(success, len(grammar.SUCCESS), len(grammar.FAILED))
        is_auth = (mechanism >= 0) & (success | failure) & (user_start <= user_end)

        auth = maybe[is_auth]
        failed = np.zeros(len(row), np.bool_)
        failed[auth] = failure[is_auth]
        is_sender = ~dnsbl & ~reverse_dns
        is_sender[auth] = False
        return cls(
            sender_row=row[is_sender],
            sender=subject[is_sender],
            auth_row=row[auth],
            user=Spans(user_start[is_auth], user_end[is_auth]),
            mechanism=mechanism[is_auth],
            success=success[is_auth],
            failed=failed,
            dnsbl=dnsbl,
            reverse_dns=reverse_dns,
        )


def _find_status(text: Text, end: Positions) -> tuple[Codes, Positions]:
    """Which of `>,STATUS` each line ends with (-1: none), and where it begins."""
    last = text.word(end - 8)
    status, start = np.full(len(end), -1, np.int8), end.copy()
    for code, word in enumerate(grammar.STATUSES):
        tail = b">," + word
        has = ends_with(last, tail[-8:])
        if len(tail) > 8:
            has &= text.fits(end - len(tail), tail)
        status[has] = code
        start[has] -= len(tail)
    return status, start


_ID_SHAPES = (
    b",<B##########",
    b",<" + grammar.ZERO_ID_12,
    b",<",
    *(b",<B#%x##########" % month for month in range(1, 13)),
)


def _id_length(text: Text, end: Positions) -> Positions:
    """How long the id is that ends at each position, after a `,<`; -1 where there is none."""
    length = np.full(len(end), -1)
    for shape in _ID_SHAPES:
        if not len(unknown := np.flatnonzero(length < 0)):
            break
        is_there = text.fits(end[unknown] - len(shape), shape)
        length[unknown[is_there]] = len(shape) - len(",<")
    return length


_NO_HOUR = -1


def _seconds_at_hour(day: Words, hour: Words) -> Positions:
    """Seconds from 1970 to the hour in `[DD/Mon/` and `YYYY:HH:`; `_NO_HOUR` where there is none."""
    # Neighbouring lines nearly always share the hour, so dates are read once for each run of it.
    changes = np.ones(len(day), np.bool_)
    changes[1:] = (day[1:] != day[:-1]) | (hour[1:] != hour[:-1])
    prefixes = np.stack([day[changes], hour[changes]], axis=1).astype("<u8").tobytes()
    hours = [
        grammar.seconds_at_hour(prefixes[at : at + 16]) for at in range(0, len(prefixes), 16)
    ]
    seconds = np.array([_NO_HOUR if at is None else at for at in hours], np.int64)
    return seconds[np.cumsum(changes) - 1]


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _scatter(
    row: Positions, codes: npt.ArrayLike, count: int, dtype: npt.DTypeLike = np.int8
) -> npt.NDArray[np.integer]:
    """`count` codes: each in its row, -1 elsewhere."""
    scattered = np.full(count, -1, dtype)
    scattered[row] = codes
    return scattered


def _coded(codes: npt.NDArray[np.integer], words: Sequence[str] | pa.Array) -> pa.DictionaryArray:
    """Words by their index; null for -1."""
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def _spread(row: Positions, values: npt.NDArray[np.generic], count: int, column: str) -> pa.Array:
    """`count` values of a column: each in its row, null elsewhere."""
    spread = np.zeros(count, values.dtype)
    absent = np.ones(count, np.bool_)
    spread[row] = values
    absent[row] = False
    return pa.array(spread, mask=absent).cast(SCANNED.field(column).type)


def _overlay(columns: dict[str, pa.Array], row: Positions, patch: pa.RecordBatch) -> None:
    """Replace the given rows of the columns by those of a patch, where it says anything."""
    count = len(columns["kind"])
    order = np.arange(count)
    order[row] = np.arange(count, count + len(row))
    for name in patch.schema.names:
        if patch[name].null_count < len(row):
            both = pa.chunked_array([columns[name], patch[name]]).unify_dictionaries()
            columns[name] = both.combine_chunks().take(pa.array(order))
