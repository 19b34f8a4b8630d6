"""Who talks to a mail server, and when: a seeded model of SMTP traffic with known truth.

Visits (one client, one or many connections) become sessions, sessions become the lines the
receiver will write, each with the moment it is written. Nothing here knows how a line looks;
`transforms.simulation.scribe` does. Who the clients are and what they say is in
`transforms.simulation.cast`.

The model exists to judge the parser and the pairing, so none of these modules imports them: every
literal of the format and every rule of who writes what when stands here a second time, on purpose.

Times are milliseconds since midnight of the plan's first day, server local, without time zone or
daylight saving; the minutes before it are negative.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from transforms.simulation.cast import Cast, Deck, Dice, Ints, Role, Spread

Records = NDArray[np.void]

SECOND_MS = 1_000
HOUR_MS = 3_600 * SECOND_MS
DAY_MS = 24 * HOUR_MS


class Edition(StrEnum):
    """Which receiver writes the log."""

    WIN = "win"  # Windows before 4.AN: CRLF, `IP[IP]`, at most one verdict a connection
    BSD = "bsd"  # LF, `name [IP]`, at most one verdict a connection
    WIN_4AN = "4an"  # Windows 4.AN: CRLF, a verdict a message, one also for sessions without MAIL

    @property
    def judges_every_message(self) -> bool:
        """Whether each message gets its own line, and a session without any gets one as well."""
        return self is Edition.WIN_4AN

    @property
    def files_by_write_day(self) -> bool:
        """Whether a verdict goes to the file of the day it is written, not of its time stamp."""
        return self is Edition.WIN_4AN


class Fate(StrEnum):
    """What became of a message or a session; the truth's `cls`, where accepted is null."""

    ACCEPTED = "accepted"
    DNSBL = "dnsbl"
    REVERSE_DNS = "reverse_dns"
    AUTH = "auth"
    POLICY = "policy"
    CONTENT = "content"
    TIMEOUT = "timeout"


FATES = tuple(Fate)
FATE_CODE = {fate: code for code, fate in enumerate(FATES)}


@dataclass(frozen=True)
class Plan:
    """What to simulate. Equal plans give equal bytes on any machine.

    Raises ValueError when a value makes no sense, naming the field.
    """

    edition: Edition = Edition.WIN
    """The receiver whose habits the log follows."""
    hosts: tuple[str, ...] = ("MX1",)
    """Computer names, each a folder below acceptlog/; their traffic is independent."""
    first_day: dt.date = dt.date(2025, 5, 31)
    """The day of the first file. The log is switched on at its midnight."""
    days: int = 2
    """Whole days of traffic, at least 1; one small file more holds what ends after the last."""
    connections_per_day: int = 5_000
    """Connections one host accepts on a working day, give or take a tenth (about half as many on
    Saturdays and Sundays); at least 1. Some forty a day come on top, see `Plot`."""
    seed: int = 0
    """Which of the possible histories, 0 or more."""
    hostility: float = 0.002
    """Share of lines, 0 to 1, that are damaged or joined by something odd; failed AUTH, which can
    forge lines, four times as often."""

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        names = {host.upper() for host in self.hosts}
        if not self.hosts or len(names) < len(self.hosts):
            raise ValueError(f"hosts must be one or more different names, not {self.hosts!r}")
        for host in self.hosts:
            if not host.replace("-", "").replace("_", "").isalnum() or not host.isascii():
                raise ValueError(f"hosts must be plain computer names like 'MX1', not {host!r}")
        if self.days < 1:
            raise ValueError(f"days must be at least 1, not {self.days}")
        if self.connections_per_day < 1:
            raise ValueError(
                f"connections_per_day must be at least 1, not {self.connections_per_day}"
            )
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, not {self.seed}")
        if not 0 <= self.hostility <= 1:
            raise ValueError(f"hostility is a share from 0 to 1, not {self.hostility}")
        if self.first_day.year < 2000 or (self.first_day + dt.timedelta(self.days)).year > 2099:
            raise ValueError("file names have two digits for the year: stay within 2000 to 2099")


class Scenario(IntEnum):
    """How a connection goes."""

    MAIL = 0  # one or more messages without AUTH
    SUBMIT = 1  # one or more messages after AUTH
    AUTH_FAILED = 2
    SILENT = 3  # no MAIL FROM: port scan, early disconnect, QUIT
    REFUSED = 4  # turned away at once (connection limit, lock-out): never a verdict
    DNSBL = 5
    REVERSE_DNS = 6


