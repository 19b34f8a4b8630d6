"""The lines of a day and their pairs, as the tables people ask: verdicts, connections, counts.

A day's pairs also depend on the *edges* of the days around it: what is stamped within an hour of
any of its own lines. `Day` holds the few columns that pairing needs of all of these, for the whole
day at once; the wide tables are then made one row group at a time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.domains import registrable_domains, sender_domains
from transforms.grammar import Verdict
from transforms.pairing import (
    CONTINUED_WITHIN_S,
    PAIRINGS,
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

OUTCOMES = ("accepted", "rejected", "mixed", "no_verdict")
AT_ONCE = (Verdict.REJECTED_DNSBL, Verdict.REJECTED_REVERSE_DNS)
REJECTED = tuple(verdict for verdict in Verdict if verdict.startswith("rejected_"))

_DAY_S = 86_400
_EPOCH = date(1970, 1, 1)
_TIMESTAMP = pa.timestamp("us")

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
    seconds = seconds[_within(seconds, regular_stretch(day))]
    return Stretch(int(seconds.min()), int(seconds.max())) if len(seconds) else None


@dataclass(frozen=True, slots=True)
class Answers:
    """What connections got. Arrays: an entry for each row of the timeline, of use for accepts."""

    verdicts: Rows
    accepted: Rows
    rejected: Rows
    first: Rows
    """The row of the connection's first verdict. -1 = none."""
    outcome: npt.NDArray[np.int8]
    """Index into `OUTCOMES`."""

    @classmethod
    def count(
        cls, timeline: Timeline, matches: Matches, is_accepted: Mask, is_rejected: Mask
    ) -> "Answers":
        """Count the paired verdicts by connection; the masks say which rows are such verdicts."""
        size = len(timeline.client)
        paired = np.flatnonzero(matches.connection >= 0)

        def tally(verdict: Integers) -> Rows:
            return np.bincount(matches.connection[verdict], minlength=size).astype(np.int32)

        verdicts = tally(paired)
        accepted = tally(paired[is_accepted[paired]])
        rejected = tally(paired[is_rejected[paired]])

        # Whatever continues a connection comes after its answer. One too old to be answered may
        # be continued all the same: then the earliest counts, so it must be assigned last.
        first = np.full(size, -1, np.int32)
        is_answer = matches.pairing[paired] != PAIRINGS.index(Pairing.CONTINUED)
        continued = paired[~is_answer]
        latest_first = np.lexsort((continued, timeline.seconds[continued]))[::-1]
        for verdict in (continued[latest_first], paired[is_answer]):
            first[matches.connection[verdict]] = verdict

        outcome = np.select(
            [verdicts == 0, accepted == 0, accepted == verdicts],
            [OUTCOMES.index("no_verdict"), OUTCOMES.index("rejected"), OUTCOMES.index("accepted")],
            OUTCOMES.index("mixed"),
        )
        return cls(verdicts, accepted, rejected, first, outcome.astype(np.int8))


