"""The lines of a day and their pairs, as the tables people ask: verdicts, connections, counts.

A day's pairs also depend on the *edges* of the days around it: what is stamped within an hour of
any of its own lines. `Day` holds the few columns that pairing needs of all of these, for the whole
day at once; the wide tables are then made one row group at a time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

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

    verdicts: Integers
    accepted: Integers
    rejected: Integers
    first: Integers
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

        def tally(verdict: Integers) -> Integers:
            return np.bincount(matches.connection[verdict], minlength=size)

        verdicts = tally(paired)
        accepted = tally(paired[is_accepted[paired]])
        rejected = tally(paired[is_rejected[paired]])

        # Whatever continues a connection comes after its answer. One too old to be answered may
        # be continued all the same: then the earliest counts, so it must be assigned last.
        first = np.full(size, -1)
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
    file_day: Integers
    """The day of the file that the line is in, in days since 1970."""
    line_no: Integers
    timeline: Timeline
    verdict: npt.NDArray[np.int32]
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
        own = stretch(files[day], day)
        parts: list[pa.Table] = []
        for file_date in sorted(files):
            lines = files[file_date].filter(pc.field("ts").is_valid())
            seconds = _seconds(lines["ts"])
            is_regular = _within(seconds, regular_stretch(file_date))
            lines = lines.append_column("seconds", pa.array(seconds))
            lines = lines.append_column("is_regular", pa.array(is_regular))
            lines = lines.append_column("file_day", pa.repeat(_day_number(file_date), len(lines)))
            if file_date != day:
                is_near = _within(seconds, own.surroundings) if own else np.zeros_like(is_regular)
                lines = lines.filter(pa.array(is_regular & is_near))
            parts.append(lines)
        lines = pa.concat_tables(parts).unify_dictionaries()

        client, _ = _codes(lines["client_ip"].combine_chunks())
        verdict, verdicts = _codes(lines["verdict"].combine_chunks())
        timeline = Timeline(
            # An irregular line is of another time; as a client of its own it meets only its like.
            client=2 * client + lines["is_regular"].to_numpy(),
            seconds=lines["seconds"].to_numpy(),
            is_verdict=verdict >= 0,
            is_at_once=_is_one_of(AT_ONCE, verdict, verdicts),
        )
        matches = match(timeline)
        return cls(
            host=host,
            day=day,
            file_day=lines["file_day"].to_numpy(),
            line_no=lines["line_no"].to_numpy(),
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
        events = events.filter(pc.field("verdict").is_valid())
        row = self._rows(events)
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
        events = events.filter(pc.field("port").is_valid())
        row = self._rows(events)
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
                "verdict_count": self.answers.verdicts[row],
                "accepted_count": self.answers.accepted[row],
                "rejected_count": self.answers.rejected[row],
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
        is_own = self.file_day == _day_number(self.day)
        accept = np.flatnonzero(is_own & ~self.timeline.is_verdict)
        verdict = np.flatnonzero(is_own & self.timeline.is_verdict)
        first_verdict = self.answers.first[accept]
        alike = pa.concat_tables(
            [
                self._alike(
                    "connection",
                    self._hour(accept),
                    _words(self.answers.outcome[accept], OUTCOMES),
                    self._pairing(first_verdict),
                    self._latency_s(accept, first_verdict),
                ),
                self._alike(
                    "verdict",
                    self._hour(verdict),
                    _words(self.verdict[verdict], self.verdicts),
                    self._pairing(verdict),
                    self._latency_s(self.matches.connection[verdict], verdict),
                ),
            ]
        )
        keys = HOURLY_COUNTS.names[:-1]
        counts = alike.group_by(keys).aggregate([([], "count_all")])
        counts = counts.rename_columns(HOURLY_COUNTS.names).cast(HOURLY_COUNTS)
        return counts.sort_by([(key, "ascending") for key in keys])

    # What follows takes rows of the timeline, -1 meaning "none", and answers null for none.

    def _alike(
        self, subject: str, hour: pa.Array, word: pa.Array, pairing: Codes, latency_s: pa.Array
    ) -> pa.Table:
        columns = [
            hour,
            pa.repeat(subject, len(hour)),
            word.cast(pa.string()),
            _words(pairing, PAIRINGS).cast(pa.string()),
            latency_s,
        ]
        return pa.table(columns, names=HOURLY_COUNTS.names[:-1])

    def _rows(self, events: pa.Table) -> Integers:
        """The rows of some lines of the day's own file; all lines between them take part."""
        if not len(events):
            return np.empty(0, np.int64)
        own = np.searchsorted(self.file_day, _day_number(self.day))
        lines = events["line_no"].to_numpy()
        own_lines = self.line_no[own:][self.file_day[own:] == _day_number(self.day)]
        return own + np.searchsorted(own_lines, lines)

    def _connection_id(self, row: Integers) -> pa.Array:
        days, index = np.unique(self.file_day[row], return_inverse=True)
        prefixes = [f"{self.host}/{_EPOCH + timedelta(int(day))}/" for day in days]
        prefix = pa.array(prefixes, pa.string()).take(pa.array(index, mask=row < 0))
        return pc.binary_join_element_wise(prefix, pa.array(self.line_no[row]).cast("string"), "")

    def _ts(self, row: Integers) -> pa.Array:
        return pa.array(self.timeline.seconds[row] * 1_000_000, mask=row < 0).cast(_TIMESTAMP)

    def _hour(self, row: Integers) -> pa.Array:
        return pa.array((self.timeline.seconds[row] % _DAY_S // 3600).astype(np.int32))

    def _latency_s(self, accept: Integers, verdict: Integers) -> pa.Array:
        latency = self.timeline.seconds[verdict] - self.timeline.seconds[accept]
        return pa.array(latency.astype(np.int32), mask=(accept < 0) | (verdict < 0))

    def _pairing(self, verdict: Integers) -> Codes:
        return np.where(verdict < 0, -1, self.matches.pairing[verdict]).astype(np.int8)


def _seconds(ts: pa.ChunkedArray) -> Integers:
    return ts.cast(pa.int64()).to_numpy() // 1_000_000


def _within(seconds: Integers, stretch: Stretch) -> Mask:
    return (seconds >= stretch.first) & (seconds <= stretch.last)


def _day_number(day: date) -> int:
    return (day - _EPOCH).days


def _codes(words: pa.DictionaryArray) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """A dictionary-encoded column as indices, -1 for null, and its words."""
    indices = words.indices.fill_null(-1).to_numpy().astype(np.int32)
    return indices, tuple(words.dictionary.to_pylist())


def _words(codes: npt.NDArray[np.integer], words: Sequence[str]) -> pa.DictionaryArray:
    """Words by their index, null for -1."""
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def _is_one_of(wanted: Collection[str], codes: npt.NDArray[np.int32], words: Sequence[str]) -> Mask:
    # The entry added at the end answers for -1.
    return np.array([word in wanted for word in words] + [False], np.bool_)[codes]
