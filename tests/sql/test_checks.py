"""Each check finds what it is for, planted in a lake that is otherwise good, and nothing else."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lakes import Logs, opened, write_logs

from flows import catalog, night
from flows.catalog import CheckResult, Severity
from flows.lake import Lake

DAY = date(2026, 6, 3)
DAYS = (date(2026, 6, 2), DAY)
NEXT_NIGHT = datetime(2026, 6, 3, 15, 30, tzinfo=UTC)  # 00:30 of 4 June in Japan


def log(day: date) -> bytes:
    stamp = f"[{day:%d/%b/%Y}:09:00:00], (mx1), "
    lines = [
        f"{stamp}[192.0.2.1]:25, Client accept now.",
        f"{stamp}192.0.2.1[192.0.2.1], taro@kita.co.jp,<B0000000001>,ok",
        f"{stamp}[192.0.2.2]:25, Client accept now.",
        f"{stamp}192.0.2.2[192.0.2.2], jiro@kita.co.jp,<B0000000000>,abort",
        " <B0000000001>, [MAIL], 250 sender ok",
        "",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


GOOD: Logs = {("MX1", day): log(day) for day in DAYS}


def found(
    lake: Lake, now: datetime = NEXT_NIGHT, dates: Collection[date] | None = None
) -> dict[str, CheckResult]:
    """The results of the checks that found something."""
    return {result.name: result for result in catalog.check(lake, now, dates) if result.count}


def rewrite(lake: Lake, table: str, change: Callable[[pa.Table], pa.Table], **footer: str) -> None:
    """Change a day's file behind acceptlake's back; its footer stays but for what is given."""
    rewrite_file(Path(table, "host=MX1", f"date={DAY}", f"{table}.parquet"), lake, change, footer)


def rewrite_summary(lake: Lake, view: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change what is kept of a view, likewise."""
    rewrite_file(Path("summaries/host=MX1/year=2026", f"{view}.parquet"), lake, change, {})


def rewrite_file(
    name: Path, lake: Lake, change: Callable[[pa.Table], pa.Table], footer: Mapping[str, str]
) -> None:
    path = Path(lake.store.root, name)
    rows = pq.ParquetFile(path).read()
    kept = rows.schema.metadata | {
        f"acceptlake.{key}".encode(): text for key, text in footer.items()
    }
    pq.write_table(change(rows).replace_schema_metadata(kept), path)


def replaced(rows: pa.Table, column: str, change: Callable[[pa.ChunkedArray], object]) -> pa.Table:
    index = rows.schema.get_field_index(column)
    return rows.set_column(index, column, change(rows[column]))


