"""What the receiver writes down: lines of simulated traffic as bytes, with what each of them says.

Also what goes wrong on paper: writers that cut or overwrite each other's lines, special builds
that print debug lines, clients that forge lines through AUTH. Like
`transforms.simulation.traffic`, and for the same reason, this shares nothing with the parser: all
literals of the format are here again.

A line is joined from a fixed number of fragments, each looked up in a table, so that millions of
lines cost a few array look-ups and one join.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transforms.simulation.cast import Cast, Deck, Dice, cast_for
from transforms.simulation.traffic import (
    DAY_MS,
    FATES,
    IMPLICIT_TLS_PORT,
    MECHANISMS,
    PORTS,
    STATUSES,
    Edition,
    Fate,
    Plan,
    Records,
    file_days,
    host_lines,
)

Fragments = NDArray[np.object_]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STAMP_LENGTH = len("[31/May/2025:23:59:59]")
_DAY_S = DAY_MS // 1_000
_CERTAIN = 1 << 31  # the dice's finest resolution
_HALF_ID = 100_000  # an id's ten digits are written in two halves of five
_KEEP_CONNECTIONS_S = 6 * 3_600  # no session lasts longer


@dataclass(frozen=True)
class Chunk:
    """A stretch of one log file, to be appended to what came before."""

    host: str
    """Computer name."""
    file_date: dt.date
    """The day in the file's name."""
    data: bytes
    """Whole lines with their ends; only the very last line of a host may lack its end."""
    counts: Counter[str]
    """Lines by what they are: accept, blank, debug, malformed, or a verdict's Fate."""
    truth: tuple[str, ...]
    """One JSON object a line of `data`, without a line end; empty if no truth was asked for."""


@dataclass(frozen=True)
class _Place:
    """Where an accept line stands."""

    file_date: str
    line: int
    stamp_s: int


@dataclass(frozen=True)
class _Scrap:
    """A physical line that something odd left behind."""

    text: bytes
    end: bytes
    says: Mapping[str, object] | None
    """What the truth states about it; None = it is the undamaged line itself."""


def chunks(plan: Plan, *, truth: bool) -> Iterator[Chunk]:
    """Everything that a plan's receivers write, host by host, in the order it is written.

    Around midnight chunks of two files of a host alternate before 4.AN.
    """
    cast = cast_for(plan.connections_per_day)
    for number in range(len(plan.hosts)):
        scribe = _Scribe(plan, cast, number, truth=truth)
        held: Chunk | None = None
        for lines in host_lines(plan, cast, number):
            days = file_days(lines, plan.edition)
            for day in np.unique(days).tolist():
                if held is not None:
                    yield held
                held = scribe.write(day, lines[days == day])
        if held is not None:
            yield scribe.maybe_unterminated(held)