class Plot(IntEnum):
    """Visits that every day has, so that even a tiny tree shows them."""

    NONE = 0
    BREAK_IN = 1  # a guesser whose last try of many succeeds
    MIDNIGHT = 2  # a peer whose MAIL FROM and verdict lie around midnight


PORTS = (25, 465, 587)
IMPLICIT_TLS_PORT = 465

_SMTP, _SMTPS, _SUBMISSION = range(len(PORTS))
_MAIL, _SUBMIT, _AUTH_FAILED, _SILENT, _REFUSED, _DNSBL, _REVERSE_DNS = Scenario
_ACCEPTED, _POLICY = FATE_CODE[Fate.ACCEPTED], FATE_CODE[Fate.POLICY]
_CONTENT, _TIMEOUT = FATE_CODE[Fate.CONTENT], FATE_CODE[Fate.TIMEOUT]

VISIT_PERMILLE = {
    Role.PEER: 560,
    Role.OFFICE: 180,
    Role.SPAMMER: 170,
    Role.SCANNER: 60,
    Role.GUESSER: 20,
    Role.NAMELESS: 10,
}


def by_role(rows: dict[Role, dict[int, int]]) -> Deck:
    """A deck to be drawn with roles as rows."""
    return Deck(*(rows[role] for role in Role))


VISITORS = Deck({int(role): permille for role, permille in VISIT_PERMILLE.items()})
CONNECTIONS = by_role(  # of one visit
    {
        Role.PEER: {1: 700, 2: 150, 3: 70, 4: 40, 6: 25, 10: 15},
        Role.OFFICE: {1: 600, 2: 200, 3: 100, 5: 70, 8: 30},
        Role.SPAMMER: {1: 600, 2: 200, 4: 120, 8: 60, 15: 20},
        Role.SCANNER: {1: 500, 2: 200, 3: 200, 6: 100},
        Role.GUESSER: {3: 300, 8: 400, 15: 200, 40: 100},
        Role.NAMELESS: {1: 1_000},
    }
)
SCENARIOS = by_role(
    {
        Role.PEER: {_MAIL: 940, _SILENT: 45, _REFUSED: 12, _DNSBL: 3},
        Role.OFFICE: {_MAIL: 60, _SUBMIT: 890, _AUTH_FAILED: 30, _SILENT: 20},
        Role.SPAMMER: {_MAIL: 110, _SILENT: 40, _REFUSED: 10, _DNSBL: 840},
        Role.SCANNER: {_AUTH_FAILED: 20, _SILENT: 950, _REFUSED: 30},
        Role.GUESSER: {_AUTH_FAILED: 920, _SILENT: 60, _REFUSED: 20},
        Role.NAMELESS: {_MAIL: 350, _SILENT: 50, _REVERSE_DNS: 600},
    }
)
PORT_CODES = by_role(
    {
        Role.PEER: {_SMTP: 1_000},
        Role.OFFICE: {_SMTP: 120, _SMTPS: 300, _SUBMISSION: 580},
        Role.SPAMMER: {_SMTP: 970, _SUBMISSION: 30},
        Role.SCANNER: {_SMTP: 500, _SMTPS: 250, _SUBMISSION: 250},
        Role.GUESSER: {_SMTP: 250, _SMTPS: 250, _SUBMISSION: 500},
        Role.NAMELESS: {_SMTP: 1_000},
    }
)
MESSAGE_FATES = by_role(
    {
        Role.PEER: {_ACCEPTED: 840, _POLICY: 80, _CONTENT: 65, _TIMEOUT: 15},
        Role.OFFICE: {_ACCEPTED: 950, _POLICY: 25, _CONTENT: 20, _TIMEOUT: 5},
        Role.SPAMMER: {_ACCEPTED: 150, _POLICY: 500, _CONTENT: 330, _TIMEOUT: 20},
        Role.SCANNER: {_ACCEPTED: 1_000},
        Role.GUESSER: {_ACCEPTED: 1_000},
        Role.NAMELESS: {_ACCEPTED: 600, _POLICY: 250, _CONTENT: 150},
    }
)
NULL_SENDERS = by_role(  # 1 = the message is a bounce
    {
        Role.PEER: {0: 930, 1: 70},
        Role.OFFICE: {0: 990, 1: 10},
        Role.SPAMMER: {0: 950, 1: 50},
        Role.SCANNER: {0: 1_000},
        Role.GUESSER: {0: 1_000},
        Role.NAMELESS: {0: 800, 1: 200},
    }
)
MESSAGES = Deck({1: 830, 2: 90, 3: 40, 4: 15, 6: 12, 10: 8, 25: 5})

