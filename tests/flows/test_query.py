"""SQL from the command line: what it gives, and all that it must not do."""

import csv
import io
import json
import os
import re
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows import night
from flows.errors import QueryError
from flows.lake import Lake
from flows.night import Unwatched
from flows.query import Format, query
from flows.simulate import Edition, Plan, simulate


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("query")
    simulate(folder / "mail", Plan(Edition.WIN, ("MX1",), date(2026, 5, 30), 1, 100), truth=False)
    night.run(night.Request(folder / "mail", str(folder / "lake")), night.threads, Unwatched())
    return Lake.at(str(folder / "lake"))


def ask(lake: Lake, sql: str, form: Format = Format.CSV, *, for_spreadsheet: bool = False) -> bytes:
    target = io.BytesIO()
    query(lake, sql, target, form, for_spreadsheet=for_spreadsheet)
    return target.getvalue()


def files(lake: Lake) -> list[str]:
    return sorted(str(path) for path in Path(lake.store.root).rglob("*"))


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to 'LAKE/x.csv'",
        "with x as (copy (select 1) to 'LAKE/x.csv') select * from x",
        "explain analyze copy (select 1) to 'LAKE/x.csv'",
        "explain analyze with x as (copy (select 1) to 'LAKE/x.csv') select * from x",
        "explain (analyze /*) select 1 --*/ ) copy (select 1) to 'LAKE/x.csv'",
        "explain (format '/*) select 1 --*/ text') copy (select 1) to 'LAKE/x.csv'",
        "select 1 /* explain (*/; copy events to 'LAKE/x.csv' /*) */",
        "with x as (insert into events values (1) returning *) select * from x",
        "select * from query('select 1')",
        "select * from enable_logging(storage = 'file', storage_path = 'LAKE/logs')",
        "export database 'LAKE/x'",
        "attach 'LAKE/x.db'",
        "attach 'LAKE/catalog.duckdb'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "pragma enable_profiling",
        "create table x as select 1",
        "insert into events values (1)",
        "drop view events",
        "prepare x as select 1",
        "call pragma_version()",
        "begin",
        "select 1; select 2",
        "",
        "select * from read_text('/etc/hostname')",
        "select * from read_text('file:///etc/hostname')",
        "select * from read_text('.tmp/secret.txt')",  # DuckDB's own, for what is too much
        "select * from read_text('LAKE/.lock.holder')",  # only by `lake://`, which cannot write
        "select * from read_text('LAKE/**/../../outside.csv')",
        "select * from '/etc/hostname'",
        "select * from read_csv('LAKE/../outside.csv')",
        "select * from glob('/*')",
        "select * from read_parquet('https://example.org/x.parquet')",
        "select * from read_text('lake://../outside.csv')",
        "select * from read_text('lake://events/../../outside.csv')",
        "select * from read_text('lake://.//../outside.csv')",
        "select * from read_text('lake:///etc/hostname')",
        "select * from glob('lake://../*')",
        "copy (select 1) to 'lake://x.csv'",
        "select getenv('HOME')",
        "select * from lake",  # a Python variable of ours
    ],
)
def test_sql_can_neither_write_nor_leave_the_lake(
    lake: Lake, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".tmp").mkdir()
    (tmp_path / ".tmp" / "secret.txt").write_text("secret\n")
    Path(lake.store.root, "..", "outside.csv").write_text("secret\n")
    before = files(lake)
    with pytest.raises((QueryError, FileNotFoundError), match=r"\A(?!Traceback)"):
        ask(lake, sql.replace("LAKE", lake.store.root))
    assert files(lake) == before


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1 as x) to 'LAKE/x.csv'",
        "copy (select 1 as x) to 'lake://x.csv'",
        "copy (select 1 as x) to 'x.csv'",
        "attach 'LAKE/x.db'",
        "attach 'x.db'",
        "export database 'LAKE/x'",
        "install httpfs",
        "set enable_external_access = true",
        "set temp_directory = 'x'",
    ],
)
def test_what_the_first_wall_lets_through_the_second_stops(
    lake: Lake, sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.query._only_reading", lambda sql: sql)
    monkeypatch.chdir(tmp_path)
    before = files(lake)
    with pytest.raises((QueryError, OSError)):
        ask(lake, sql.replace("LAKE", lake.store.root))
    assert files(lake) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "from acceptance_rate_daily",
        "with x as (select 1 as n) select * from x",
        "values (1)",
        "describe events",
        "summarize connections",
        "show tables",
        "explain select 1",
        "EXPLAIN ANALYZE select count(*) from events",
        "explain (format json) select 1",
        "select * from (pivot verdicts on verdict in ('accepted') using count(*) group by host)",
        "from top_rejected_senders_between('2026-01-01', '2027-01-01', 3)",
        "select count(*) from read_parquet('lake://events/**/*.parquet');",
    ],
)
def test_whatever_reads_the_lake_runs(lake: Lake, sql: str) -> None:
    assert ask(lake, sql)