def test_a_good_lake_passes_every_check(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    results = catalog.check(lake, NEXT_NIGHT)
    assert {result.name: result.rows for result in results if result.rows} == {}
    assert all(result.reason for result in results)
    severities = [result.severity for result in results]
    assert severities == sorted(severities)  # those that fail come first


def test_an_empty_lake_passes_every_check(tmp_path: Path) -> None:
    assert found(Lake.at(str(tmp_path))) == {}


def test_lost_lines_fail(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    rewrite(lake, "events", lambda rows: rows.filter(pc.field("kind") != "debug"))
    (row,) = found(lake)["lines_are_rows"].rows
    assert row[:4] == ("MX1", DAY, 6, 5)


def test_lines_of_another_kind_than_counted_fail(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    rewrite(lake, "events", lambda rows: rows, blank="0", debug="2")
    assert list(found(lake)) == ["lines_are_rows"]


def test_a_lost_connection_fails(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    rewrite(lake, "connections", lambda rows: rows.slice(1))
    assert found(lake)["accepts_are_connections"].rows == (("MX1", DAY, 2, 1),)


def test_a_doubled_connection_in_place_of_another_fails(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    rewrite(lake, "connections", lambda rows: pa.concat_tables([rows.slice(1)] * 2))
    assert found(lake)["accepts_are_connections"].rows == (("MX1", DAY, 2, 2),)


def test_a_doubled_verdict_fails(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    rewrite(lake, "verdicts", lambda rows: pa.concat_tables([rows, rows.slice(1)]))
    assert found(lake)["verdict_lines_are_verdicts"].rows == (("MX1", DAY, 2, 3),)


@pytest.mark.parametrize("table", ["verdicts", "connections", "hourly_counts"])
def test_a_missing_file_fails(table: str, lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    Path(lake.store.root, table, "host=MX1", f"date={DAY}", f"{table}.parquet").unlink()
    (row,) = found(lake)["days_have_all_tables"].rows
    assert row[:2] == ("MX1", DAY)


def test_verdicts_of_no_known_class_fail(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    forget = lambda counts: pa.nulls(len(counts), pa.int64()).fill_null(0)  # noqa: E731
    rewrite_summary(lake, "acceptance_rate_hourly", lambda rows: replaced(rows, "accepted", forget))
    rows = found(lake)["rates_are_shares"].rows
    assert [row[:5] for row in rows] == [("MX1", day, 9, 2, 1) for day in DAYS]


@pytest.mark.parametrize("summary", catalog.summaries(), ids=lambda each: each.name)
def test_a_summary_that_lost_a_day_fails(
    summary: catalog.Summary, lake_of: Callable[[Logs], Lake]
) -> None:
    lake = lake_of(GOOD)
    rewrite_summary(lake, summary.name, lambda rows: rows.filter(pc.field("date") != DAY))
    (row,) = found(lake)["summaries_agree"].rows
    assert row[:3] == ("MX1", DAY, summary.name)


def test_a_rollup_that_counts_differently_fails(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    double = lambda n: pc.multiply(n, 2)  # noqa: E731
    rewrite(lake, "hourly_counts", lambda rows: replaced(rows.slice(0, 1), "n", double))
    rows = found(lake)["rollup_agrees"].rows
    assert [row[-2:] for row in rows] == [(2, 1), (0, 1), (0, 1), (0, 1)]


def test_a_doubled_row_of_the_rollup_fails(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    rewrite(lake, "hourly_counts", lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]))
    (row,) = found(lake)["rollup_agrees"].rows
    assert row[-2:] == (2, 1)


def test_many_malformed_lines_warn(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD | {("MX1", DAY): log(DAY) + b"neither of these\n"})
    result = found(lake)["malformed_share"]
    assert result.severity is Severity.WARN
    assert result.rows == (("MX1", DAY, 7, 1, 1 / 7),)


def test_stamps_off_their_day_warn(lake_of: Callable[[Logs], Lake]) -> None:
    vendors_own = b"[30/Nov/2007:10:21:32], (mx1), 192.0.2.1[192.0.2.1], a@b.jp,<B0000000001>,ok\n"
    lake = lake_of(GOOD | {("MX1", DAY): log(DAY) + vendors_own})
    ts = datetime(2007, 11, 30, 10, 21, 32)
    assert found(lake)["stamps_on_their_day"].rows == (("MX1", DAY, 1, 7, ts, ts),)


def test_a_clock_that_goes_back_warns_once_a_step(lake_of: Callable[[Logs], Lake]) -> None:
    times = ("09:00:05", "09:00:03", "08:00:00", "08:00:01")
    accepts = "".join(
        f"[03/Jun/2026:{t}], (mx1), [192.0.2.1]:25, Client accept now.\n" for t in times
    )
    lake = lake_of(GOOD | {("MX1", DAY): accepts.encode()})
    result = found(lake)["clock_goes_forward"]
    before, after = datetime(2026, 6, 3, 9, 0, 3), datetime(2026, 6, 3, 8)
    assert result.rows == (("MX1", DAY, 3, before, after, 3603),)


def test_no_file_of_yesterday_warns_by_the_clock_of_the_host(
    lake_of: Callable[[Logs], Lake],
) -> None:
    lake = lake_of(GOOD)
    before_midnight = datetime(2026, 6, 4, 14, 59, tzinfo=UTC)  # 23:59 in Japan
    after_midnight = datetime(2026, 6, 4, 15, 1, tzinfo=UTC)
    month_later = datetime(2026, 7, 5, tzinfo=UTC)
    assert found(lake, before_midnight) == {}
    result = found(lake, after_midnight)["yesterday_is_here"]
    assert result.rows == (("MX1", DAY, date(2026, 6, 4)),)
    assert found(lake, month_later) == {}


def test_gaps_warn(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD | {("MX1", date(2026, 5, 31)): log(date(2026, 5, 31))})
    assert found(lake)["no_missing_days"].rows == (("MX1", date(2026, 6, 1)),)


def test_a_day_of_an_older_parser_warns(lake_of: Callable[[Logs], Lake]) -> None:
    lake = lake_of(GOOD)
    rewrite(lake, "events", lambda rows: rows, parser_version="0")
    (row,) = found(lake)["one_parser_version"].rows
    assert row[:3] == ("MX1", DAY, 0)


def test_the_first_offences_are_shown_and_all_are_counted(
    lake_of: Callable[[Logs], Lake],
) -> None:
    last = date(2026, 4, 1)
    lake = lake_of(GOOD | {("MX1", last): log(last)})
    result = found(lake)["no_missing_days"]
    assert result.count == 61
    assert len(result.rows) == catalog.SHOWN_ROWS
    assert result.columns == ("host", "date")
    assert result.rows[0] == ("MX1", date(2026, 4, 2))


def test_dates_limit_the_checks_of_single_days(lake_of: Callable[[Logs], Lake]) -> None:
    bad = {("MX1", day): log(day) + b"neither of these\n" for day in DAYS}
    lake = lake_of(bad)
    rewrite(lake, "events", lambda rows: rows.filter(pc.field("kind") != "accept"))
    rewrite(lake, "verdicts", lambda rows: rows.slice(1))
    everywhere = {"lines_are_rows", "accepts_are_connections", "verdict_lines_are_verdicts"}
    everywhere |= {"rollup_agrees", "malformed_share"}
    assert found(lake).keys() == everywhere
    assert found(lake, dates=[DAY]).keys() == everywhere
    assert found(lake, dates=[DAYS[0]]).keys() == {"malformed_share"}
    assert found(lake, dates=[]) == {}
    month_later = datetime(2026, 7, 1, tzinfo=UTC)
    assert found(lake, month_later, dates=[]).keys() == {"yesterday_is_here"}


def test_checks_of_single_days_open_the_files_of_these_days(
    lake_of: Callable[[Logs], Lake],
) -> None:
    lake = lake_of({("MX1", day): log(day) for day in (date(2026, 6, n) for n in range(1, 8))})
    with opened(lake) as connection:
        connection.execute("set variable checked_dates = [date '2026-06-03', date '2026-06-04']")
        for check in catalog.checks():
            plan = connection.execute(f"explain analyze {check.sql}").fetchall()[0][1]
            read = [int(part.split()[0]) for part in plan.split("Total Files Read: ")[1:]]
            # That one reads nothing but the rollup.
            assert max(read, default=0) <= 2 or check.name == "rates_are_shares", check.name


def test_a_night_checks_the_days_it_touched(
    lake_of: Callable[[Logs], Lake], tmp_path: Path
) -> None:
    lake = lake_of(GOOD)
    rewrite(lake, "connections", lambda rows: rows.slice(1))
    later = date(2026, 6, 8)
    write_logs(tmp_path / "mail", {("MX1", later): log(later) + b"neither of these\n"})
    request = night.Request(tmp_path / "mail", lake.store.root)
    touched = night.run(request, night.threads, night.Unwatched()).checks
    untouched = night.run(request, night.threads, night.Unwatched()).checks
    of_lake = {"no_missing_days", "yesterday_is_here"}
    assert {each.name for each in touched} - of_lake == {"malformed_share"}
    assert {each.name for each in untouched} - of_lake == set()
    assert "accepts_are_connections" in found(lake)


def test_every_check_is_tested() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [check.name for check in catalog.checks() if f'"{check.name}"' not in tests] == []