PEER_SPACING_MS = 350  # sessions of one visit overlap
GUESSER_SPACING_MS = 7_000

FIRST_MAIL_MS = Spread(  # from connect to MAIL FROM
    (0, 60), (300, 700), (600, 1_800), (850, 6_000), (970, 30_000), (995, 120_000), (1_000, 295_000)
)
AUTH_MS = Spread((0, 250), (500, 1_500), (900, 6_000), (1_000, 25_000))  # connect to AUTH result
AFTER_AUTH_MS = Spread((0, 30), (800, 400), (1_000, 3_000))  # AUTH result to MAIL FROM
REFUSAL_MS = Spread((0, 30), (900, 400), (1_000, 4_000))  # MAIL FROM to a refusal before DATA
NEXT_MAIL_MS = Spread((0, 20), (800, 300), (1_000, 20_000))  # end of DATA to the next MAIL FROM
GOODBYE_MS = Spread((0, 5), (800, 200), (970, 3_000), (1_000, 60_000))  # to the session's close
SILENCE_MS = Spread((0, 10), (600, 2_000), (950, 30_000), (1_000, 299_000))  # connect to close
LOOKUP_MS = Spread((0, 1), (700, 60), (950, 400), (1_000, 3_000))  # connect to the DNS answer
MESSAGE_BYTES = Spread(
    (0, 1_500),
    (500, 12_000),
    (800, 60_000),
    (950, 2_000_000),
    (990, 9_000_000),
    (1_000, 30_000_000),
)
BYTES_PER_MS = Spread((0, 100), (500, 900), (1_000, 12_000))
DATA_ROUND_TRIPS_MS = 60
IDLE_LIMIT_MS = 300 * SECOND_MS  # the receiver drops an idle session

VISITS_BY_HOUR = (
    *(18, 14, 12, 12, 14, 18, 26, 44, 78, 98, 100, 94),
    *(74, 88, 96, 92, 88, 80, 62, 46, 38, 32, 28, 22),
)
WEEKDAY_PERCENT = (105, 100, 100, 100, 95, 55, 45)  # Monday first

WARM_UP_MS = 900 * SECOND_MS  # sessions that are open when the log is switched on
SLICES_MS = tuple(seconds * SECOND_MS for seconds in (3_600, 900, 300, 60, 20, 5, 1))
SLICE_VISITS = 4_000  # a slice's arrays should fit the processor's cache
BREAK_IN_AT_MS = 3 * HOUR_MS + 20 * 60 * SECOND_MS
BREAK_IN_TRIES = 30
MIDNIGHT_VISITS = 8

NEVER = np.iinfo(np.int64).max

_VISIT = np.dtype(
    [
        ("start_ms", "i8"),  # the first connect
        ("connections", "i4"),
        ("role", "i1"),
        ("plot", "i1"),
    ]
)

_SESSION = np.dtype(
    [
        ("start_ms", "i8"),  # the connect
        ("opening_ms", "i8"),  # from connect to the first MAIL FROM, or to the AUTH result
        ("client", "i4"),
        ("role", "i1"),
        ("scenario", "i1"),
        ("port", "i1"),  # index into PORTS
    ]
)

LINE = np.dtype(
    [
        ("write_ms", "i8"),  # when the line is appended
        ("stamp_s", "i8"),  # the second in its time stamp
        ("id_ms", "i8"),  # when the server assigns the message id; NEVER = not at all
        ("session", "i8"),  # number of the connection, unique within a host
        ("message_id", "i8"),  # 0 = none (yet)
        ("client", "i4"),  # index into the cast's addresses
        ("mechanism", "i1"),  # index into MECHANISMS; 0 = the subject is not an AUTH result
        ("local", "i4"),  # index into the cast's locals: the subject up to its domain
        ("domain", "i4"),  # index into the cast's domains; 0 = none
        ("port", "i1"),  # index into PORTS of an accept line, -1 = verdict
        ("status", "i1"),  # index into STATUSES of a verdict, -1 = accept line
        ("fate", "i1"),  # index into FATES of a verdict, -1 = accept line
        ("auth_failed", "?"),
    ]
)

