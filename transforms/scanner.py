"""Blocks of log lines to Arrow tables, at the speed of the machine.

All lines of a block go through the grammar together, rule by rule, as spans. A line stays in as
long as each rule *proves* it well-formed; what drops out goes to `grammar.parse_line`, which alone
defines what a line means. So the scanner may be ignorant of a rare shape, and never wrong.

The skeleton of a line is its run of brackets. Both kinds of line worth the trouble begin

    [stamp], (server), peer[address]     and so with the marks     [ ] ) [ ]

and the marks of a block are found in one pass over its bytes, so that "the address" is simply what
stands between the fourth mark of the line and the fifth.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import grammar
from transforms.clock import to_utc
from transforms.columns import coded, overlay, scatter, spread
from transforms.grammar import Dialect, Kind, Verdict
from transforms.schemas import EVENTS
from transforms.spans import (
    PADDING,
    Mask,
    Positions,
    Spans,
    Text,
    Words,
    digit,
    ends_with,
    fits,
    has,
)

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
    pa.field(
        field.name, pa.dictionary(pa.int32(), pa.string()) if field.name in _CODED else field.type
    )
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
    kind = scatter(accept.row, _KINDS.index(Kind.ACCEPT), count)
    kind[verdict.row] = _KINDS.index(Kind.VERDICT)
    proved = np.flatnonzero(kind[head.row] >= 0)
    row, seconds = head.row[proved], head.seconds[proved]
    server, servers = text.coded(head.server[proved])
    columns = {
        "kind": coded(kind, _KINDS),
        "ts": spread(row, seconds * _SECOND, count, pa.timestamp("us")),
        "ts_utc": spread(row, to_utc(seconds, zone) * _SECOND, count, pa.timestamp("us", "UTC")),
        "server_name": coded(scatter(row, server, count, np.int32), servers),
        "client_ip": coded(scatter(row, head.client[proved], count, np.int32), head.clients),
        "port": spread(accept.row, accept.port, count, pa.int32()),
        "tls": spread(accept.row, accept.is_tls, count, pa.bool_()),
        "peer_name": text.strings(verdict.peer, verdict.row, count),
        "sender": text.strings(subject.sender, subject.sender_row, count),
        "auth_mechanism": coded(scatter(subject.auth_row, subject.mechanism, count), _MECHANISMS),
        "auth_user": text.strings(subject.user, subject.auth_row, count),
        "auth_success": spread(subject.auth_row, subject.success, count, pa.bool_()),
        "message_id": text.strings(verdict.id, verdict.id_row, count),
        "status": coded(scatter(verdict.row, verdict.status, count), _STATUSES),
        "verdict": coded(scatter(verdict.row, verdict.outcome, count), _VERDICTS),
        "parse_error": coded(np.full(count, -1), ()),
    }

    has_odd_end = lines.has_odd_end(text, dialect)
    keeps_raw = has_odd_end.copy()
    keeps_raw[verdict.row[verdict.is_odd]] = True
    unproved = np.flatnonzero(kind < 0)
    if len(unproved):
        contents = lines.contents(text, unproved)
        parsed = [grammar.parse_line(content) for content in contents]
        keeps_raw[unproved] |= [
            grammar.render_line(line, dialect) != content
            for line, content in zip(parsed, contents, strict=True)
        ]
        patch = tabulate(parsed, zone)
        for name, column in columns.items():
            columns[name] = overlay(column, unproved, patch[name])
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
    utc = to_utc(ts.drop_null().cast(pa.int64()).to_numpy() // _SECOND, zone) * _SECOND
    columns["ts_utc"] = spread(row, utc, len(ts), pa.timestamp("us", "UTC"))
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
        if not text.size or text.padded[text.size - 1] == ord("\n"):
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
        in_line_ends = np.count_nonzero(self.stop != self.end)
        if np.count_nonzero(text.bytes == ord("\r")) != in_line_ends:
            returns = text.find(b"\r")
            rows = self._holding(returns)
            plain[rows[returns != self.end[rows]]] = False
        if not text.padded.isascii():
            rows = self._holding(np.flatnonzero(text.bytes >= 0x80))
            rows = rows[np.diff(rows, prepend=-1) > 0]
            plain[rows] &= [_is_utf8(content) for content in self.contents(text, rows)]
        return plain

    def _holding(self, at: Positions) -> Positions:
        """The lines that hold some positions."""
        return np.searchsorted(self.stop, at)


@dataclass(frozen=True, slots=True)
class _Head:
    """`[stamp], (server), peer[address]` of the lines that have such a skeleton."""

    row: Positions
    is_proved: Mask
    """Whether all that is so; what follows is meaningless where it is not."""
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
    after: Words
    """What stands from that bracket on."""
    end: Positions
    """Where the line ends."""

    @classmethod
    def prove(cls, text: Text, lines: _Lines) -> "_Head":
        is_long = lines.end - lines.start >= _SHORTEST
        is_shaped = lines.skeleton.has(lines.first_mark, _SKELETON)
        row = np.flatnonzero(is_long & is_shaped & lines.are_plain(text))
        start, first_mark = lines.start[row], lines.first_mark[row]
        paren, bracket, close = (lines.marks[first_mark + nth] for nth in (2, 3, 4))

        # [DD/Mon/YYYY:HH:MM:SS], (
        day, hour, clock = (text.word(start + offset) for offset in (0, 8, 16))
        full_hour = _seconds_at_hour(day, hour)
        minutes = 10 * digit(clock, 0) + digit(clock, 1)
        seconds = 10 * digit(clock, 3) + digit(clock, 4)
        proved = (full_hour != _NO_HOUR) & (minutes < 60) & (seconds < 60)
        proved &= fits(clock, b"##:##], ") & (text.byte(start + 24) == ord("("))
        # server), peer[
        proved &= text.has(paren, b"), ")
        # address]
        client, clients = text.coded(Spans(bracket + 1, close))
        addresses = clients.cast(pa.binary()).to_pylist()
        proved &= np.array([grammar.is_address(each) for each in addresses], np.bool_)[client]

        return cls(
            row=row,
            is_proved=proved,
            seconds=full_hour + 60 * minutes + seconds,
            server=Spans(start + len("[DD/Mon/YYYY:HH:MM:SS], ("), paren),
            peer=Spans(paren + len("), "), bracket),
            client=client,
            clients=clients,
            close=close,
            after=text.word(close),
            end=lines.end[row],
        )


@dataclass(frozen=True, slots=True)
class _Accept:
    """`]:PORT, Client accept now.` or `]:PORT SSL, Client accept now.`, with nothing as peer."""

    row: Positions
    port: npt.NDArray[np.int32]
    is_tls: Mask

    @classmethod
    def prove(cls, text: Text, head: _Head) -> "_Accept":
        is_one = head.is_proved & has(head.after, b"]:") & (head.peer.length == 0)
        which = np.flatnonzero(is_one)
        close, end = head.close[which], head.end[which]
        is_tls = text.has(end - len(grammar.TLS + grammar.ACCEPT), grammar.TLS)
        digits = Spans(
            close + len("]:"), end - len(grammar.ACCEPT) - np.where(is_tls, len(grammar.TLS), 0)
        )
        proved = text.has(end - len(grammar.ACCEPT), grammar.ACCEPT)
        proved &= (digits.length >= 1) & (digits.length <= len("65535"))
        proved &= text.byte(digits.start) != ord("0")

        port = np.zeros(len(which), np.int32)
        word = text.word(digits.start)
        for place in range(len("65535")):
            is_there = place < digits.length
            value = digit(word, place)
            proved &= ~is_there | fits(word >> np.uint64(8 * place), b"#")
            port = np.where(is_there, 10 * port + value, port)
        proved &= port <= 65535
        return cls(head.row[which[proved]], port[proved].astype(np.int32), is_tls[proved])


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
        which = np.flatnonzero(head.is_proved & has(head.after, b"], "))
        status, id_end = _find_status(text, head.end[which])
        id_start = id_end - _id_length(text, id_end)
        subject = Spans(head.close[which] + len("], "), id_start - len(",<"))
        proved = (status >= 0) & (id_start <= id_end) & (subject.length >= 0)

        which, subject = which[proved], subject[proved]
        row, status, id = head.row[which], status[proved], Spans(id_start, id_end)[proved]
        is_zero = text.has(id.end - 10, b"0" * 10) & (id.length <= len(grammar.ZERO_ID_12))
        has_id = (id.length > 0) & ~is_zero
        peer = head.peer[which]
        has_gap = (peer.length > 0) & (text.byte(peer.end - 1) == ord(" "))
        peer = Spans(peer.start, peer.end - has_gap)
        is_odd = ~has_id & (id.length != len(dialect.no_id))
        is_odd |= has_gap != ((peer.length > 0) & (len(dialect.peer_gap) > 0))

        read = _Subject.read(text, row, subject, (status == _ABORT) & ~has_id)
        outcome = np.full(len(row), _VERDICTS.index(Verdict.REJECTED_POLICY), np.int8)
        # Where several hold, the one set last is the one that counts.
        for holds, meaning in (
            (read.failed, Verdict.REJECTED_AUTH),
            (read.reverse_dns, Verdict.REJECTED_REVERSE_DNS),
            (read.dnsbl, Verdict.REJECTED_DNSBL),
            (has_id, Verdict.REJECTED_CONTENT),
            (status == _TIMEOUT, Verdict.TIMEOUT),
            (status == _OK, Verdict.ACCEPTED),
        ):
            outcome[holds] = _VERDICTS.index(meaning)
        return cls(row, peer, row[has_id], id[has_id], status, outcome, is_odd, read)


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
            is_it = refused_at_once & (subject.length == len(sentence))
            is_it[is_it] = text.has(subject.start[is_it], sentence)
            return is_it

        dnsbl, reverse_dns = is_sentence(grammar.DNSBL), is_sentence(grammar.REVERSE_DNS)
        maybe = np.flatnonzero(text.has(subject.start, grammar.AUTH))
        user_start, mechanism = subject.start[maybe], np.full(len(maybe), -1, np.int8)
        for code, name in enumerate(grammar.MECHANISMS):
            prefix = grammar.AUTH + name + b":"
            is_it = text.has(subject.start[maybe], prefix)
            mechanism[is_it] = code
            user_start[is_it] += len(prefix)
        end = subject.end[maybe]
        success = text.has(end - len(grammar.SUCCESS), grammar.SUCCESS)
        failure = text.has(end - len(grammar.FAILED), grammar.FAILED)
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
    """Which of `>,STATUS` each line ends with (-1: none), and where that begins."""
    last = text.word(end - 8)
    status, start = np.full(len(end), -1, np.int8), end.copy()
    for code, word in enumerate(grammar.STATUSES):
        tail = b">," + word
        is_it = np.flatnonzero(ends_with(last, tail[-8:]))
        if len(tail) > 8:
            is_it = is_it[text.has(end[is_it] - len(tail), tail)]
        status[is_it] = code
        start[is_it] -= len(tail)
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
    """Seconds from 1970 to the hour in `[DD/Mon/` + `YYYY:HH:`; `_NO_HOUR` if there is none."""
    # Neighbouring lines nearly always share the hour, so dates are read once for each run of it.
    changes = np.ones(len(day), np.bool_)
    changes[1:] = (day[1:] != day[:-1]) | (hour[1:] != hour[:-1])
    prefixes = np.stack([day[changes], hour[changes]], axis=1).astype("<u8").tobytes()
    hours = [grammar.seconds_at_hour(prefixes[at : at + 16]) for at in range(0, len(prefixes), 16)]
    seconds = np.array([_NO_HOUR if at is None else at for at in hours], np.int64)
    return seconds[np.cumsum(changes) - 1]


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
