"""Which connection a verdict answers: the pairing rule, for all lines of a host and day at once.

acceptlog has no connection id, so pairing is inferred. Among the lines of one address, in order of
(ts, accepts first, file date, line number):

- a verdict answers the most recent connection that is still unanswered and at most ten minutes
  old: `only` if it is the address's only connection in those ten minutes, else `nearest`;
- without one it is a further message of the address's latest connection within the hour, answered
  or not: `continued`;
- DNSBL and reverse-DNS verdicts are given at once: they answer the latest unanswered connection of
  exactly their own second;
- any other verdict is an orphan.

The first rule is bracket matching: an accept opens, a verdict closes the innermost open bracket.
That the ten minutes may have passed does not disturb this. If the innermost is too old, so is
every other open one, for this verdict and all later ones; which of the dead is taken off is all
the same, as long as the match does not count. So one depth per event and one sort pair millions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

VERSION = 1
"""Raised when some verdict is paired differently than before; such days are paired anew."""

Integers = npt.NDArray[np.integer]
Rows = npt.NDArray[np.int32]
Clients = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

ANSWERED_WITHIN_S = 600
"""The receiver drops an idle session after 5 minutes, so no first verdict takes this long."""
CONTINUED_WITHIN_S = 3600
"""How far back a pairing can depend on anything."""


class Pairing(StrEnum):
    """How sure a pair is."""

    ONLY = "only"
    NEAREST = "nearest"
    CONTINUED = "continued"


PAIRINGS = tuple(Pairing)
_ONLY, _NEAREST, _CONTINUED = range(3)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Accepts and verdicts of one host, in order of (file date, line number); a row each."""

    client: Clients
    """A number for each address; only lines of equal number can pair."""
    seconds: Integers
    """The stamp, in seconds since 1970 of the wall clock."""
    is_verdict: Mask
    is_at_once: Mask
    """Verdicts given in the second of the connect: DNSBL and reverse DNS."""

    def of(self, row: Integers) -> "Timeline":
        """Some rows of it, in order."""
        return Timeline(
            self.client[row], self.seconds[row], self.is_verdict[row], self.is_at_once[row]
        )


@dataclass(frozen=True, slots=True)
class Matches:
    """What each row of a timeline is paired with."""

    connection: Integers
    """Of a verdict: the row of the connection it belongs to. -1 = orphan, or no verdict."""
    pairing: npt.NDArray[np.int8]
    """Of a verdict: index into `PAIRINGS`. -1 = orphan, or no verdict."""


_PART_EVENTS = 1 << 16
"""About so many events are paired in one go."""


def match(timeline: Timeline) -> Matches:
    """Apply the pairing rule; see the module."""
    count = len(timeline.client)
    matches = Matches(np.full(count, -1, np.int32), np.full(count, -1, np.int8))
    for row in _parts(timeline.client):
        found = _match(timeline.of(row))
        paired = np.flatnonzero(found.connection >= 0)
        matches.connection[row[paired]] = row[found.connection[paired]]
        matches.pairing[row] = found.pairing
    return matches


def _parts(client: Clients) -> Iterator[Integers]:
    """The rows in parts, each with all rows of its clients.

    Clients have nothing to do with each other, and what it takes to pair a few of them fits in the
    processor's cache.
    """
    parts = 1 + len(client) // _PART_EVENTS
    part = (client % parts).astype(np.uint16)  # numpy sorts 16 bits in two strides
    ends = np.cumsum(np.bincount(part))
    row = np.argsort(part, kind="stable")
    yield from np.split(row, ends[:-1])


