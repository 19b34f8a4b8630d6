"""The lines of a day and their pairs, as the tables people ask: verdicts, connections, counts.

A day's pairs also depend on the *edges* of the days around it: what is stamped within an hour of
any of its own lines. `Day` holds the few columns that pairing needs of all of these, for the whole
day at once; the wide tables are then made one row group at a time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns import Piece, column
from transforms.domains import registrable_domains, sender_domains
from transforms.grammar import Verdict
from transforms.pairing import (
    CONTINUED_WITHIN_S,
    PAIRINGS,
    Clients,
    Integers,
    Mask,
    Matches,
    Pairing,
    Rows,
    Timeline,
    match,
)
from transforms.schemas import HOURLY_COUNTS, VERDICTS

NEEDED = ("line_no", "ts", "client_ip", "verdict")
"""The columns of `EVENTS` that pairing needs; the text columns dictionary-encoded."""

REACH_DAYS = 3
"""No file further away holds a line that could pair with a regular line of a day."""

OUTCOMES = ("no_verdict", "accepted", "rejected", "mixed")
"""The first bit says whether a verdict was accepted, the second whether one was not."""

AT_ONCE = (Verdict.REJECTED_DNSBL, Verdict.REJECTED_REVERSE_DNS)
ACCEPTED = (Verdict.ACCEPTED,)
REJECTED = tuple(verdict for verdict in Verdict if verdict.startswith("rejected_"))

_DAY_S = 86_400
_EPOCH = date(1970, 1, 1)
_TIMESTAMP = pa.timestamp("us")
_WORDS = pa.dictionary(pa.int32(), pa.string())

_COUNTED_ROWS = 1 << 18
"""So many lines are counted in one go."""

Codes = npt.NDArray[np.int8]
Code = TypeVar("Code", np.int8, np.int32)


class Stretch(NamedTuple):
    """A closed range of time, in seconds since 1970 of the server's wall clock."""

    first: int
    last: int

    def meets(self, other: "Stretch") -> bool:
        """Whether the two have a second in common."""
        return self.first <= other.last and other.first <= self.last

    @property
    def surroundings(self) -> "Stretch":
        """Everything that a line in this stretch could be paired with, or could disturb."""
        return Stretch(self.first - CONTINUED_WITHIN_S, self.last + CONTINUED_WITHIN_S)


_NEVER = Stretch(0, -1)


def regular_stretch(day: date) -> Stretch:
    """When lines of a day's file are stamped: that day, or the one before or after.

    4.AN writes a verdict of yesterday into today's file. A line stamped in another year (a dead
    clock battery) is irregular: it can pair within its own file only.
    """
    midnight = (day - _EPOCH).days * _DAY_S
    return Stretch(midnight - _DAY_S, midnight + 2 * _DAY_S - 1)


def stretch(lines: pa.Table, day: date) -> Stretch | None:
    """From the first to the last regular stamp of a file's accepts and verdicts, if it has any."""
    seconds = _seconds(lines["ts"].drop_null())
    return _span([seconds[_within(seconds, regular_stretch(day))]])


def _span(stamps: Iterable[Integers]) -> Stretch | None:
    parts = [seconds for seconds in stamps if len(seconds)]
    if not parts:
        return None
    return Stretch(min(int(part.min()) for part in parts), max(int(part.max()) for part in parts))


class _Excerpt(NamedTuple):
    """What pairing needs of some lines with a stamp: an entry each."""

    line_no: Rows
    seconds: Integers
    is_regular: Mask
    client_ip: pa.DictionaryArray
    verdict: pa.DictionaryArray

    @classmethod
    def of(cls, events: pa.Table, day: date, near: Stretch | None = None) -> "_Excerpt":
        """The accepts and verdicts among some events of a day's file.

        Args:
            near: take only what is regular and stamped in this stretch. None = all.
        """
        events = events.filter(events["ts"].is_valid())
        seconds = _seconds(events["ts"])
        is_regular = _within(seconds, regular_stretch(day))
        if near is not None:
            is_near = is_regular & _within(seconds, near)
            events = events.filter(pa.array(is_near))
            seconds, is_regular = seconds[is_near], is_regular[is_near]
        return cls(
            line_no=events["line_no"].to_numpy().astype(np.int32),
            seconds=_compact(seconds),
            is_regular=is_regular,
            client_ip=events["client_ip"].combine_chunks(),
            verdict=events["verdict"].combine_chunks(),
        )


_NO_LINES = _Excerpt(
    line_no=np.empty(0, np.int32),
    seconds=np.empty(0, np.uint32),
    is_regular=np.empty(0, np.bool_),
    client_ip=pa.array([], _WORDS),
    verdict=pa.array([], _WORDS),
)