STATUSES = ("ok", "abort", "connection timeout")
STATUS_OF_FATE = np.array(
    [{Fate.ACCEPTED: 0, Fate.TIMEOUT: 2}.get(fate, 1) for fate in FATES], dtype=np.int64
)
MECHANISMS = ("", "PLAIN", "LOGIN", "CRAM-MD5", "XAOUTH2", "unknown")
WORKING_MECHANISMS = Deck({1: 460, 2: 400, 3: 120, 4: 20})
TRIED_MECHANISMS = Deck({1: 340, 2: 500, 3: 120, 4: 20, 5: 20})

ODD_SENDERS = Deck({0: 970, 1: 20, 2: 10})  # ordinary, odd local part, trick sender


def host_lines(plan: Plan, cast: Cast, host: int) -> Iterator[Records]:
    """All lines of the plan's host number `host`, in the order in which they are written.

    Yields arrays of dtype LINE, each a stretch of time after the one before; the last one, possibly
    empty, holds what is written after the last midnight. Memory use depends on the traffic of
    one slice of time, not of a day.
    """
    dice = Dice(plan.seed, host, 0)
    pending = np.zeros(0, LINE)
    next_session, next_id = 0, 600_000 + 10_000_000 * host
    for begin, end in _slices(plan):
        sessions = _sessions(dice, cast, _visits(dice, plan, begin, end))
        lines = _lines(dice, cast, plan.edition, sessions)
        lines["session"] += next_session
        next_session += len(sessions)
        pending = np.concatenate([pending, lines])
        # All MAIL FROM before `end` are known by now, so ids can be given in their true order.
        next_id += _assign_ids(pending, next_id, before=end)
        pending = pending[np.argsort(pending["write_ms"], kind="stable")]
        cut = int(np.searchsorted(pending["write_ms"], end))
        yield _logged(pending[:cut], plan.edition)
        pending = pending[cut:]
    _assign_ids(pending, next_id, before=NEVER)
    yield _logged(pending, plan.edition)


