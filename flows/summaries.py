"""The rows of the daily and hourly views, kept ready: a file for each view, host and year.

The counts of a year of ten hosts lie in 3,650 files, and to open these takes longer than to answer
from them. So a BI tool that asks for the rates every minute is given rows that are ready. Each day
of them follows from that day's `hourly_counts` alone. The footer says, for every day, from what,
and so a night counts again only what has changed.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import date
from hashlib import sha256

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from flows import catalog
from flows.lake import INPUTS, Key, Lake, TableName, Year, path_of_summary
from flows.write import row_groups, write_parquet
from transforms.schemas import HOURLY_COUNTS

_COUNTS = pa.schema([pa.field("date", pa.date32()), *HOURLY_COUNTS])

Inputs = Mapping[date, str]
"""What the counts of every day of a year follow from, see `ingest.expected_inputs`."""

Traces = set[tuple[date, str]]
"""Days, each with a hash of what its rows follow from."""


def are_current(lake: Lake, year: Year, inputs: Inputs) -> bool:
    """Whether a year's summaries are what follows from its counts."""
    return _known(lake, year) == _traces(inputs)


def summarize(lake: Lake, year: Year, inputs: Inputs, *, all_anew: bool = False) -> None:
    """Bring a year's summaries up to date.

    Args:
        lake: locked by the caller.
        year: host and year.
        inputs: of the days whose counts are in the lake; there will be rows of no other.
        all_anew: take over none of the rows that are there.

    Raises:
        LakeError: a partition is damaged.
        OSError: reading or writing failed; trying again may help.
    """
    wanted = _traces(inputs)
    kept = set() if all_anew else _known(lake, year) & wanted
    changed = sorted(day for day, _ in wanted - kept)
    footer = {INPUTS: "\n".join(f"{day} {trace}" for day, trace in sorted(wanted))}
    with closing(duckdb.connect()) as connection:
        connection.register("days", pa.table({"date": pa.array(changed, pa.date32())}))
        connection.register("hourly_counts", _counts(lake, year.host, changed))
        for summary in catalog.summaries():
            path = path_of_summary(summary.name, year)
            rows = connection.sql(summary.sql).to_arrow_table()
            if kept:
                old = _rows(lake, path, (day for day, _ in kept))
                rows = pa.concat_tables([old.cast(rows.schema), rows])
                rows = rows.sort_by([(column, "ascending") for column in summary.grain])
            with lake.store.replace(path) as pending:
                write_parquet(pending, rows.schema, row_groups([rows]), lambda: footer)


def _traces(inputs: Inputs) -> Traces:
    sql = "\n".join(summary.sql for summary in catalog.summaries())
    return {
        (day, sha256(f"{sql}\n{text}".encode()).hexdigest()[:16]) for day, text in inputs.items()
    }


def _known(lake: Lake, year: Year) -> Traces:
    """What the rows of all the summaries that are there follow from."""
    return set.intersection(
        *(_read_traces(lake, path_of_summary(each.name, year)) for each in catalog.summaries())
    )


def _read_traces(lake: Lake, path: str) -> Traces:
    lines = (line.split() for line in (lake.made_from(path) or "").splitlines())
    return {(date.fromisoformat(day), trace) for day, trace in lines}


def _rows(lake: Lake, path: str, days: Iterable[date]) -> pa.Table:
    """What a summary holds of some days."""
    with lake.open_path(path) as file:
        rows = file.read()
    return rows.filter(pc.is_in(rows["date"], pa.array(days, pa.date32())))


def _counts(lake: Lake, host: str, days: Iterable[date]) -> pa.Table:
    """The counts of some days, with the date as first column."""
    tables = [_COUNTS.empty_table()]
    for day in days:
        with lake.open(TableName.HOURLY_COUNTS, Key(host, day)) as file:
            counts = file.read()
        counts = counts.add_column(0, "date", pa.repeat(pa.scalar(day), len(counts)))
        tables.append(counts.cast(_COUNTS))
    return pa.concat_tables(tables)