class _Scribe:
    """Writes the log of one host, and remembers where each line went."""

    def __init__(self, plan: Plan, cast: Cast, number: int, *, truth: bool) -> None:
        self._plan = plan
        self._cast = cast
        self._host = plan.hosts[number]
        self._server = f"{self._host.lower()}.example.jp"
        self._end = b"\n" if plan.edition is Edition.BSD else b"\r\n"
        self._tables = _tables(plan, cast, self._server, self._end)
        self._dice = Dice(plan.seed, number, 1)
        self._truth = truth
        self._written: Counter[int] = Counter()  # lines in each day's file so far
        self._accepts: dict[int, _Place] = {}  # by session

    def write(self, day: int, lines: Records) -> Chunk:
        """The next lines of a day's file, at least one."""
        cells = self._tables.cells(lines)
        odd = self._damage(cells, lines)
        for row, scraps in odd.items():
            cells[row] = b""
            cells[row, 0] = b"".join(scrap.text + scrap.end for scrap in scraps)
        file_date = self._plan.first_day + dt.timedelta(day)
        first = self._written[day] + 1
        self._written[day] += len(lines) + sum(len(scraps) - 1 for scraps in odd.values())
        return Chunk(
            host=self._host,
            file_date=file_date,
            data=b"".join(cells.ravel().tolist()),
            counts=_count(lines, odd),
            truth=tuple(self._statements(lines, odd, file_date, first)) if self._truth else (),
        )

    def maybe_unterminated(self, chunk: Chunk) -> Chunk:
        """The chunk as it is when the last line was just being written: in half of hostile plans
        that line has no end yet."""
        if self._plan.hostility == 0 or self._dice.one_below(2):
            return chunk
        data = chunk.data.removesuffix(b"\n").removesuffix(b"\r")
        return replace(chunk, data=data)

    def _damage(self, cells: Fragments, lines: Records) -> dict[int, tuple[_Scrap, ...]]:
        """What becomes of the lines that something odd happens to, by row."""
        share = int(self._plan.hostility * _CERTAIN)
        if not share:
            return {}
        # Only lines that no client made to look like another: a piece of one that imitates a line
        # could be a line, and the truth about it a matter of taste.
        local, cast = lines["local"], self._cast
        harmless = (local < cast.odd.start) | (local >= cast.tricks.stop)
        share_of_line = np.where(lines["auth_failed"], share * 4, share)
        struck = harmless & (self._dice.below(_CERTAIN, len(lines)) < share_of_line)
        odd = {}
        for row in np.flatnonzero(struck).tolist():
            client = int(lines["client"][row])
            blow = _Blow(
                text=_text(cells[row], self._end),
                other=_text(cells[max(row - 1, 0)], self._end),
                end=self._end,
                dice=self._dice,
                server=self._server,
                address=cast.addresses[client],
                peer=_peer(self._plan.edition, cast.addresses[client], cast.names[client]),
            )
            if lines["auth_failed"][row] and self._dice.one_below(4):
                odd[row] = _forge(blow, int(lines["stamp_s"][row]), self._plan.first_day)
            else:
                kind = int(_MISHAPS_DECK.draw(self._dice, np.zeros(1, np.int64))[0])
                odd[row] = _MISHAPS[kind](blow)
        return odd

    def _statements(
        self,
        lines: Records,
        odd: Mapping[int, tuple[_Scrap, ...]],
        file_date: dt.date,
        first: int,
    ) -> Iterator[str]:
        """The truth about each physical line, as JSON."""
        self._forget_old_connections(int(lines["stamp_s"][0]))
        number = first
        itself = (_Scrap(b"", b"", None),)
        for row, line in enumerate(lines):
            for scrap in odd.get(row, itself):
                place = _Place(file_date.isoformat(), number, int(line["stamp_s"]))
                says = scrap.says if scrap.says is not None else self._says(line, place)
                where = {"host": self._host, "date": place.file_date, "line": number}
                yield json.dumps({**says, **where}, ensure_ascii=False)
                number += 1

    def _says(self, line: np.void, place: _Place) -> dict[str, object]:
        """What an undamaged line says."""
        head = {
            "ts": _moment(self._plan.first_day, place.stamp_s).isoformat(),
            "client_ip": self._cast.addresses[line["client"]],
            "server": self._server,
        }
        session = int(line["session"])
        if line["fate"] < 0:
            self._accepts[session] = place
            port = PORTS[line["port"]]
            return {"k": "accept", **head, "port": port, "tls": port == IMPLICIT_TLS_PORT}
        fate = FATES[line["fate"]]
        subject = self._cast.locals[line["local"]] + self._cast.domains[line["domain"]]
        says = {
            "k": "verdict",
            **head,
            "status": STATUSES[line["status"]],
            "message_id": f"B{line['message_id']:010d}" if line["message_id"] else None,
            "cls": None if fate is Fate.ACCEPTED else fate.value,
            "sender": None,
        }
        if line["mechanism"]:
            says["auth_mechanism"] = MECHANISMS[line["mechanism"]]
            says["auth_user"] = _decoded(subject)
            says["auth_success"] = not line["auth_failed"]
        elif fate not in (Fate.DNSBL, Fate.REVERSE_DNS):
            says["sender"] = _decoded(subject)
        accept = self._accepts.get(session)
        says["conn"] = [accept.file_date, accept.line] if accept else None
        says["conn_ts"] = (
            _moment(self._plan.first_day, accept.stamp_s).isoformat() if accept else None
        )
        return says

    def _forget_old_connections(self, now_s: int) -> None:
        for session, place in list(self._accepts.items()):
            if place.stamp_s > now_s - _KEEP_CONNECTIONS_S:
                break
            del self._accepts[session]


def _count(lines: Records, odd: Mapping[int, tuple[_Scrap, ...]]) -> Counter[str]:
    fates = np.bincount(lines["fate"].astype(np.int64) + 1, minlength=len(FATES) + 1)
    counts = Counter(dict(zip(("accept", *FATES), fates.tolist(), strict=True)))
    for row, scraps in odd.items():
        fate = lines["fate"][row]
        name = "accept" if fate < 0 else FATES[fate].value
        counts[name] -= 1
        for scrap in scraps:
            if scrap.says is None:
                counts[name] += 1
            elif scrap.says["k"] == "verdict":
                counts[Fate.ACCEPTED.value] += 1
            else:
                counts[str(scrap.says["k"])] += 1
    return counts


