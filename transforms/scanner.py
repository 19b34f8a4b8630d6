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
import pyarrow.compute as pc

from transforms import grammar
from transforms.clock import to_utc
from transforms.columns import Piece, column, words
from transforms.grammar import Dialect, Kind, Verdict
from transforms.schemas import EVENTS
from transforms.spans import (
    PADDING,
    Mask,
    Positions,
    Spans,
    Text,
    Words,
    ends_with,
    fits,
    has,
    number,
)

_NO_HOUR = -1
_NO_PORT = 1 << 16

Codes = npt.NDArray[np.int8]
Columns = dict[str, Piece]
"""What is known of some rows, by the name of the column."""

_LINE_FEED = (b"\n",)
_MARKS = (*_LINE_FEED, b"[", b"]", b")")
_SKELETON = b"[])[]"
_MOST_BYTES = 16 << 20
"""Of a block that is scanned. A larger one has a line that no server writes, perhaps all brackets,
and noting where these are would take many times its memory; its lines are parsed one by one."""
_SHORTEST = len("[03/Jun/2026:09:00:01], (), [::], ,<>,ok")
"""No well-formed line is shorter, so loads a few words into or before its end stay in the text."""

_SECOND = 1_000_000  # of a timestamp in µs
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

    is_proved = np.zeros(lines.count, np.bool_)
    is_proved[accept.row] = True
    is_proved[verdict.row] = True
    has_odd_end = lines.has_odd_end(text, dialect)
    keeps_raw = has_odd_end.copy()
    keeps_raw[verdict.row[verdict.is_odd]] = True
    known = [
        head.columns(text, is_proved, zone),
        accept.columns(),
        verdict.columns(text),
        verdict.subject.columns(text),
    ]
    if not is_proved.all():
        unproved = np.flatnonzero(~is_proved)
        contents = lines.contents(text, unproved)
        parsed = [grammar.parse_line(content) for content in contents]
        known.append(_tabulate(parsed, unproved, zone))
        keeps_raw[unproved] |= [
            grammar.render_line(line, dialect) != content
            for line, content in zip(parsed, contents, strict=True)
        ]
    known.append(lines.raw(text, np.flatnonzero(keeps_raw), has_odd_end))

    pieces: dict[str, list[Piece]] = {name: [] for name in SCANNED.names}
    for columns in known:
        for name, piece in columns.items():
            pieces[name].append(piece)
    arrays = [column(pieces[field.name], lines.count, field.type) for field in SCANNED]
    return pa.RecordBatch.from_arrays(arrays, schema=SCANNED)