def _match(timeline: Timeline) -> Matches:
    order = _order(timeline.client, timeline.seconds, timeline.is_verdict)
    client, seconds = timeline.client[order], timeline.seconds[order]
    is_verdict, is_at_once = timeline.is_verdict[order], timeline.is_at_once[order]
    # Of each event, the latest accept up to it (itself, if it is one); -1 before the first.
    latest_accept = _latest(~is_verdict)

    closes = is_verdict & ~(is_at_once & _exceeds_accepts(client, seconds, is_verdict))
    connection = _innermost(client, ~is_verdict, closes)
    verdict = np.flatnonzero(connection >= 0)
    is_stale = seconds[verdict] - seconds[connection[verdict]] > ANSWERED_WITHIN_S
    connection[verdict[is_stale]] = -1

    pairing = np.full(len(order), -1, np.int8)
    verdict = verdict[~is_stale]
    before = latest_accept[connection[verdict] - 1]  # of the first event: the last accept, no rival
    has_rival = (before < connection[verdict]) & (before >= 0) & (client[before] == client[verdict])
    has_rival &= seconds[verdict] - seconds[before] <= ANSWERED_WITHIN_S
    has_rival |= latest_accept[verdict] != connection[verdict]
    pairing[verdict] = np.where(has_rival, _NEAREST, _ONLY)

    verdict = np.flatnonzero(is_verdict & ~is_at_once & (connection < 0))
    latest = latest_accept[verdict]
    continues = (latest >= 0) & (client[latest] == client[verdict])
    continues &= seconds[verdict] - seconds[latest] <= CONTINUED_WITHIN_S
    connection[verdict[continues]] = latest[continues]
    pairing[verdict[continues]] = _CONTINUED

    matches = Matches(np.full(len(order), -1, np.int32), np.empty(len(order), np.int8))
    paired = np.flatnonzero(connection >= 0)
    matches.connection[order[paired]] = order[connection[paired]]
    matches.pairing[order] = pairing
    return matches


def _exceeds_accepts(client: Clients, seconds: Integers, is_verdict: Mask) -> Mask:
    """Whether a verdict comes after as many of its own client and second as there were accepts.

    The accepts of a second come first, and the innermost open one is taken first: so the first
    verdicts of that second answer its own accepts, whatever kind they are, and the rest cannot.
    """
    excess = np.cumsum(np.where(is_verdict, 1, -1), dtype=np.int32)
    first = _latest(_starts(client) | _starts(seconds))
    excess_before = excess[first] - np.where(is_verdict[first], 1, -1)
    return is_verdict & (excess > excess_before)


def _innermost(client: Clients, opens: Mask, closes: Mask) -> Rows:
    """Of each closing event, the opening event it matches within its client; -1 elsewhere.

    A closing bracket with nothing open is passed over.
    """
    # Every client starts as far down as the clients before it could have come by closing alone,
    # so one running minimum serves them all: whatever is above it is open.
    opened = np.cumsum(opens, dtype=np.int32)
    opened_before = np.maximum.accumulate(np.where(_starts(client), opened - opens, 0))
    after = opened - opened_before - np.cumsum(closes, dtype=np.int32)
    lowest = np.minimum.accumulate(after - opens)
    sinks = np.ones(len(client), np.bool_)
    sinks[1:] = lowest[1:] < lowest[:-1]
    matched = closes & ~sinks

    # Brackets of one level alternate: opening, closing, opening, closing, … But one that is never
    # closed is followed by the opening of another client.
    bracket = np.flatnonzero(opens | matched)
    level = (after - lowest + matched)[bracket]
    bracket = bracket[np.argsort(_narrow(level), kind="stable")]
    closing = np.flatnonzero(matched[bracket])
    innermost = np.full(len(client), -1, np.int32)
    innermost[bracket[closing]] = bracket[closing - 1]
    return innermost


def _starts(values: Integers | Clients) -> Mask:
    """Where a run of equal values starts."""
    starts = np.ones(len(values), np.bool_)
    starts[1:] = values[1:] != values[:-1]
    return starts


def _latest(is_one: Mask) -> Rows:
    """Of each event, the latest up to it that is one; -1 before the first."""
    rows = np.arange(len(is_one), dtype=np.int32)
    return np.maximum.accumulate(np.where(is_one, rows, np.int32(-1)))


def _narrow(levels: Integers) -> npt.NDArray[np.unsignedinteger]:
    """In as few bytes as they fit in; numpy sorts one or two the quickest."""
    return levels.astype(np.min_scalar_type(levels.max(initial=0)))


def _order(*keys: npt.NDArray[np.integer] | Mask) -> Integers:
    """The rows in order of the keys, first key first, and of their own number where all are equal.

    One sort of 64-bit integers that hold the keys and the row number, where these fit.
    """
    count = len(keys[0])
    if not count:
        return np.empty(0, np.int64)
    lows, highs = [int(key.min()) for key in keys], [int(key.max()) for key in keys]
    widths = [(high - low).bit_length() for low, high in zip(lows, highs, strict=True)]
    row_width = count.bit_length()
    if sum(widths) + row_width > 63:
        return np.lexsort(keys[::-1])
    packed = np.zeros(count, np.int64)
    for key, low, width in zip(keys, lows, widths, strict=True):
        packed <<= width
        packed |= key - np.int64(low)
    packed <<= row_width
    packed |= np.arange(count)
    packed.sort()
    packed &= (1 << row_width) - 1
    return packed