@dataclass(frozen=True, slots=True)
class Lines:
    """The accepts and verdicts of one host's day and its edges, in order of (file date, line
    number). Arrays: a row each.
    """

    files: tuple[date, ...]
    """The days of the files that the lines are in, in order."""
    starts: Rows
    """The first row of each file."""
    own: slice
    """The lines of the day's own file."""
    line_no: Rows
    client: Clients
    seconds: Integers
    verdict: Codes
    """Of a verdict: index into `verdicts`. -1 = an accept."""
    verdicts: tuple[str, ...]

    @classmethod
    def of(cls, day: date, files: Mapping[date, Iterable[pa.Table]]) -> "Lines":
        """Gather the lines; see `Day.pair`."""
        excerpts = {day: [_Excerpt.of(events, day) for events in files[day]]}
        around = _span(piece.seconds[piece.is_regular] for piece in excerpts[day])
        near = around.surroundings if around else _NEVER
        for other in files.keys() - {day}:
            excerpts[other] = [_Excerpt.of(events, other, near) for events in files[other]]

        dates = tuple(sorted(files))
        sizes = [sum(len(piece.line_no) for piece in excerpts[file]) for file in dates]
        ends = np.cumsum(sizes, dtype=np.int32)
        own = dates.index(day)
        pieces = [_NO_LINES, *(piece for file in dates for piece in excerpts[file])]
        client, clients = _codes([piece.client_ip for piece in pieces], np.int32)
        verdict, verdicts = _codes([piece.verdict for piece in pieces], np.int8)
        # An irregular line is of another time; as a client of its own it meets only its like.
        is_regular = np.concatenate([piece.is_regular for piece in pieces])
        client[~is_regular] += len(clients)
        return cls(
            files=dates,
            starts=ends - sizes,
            own=slice(ends[own] - sizes[own], ends[own]),
            line_no=np.concatenate([piece.line_no for piece in pieces]),
            client=client,
            seconds=np.concatenate([piece.seconds for piece in pieces]),
            verdict=verdict,
            verdicts=verdicts,
        )

    @property
    def timeline(self) -> Timeline:
        """What decides on pairs."""
        every = slice(None)
        return Timeline(self.client, self.seconds, self.verdict >= 0, self.are(AT_ONCE, every))

    def are(self, wanted: Collection[str], row: Integers | slice) -> Mask:
        """Which of some lines are one of these verdicts."""
        # The entry added at the end answers for -1.
        is_wanted = [word in wanted for word in self.verdicts] + [False]
        return np.array(is_wanted, np.bool_)[self.verdict[row]]


@dataclass(frozen=True, slots=True)
class Answers:
    """The verdicts that connections got."""

    first: Rows
    """Of each line that is an accept: the row of its first verdict. -1 = none."""
    further: Integers
    """The rows of all other paired verdicts, in order of their connections."""
    further_of: Integers
    """The connections of these."""

    @classmethod
    def of(cls, lines: Lines, matches: Matches) -> "Answers":
        """Sort the paired verdicts by connection."""
        # Whatever continues a connection comes after its answer. One too old to be answered may
        # be continued all the same.
        is_continued = matches.pairing == PAIRINGS.index(Pairing.CONTINUED)
        first = np.full(len(is_continued), -1, np.int32)
        answer = np.flatnonzero((matches.connection >= 0) & ~is_continued)
        first[matches.connection[answer]] = answer

        continued = np.flatnonzero(is_continued)
        continued = continued[
            np.lexsort((continued, lines.seconds[continued], matches.connection[continued]))
        ]
        connection = matches.connection[continued]
        begins = np.ones(len(continued), np.bool_)
        begins[1:] = connection[1:] != connection[:-1]
        is_first = begins & (first[connection] < 0)
        first[connection[is_first]] = continued[is_first]
        return cls(first, continued[~is_first], connection[~is_first])