@dataclass(frozen=True, slots=True)
class Day:
    """The accepts and verdicts of one host's day and its edges, paired. Arrays: a row each."""

    host: str
    day: date
    files: tuple[date, ...]
    """The days of the files that the lines are in, in order."""
    file: npt.NDArray[np.int8]
    """The file that the line is in, as an index into `files`."""
    own: slice
    """The lines of the day's own file."""
    line_no: Rows
    timeline: Timeline
    verdict: Codes
    """Of a verdict: index into `verdicts`. -1 = an accept."""
    verdicts: tuple[str, ...]
    matches: Matches
    answers: Answers

    @classmethod
    def pair(cls, host: str, day: date, files: Mapping[date, pa.Table]) -> "Day":
        """Pair the lines of a day.

        Args:
            host: the computer name.
            day: the day whose own file is wanted.
            files: columns `NEEDED` of the events of that day, all rows, and of the days within
                `REACH_DAYS` of it, at least the rows stamped in the surroundings of its stretch.
        """
        around = stretch(files[day], day)
        dates = tuple(sorted(files))
        parts, stamps, are_regular = [], [], []
        for file_date in dates:
            lines = files[file_date]
            lines = lines.filter(lines["ts"].is_valid())
            seconds = _seconds(lines["ts"])
            is_regular = _within(seconds, regular_stretch(file_date))
            lines = lines.drop_columns("ts")
            if file_date != day:
                near = around.surroundings if around else _NEVER
                is_near = is_regular & _within(seconds, near)
                lines = lines.filter(pa.array(is_near))
                seconds, is_regular = seconds[is_near], is_regular[is_near]
            parts.append(lines)
            stamps.append(seconds)
            are_regular.append(is_regular)
        sizes = [len(part) for part in parts]
        start = sum(sizes[: dates.index(day)])
        lines = pa.concat_tables(parts).unify_dictionaries()
        del files, parts  # a busy day is big

        client, clients = _codes(lines["client_ip"].combine_chunks(), np.int32)
        verdict, verdicts = _codes(lines["verdict"].combine_chunks(), np.int8)
        line_no = lines["line_no"].to_numpy().astype(np.int32)
        del lines
        timeline = Timeline(
            # An irregular line is of another time; as a client of its own it meets only its like.
            client=np.where(np.concatenate(are_regular), client, client + len(clients)),
            seconds=np.concatenate(stamps),
            is_verdict=verdict >= 0,
            is_at_once=_is_one_of(AT_ONCE, verdict, verdicts),
        )
        del client, stamps, are_regular
        matches = match(timeline)
        return cls(
            host=host,
            day=day,
            files=dates,
            file=np.repeat(np.arange(len(dates), dtype=np.int8), sizes),
            own=slice(start, start + sizes[dates.index(day)]),
            line_no=line_no,
            timeline=timeline,
            verdict=verdict,
            verdicts=verdicts,
            matches=matches,
            answers=Answers.count(
                timeline,
                matches,
                is_accepted=_is_one_of((Verdict.ACCEPTED,), verdict, verdicts),
                is_rejected=_is_one_of(REJECTED, verdict, verdicts),
            ),
        )

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
                "verdict_count": self.answers.verdicts[row].astype(np.int64),
                "accepted_count": self.answers.accepted[row].astype(np.int64),
                "rejected_count": self.answers.rejected[row].astype(np.int64),
                "first_verdict_at": self._ts(first_verdict),
                "latency_s": self._latency_s(row, first_verdict),
                "outcome": _words(self.answers.outcome[row], OUTCOMES),
                "pairing": _words(self._pairing(first_verdict), PAIRINGS),
            }
        )

    def hourly_counts(self) -> pa.Table:
        """How many of the day's connections and verdicts are alike in all that rates and
        quantiles ask: columns of `HOURLY_COUNTS`, one row per combination, sorted.
        """
        is_verdict = self.timeline.is_verdict[self.own]
        accept = self.own.start + np.flatnonzero(~is_verdict)
        verdict = self.own.start + np.flatnonzero(is_verdict)
        connections = self._count_alike(
            accept, self.answers.outcome, OUTCOMES, accept, self.answers.first[accept]
        )
        verdicts = self._count_alike(
            verdict, self.verdict, self.verdicts, self.matches.connection[verdict], verdict
        )
        subjects = pa.array(
            ["connection"] * len(connections) + ["verdict"] * len(verdicts), pa.string()
        )
        counts = pa.concat_tables([connections, verdicts]).add_column(1, "subject", subjects)
        keys = HOURLY_COUNTS.names[:-1]
        return counts.cast(HOURLY_COUNTS).sort_by([(key, "ascending") for key in keys])

    # What follows takes rows of the timeline, -1 meaning "none", and answers -1 or null for none.

    def _count_alike(
        self,
        row: Integers,
        code: npt.NDArray[np.signedinteger],
        words: Sequence[str],
        accept: Integers,
        verdict: Integers,
    ) -> pa.Table:
        """How many of some rows share hour, class (a code for a word), pairing and latency."""
        hour = self.timeline.seconds[row] % _DAY_S // 3600
        # Both are -1 where there is no pair, and all are small: one number says it all.
        shape = (24, max(len(words), 1), len(PAIRINGS) + 1, CONTINUED_WITHIN_S + 2)
        pairing, latency = self._pairing(verdict) + 1, self._latency(accept, verdict) + 1
        counts = np.bincount(np.ravel_multi_index((hour, code[row], pairing, latency), shape))
        found = np.flatnonzero(counts)
        hours, classes, pairings, latencies = np.unravel_index(found, shape)
        return pa.table(
            {
                "hour": hours,
                "class": _words(classes, words).cast(pa.string()),
                "pairing": _words(pairings - 1, PAIRINGS).cast(pa.string()),
                "latency_s": pa.array(latencies - 1, mask=latencies == 0),
                "n": counts[found],
            }
        )

    def _rows(self, events: pa.Table, *, are_verdicts: bool) -> Integers:
        """The rows of some consecutive accepts, or verdicts, of the day's own file."""
        if not len(events):
            return np.empty(0, np.int64)
        lines = self.line_no[self.own]
        # In the lines' own type, or each search would copy them all into that of its needle.
        ends = np.array([events["line_no"][end].as_py() for end in (0, -1)], lines.dtype)
        first, last = np.searchsorted(lines, ends)
        are_wanted = self.timeline.is_verdict[self.own][first : last + 1] == are_verdicts
        return self.own.start + first + np.flatnonzero(are_wanted)

    def _connection_id(self, row: Integers) -> pa.Array:
        prefixes = pa.array([f"{self.host}/{day}/" for day in self.files])
        prefix = prefixes.take(pa.array(self.file[row], mask=row < 0))
        number = pa.array(self.line_no[row]).cast(pa.string())
        return pc.binary_join_element_wise(prefix, number, "")

    def _ts(self, row: Integers) -> pa.Array:
        return pa.array(self.timeline.seconds[row] * 1_000_000, mask=row < 0).cast(_TIMESTAMP)

    def _latency(self, accept: Integers, verdict: Integers) -> npt.NDArray[np.int32]:
        latency = self.timeline.seconds[verdict] - self.timeline.seconds[accept]
        return np.where((accept < 0) | (verdict < 0), -1, latency).astype(np.int32)

    def _latency_s(self, accept: Integers, verdict: Integers) -> pa.Array:
        latency = self._latency(accept, verdict)
        return pa.array(latency, mask=latency < 0)

    def _pairing(self, verdict: Integers) -> Codes:
        return np.where(verdict < 0, -1, self.matches.pairing[verdict]).astype(np.int8)


def _seconds(ts: pa.ChunkedArray) -> Integers:
    return ts.cast(pa.int64()).to_numpy() // 1_000_000


def _within(seconds: Integers, stretch: Stretch) -> Mask:
    return (seconds >= stretch.first) & (seconds <= stretch.last)


def _codes(
    words: pa.DictionaryArray, dtype: type[Code]
) -> tuple[npt.NDArray[Code], tuple[str, ...]]:
    """A dictionary-encoded column as indices, -1 for null, and its words."""
    indices = words.indices.fill_null(-1).to_numpy().astype(dtype)
    return indices, tuple(words.dictionary.to_pylist())


def _words(codes: npt.NDArray[np.integer], words: Sequence[str]) -> pa.DictionaryArray:
    """Words by their index, null for -1."""
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def _is_one_of(wanted: Collection[str], codes: Codes, words: Sequence[str]) -> Mask:
    # The entry added at the end answers for -1.
    return np.array([word in wanted for word in words] + [False], np.bool_)[codes]
