"""Lookups open the files of their days, and of these read the row groups that hold the answer.

Each day here is a file of one row group. All have the same smallest and largest message id, address
and sender, so only bloom filters tell in which the others are.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lakes import ingest, opened, write_logs

DAYS = [date(2026, 6, day) for day in range(1, 11)]
STRANGE = (date(2026, 6, 2), date(2026, 6, 6))
"""Days with a line that could not be read."""


def log(day: date) -> bytes:
    lines = []
    for number in (100, 100 + day.day, 199):
        stamp = f"[{day:%d/%b/%Y}:09:00:00], (mx1), "
        ip, sender = f"192.0.2.{number}", f"taro@d{number}.example.jp"
        lines += [
            f"{stamp}[{ip}]:25, Client accept now.",
            f"{stamp}{ip}[{ip}], {sender},<B0000000{number}>,ok",
            f" <B0000000{number}>, [MAIL], 250 {sender} ok",
        ]
    if day in STRANGE:
        lines.append("what is this")
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder: Path = tmp_path_factory.mktemp("pruning")
    write_logs(folder / "mail", {("MX1", day): log(day) for day in DAYS})
    with opened(ingest(folder / "mail", folder / "lake")) as connection:
        yield connection


def scans(node: object) -> Iterator[dict[str, Any]]:
    """The nodes of a profile that read Parquet files."""
    if isinstance(node, dict):
        info = node.get("extra_info")
        if isinstance(info, dict) and info.get("Function") == "READ_PARQUET":
            yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from scans(child)


@pytest.mark.parametrize(
    ("query", "files", "groups"),
    [
        ("verdicts where message_id = 'B0000000105'", 10, {"verdicts": 1}),
        ("verdicts where sender = 'taro@d105.example.jp'", 10, {"verdicts": 1}),
        ("verdicts where client_ip = '192.0.2.105'", 10, {"verdicts": 1}),
        ("connections where client_ip = '192.0.2.105'", 10, {"connections": 1}),
        ("verdicts where message_id = 'B0000000105' and date = '2026-06-05'", 1, {"verdicts": 1}),
        ("sender_history('Taro@D105.example.jp')", 10, {"verdicts": 1}),
        ("malformed_lines", 10, {"events": len(STRANGE)}),
        ("malformed_lines where date = '2026-06-06'", 1, {"events": 1}),
        ("top_rejected_senders_between('2026-06-05', '2026-06-06', 10)", 2, {"verdicts": 2}),
        # Once to find the verdict, once for all of its connection. Of events: the debug lines, the
        # lines themselves and, on some days, those that could not be read.
        (
            "trace('B0000000105', '2026-06-05')",
            3,
            {"verdicts": 2, "connections": 1, "events": 2},
        ),
        (
            "trace('B0000000106', '2026-06-06')",
            3,
            {"verdicts": 2, "connections": 1, "events": 3},
        ),
        # The connections are asked for the address, too.
        (
            "trace('192.0.2.105', '2026-06-05')",
            3,
            {"verdicts": 2, "connections": 2, "events": 2},
        ),
        (
            "trace('taro@d105.example.jp', '2026-06-05')",
            3,
            {"verdicts": 2, "connections": 1, "events": 2},
        ),
    ],
)
def test_lookups_read_what_they_need(
    query: str, files: int, groups: dict[str, int], catalog: duckdb.DuckDBPyConnection
) -> None:
    ((_, profile),) = catalog.execute(f"explain (analyze, format json) from {query}").fetchall()
    read: Counter[str] = Counter()
    for scan in scans(json.loads(profile)):
        info = scan["extra_info"]
        scanned, _, _ = str(info.get("Scanning Files", info["Total Files Read"])).partition("/")
        assert int(scanned) <= files
        (table,) = (name for name in groups if f"/{name}/host=" in info["Filename(s)"])
        read[table] += scan["row_groups_scanned"]
    assert read == groups