def file_days(lines: Records, edition: Edition) -> Ints:
    """The day, counted from the plan's first, in whose file each line stands. Shape (lines,)."""
    moment_ms = lines["write_ms"] if edition.files_by_write_day else lines["stamp_s"] * SECOND_MS
    return np.asarray(moment_ms // DAY_MS, dtype=np.int64)


def _logged(lines: Records, edition: Edition) -> Records:
    """Only what is written after the log was switched on, and not to an older file."""
    return lines[(lines["write_ms"] >= 0) & (file_days(lines, edition) >= 0)]


def _assign_ids(lines: Records, next_id: int, before: int) -> int:
    """Number, in place, the messages whose id is due before that time; returns how many."""
    due = np.flatnonzero((lines["message_id"] == 0) & (lines["id_ms"] < before))
    due = due[np.argsort(lines["id_ms"][due], kind="stable")]
    lines["message_id"][due] = next_id + np.arange(len(due))
    return len(due)


def _slices(plan: Plan) -> Iterator[tuple[int, int]]:
    """Consecutive (begin, end) from the warm-up to the last midnight, none across midnight."""
    busiest = _visits_a_day(plan) * max(VISITS_BY_HOUR) // sum(VISITS_BY_HOUR) + 1
    fitting = [ms for ms in SLICES_MS if busiest * ms // HOUR_MS <= SLICE_VISITS]
    step = max(fitting, default=min(SLICES_MS))
    for begin in range(-WARM_UP_MS, 0, step):
        yield begin, min(begin + step, 0)
    for begin in range(0, plan.days * DAY_MS, step):
        yield begin, begin + step


def _visits_a_day(plan: Plan) -> int:
    """Visits of a working day that together make about the plan's number of connections."""
    connections = sum(
        VISIT_PERMILLE[role] * mean
        for role, mean in zip(Role, CONNECTIONS.mean_permille, strict=True)
    )
    return plan.connections_per_day * 1_000_000 // connections + 1


def _visits_between(plan: Plan, begin: int, end: int) -> int:
    """How many visits begin in a slice: office hours are busy, nights and week-ends are quiet."""
    day = plan.first_day + dt.timedelta(begin // DAY_MS)
    visits = _visits_a_day(plan) * WEEKDAY_PERCENT[day.weekday()]

    def until(ms: int) -> int:
        hours, rest = divmod(ms, HOUR_MS)
        share = sum(VISITS_BY_HOUR[:hours]) * HOUR_MS + sum(VISITS_BY_HOUR[hours:][:1]) * rest
        return visits * share // (sum(VISITS_BY_HOUR) * HOUR_MS * 100)

    midnight = begin // DAY_MS * DAY_MS
    return until(end - midnight) - until(begin - midnight)


def _visits(dice: Dice, plan: Plan, begin: int, end: int) -> Records:
    """The visits that begin in a slice of time. Dtype _VISIT."""
    chance = np.zeros(_visits_between(plan, begin, end), _VISIT)
    chance["role"] = role = VISITORS.draw(dice, np.zeros(len(chance), np.int64))
    chance["start_ms"] = begin + dice.below(end - begin, len(chance))
    chance["connections"] = CONNECTIONS.draw(dice, role)
    break_in_ms = begin // DAY_MS * DAY_MS + BREAK_IN_AT_MS
    break_in = np.zeros(int(begin <= break_in_ms < end), _VISIT)
    break_in["role"] = Role.GUESSER
    break_in["start_ms"] = break_in_ms
    break_in["connections"] = BREAK_IN_TRIES + 1
    break_in["plot"] = Plot.BREAK_IN
    late = np.zeros(MIDNIGHT_VISITS if end % DAY_MS == 0 else 0, _VISIT)
    late["role"] = Role.PEER
    late["start_ms"] = end - 500 - dice.below(9_000, len(late))
    late["connections"] = 1
    late["plot"] = Plot.MIDNIGHT
    return np.concatenate([chance, break_in, late])


def _sessions(dice: Dice, cast: Cast, visits: Records) -> Records:
    """The connections of the visits. Dtype _SESSION."""
    count = visits["connections"].astype(np.int64)
    of = np.repeat(np.arange(len(visits)), count)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    role, plot = visits["role"][of].astype(np.int64), visits["plot"][of]
    spacing_ms = np.where(role == Role.GUESSER, GUESSER_SPACING_MS, PEER_SPACING_MS)
    sessions = np.zeros(len(of), _SESSION)
    sessions["role"] = role
    sessions["client"] = cast.pick_clients(dice, visits["role"].astype(np.int64))[of]
    sessions["start_ms"] = visits["start_ms"][of] + nth * spacing_ms + dice.below(300, len(of))
    sessions["port"] = PORT_CODES.draw(dice, role)

    scenario = SCENARIOS.draw(dice, role)
    scenario[plot == Plot.BREAK_IN] = Scenario.AUTH_FAILED
    scenario[(plot == Plot.BREAK_IN) & (nth == BREAK_IN_TRIES)] = Scenario.SUBMIT
    scenario[plot == Plot.MIDNIGHT] = Scenario.MAIL
    sessions["scenario"] = scenario

    mail_ms, auth_ms = FIRST_MAIL_MS.draw(dice, len(of)), AUTH_MS.draw(dice, len(of))
    by_auth = (scenario == Scenario.SUBMIT) | (scenario == Scenario.AUTH_FAILED)
    sessions["opening_ms"] = np.where(by_auth, auth_ms, mail_ms)
    # Half of the late visitors say MAIL FROM just before midnight, so that the verdict comes just
    # after it, and the other half after midnight though they connected before.
    late = np.flatnonzero(plot == Plot.MIDNIGHT)
    midnight_ms = (sessions["start_ms"][late] // DAY_MS + 1) * DAY_MS
    late_mail_ms = midnight_ms + np.where(np.arange(len(late)) % 2 == 0, -20, 1_700)
    sessions["opening_ms"][late] = late_mail_ms - sessions["start_ms"][late]
    return sessions


def _lines(dice: Dice, cast: Cast, edition: Edition, sessions: Records) -> Records:
    """Every line the sessions leave, in no particular order except that a session's accept comes
    first. `session` is the index into `sessions`. Dtype LINE."""
    accepts = np.zeros(len(sessions), LINE)
    accepts["write_ms"] = sessions["start_ms"]
    accepts["stamp_s"] = sessions["start_ms"] // SECOND_MS
    accepts["id_ms"] = NEVER
    accepts["session"] = np.arange(len(sessions))
    accepts["client"] = sessions["client"]
    accepts["port"] = sessions["port"]
    accepts["status"] = accepts["fate"] = -1
    verdicts = [
        _listed(dice, cast, sessions),
        _failed_auth(dice, cast, sessions),
        _messages(dice, cast, edition, sessions),
    ]
    if edition.judges_every_message:
        verdicts.append(_silences(dice, sessions))
    return np.concatenate([accepts, *verdicts])


def _verdicts(sessions: Records, of: Ints) -> Records:
    """Blank verdict lines for the sessions with those indices."""
    lines = np.zeros(len(of), LINE)
    lines["id_ms"] = NEVER
    lines["session"] = of
    lines["client"] = sessions["client"][of]
    lines["port"] = -1
    return lines


def _judge(lines: Records, fate: Ints) -> None:
    lines["fate"] = fate
    lines["status"] = STATUS_OF_FATE[fate]


def _listed(dice: Dice, cast: Cast, sessions: Records) -> Records:
    """DNSBL and reverse-DNS hits: stamped with the second of the accept, whenever written."""
    scenario = sessions["scenario"]
    of = np.flatnonzero((scenario == Scenario.DNSBL) | (scenario == Scenario.REVERSE_DNS))
    on_list = scenario[of] == Scenario.DNSBL
    lines = _verdicts(sessions, of)
    lines["stamp_s"] = sessions["start_ms"][of] // SECOND_MS
    lines["write_ms"] = sessions["start_ms"][of] + LOOKUP_MS.draw(dice, len(of))
    lines["local"] = np.where(on_list, cast.dnsbl, cast.reverse_dns)
    _judge(lines, np.where(on_list, FATE_CODE[Fate.DNSBL], FATE_CODE[Fate.REVERSE_DNS]))
    return lines


def _failed_auth(dice: Dice, cast: Cast, sessions: Records) -> Records:
    """Sessions that end after AUTH failed; only the last try is logged."""
    of = np.flatnonzero(sessions["scenario"] == Scenario.AUTH_FAILED)
    answered_ms = sessions["start_ms"][of] + sessions["opening_ms"][of]
    lines = _verdicts(sessions, of)
    lines["stamp_s"] = answered_ms // SECOND_MS
    lines["write_ms"] = answered_ms + GOODBYE_MS.draw(dice, len(of))
    lines["mechanism"] = TRIED_MECHANISMS.draw(dice, np.zeros(len(of), np.int64))
    lines["local"], lines["domain"] = _users(dice, cast, sessions[of])
    lines["auth_failed"] = True
    _judge(lines, np.full(len(of), FATE_CODE[Fate.AUTH]))
    return lines


def _silences(dice: Dice, sessions: Records) -> Records:
    """4.AN only: a session without MAIL FROM has an empty subject, stamped at its close."""
    of = np.flatnonzero(sessions["scenario"] == Scenario.SILENT)
    lines = _verdicts(sessions, of)
    lines["write_ms"] = sessions["start_ms"][of] + SILENCE_MS.draw(dice, len(of))
    lines["stamp_s"] = lines["write_ms"] // SECOND_MS
    _judge(lines, np.full(len(of), _POLICY))
    return lines


def _messages(dice: Dice, cast: Cast, edition: Edition, sessions: Records) -> Records:
    """Sessions with messages: a line for each (4.AN) or one for the last of each session."""
    senders = np.flatnonzero(sessions["scenario"] <= Scenario.SUBMIT)
    with_auth = sessions["scenario"][senders] == Scenario.SUBMIT
    count = MESSAGES.draw(dice, np.zeros(len(senders), np.int64))
    of = np.repeat(np.arange(len(senders)), count)
    last = np.cumsum(count) - 1
    is_last = np.zeros(len(of), bool)
    is_last[last] = True

    fate = MESSAGE_FATES.draw(dice, sessions["role"][senders][of].astype(np.int64))
    fate[(fate == _TIMEOUT) & ~is_last] = _ACCEPTED  # a timeout ends the session
    local, domain = _envelope_senders(dice, cast, sessions[senders][of])
    fate[local == cast.tricks[0]] = _ACCEPTED  # or it could not be told from a real DNSBL hit

    opened_ms = sessions["start_ms"][senders] + sessions["opening_ms"][senders]
    mail_ms = opened_ms + np.where(with_auth, AFTER_AUTH_MS.draw(dice, len(senders)), 0)
    handling_ms = _handling_ms(dice, fate)
    turn_ms = handling_ms + NEXT_MAIL_MS.draw(dice, len(of))
    elapsed_ms = np.cumsum(turn_ms) - turn_ms
    message_ms = mail_ms[of] + elapsed_ms - elapsed_ms[last - count + 1][of]

    lines = _verdicts(sessions, senders[of])
    lines["stamp_s"] = np.where(with_auth[of], opened_ms[of], message_ms) // SECOND_MS
    lines["write_ms"] = message_ms + handling_ms
    refused_mail = (fate == _POLICY) | ((fate == _TIMEOUT) & (dice.below(5, len(of)) == 0))
    lines["id_ms"] = np.where(refused_mail, NEVER, message_ms)
    mechanism = WORKING_MECHANISMS.draw(dice, np.zeros(len(senders), np.int64))
    user_local, user_domain = _users(dice, cast, sessions[senders])
    lines["mechanism"] = np.where(with_auth, mechanism, 0)[of]
    # After AUTH the envelope sender is never logged.
    lines["local"] = np.where(with_auth[of], user_local[of], local)
    lines["domain"] = np.where(with_auth[of], user_domain[of], domain)
    _judge(lines, fate)
    if edition.judges_every_message:
        return lines
    lines = lines[is_last]
    lines["write_ms"] += GOODBYE_MS.draw(dice, len(lines))
    return lines


def _handling_ms(dice: Dice, fate: Ints) -> Ints:
    """From MAIL FROM to the decision: refusals are quick, DATA takes as long as it is large."""
    refusal = REFUSAL_MS.draw(dice, len(fate))
    size = MESSAGE_BYTES.draw(dice, len(fate))
    data = DATA_ROUND_TRIPS_MS + size // BYTES_PER_MS.draw(dice, len(fate))
    return np.where(fate == _POLICY, refusal, np.where(fate == _TIMEOUT, IDLE_LIMIT_MS, data))


def _users(dice: Dice, cast: Cast, sessions: Records) -> tuple[Ints, Ints]:
    """(local, domain) of the user each session tries to be: guessers guess, others know."""
    guessing = np.isin(sessions["role"], (Role.GUESSER, Role.SCANNER))
    guess = cast.guessed[0] + dice.below(len(cast.guessed), len(sessions))
    # The first guess, no name at all, never works.
    guess += (sessions["scenario"] == Scenario.SUBMIT) & (guess == cast.guessed[0])
    own = cast.people[0] + sessions["client"] % len(cast.people)
    return (
        np.where(guessing, guess, own).astype(np.int64),
        np.where(guessing, 0, 1 + sessions["client"] % 7).astype(np.int64),
    )


def _envelope_senders(dice: Dice, cast: Cast, sessions: Records) -> tuple[Ints, Ints]:
    """(local, domain) of the envelope sender of a message of each of the sessions."""
    size, client = len(sessions), sessions["client"].astype(np.int64)
    role = sessions["role"].astype(np.int64)
    # A client writes for a few senders of its own domain; a spammer for anyone.
    few = np.minimum(dice.below(12, size), dice.below(12, size))
    anyone = dice.below(1 << 24, size)
    is_spam = role == Role.SPAMMER
    local = cast.ordinary[0] + np.where(is_spam, anyone, client * 31 + few) % len(cast.ordinary)
    domain = 1 + np.where(is_spam, anyone // 7, client + few // 4) % (len(cast.domains) - 1)

    oddness = ODD_SENDERS.draw(dice, np.zeros(size, np.int64))
    local = np.where(oddness == 1, cast.odd[0] + dice.below(len(cast.odd), size), local)
    local = np.where(oddness == 2, cast.tricks[0] + dice.below(len(cast.tricks), size), local)
    is_null = NULL_SENDERS.draw(dice, role) == 1
    no_domain = is_null | (oddness == 2)
    return np.where(is_null, 0, local), np.where(no_domain, 0, domain)
