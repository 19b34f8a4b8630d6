"""A day's tables against the pairing rule said plainly over all files of a host at once.

`by_the_rule` knows nothing of days and edges: it walks through everything a client did. Whatever
`Day` says of one day, from that day's file and the edges of its neighbours, must be the same.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.simulate import Edition, Plan, simulate
from transforms.grammar import Dialect
from transforms.pairing import Pairing
from transforms.scanner import SCANNED, scan
from transforms.schemas import CONNECTIONS, EVENTS, HOURLY_COUNTS, VERDICTS
from transforms.sessions import NEEDED, Day, stretch
from transforms.spans import PADDING

TOKYO = ZoneInfo("Asia/Tokyo")
HOST = "MX1"
REACH = timedelta(days=3)
AT_ONCE = ("rejected_dnsbl", "rejected_reverse_dns")

Files = Mapping[date, pa.Table]
"""The events of each of a host's days."""


@dataclass(frozen=True)
class Place:
    """Where a line stands."""

    day: date
    line_no: int

    def __str__(self) -> str:
        return f"{HOST}/{self.day}/{self.line_no}"


@dataclass(frozen=True)
class Event:
    """An accept or a verdict."""

    place: Place
    ts: datetime
    client: str
    verdict: str | None
    """None = an accept."""

    @property
    def is_regular(self) -> bool:
        """Whether it is stamped with the day of its file or a neighbour of that."""
        return abs(self.ts.date() - self.place.day) <= timedelta(days=1)


Pair = tuple[Event | None, Pairing | None]


def events_of(files: Files) -> list[Event]:
    """All accepts and verdicts."""
    return [
        Event(Place(day, line_no), ts, client, verdict)
        for day, table in files.items()
        for line_no, ts, client, verdict in zip(
            *(table[name].to_pylist() for name in NEEDED), strict=True
        )
        if ts is not None
    ]


def by_the_rule(events: Iterable[Event]) -> dict[Place, Pair]:
    """What each verdict answers, by DESIGN's sentences.

    What is stamped in another year than its file can only meet its like in the same file.
    """
    of_client: dict[object, list[Event]] = defaultdict(list)
    for event in events:
        of_client[event.client, None if event.is_regular else event.place.day].append(event)
    pairs = {}
    for history in of_client.values():
        history.sort(key=lambda e: (e.ts, e.verdict is not None, e.place.day, e.place.line_no))
        accepts: list[Event] = []
        answered: set[Place] = set()
        for event in history:
            if event.verdict is None:
                accepts.append(event)
            else:
                pairs[event.place] = pair = _answer(event, accepts, answered)
                if pair[0] is not None and pair[1] is not Pairing.CONTINUED:
                    answered.add(pair[0].place)
    return pairs


def _answer(verdict: Event, accepts: list[Event], answered: set[Place]) -> Pair:
    recent = []
    for accept in reversed(accepts):
        if verdict.ts - accept.ts > timedelta(minutes=10):
            break
        recent.append(accept)
    is_at_once = verdict.verdict in AT_ONCE
    for accept in recent:
        if accept.place not in answered and not (is_at_once and accept.ts != verdict.ts):
            return accept, Pairing.ONLY if len(recent) == 1 else Pairing.NEAREST
    if accepts and not is_at_once and verdict.ts - accepts[-1].ts <= timedelta(hours=1):
        return accepts[-1], Pairing.CONTINUED
    return None, None


def paired(files: Files, day: date, *, edges_only: bool = False) -> Day:
    """A day paired from its own file and those around it.

    Args:
        edges_only: of other days only the lines that `Day.pair` says it needs.
    """
    near = {each: table for each, table in files.items() if abs(each - day) <= REACH}
    needed = {each: table.select(list(NEEDED)) for each, table in near.items()}
    if edges_only:
        own = stretch(needed[day], day)
        for each in needed.keys() - {day}:
            seconds = pc.divide(needed[each]["ts"].cast(pa.int64()), 1_000_000)
            first, last = own.surroundings if own else (0, -1)
            is_near = pc.and_(pc.greater_equal(seconds, first), pc.less_equal(seconds, last))
            needed[each] = needed[each].filter(pc.fill_null(is_near, False))
    pieces = {
        each: [table.slice(start, 700) for start in range(0, len(table), 700)]
        for each, table in needed.items()
    }
    return Day.pair(HOST, day, pieces)


