"""A long lake without long logs: one simulated week, ingested, and repeated on later days.

Repeating a partition moves its times and dates by whole weeks and gives its messages new ids, as a
server would; clients and senders come back, as they do. `raw` keeps the old stamps.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import logs
from benchmarks.contestants.ours import ZONE
from benchmarks.harness import DATA, say
from flows import catalog
from flows.ingest import CORES
from flows.lake import INPUTS, SCHEMAS, Key, Lake, TableName, Year, path_of
from flows.night import Request, Unwatched, run, threads
from flows.summaries import summarize
from flows.write import write_parquet

_WEEK = 7
_LINE_BYTES = 101
"""On average, of the logs that `benchmarks.logs` makes."""
_WEEKS_IDS = 10_000_000
"""No week has so many messages."""


def lake_of(days: int, hosts: int, lines: int) -> Lake:
    """A lake of so many days and hosts.

    Args:
        days: how many, from `logs.FIRST_DAY` on.
        hosts: how many.
        lines: of all hosts together on a working day, about; half as many on Saturdays and Sundays.
    """
    folder = DATA / f"year-{days}d-{hosts}h-{lines}"
    if folder.exists():
        return Lake.at(str(folder))
    megabytes = round(lines * _LINE_BYTES / 1e6 * 6, 1)  # a week has the traffic of six such days
    week, pending = folder.with_suffix(".week"), folder.with_suffix(".tmp")
    for stale in (week, pending):
        shutil.rmtree(stale, ignore_errors=True)
    source = logs.simulated(megabytes, _WEEK, hosts)
    say(f"making {folder} of {megabytes:g} MB of log")
    run(Request(source, str(week), zone=str(ZONE)), threads, Unwatched())
    base, target = Lake.at(str(week)), Lake.at(str(pending))
    keys = [key for key in base.keys(TableName.EVENTS) if key.date < _day(_WEEK)]

    def repeat(key: Key) -> None:
        for day in range((key.date - logs.FIRST_DAY).days, days, _WEEK):
            for table in TableName:
                _copy(base, table, key, pending, day // _WEEK)

    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(repeat, keys))
    _summarize(target)
    catalog.refresh(target)
    shutil.rmtree(week)
    pending.rename(folder)
    return Lake.at(str(folder))


def _summarize(lake: Lake) -> None:
    years: dict[Year, dict[date, str]] = {}
    for key in lake.keys(TableName.HOURLY_COUNTS):
        years.setdefault(Year(key.host, key.date.year), {})[key.date] = lake.inputs(key) or ""
    for year, inputs in years.items():
        summarize(lake, year, inputs)


def _day(number: int) -> date:
    return logs.FIRST_DAY + timedelta(number)


def _copy(base: Lake, table: TableName, key: Key, target: Path, weeks: int) -> None:
    """Write a partition as it would be some weeks later."""
    later = timedelta(weeks=weeks)
    path = target / path_of(table, Key(key.host, key.date + later))
    path.parent.mkdir(parents=True, exist_ok=True)

    def footer() -> dict[str, str]:
        entry = base.entry(key)
        if table is not TableName.EVENTS or entry is None:
            return {INPUTS: f"{key} {weeks} weeks later"}
        span = (entry.span_from, entry.span_to)
        first, last = (None if at is None else at + int(later.total_seconds()) for at in span)
        moved = replace(entry, date=key.date + later, span_from=first, span_to=last)
        return moved.to_footer()

    write_parquet(path, SCHEMAS[table], _moved(base, table, key, weeks), footer)


def _moved(base: Lake, table: TableName, key: Key, weeks: int) -> Iterator[pa.Table]:
    with base.open(table, key, encoded=True) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            for number, field in enumerate(rows.schema):
                column = rows.column(number)
                if pa.types.is_timestamp(field.type):
                    column = pc.add(column, pa.scalar(timedelta(weeks=weeks), pa.duration("us")))
                elif field.name == "message_id":
                    column = _new_ids(column, weeks)
                elif field.name == "connection_id":
                    column = _moved_ids(column, key.date, weeks)
                rows = rows.set_column(number, field.name, column)
            yield rows


def _new_ids(ids: pa.ChunkedArray, weeks: int) -> pa.ChunkedArray:
    is_plain = pc.match_substring_regex(ids, "^B[0-9]{10}$")
    digits = pc.if_else(is_plain, pc.utf8_slice_codeunits(ids, 1), pa.scalar(None, pa.string()))
    numbers = pc.add(digits.cast(pa.int64()), weeks * _WEEKS_IDS)
    padded = pc.utf8_lpad(numbers.cast(pa.string()), 10, "0")
    return pc.if_else(is_plain, pc.binary_join_element_wise("B", padded, ""), ids)


def _moved_ids(ids: pa.ChunkedArray, day: date, weeks: int) -> pa.ChunkedArray:
    # A connection may be of the day before or after. The latest first, lest one be moved twice.
    for offset in (1, 0, -1):
        old = day + timedelta(offset)
        ids = pc.replace_substring(ids, f"/{old}/", f"/{old + timedelta(weeks=weeks)}/")
    return ids
