"""The views' answers are those that plain Python finds in the simulator's truth.

The truth tells what each line says. Which connection a verdict answers is what `by_the_rule` makes
of that; how often this is the true connection is a question for the tests of pairing.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from lakes import ingest, opened
from publicsuffixlist import PublicSuffixList

from flows.lake import Lake
from flows.simulate import Edition, Plan, simulate
from tests.transforms.test_sessions import Event, Pair, Place, by_the_rule
from transforms.pairing import Pairing

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
Row = tuple[Any, ...]
Answer = Callable[[str], list[Row]]


@dataclass(frozen=True)
class Line:
    """An accept or a verdict, as the truth has it."""

    host: str
    date: date
    ts: datetime
    said: dict[str, Any]
    verdict: str | None
    """None = an accept."""

    @property
    def place(self) -> Place:
        return Place(self.date, self.said["line"])

    @property
    def is_rejected(self) -> bool:
        return self.verdict is not None and self.verdict.startswith("rejected_")


@dataclass(frozen=True)
class Truth:
    accepts: list[Line]
    verdicts: list[Line]
    pairs: dict[str, dict[Place, Pair]]
    """Of each host: what every verdict answers."""

    def pair(self, verdict: Line) -> Pair:
        return self.pairs[verdict.host][verdict.place]


def read_truth(path: Path) -> Truth:
    lines = [
        Line(
            host=said["host"],
            date=date.fromisoformat(said["date"]),
            ts=datetime.fromisoformat(said["ts"]),
            said=said,
            verdict=verdict_of(said["cls"]) if said["k"] == "verdict" else None,
        )
        for said in map(json.loads, path.read_text("utf-8").splitlines())
        if said["k"] in ("accept", "verdict")
    ]
    return Truth(
        accepts=[line for line in lines if line.verdict is None],
        verdicts=[line for line in lines if line.verdict is not None],
        pairs={
            host: by_the_rule(
                Event(line.place, line.ts, line.said["client_ip"], line.verdict) for line in of_host
            )
            for host, of_host in grouped(lines, lambda line: line.host).items()
        },
    )


def verdict_of(cls: str | None) -> str:
    return {None: "accepted", "timeout": "timeout"}.get(cls, f"rejected_{cls}")


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    groups: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def count(items: Iterable[Item], condition: Callable[[Item], object]) -> int:
    return sum(1 for item in items if condition(item))


def different(verdicts: Iterable[Line], column: str) -> int:
    return len({verdict.said[column] for verdict in verdicts} - {None})


def seen(verdicts: Iterable[Line]) -> tuple[datetime | None, datetime | None]:
    """First and last stamp, of those that can be."""
    stamps = [v.ts for v in verdicts if abs(v.ts.date() - v.date) <= timedelta(days=1)]
    return min(stamps, default=None), max(stamps, default=None)


def percentile(values: Sequence[int], percent: int) -> int | None:
    """The smallest value that at least so many percent do not exceed."""
    return sorted(values)[-(-len(values) * percent // 100) - 1] if values else None


@pytest.fixture(scope="module", params=list(Edition))
def simulated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("true")
    plan = Plan(request.param, ("MX1", "MX2"), date(2026, 1, 3), 3, 600, seed=9, hostility=0.01)
    simulate(folder / "mail", plan)
    ingest(folder / "mail", folder / "lake")
    return folder


@pytest.fixture(scope="module")
def truth(simulated: Path) -> Truth:
    return read_truth(simulated / "mail" / "truth.jsonl")


@pytest.fixture
def answer(simulated: Path) -> Iterator[Answer]:
    with opened(Lake.at(str(simulated / "lake"))) as connection:
        yield lambda sql: connection.execute(sql).fetchall()


def test_acceptance_rates(answer: Answer, truth: Truth) -> None:
    of_connection: dict[tuple[str, Place], list[Line]] = defaultdict(list)
    for verdict in truth.verdicts:
        if connection := truth.pair(verdict)[0]:
            of_connection[verdict.host, connection.place].append(verdict)
    accepts = grouped(truth.accepts, lambda line: (line.host, line.date))
    verdicts = grouped(truth.verdicts, lambda line: (line.host, line.date))
    expected = []
    for day in sorted(accepts.keys() | verdicts.keys()):
        answers = [of_connection[line.host, line.place] for line in accepts[day]]
        answered = count(answers, bool)
        accepted = count(verdicts[day], lambda v: v.verdict == "accepted")
        successful = count(answers, lambda a: any(v.verdict == "accepted" for v in a))
        expected.append(
            (
                *day,
                len(answers),
                answered,
                len(verdicts[day]),
                accepted,
                count(verdicts[day], lambda v: v.is_rejected),
                count(verdicts[day], lambda v: v.verdict == "timeout"),
                len(answers) - answered,
                accepted / len(verdicts[day]) if verdicts[day] else None,
                successful / answered if answered else None,
            )
        )
    assert answer("from acceptance_rate_daily") == expected


def test_reject_reasons(answer: Answer, truth: Truth) -> None:
    rejected = [verdict for verdict in truth.verdicts if verdict.is_rejected]
    of_day = grouped(rejected, lambda v: (v.host, v.date))
    of_reason = grouped(rejected, lambda v: (v.host, v.date, v.verdict or ""))
    assert answer("from reject_reasons_daily") == [
        (*reason, len(verdicts), len(verdicts) / len(of_day[reason[:2]]))
        for reason, verdicts in sorted(of_reason.items())
    ]


def top_rejected(
    verdicts: Iterable[Line], key: Callable[[Line], str]
) -> list[tuple[str, list[Line]]]:
    """Whose mail was rejected, and all their verdicts; those with most rejections first."""
    groups = grouped(verdicts, key)
    rejections = {name: count(of_name, lambda v: v.is_rejected) for name, of_name in groups.items()}
    names = sorted((name for name in groups if rejections[name]), key=lambda n: (-rejections[n], n))
    return [(name, groups[name]) for name in names]


def counts(verdicts: Sequence[Line]) -> tuple[int, int, float]:
    rejected = count(verdicts, lambda v: v.is_rejected)
    return rejected, count(verdicts, lambda v: v.verdict == "accepted"), rejected / len(verdicts)


def domain(verdict: Line) -> str:
    return (verdict.said["sender"] or "").rpartition("@")[2].lower().removesuffix(".")


def test_top_rejected_senders(answer: Answer, truth: Truth) -> None:
    with_sender = [verdict for verdict in truth.verdicts if verdict.said["sender"] is not None]
    assert answer("select * exclude (sender_domain) from top_rejected_senders") == [
        (sender, *counts(verdicts), different(verdicts, "client_ip"), *seen(verdicts))
        for sender, verdicts in top_rejected(with_sender, lambda v: v.said["sender"])
    ]


def test_top_rejected_domains(answer: Answer, truth: Truth) -> None:
    suffixes = PublicSuffixList()
    with_domain = [v for v in truth.verdicts if "@" in (v.said["sender"] or "") and domain(v)]
    assert answer("from top_rejected_domains") == [
        (
            name,
            *counts(verdicts),
            different(verdicts, "sender"),
            different(verdicts, "client_ip"),
            *seen(verdicts),
        )
        for name, verdicts in top_rejected(
            with_domain, lambda v: suffixes.privatesuffix(domain(v)) or domain(v)
        )
    ]


def test_top_rejected_clients(answer: Answer, truth: Truth) -> None:
    assert answer("from top_rejected_clients") == [
        (
            client_ip,
            *counts(verdicts),
            count(verdicts, lambda v: v.verdict == "rejected_dnsbl"),
            count(verdicts, lambda v: v.said.get("auth_success") is False),
            different(verdicts, "sender"),
            *seen(verdicts),
        )
        for client_ip, verdicts in top_rejected(truth.verdicts, lambda v: v.said["client_ip"])
    ]


def test_auth_failures(answer: Answer, truth: Truth) -> None:
    logins = [verdict for verdict in truth.verdicts if "auth_user" in verdict.said]
    expected = []
    for key, tries in grouped(
        logins, lambda v: (v.said["client_ip"], v.said["auth_user"], v.date)
    ).items():
        successes = count(tries, lambda v: v.said["auth_success"])
        mechanisms = ", ".join(sorted({v.said["auth_mechanism"] for v in tries}))
        if successes < len(tries):
            expected.append((*key, len(tries) - successes, successes, mechanisms))
    assert sorted(answer("from auth_failures")) == sorted(expected)


def test_latencies(answer: Answer, truth: Truth) -> None:
    waits: dict[Row, list[tuple[int, bool]]] = defaultdict(list)
    for verdict in truth.verdicts:
        connection, pairing = truth.pair(verdict)
        if connection and pairing is not Pairing.CONTINUED:
            wait = (verdict.ts - connection.ts) // timedelta(seconds=1)
            waits[verdict.host, verdict.date, verdict.verdict].append(
                (wait, pairing is Pairing.ONLY)
            )
    expected = []
    for key, waited in sorted(waits.items()):
        seconds = [wait for wait, _ in waited]
        sure = [wait for wait, is_sure in waited if is_sure]
        expected.append(
            (
                *key,
                len(seconds),
                sum(seconds) / len(seconds),
                *(percentile(seconds, percent) for percent in (50, 90, 95, 99)),
                max(seconds),
                len(sure),
                percentile(sure, 95),
            )
        )
    assert answer("from connection_to_verdict_latency") == expected