@dataclass(frozen=True, slots=True)
class Day:
    """The accepts and verdicts of one host's day and its edges, paired."""

    host: str
    lines: Lines
    matches: Matches
    answers: Answers

    @classmethod
    def pair(cls, host: str, day: date, files: Mapping[date, Iterable[pa.Table]]) -> "Day":
        """Pair the lines of a day.

        Args:
            host: the computer name.
            day: the day whose own file is wanted.
            files: columns `NEEDED` of the events of that day, all rows, and of the days within
                `REACH_DAYS` of it, at least the rows stamped in the surroundings of its stretch;
                of each in pieces, in order.
        """
        lines = Lines.of(day, files)
        matches = match(lines.timeline)
        return cls(host, lines, matches, Answers.of(lines, matches))

    def verdict_table(self, events: pa.Table) -> pa.Table:
        """The verdicts among some consecutive events of the day's file, with their connections.

        Args:
            events: rows of `EVENTS`, `sender` dictionary-encoded.

        Returns:
            Columns of `VERDICTS`, one row per verdict line, in order.
        """
        events = events.filter(events["verdict"].is_valid())
        row = self._rows(events, are_verdicts=True)
        connection = self.matches.connection[row]
        domain = sender_domains(events["sender"].combine_chunks())
        paired = {
            "sender_domain": domain,
            "sender_registrable_domain": registrable_domains(domain),
            "connection_id": self._connection_id(connection),
            "connected_at": self._ts(connection),
            "latency_s": self._latency_s(connection, row),
            "pairing": _words(self._pairing(row), PAIRINGS),
        }
        columns = dict(zip(events.schema.names, events.columns, strict=True)) | paired
        return pa.table({name: columns[name] for name in VERDICTS.names})

    def connection_table(self, events: pa.Table) -> pa.Table:
        """The connections accepted in some consecutive events of the day's file.

        Returns:
            Columns of `CONNECTIONS`, one row per accept line, in order.
        """
        events = events.filter(events["port"].is_valid())
        row = self._rows(events, are_verdicts=False)
        first_verdict = self.answers.first[row]
        return pa.table(
            {
                "connection_id": self._connection_id(row),
                "line_no": events["line_no"],
                "connected_at": events["ts"],
                "connected_at_utc": events["ts_utc"],
                "client_ip": events["client_ip"],
                "port": events["port"],
                "tls": events["tls"],
                "server_name": events["server_name"],
                "verdict_count": self._tally(row, self.lines.verdicts),
                "accepted_count": self._tally(row, ACCEPTED),
                "rejected_count": self._tally(row, REJECTED),
                "first_verdict_at": self._ts(first_verdict),
                "latency_s": self._latency_s(row, first_verdict),
                "outcome": _words(self._outcome(row), OUTCOMES),
                "pairing": _words(self._pairing(first_verdict), PAIRINGS),
            }
        )

    def hourly_counts(self) -> pa.Table:
        """How many of the day's connections and verdicts are alike in all that rates and
        quantiles ask: columns of `HOURLY_COUNTS`, one row per combination, sorted.
        """
        lines = self.lines
        connections = _Alike(OUTCOMES)
        verdicts = _Alike(lines.verdicts)
        for start in range(lines.own.start, lines.own.stop, _COUNTED_ROWS):
            stop = min(start + _COUNTED_ROWS, lines.own.stop)
            is_verdict = lines.verdict[start:stop] >= 0
            accept = start + np.flatnonzero(~is_verdict)
            verdict = start + np.flatnonzero(is_verdict)
            first, connection = self.answers.first[accept], self.matches.connection[verdict]
            connections.add(
                lines.seconds[accept],
                self._outcome(accept),
                self._pairing(first),
                self._latency(accept, first),
            )
            verdicts.add(
                lines.seconds[verdict],
                lines.verdict[verdict],
                self._pairing(verdict),
                self._latency(connection, verdict),
            )
        counts = pa.concat_tables([connections.table("connection"), verdicts.table("verdict")])
        keys = HOURLY_COUNTS.names[:-1]
        return counts.cast(HOURLY_COUNTS).sort_by([(key, "ascending") for key in keys])

    def _rows(self, events: pa.Table, *, are_verdicts: bool) -> Integers:
        """The rows of some consecutive accepts, or verdicts, of the day's own file."""
        if not len(events):
            return np.empty(0, np.int64)
        own = self.lines.own
        numbers = self.lines.line_no[own]
        # In the lines' own type, or each search would copy them all into that of its needle.
        ends = np.array([events["line_no"][end].as_py() for end in (0, -1)], numbers.dtype)
        first, last = np.searchsorted(numbers, ends)
        is_verdict = self.lines.verdict[own][first : last + 1] >= 0
        return own.start + first + np.flatnonzero(is_verdict == are_verdicts)

    def _tally(self, accept: Integers, wanted: Collection[str]) -> npt.NDArray[np.int64]:
        """How many of these verdicts some connections, in order, got."""
        answers = self.answers
        first = answers.first[accept]
        counts = (self.lines.are(wanted, first) & (first >= 0)).astype(np.int64)
        ends = accept[[0, -1]] + [0, 1] if len(accept) else (0, 0)
        some = slice(*np.searchsorted(answers.further_of, ends))
        further = self.lines.are(wanted, answers.further[some])
        np.add.at(counts, np.searchsorted(accept, answers.further_of[some][further]), 1)
        return counts

    def _outcome(self, accept: Integers) -> Codes:
        """What became of some connections, in order."""
        accepted, verdicts = self._tally(accept, ACCEPTED), self._tally(accept, self.lines.verdicts)
        return (accepted > 0) + np.int8(2) * (accepted < verdicts)

    # What follows takes rows of the lines, -1 meaning "none", and answers -1 or null for none.

    def _connection_id(self, row: Integers) -> pa.Array:
        lines = self.lines
        file = np.where(row < 0, -1, np.searchsorted(lines.starts, row, side="right") - 1)
        pieces = []
        for nth, day in enumerate(lines.files):
            in_file = np.flatnonzero(file == nth)
            number = pa.array(lines.line_no[row[in_file]]).cast(pa.string())
            ids = pc.binary_replace_slice(number, 0, 0, f"{self.host}/{day}/")
            pieces.append(Piece(in_file, ids))
        return column(pieces, len(row), pa.string())

    def _ts(self, row: Integers) -> pa.Array:
        # Made wider first: numpy 1 would multiply in 32 bits.
        microseconds = self.lines.seconds[row].astype(np.int64) * 1_000_000
        return pa.array(microseconds, mask=row < 0).cast(_TIMESTAMP)

    def _latency(self, accept: Integers, verdict: Integers) -> Rows:
        seconds = self.lines.seconds
        latency = seconds[verdict] - seconds[accept]
        return np.where((accept < 0) | (verdict < 0), -1, latency).astype(np.int32)

    def _latency_s(self, accept: Integers, verdict: Integers) -> pa.Array:
        latency = self._latency(accept, verdict)
        return pa.array(latency, mask=latency < 0)

    def _pairing(self, verdict: Integers) -> Codes:
        return np.where(verdict < 0, np.int8(-1), self.matches.pairing[verdict])