def _tabulate(lines: list[grammar.Line], row: Positions, zone: ZoneInfo) -> Columns:
    """The fields of exactly parsed lines."""
    columns = {}
    for name, values in zip(grammar.Line._fields, zip(*lines, strict=True), strict=True):
        there = [nth for nth, value in enumerate(values) if value is not None]
        if not there:
            continue
        known = pa.array([values[nth] for nth in there], EVENTS.field(name).type)
        if name == "ts":
            local = known.view(pa.int64()).to_numpy()
            columns["ts"] = Piece(row[there], local)
            columns["ts_utc"] = Piece(row[there], to_utc(local // _SECOND, zone) * _SECOND)
        elif name in _CODED:
            columns[name] = Piece(row[there], known.dictionary_encode())
        elif pa.types.is_string(known.type):
            columns[name] = Piece(row[there], known)
        else:
            columns[name] = Piece(row[there], known.to_numpy(zero_copy_only=False))
    return columns


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
        marks = text.find(*(_MARKS if text.size <= _MOST_BYTES else _LINE_FEED))
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

    def raw(self, text: Text, row: Positions, has_odd_end: Mask) -> Columns:
        """The bytes of the lines that keep them: the content, and the line end where it is odd."""
        end = np.where(has_odd_end[row], np.minimum(self.stop[row] + 1, text.size), self.end[row])
        return {"raw": Piece(row, text.binaries(Spans(self.start[row], end)))}

    def contents(self, text: Text, rows: Positions) -> list[bytes]:
        """The bytes of some lines, without line ends."""
        spans = Spans(self.start[rows], self.end[rows])
        return [text.padded[each] for each in spans.slices()]

    def are_plain(self, text: Text) -> Mask:
        """Which lines are UTF-8 without NUL and without a carriage return but in the line end."""
        plain = np.ones(self.count, np.bool_)
        at = -1
        while (at := text.padded.find(b"\0", at + 1)) >= 0:
            row = np.searchsorted(self.stop, at)
            plain[row] = False
            at = int(self.stop[row])
        in_line_ends = np.count_nonzero(self.stop != self.end)
        if np.count_nonzero(text.bytes == ord("\r")) != in_line_ends:
            returns = text.find(b"\r")
            rows = self._holding(returns)
            plain[rows[returns != self.end[rows]]] = False
        if not text.padded.isascii():
            rows = self._holding(text.beyond_ascii())
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
    client: pa.DictionaryArray
    """The address."""
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
        is_candidate = is_long & is_shaped
        if is_candidate.any():  # else every byte of the block would be looked at in vain
            is_candidate &= lines.are_plain(text)
        row = np.flatnonzero(is_candidate)
        start, first_mark = lines.start[row], lines.first_mark[row]
        paren, bracket, close = (lines.marks[first_mark + nth] for nth in (2, 3, 4))

        # [DD/Mon/YYYY:HH:MM:SS], (
        day, hour, clock = text.words(start, 3)
        full_hour = _seconds_at_hour(day, hour)
        minutes, seconds = number(clock, 2), number(clock >> np.uint64(24), 2)
        proved = (full_hour != _NO_HOUR) & (minutes < 60) & (seconds < 60)
        proved &= fits(clock, b"##:##], ") & (text.byte(start + 24) == ord("("))
        # server), peer[
        proved &= text.has(paren, b"), ")
        # address]
        client = text.coded(Spans(bracket + 1, close))
        proved &= _are_addresses(client.dictionary)[client.indices.to_numpy()]

        return cls(
            row=row,
            is_proved=proved,
            seconds=full_hour + 60 * minutes + seconds,
            server=Spans(start + len("[DD/Mon/YYYY:HH:MM:SS], ("), paren),
            peer=Spans(paren + len("), "), bracket),
            client=client,
            close=close,
            after=text.word(close),
            end=lines.end[row],
        )

    def columns(self, text: Text, is_proved: Mask, zone: ZoneInfo) -> Columns:
        """What the lines begin with, of those that were proved to their end."""
        which = np.flatnonzero(is_proved[self.row])
        row, seconds = self.row[which], self.seconds[which]
        return {
            "ts": Piece(row, seconds * _SECOND),
            "ts_utc": Piece(row, to_utc(seconds, zone) * _SECOND),
            "server_name": Piece(row, text.coded(self.server[which])),
            "client_ip": Piece(row, self.client.take(pa.array(which))),
        }


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
        proved &= text.byte(digits.start) != ord("0")

        word = text.word(digits.start)
        port = np.full(len(which), _NO_PORT)
        for length in range(1, len("65535") + 1):
            as_long = np.flatnonzero(digits.length == length)
            is_number = fits(word[as_long], b"#" * length)
            port[as_long] = np.where(is_number, number(word[as_long], length), _NO_PORT)
        proved &= port <= 65535
        return cls(head.row[which[proved]], port[proved].astype(np.int32), is_tls[proved])

    def columns(self) -> Columns:
        """What only accept lines have."""
        return {
            "kind": Piece(self.row, _word(Kind.ACCEPT, len(self.row))),
            "port": Piece(self.row, self.port),
            "tls": Piece(self.row, self.is_tls),
        }


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

    def columns(self, text: Text) -> Columns:
        """What only verdicts have, but for their subject."""
        return {
            "kind": Piece(self.row, _word(Kind.VERDICT, len(self.row))),
            "peer_name": Piece(self.row, text.strings(self.peer)),
            "message_id": Piece(self.id_row, text.strings(self.id)),
            "status": Piece(self.row, words(self.status, _STATUSES)),
            "verdict": Piece(self.row, words(self.outcome, _VERDICTS)),
        }


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

    def columns(self, text: Text) -> Columns:
        """What a verdict says of the client."""
        return {
            "sender": Piece(self.sender_row, text.strings(self.sender)),
            "auth_mechanism": Piece(self.auth_row, words(self.mechanism, _MECHANISMS)),
            "auth_user": Piece(self.auth_row, text.strings(self.user)),
            "auth_success": Piece(self.auth_row, self.success),
        }


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
        unknown = np.flatnonzero(length < 0)
        if len(unknown) <= len(end) // 64:
            break  # not worth twelve more looks: they are malformed, or left to the exact parser
        is_there = text.fits(end[unknown] - len(shape), shape)
        length[unknown[is_there]] = len(shape) - len(",<")
    return length


def _seconds_at_hour(day: Words, hour: Words) -> Positions:
    """Seconds from 1970 to the hour in `[DD/Mon/` + `YYYY:HH:`; `_NO_HOUR` if there is none."""
    # Neighbouring lines nearly always share the hour, so dates are read once for each run of it.
    changes = np.ones(len(day), np.bool_)
    changes[1:] = (day[1:] != day[:-1]) | (hour[1:] != hour[:-1])
    prefixes = np.stack([day[changes], hour[changes]], axis=1).astype("<u8").tobytes()
    hours = [grammar.seconds_at_hour(prefixes[at : at + 16]) for at in range(0, len(prefixes), 16)]
    seconds = np.array([_NO_HOUR if at is None else at for at in hours], np.int64)
    return seconds[np.cumsum(changes) - 1]


def _are_addresses(texts: pa.StringArray) -> Mask:
    """Which are IPv4 or IPv6 addresses."""
    are_v4 = pc.match_substring_regex(texts, f"^{grammar.IPV4.decode()}$")
    answer: Mask = are_v4.to_numpy(zero_copy_only=False).copy()
    others = np.flatnonzero(~answer)
    rest = texts.take(pa.array(others)).cast(pa.binary()).to_pylist()
    answer[others] = [grammar.is_address(text) for text in rest]
    return answer


def _word(word: str, count: int) -> pa.DictionaryArray:
    """The same word many times."""
    return words(np.zeros(count, np.int32), [word])


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