@dataclass(frozen=True)
class _Tables:
    """The fragments that a host's lines are made of, in the order in which a line has them."""

    first_day: int
    dates: Fragments
    """`[31/May/2025:` for each day from `first_day`, which counts from the plan's first."""
    times: Fragments
    """`23:59:59], (mx1.example.jp), ` for each second of a day."""
    clients: Fragments
    """For each client the address of an accept line, then for each the peer of a verdict."""
    mechanisms: Fragments
    locals: Fragments
    domains: Fragments
    results: Fragments
    """Nothing, ` [success]`, ` [failed]`."""
    high_ids: Fragments
    """`,<B` and the upper half of an id; at the end nothing, for accept lines."""
    low_ids: Fragments
    endings: Fragments
    """For each port the rest of an accept line, then for each status the rest of a verdict."""

    def cells(self, lines: Records) -> Fragments:
        """The fragments of each line. Shape (lines, 10)."""
        is_accept = lines["fate"] < 0
        day = lines["stamp_s"] // _DAY_S
        client = lines["client"] + np.where(is_accept, 0, len(self.clients) // 2)
        result = np.where(lines["mechanism"] == 0, 0, 1 + lines["auth_failed"])
        high, low = np.divmod(lines["message_id"], _HALF_ID)
        cells = np.empty((len(lines), 10), dtype=object)
        cells[:, 0] = self.dates[day - self.first_day]
        cells[:, 1] = self.times[lines["stamp_s"] - day * _DAY_S]
        cells[:, 2] = self.clients[client]
        cells[:, 3] = self.mechanisms[lines["mechanism"]]
        cells[:, 4] = self.locals[lines["local"]]
        cells[:, 5] = self.domains[lines["domain"]]
        cells[:, 6] = self.results[result]
        cells[:, 7] = self.high_ids[np.where(is_accept, _HALF_ID, high)]
        cells[:, 8] = self.low_ids[np.where(is_accept, _HALF_ID, low)]
        cells[:, 9] = self.endings[np.where(is_accept, lines["port"], len(PORTS) + lines["status"])]
        return cells


def _tables(plan: Plan, cast: Cast, server: str, end: bytes) -> _Tables:
    first_day = -1  # sessions of the warm-up may be stamped a day early
    days = [plan.first_day + dt.timedelta(day) for day in range(first_day, plan.days + 1)]
    clock = (
        f"{second // 3_600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        for second in range(_DAY_S)
    )
    peers = [
        _peer(plan.edition, address, name)
        for address, name in zip(cast.addresses, cast.names, strict=True)
    ]
    halves = [f"{half:05d}" for half in range(_HALF_ID)]
    eol = end.decode()
    return _Tables(
        first_day=first_day,
        dates=_table(f"[{day.day:02d}/{_MONTHS[day.month - 1]}/{day.year}:" for day in days),
        times=_table(f"{time}], ({server}), " for time in clock),
        clients=_table([*(f"[{ip}]:" for ip in cast.addresses), *(f"{peer}, " for peer in peers)]),
        mechanisms=_table(f"AUTH-{name}:" if name else "" for name in MECHANISMS),
        locals=np.array(cast.locals, dtype=object),
        domains=np.array(cast.domains, dtype=object),
        results=_table(["", " [success]", " [failed]"]),
        high_ids=_table([*(f",<B{half}" for half in halves), ""]),
        low_ids=_table([*halves, ""]),
        endings=_table(
            [
                *(
                    f"{port}{' SSL' if port == IMPLICIT_TLS_PORT else ''}, Client accept now.{eol}"
                    for port in PORTS
                ),
                *(f">,{status}{eol}" for status in STATUSES),
            ]
        ),
    )


def _table(texts: Iterator[str] | list[str]) -> Fragments:
    return np.array([text.encode() for text in texts], dtype=object)


def _peer(edition: Edition, address: str, name: str) -> str:
    return f"{name} [{address}]" if edition is Edition.BSD else f"{address}[{address}]"


def _moment(first_day: dt.date, second: int) -> dt.datetime:
    return dt.datetime.combine(first_day, dt.time()) + dt.timedelta(seconds=second)


def _stamp(moment: dt.datetime) -> str:
    return f"[{moment.day:02d}/{_MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S}]"


def _decoded(text: bytes) -> str:
    """As a reader would: UTF-8, else CP932. The cast has no text that is neither."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("cp932")


def _text(fragments: Fragments, end: bytes) -> bytes:
    return b"".join(fragments.tolist()).removesuffix(end)


@dataclass(frozen=True)
class _Blow:
    """A line that something odd is about to happen to."""

    text: bytes
    """The line as it should be, without its end; always begins with a time stamp."""
    other: bytes
    """Another line that is written at about the same time."""
    end: bytes
    """The edition's line end."""
    dice: Dice
    server: str
    address: str
    """The client's."""
    peer: str
    """The client as a verdict names it."""


def _unreadable(text: bytes, end: bytes) -> _Scrap:
    return _Scrap(text, end, {"k": "malformed", "raw": text.decode("latin-1")})


def _itself(blow: _Blow) -> _Scrap:
    return _Scrap(blow.text, blow.end, None)


def _lose_tail(blow: _Blow) -> tuple[_Scrap, ...]:
    cut = 1 + blow.dice.one_below(len(blow.text) - 1)
    return (_unreadable(blow.text[:cut], blow.end),)


def _lose_head(blow: _Blow) -> tuple[_Scrap, ...]:
    cut = 1 + blow.dice.one_below(len(blow.text) - 1)
    return (_unreadable(blow.text[cut:], blow.end),)


def _overwrite(blow: _Blow) -> tuple[_Scrap, ...]:
    # It starts within the time stamp. Further on the mixture of two lines might be a good line.
    start = 1 + blow.dice.one_below(_STAMP_LENGTH - 2)
    intruder = blow.other[: 1 + blow.dice.one_below(len(blow.other))]
    rest = blow.text[start + len(intruder) :]
    return (_unreadable(blow.text[:start] + intruder + rest, blow.end),)


def _leave_hole(blow: _Blow) -> tuple[_Scrap, ...]:
    """A writer that seeks past the end of the file leaves NUL bytes."""
    return (_unreadable(bytes(len(blow.text)), blow.end),)


def _break_date(blow: _Blow) -> tuple[_Scrap, ...]:
    """Dates that no calendar has. The time of day stays."""
    dates = (b"[31/Feb/2025", b"[00/Jan/2025", b"[32/May/2025", b"[29/Feb/2025", b"[31/Mai/2025")
    date = dates[blow.dice.one_below(len(dates))]
    return (_unreadable(date + blow.text[len(date) :], blow.end),)


def _precede_by_blank(blow: _Blow) -> tuple[_Scrap, ...]:
    return (_Scrap(b"", blow.end, {"k": "blank", "raw": ""}), _itself(blow))


def _precede_by_debug(blow: _Blow) -> tuple[_Scrap, ...]:
    text = f" <B{blow.dice.one_below(10**6):010d}>, [Read status = {blow.dice.one_below(3)}]"
    if blow.dice.one_below(2):
        text = f" <B{blow.dice.one_below(10**6):010d}>, [RCPT TO:<info@example.jp>], 250 Ok"
    return (_Scrap(text.encode(), blow.end, {"k": "debug", "raw": text}), _itself(blow))


def _precede_by_old(blow: _Blow) -> tuple[_Scrap, ...]:
    """A complete verdict of another time: the vendor's own example has one, ten years old."""
    moment = dt.datetime(2007, 11, 30, 10, 21, 32)
    old = _lone_verdict(blow, moment, "info@example.jp", blow.dice.one_below(10**5) + 1)
    return (old, _itself(blow))


def _end_oddly(blow: _Blow) -> tuple[_Scrap, ...]:
    """A line end of the other operating system. A lone CR LF in an LF file would leave it open
    whether the CR belongs to the line, so there a blank line comes instead."""
    if blow.end == b"\n":
        return _precede_by_blank(blow)
    return (_Scrap(blow.text, b"\n", None),)


def _forge(blow: _Blow, stamp_s: int, first_day: dt.date) -> tuple[_Scrap, ...]:
    """The AUTH user holds a line end, a complete line and another line end.

    Text mode turns the client's LF into the edition's line end, so it looks like any other.
    """
    moment = _moment(first_day, stamp_s)
    head = f"{_stamp(moment)}, ({blow.server}), {blow.peer}, AUTH-PLAIN:x".encode()
    tail = b"y [failed],<B0000000000>,abort"
    lone = _lone_verdict(blow, moment, "ceo@example.jp", 600_000 + blow.dice.one_below(10**5))
    forged = replace(lone, says={**(lone.says or {}), "forged": True})
    return (_unreadable(head, blow.end), forged, _unreadable(tail, blow.end))


def _lone_verdict(blow: _Blow, moment: dt.datetime, sender: str, number: int) -> _Scrap:
    """A complete line that says ok although no connection led to it."""
    message_id = f"B{number:010d}"
    says = {
        "k": "verdict",
        "ts": moment.isoformat(),
        "client_ip": blow.address,
        "server": blow.server,
        "status": STATUSES[0],
        "message_id": message_id,
        "cls": None,
        "sender": sender,
        "conn": None,
        "conn_ts": None,
    }
    head = f"{_stamp(moment)}, ({blow.server}), {blow.peer}"
    return _Scrap(f"{head}, {sender},<{message_id}>,{STATUSES[0]}".encode(), blow.end, says)


_MISHAPS: tuple[Callable[[_Blow], tuple[_Scrap, ...]], ...] = (
    _lose_tail,
    _lose_head,
    _overwrite,
    _leave_hole,
    _break_date,
    _precede_by_blank,
    _precede_by_debug,
    _precede_by_old,
    _end_oddly,
)
_MISHAPS_DECK = Deck({0: 200, 1: 140, 2: 160, 3: 30, 4: 100, 5: 120, 6: 120, 7: 50, 8: 80})