class _Alike:
    """How many events share hour, class, pairing and latency."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        # Pairing and latency are -1 where there is no pair. All are small: one number says it all.
        self._shape = (24, max(len(classes), 1), len(PAIRINGS) + 1, CONTINUED_WITHIN_S + 2)
        self._found = [np.empty(0, np.int64)]
        self._counts = [np.empty(0, np.int64)]

    def add(self, seconds: Integers, code: Codes, pairing: Codes, latency: Rows) -> None:
        """Count some more events; the code is an index into the classes."""
        if not len(seconds):
            return
        hour = seconds % _DAY_S // 3600
        alike = np.ravel_multi_index((hour, code, pairing + 1, latency + 1), self._shape)
        lowest = alike.min()  # neighbours are of the same few hours, so that this is a short range
        counts = np.bincount(alike - lowest)
        found = np.flatnonzero(counts)
        self._found.append(lowest + found)
        self._counts.append(counts[found])

    def table(self, subject: str) -> pa.Table:
        """Columns of `HOURLY_COUNTS`."""
        found, where = np.unique(np.concatenate(self._found), return_inverse=True)
        counts = np.zeros(len(found), np.int64)
        np.add.at(counts, where, np.concatenate(self._counts))
        hours, codes, pairings, latencies = np.unravel_index(found, self._shape)
        return pa.table(
            {
                "hour": hours,
                "subject": pa.array([subject] * len(hours), pa.string()),
                "class": _words(codes, self._classes).cast(pa.string()),
                "pairing": _words(pairings - 1, PAIRINGS).cast(pa.string()),
                "latency_s": pa.array(latencies - 1, mask=latencies == 0),
                "n": counts,
            }
        )


def _seconds(ts: pa.ChunkedArray) -> Integers:
    return ts.cast(pa.int64()).to_numpy() // 1_000_000


def _compact(seconds: Integers) -> Integers:
    """In half the memory, if all are of the years 1970 to 2106."""
    is_small = seconds.min(initial=0) >= 0 and seconds.max(initial=0) < 1 << 32
    return seconds.astype(np.uint32) if is_small else seconds


def _within(seconds: Integers, stretch: Stretch) -> Mask:
    return (seconds >= stretch.first) & (seconds <= stretch.last)


def _codes(
    pieces: Sequence[pa.DictionaryArray], dtype: type[Code]
) -> tuple[npt.NDArray[Code], tuple[str, ...]]:
    """Dictionary-encoded words as indices, -1 for null, and the distinct words."""
    chunks = pa.chunked_array(pieces).unify_dictionaries().chunks
    indices = [chunk.indices.fill_null(-1).to_numpy() for chunk in chunks]
    codes = np.concatenate(indices, dtype=dtype, casting="same_kind")
    return codes, tuple(chunks[0].dictionary.to_pylist())


def _words(codes: npt.NDArray[np.integer], words: Sequence[str]) -> pa.DictionaryArray:
    """Words by their index, null for -1."""
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))
