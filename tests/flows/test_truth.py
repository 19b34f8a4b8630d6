"""Simulated trees of all editions, through the whole pipeline, against their truth."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows import catalog, night
from flows.lake import Lake
from flows.night import Unwatched
from flows.simulate import Edition, Plan, simulate

HOSTS = ("MX1", "MX2")
CLASSES = {
    None: "accepted",
    "dnsbl": "rejected_dnsbl",
    "reverse_dns": "rejected_reverse_dns",
    "auth": "rejected_auth",
    "policy": "rejected_policy",
    "content": "rejected_content",
    "timeout": "timeout",
}
FIELDS = {
    "accept": ("ts", "client_ip", "port", "tls", "server_name"),
    "verdict": (
        "ts",
        "client_ip",
        "server_name",
        "status",
        "message_id",
        "sender",
        "auth_mechanism",
        "auth_user",
        "auth_success",
        "verdict",
    ),
    "debug": (),
    "blank": (),
    "malformed": ("raw",),
}

Truth = dict[tuple[str, date, int], dict[str, Any]]


@pytest.fixture(scope="module", params=list(Edition))
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    plan = Plan(
        request.param, HOSTS, date(2026, 1, 3), 3, connections_per_day=1500, seed=3, hostility=0.02
    )
    simulate(folder / "mail", plan)
    made = night.run(
        night.Request(folder / "mail", str(folder / "lake")), night.threads, Unwatched()
    )
    assert made.count(night.State.FAILED) == 0
    return folder


@pytest.fixture
def connection(tree: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with catalog.connect(Lake.at(str(tree / "lake"))) as opened:
        yield opened


@pytest.fixture
def truth(tree: Path) -> Truth:
    lines = map(json.loads, (tree / "mail" / "truth.jsonl").read_text("utf-8").splitlines())
    return {(line["host"], date.fromisoformat(line["date"]), line["line"]): line for line in lines}


def expected(line: dict[str, Any]) -> dict[str, Any]:
    named = {
        "ts": (line.get("ts") or "").replace("T", " ") or None,
        "server_name": line.get("server"),
        "verdict": CLASSES[line.get("cls")],
        "raw": line.get("raw", "").encode("latin-1"),
    }
    return {field: named.get(field, line.get(field)) for field in FIELDS[line["k"]]}


def test_every_line_says_what_it_truly_says(
    connection: duckdb.DuckDBPyConnection, truth: Truth
) -> None:
    rows = connection.sql(
        "select host, date, line_no, kind, cast(ts as varchar) as ts, * exclude (host, date,"
        " line_no, kind, ts) from events"
    )
    names = rows.columns
    seen = 0
    for row in rows.fetchall():
        event = dict(zip(names, row, strict=True))
        line = truth[event["host"], event["date"], event["line_no"]]
        assert event["kind"] == line["k"]
        if line["k"] == "malformed":  # raw keeps an odd line end, which the truth does not tell
            event["raw"] = event["raw"].removesuffix(b"\n").removesuffix(b"\r")
        assert {field: event[field] for field in FIELDS[line["k"]]} == expected(line)
        seen += 1
    assert seen == len(truth)


def test_daily_counts_are_the_true_ones(
    connection: duckdb.DuckDBPyConnection, truth: Truth
) -> None:
    accepts: Counter[tuple[str, date]] = Counter()
    verdicts: Counter[tuple[str, date]] = Counter()
    accepted: Counter[tuple[str, date]] = Counter()
    timed_out: Counter[tuple[str, date]] = Counter()
    for (host, day, _), line in truth.items():
        accepts[host, day] += line["k"] == "accept"
        verdicts[host, day] += line["k"] == "verdict"
        accepted[host, day] += line["k"] == "verdict" and line["cls"] is None
        timed_out[host, day] += line["k"] == "verdict" and line["cls"] == "timeout"
    assert connection.sql(
        "select host, date, connections, verdicts, accepted, rejected, timed_out"
        " from acceptance_rate_daily order by host, date"
    ).fetchall() == [
        (
            *key,
            accepts[key],
            verdicts[key],
            accepted[key],
            verdicts[key] - accepted[key] - timed_out[key],
            timed_out[key],
        )
        for key in sorted(accepts)
    ]


def test_top_rejected_senders_are_the_true_ones(
    connection: duckdb.DuckDBPyConnection, truth: Truth
) -> None:
    rejected: Counter[str] = Counter()
    for line in truth.values():
        if line["k"] == "verdict" and line["sender"] is not None:
            rejected[line["sender"]] += line["cls"] not in (None, "timeout")
    best = sorted(((-count, sender) for sender, count in rejected.items() if count))[:20]
    assert connection.sql(
        "select rejected, sender from top_rejected_senders order by rejected desc, sender limit 20"
    ).fetchall() == [(-count, sender) for count, sender in best]


def test_no_check_fails_on_an_honest_lake(tree: Path) -> None:
    found = catalog.check(Lake.at(str(tree / "lake")))
    assert [check.name for check in found if check.count and check.severity == "fail"] == []