def test_csv_quotes_and_keeps_null_apart_from_nothing_else(lake: Lake) -> None:
    sql = "select 'a,\"b' as x, null as y, date '2026-01-02' as d, 0.5 as r, true as t"
    rows = list(csv.reader(io.StringIO(ask(lake, sql).decode())))
    assert rows == [["x", "y", "d", "r", "t"], ['a,"b', "", "2026-01-02", "0.5", "True"]]


def test_formulas_are_disarmed_on_request(lake: Lake) -> None:
    sql = "select '=1+1' as a, '-2' as b, -2 as c, 'plain' as d"
    assert ask(lake, sql).splitlines()[1] == b"=1+1,-2,-2,plain"
    assert ask(lake, sql, for_spreadsheet=True).splitlines()[1] == b"'=1+1,'-2,-2,plain"
    for start in "=+-@\uff1d\uff0b\uff0d\uff20":
        sql = f"select '{start}1' as \"{start}2\""
        assert ask(lake, sql, for_spreadsheet=True).decode() == f"'{start}2\n'{start}1\n"


def test_json_is_one_array(lake: Lake) -> None:
    sql = "select 1 as a, null as b, sum(2) as c, 'ü\x1b' as d, [1, 2] as e from range(3)"
    assert json.loads(ask(lake, sql, Format.JSON)) == [
        {"a": 1, "b": None, "c": 6, "d": "ü\x1b", "e": [1, 2]}
    ]
    assert json.loads(ask(lake, "select 1 where false", Format.JSON)) == []


def test_parquet_keeps_types_and_every_row(lake: Lake) -> None:
    sql = "select range as n, date '2026-01-02' as d from range(100_000)"
    table = pq.read_table(io.BytesIO(ask(lake, sql, Format.PARQUET)))
    assert (table.num_rows, str(table.schema.field("d").type)) == (100_000, "date32[day]")


@pytest.mark.parametrize("form", [Format.TABLE, Format.CSV, Format.JSON])
def test_no_terminal_gets_a_control_character(lake: Lake, form: Format) -> None:
    sql = "select 'a' || chr(27) || ']0;owned' || chr(7) || chr(155) || chr(8238) || '例' as x"
    ours, terminal = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as seen, os.fdopen(terminal, "wb") as target:
        query(lake, sql, target, form)
        target.flush()
        text = re.sub(r"\x1b\[[0-9;]*m", "", seen.read(1 << 16).decode())  # our own bold type
    assert all(line.isprintable() for line in text.splitlines())
    assert "owned" in text
    assert "例" in text
    assert b"\x1b" in ask(lake, sql, Format.CSV)  # a file gets what the client sent


def test_control_characters_reach_no_terminal(lake: Lake) -> None:
    shown = ask(lake, "select 'a' || chr(27) || '[31mred' as x, chr(7) as y", Format.TABLE)
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert rb"a\x1b[31mred" in shown