VERDICT_COLUMNS = ("line_no", "connection_id", "connected_at", "latency_s", "pairing")
CONNECTION_COLUMNS = (
    "connection_id", "connected_at", "client_ip", "verdict_count", "accepted_count",
    "rejected_count", "outcome", "first_verdict_at", "latency_s", "pairing",
)  # fmt: skip


def assert_by_the_rule(files: Files, *, edges_only: bool = False) -> None:
    """All of a host's days and tables at once; see `paired`."""
    events = events_of(files)
    pairs = by_the_rule(events)
    answers: dict[Place, list[tuple[Event, Pairing | None]]] = defaultdict(list)
    for event in events:
        if event.verdict is not None:
            connection, pairing = pairs[event.place]
            if connection is not None:
                answers[connection.place].append((event, pairing))
    for day in files:
        own = [event for event in events if event.place.day == day]
        found = paired(files, day, edges_only=edges_only)
        verdicts = found.verdict_table(coded(files[day]))
        assert rows(verdicts, *VERDICT_COLUMNS) == [
            expected_verdict(event, pairs[event.place]) for event in own if event.verdict
        ]
        connections = found.connection_table(files[day])
        assert rows(connections, *CONNECTION_COLUMNS) == [
            expected_connection(event, answers[event.place])
            for event in own
            if event.verdict is None
        ]
        assert_counted(found.hourly_counts(), verdicts, connections)


def expected_verdict(verdict: Event, pair: Pair) -> tuple[object, ...]:
    connection, pairing = pair
    if connection is None:
        return verdict.place.line_no, None, None, None, None
    latency_s = (verdict.ts - connection.ts) // timedelta(seconds=1)
    return verdict.place.line_no, str(connection.place), connection.ts, latency_s, pairing


def expected_connection(
    accept: Event, answers: list[tuple[Event, Pairing | None]]
) -> tuple[object, ...]:
    words = [str(verdict.verdict) for verdict, _ in answers]
    accepted = words.count("accepted")
    head = (
        str(accept.place), accept.ts, accept.client, len(words), accepted,
        sum(word.startswith("rejected_") for word in words),
    )  # fmt: skip
    if not answers:
        return *head, "no_verdict", None, None, None
    outcome = "mixed" if 0 < accepted < len(words) else "accepted" if accepted else "rejected"
    first, pairing = min(
        answers, key=lambda answer: (answer[0].ts, answer[0].place.day, answer[0].place.line_no)
    )
    return *head, outcome, first.ts, (first.ts - accept.ts) // timedelta(seconds=1), pairing


def assert_counted(counts: pa.Table, verdicts: pa.Table, connections: pa.Table) -> None:
    """Hourly counts are the two tables, counted."""
    assert counts.schema.equals(HOURLY_COUNTS)
    expected = Counter(
        ("verdict", ts.hour, *alike)
        for ts, *alike in rows(verdicts, "ts", "verdict", "pairing", "latency_s")
    )
    expected.update(
        ("connection", ts.hour, *alike)
        for ts, *alike in rows(connections, "connected_at", "outcome", "pairing", "latency_s")
    )
    found = rows(counts, "subject", "hour", "class", "pairing", "latency_s", "n")
    assert {row[:-1]: row[-1] for row in found} == expected
    assert len(found) == len(expected)


def rows(table: pa.Table, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of a table, row by row."""
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))


def coded(events: pa.Table) -> pa.Table:
    """Events with dictionary-encoded senders, as they come from the lake."""
    index = events.schema.get_field_index("sender")
    return events.set_column(index, "sender", events["sender"].dictionary_encode())


def table_of(lines: list[tuple[datetime, str, str | None]]) -> pa.Table:
    """A file's events; of each line its stamp, client and verdict."""
    values: dict[str, list[object]] = {name: [None] * len(lines) for name in EVENTS.names}
    values["line_no"] = list(range(1, len(lines) + 1))
    values["ts"], values["client_ip"], values["verdict"] = (
        [list(column) for column in zip(*lines, strict=True)] if lines else ([], [], [])
    )
    values["port"] = [None if verdict else 25 for _, _, verdict in lines]
    columns = {
        "line_no": pa.array(values["line_no"], pa.int64()),
        **{field.name: pa.array(values[field.name], EVENTS.field(field.name).type).cast(field.type)
           for field in SCANNED},
    }  # fmt: skip
    return pa.table(columns)


class Tree:
    """A simulated host, with the truth about it."""

    def __init__(self, out: Path, plan: Plan) -> None:
        """Simulates it first."""
        self.files: dict[date, pa.Table] = {}
        for path in simulate(out, plan).files:
            log = path.read_bytes()
            table = pa.Table.from_batches([scan(log + PADDING, Dialect.of(log), TOKYO)])
            numbers = pa.array(range(1, len(table) + 1), pa.int64())
            day = datetime.strptime(path.stem, "%y%m%d").date()
            self.files[day] = table.add_column(0, "line_no", numbers)
        self.truth: dict[Place, Place | None] = {}
        """The connection that each verdict really belongs to; None = it has no line."""
        for line in (out / "truth.jsonl").read_text("utf-8").splitlines():
            said = json.loads(line)
            if said["k"] == "verdict":
                place = Place(date.fromisoformat(said["date"]), said["line"])
                conn = said["conn"]
                self.truth[place] = conn and Place(date.fromisoformat(conn[0]), conn[1])


PLAN = Plan(hosts=(HOST,), first_day=date(2025, 5, 31), days=3, connections_per_day=1_500, seed=3)


@cache
def _tree(out: Path, edition: Edition, hostility: float) -> Tree:
    return Tree(out / f"{edition}{hostility}", replace(PLAN, edition=edition, hostility=hostility))


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the simulated trees of this module lie."""
    return tmp_path_factory.mktemp("trees")


@pytest.mark.parametrize("edges_only", [False, True], ids=["whole files", "edges"])
@pytest.mark.parametrize("hostility", [0, 0.05])
@pytest.mark.parametrize("edition", Edition)
def test_a_simulated_host_is_paired_by_the_rule(
    trees: Path, edition: Edition, hostility: float, edges_only: bool
) -> None:
    assert_by_the_rule(_tree(trees, edition, hostility).files, edges_only=edges_only)


@pytest.mark.parametrize("edition", Edition)
def test_an_only_pair_is_the_true_one(trees: Path, edition: Edition) -> None:
    tree = _tree(trees, edition, 0)
    only = [
        (connection, tree.truth[place])
        for place, (connection, pairing) in by_the_rule(events_of(tree.files)).items()
        if pairing is Pairing.ONLY
    ]
    assert len(only) > 500
    assert all(connection and connection.place == true for connection, true in only)


@pytest.mark.parametrize("edition", Edition)
def test_a_nearest_pair_mostly_has_the_true_second(trees: Path, edition: Edition) -> None:
    """The address's sessions of that moment may be mixed up; that matters little to latencies."""
    tree = _tree(trees, edition, 0)
    events = events_of(tree.files)
    stamp = {event.place: event.ts for event in events}
    hits = [
        connection.ts == stamp[true]
        for place, (connection, pairing) in by_the_rule(events).items()
        if pairing is Pairing.NEAREST and connection and (true := tree.truth[place])
    ]
    assert len(hits) > 500
    assert sum(hits) > 0.7 * len(hits)


@pytest.mark.parametrize("edition", Edition)
def test_tables_are_the_same_in_one_piece_and_in_many(trees: Path, edition: Edition) -> None:
    tree = _tree(trees, edition, 0.05)
    day = PLAN.first_day + timedelta(days=1)
    events, found = coded(tree.files[day]), paired(tree.files, day)
    for make, schema in ((found.verdict_table, VERDICTS), (found.connection_table, CONNECTIONS)):
        whole = make(events)
        pieces = [make(events.slice(start, 700)) for start in range(0, len(events), 700)]
        assert decoded(whole).schema.equals(schema)
        assert decoded(pa.concat_tables(map(decoded, pieces))).equals(decoded(whole))


def decoded(table: pa.Table) -> pa.Table:
    """A table with plain columns in one chunk each, and the declared comments."""
    plain = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(plain, names=table.schema.names).combine_chunks()


MIDNIGHTS = [datetime(2025, 5, 30) + timedelta(days=n) for n in range(5)]


@st.composite
def _lines(draw: st.DrawFn) -> tuple[date, tuple[datetime, str, str | None]]:
    """A line near a midnight, and the day of the file it went to."""
    moment = draw(st.sampled_from(MIDNIGHTS)) + timedelta(seconds=draw(_OFFSETS))
    file_day = moment.date() + timedelta(days=draw(st.sampled_from([0, 0, 0, 1, 1, -1])))
    if draw(st.integers(0, 9)) == 0:
        moment -= draw(st.sampled_from([timedelta(days=2), timedelta(days=6575)]))
    return file_day, (moment, draw(st.sampled_from(["::1", "192.0.2.1"])), draw(_VERDICTS))


_VERDICTS = st.sampled_from(
    [None, None, None, "accepted", "rejected_policy", "rejected_dnsbl", "timeout"]
)
_OFFSETS = st.one_of(
    st.integers(-5, 5),
    st.integers(-4_000, 4_000),
    st.sampled_from([-3_601, -3_600, -601, -600, 0, 600, 3_599, 3_600]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_lines(), max_size=25), st.booleans())
def test_midnight_does_not_exist_for_pairing(
    lines: list[tuple[date, tuple[datetime, str, str | None]]], edges_only: bool
) -> None:
    by_day: dict[date, list[tuple[datetime, str, str | None]]] = defaultdict(list)
    for day, line in lines:
        by_day[day].append(line)
    files = {day: table_of(in_file) for day, in_file in by_day.items()}
    assert_by_the_rule(files, edges_only=edges_only)


@pytest.mark.parametrize("edges_only", [False, True], ids=["whole files", "edges"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([-60], [60], id="a pair across midnight"),
        pytest.param([-3_500], [60], id="continued from an hour before midnight"),
        pytest.param([-3_599], [1], id="continued for just an hour"),
        pytest.param([-3_600], [1], id="an hour and a second is too long"),
        pytest.param([-400, -300], [100, 200], id="two connections before, two verdicts after"),
        pytest.param([-700, -100], [501], id="one of two is too old"),
        pytest.param([-100], [500, 3_400], id="answered, then continued"),
        pytest.param([-3_000], [10, 20], id="too old to be answered, continued twice"),
    ],
)
def test_connections_of_yesterday_get_the_verdicts_of_today(
    before: list[int], after: list[int], edges_only: bool
) -> None:
    midnight = datetime(2025, 5, 31)
    accepts, verdicts = (
        [midnight + timedelta(seconds=second) for second in seconds] for seconds in (before, after)
    )
    files = {
        date(2025, 5, 30): table_of([(ts, "::1", None) for ts in accepts]),
        date(2025, 5, 31): table_of([(ts, "::1", "accepted") for ts in verdicts]),
    }
    assert_by_the_rule(files, edges_only=edges_only)


def test_stamps_of_2007_in_a_file_of_2017_pair_with_each_other_only() -> None:
    client, day = "192.0.2.1", date(2017, 11, 30)
    then, now = datetime(2007, 11, 30, 10, 21, 32), datetime(2017, 11, 30, 10, 21, 32)
    second = timedelta(seconds=1)
    table = table_of(
        [
            (now, client, None),
            (then, client, None),
            (then + second, client, "accepted"),
            (now + second, client, "rejected_policy"),
        ]
    )
    old = table_of([(then + 2 * second, client, "accepted")])
    found = paired({day: table, date(2017, 12, 1): old, date(2007, 11, 30): old}, day)
    assert rows(found.verdict_table(coded(table)), "line_no", "connection_id", "pairing") == [
        (3, "MX1/2017-11-30/2", "only"),
        (4, "MX1/2017-11-30/1", "only"),
    ]
    assert rows(found.connection_table(table), "line_no", "verdict_count", "outcome") == [
        (1, 1, "rejected"),
        (2, 1, "accepted"),
    ]


def test_a_line_two_days_off_meets_neither_regular_lines_nor_those_of_other_files() -> None:
    midnight, second = datetime(2025, 5, 30), timedelta(seconds=1)
    verdicts = table_of(
        [(midnight - second, "::1", "accepted"), (midnight + second, "::1", "accepted")]
    )
    files = {
        date(2025, 5, 31): verdicts,
        date(2025, 6, 1): table_of([(midnight - 2 * second, "::1", None)]),
    }
    assert_by_the_rule(files)
    found = paired(files, date(2025, 5, 31)).verdict_table(coded(verdicts))
    assert rows(found, "pairing") == [(None,), (None,)]

    both = table_of([(midnight - second, "::1", None), (midnight + second, "::1", "accepted")])
    assert_by_the_rule({date(2025, 5, 31): both})
    found = paired({date(2025, 5, 31): both}, date(2025, 5, 31)).verdict_table(coded(both))
    assert rows(found, "pairing") == [(None,)]


def test_a_verdict_without_an_accept_is_an_orphan() -> None:
    day = date(2025, 5, 31)
    table = table_of([(datetime(2025, 5, 31, 9), "192.0.2.1", "accepted")])
    found = paired({day: table}, day)
    assert rows(found.verdict_table(coded(table)), "connection_id", "latency_s", "pairing") == [
        (None, None, None)
    ]
    assert rows(found.hourly_counts(), "hour", "subject", "class", "pairing", "n") == [
        (9, "verdict", "accepted", None, 1)
    ]


def test_a_dropped_connection_before_a_good_one_gets_no_verdict() -> None:
    day, nine = date(2025, 5, 31), datetime(2025, 5, 31, 9)
    seconds = [nine + timedelta(seconds=n) for n in range(4)]
    client = "192.0.2.1"
    table = table_of(
        [(seconds[0], client, None), (seconds[2], client, None), (seconds[3], client, "accepted")]
    )
    found = paired({day: table}, day)
    assert rows(found.connection_table(table), "line_no", "outcome", "latency_s", "pairing") == [
        (1, "no_verdict", None, None),
        (2, "accepted", 1, "nearest"),
    ]


@pytest.mark.parametrize("lines", [[], [(datetime(2007, 1, 1), "::1", "accepted")]])
def test_a_day_without_regular_lines_has_tables_too(
    lines: list[tuple[datetime, str, str | None]],
) -> None:
    day = date(2025, 5, 31)
    before = table_of([(datetime(2025, 5, 30, 23, 59), "::1", None)])
    files = {day: table_of(lines), date(2025, 5, 30): before}
    assert stretch(files[day], day) is None
    assert_by_the_rule(files)


def test_an_empty_log_has_tables_too() -> None:
    day = date(2025, 5, 31)
    assert len(Day.pair(HOST, day, {day: []}).hourly_counts()) == 0
    assert_by_the_rule({day: table_of([])})
