"""Every view, and the point lookups, over a year of many hosts.

    python -m benchmarks.views --days 365 --hosts 10 --lines 300000

Lines are those of all hosts on a working day: this makes about a hundred million events. Each query
has a fresh process and is read to its last row; then it is asked again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import duckdb

from benchmarks import harness, logs
from benchmarks.harness import Call, ChildError
from benchmarks.year import lake_of
from flows import catalog
from flows.catalog import Kind
from flows.lake import Lake
from flows.reading import SCHEME

_AGAIN = 3
_BATCH_ROWS = 1 << 14


@dataclass(frozen=True, slots=True)
class Question:
    """A query, its parameters bound by name."""

    sql: str
    parameters: Mapping[str, object]

    @property
    def name(self) -> str:
        """The query as it is shown, without its beginning and with its values."""
        text = self.sql.removeprefix("select * from ").removeprefix("from ")
        for name, value in self.parameters.items():
            text = text.replace(f"${name}", catalog.literal(str(value)))
        return f"`{text}`"


def main() -> None:
    """Measure and write the section `views` of the page."""
    parser = harness.parser("views", __doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--lines", type=int, default=330_000)
    options = parser.parse_args()

    lake = lake_of(options.days, options.hosts, options.lines)
    sample = _sample(lake, options.days)
    lookups = _lookups(sample)
    questions = [*(Question(f"select * from {name}", {}) for name in _views()), *lookups]
    calls = {
        each.name: Call(
            "benchmarks.views:ask",
            {"lake": lake.store.root, "sql": each.sql, "parameters": each.parameters},
        )
        for each in questions
    }
    runs = harness.in_rounds(calls, options.rounds)
    rows = []
    for name, run in runs.items():
        if isinstance(run, ChildError):
            rows.append([name, f"failed: {run}"])
            continue
        first, again = f"{run.seconds * 1e3:,.0f}", f"{run.answer['again'] * 1e3:,.0f}"
        rows.append([name, f"{run.answer['rows']:,}", first, again, f"{run.peak_bytes / 1e6:,.0f}"])
    text = "\n\n".join(
        [
            _describe(lake, options.days, options.hosts)
            + f" Medians of {options.rounds} rounds; “first” in a fresh process, “again” in the"
            " same connection; each is read to its last row.",
            harness.table(("", "rows", "first, ms", "again, ms", "peak MB"), rows),
            "What EXPLAIN ANALYZE says of the point lookups: the files left after the partitions"
            " were chosen, the row groups of these that were read, after statistics and bloom"
            " filters, and the rows of those.",
            harness.table(("", "table", "files", "row groups", "rows"), _evidence(lake, lookups)),
            "What the footers allow, over all days: the row groups that may hold a value, by"
            " minimum and maximum, and by these and the bloom filter.",
            harness.table(
                ("value", "table", "row groups", "by min/max", "and bloom filter"),
                _footers(lake, sample),
            ),
            harness.machine("duckdb"),
        ]
    )
    harness.publish(options.page, "views", text)


def ask(lake: str, sql: str, parameters: dict[str, object]) -> dict[str, float]:
    """Ask, and ask again."""
    seconds: list[float] = []
    rows = 0
    with closing(catalog.connect(Lake.at(lake))) as connection:
        for _ in range(1 + _AGAIN):
            started = perf_counter()
            reader: Any = connection.execute(sql, parameters).to_arrow_reader(_BATCH_ROWS)
            rows = sum(batch.num_rows for batch in reader)
            seconds.append(perf_counter() - started)
    return {"seconds": seconds[0], "again": median(seconds[1:]), "rows": rows}


def _views() -> list[str]:
    answers = (each for each in catalog.definitions() if not each.is_base)
    return sorted(each.name for each in answers if each.kind is Kind.VIEW)


def _sample(lake: Lake, days: int) -> dict[str, str]:
    """A day in the middle; of its verdicts an id, and a client and a sender seen once that day."""
    day = str(logs.FIRST_DAY + timedelta(days // 2))
    sample = {"day": day, "month_later": str(logs.FIRST_DAY + timedelta(days // 2 + 29))}
    with closing(catalog.connect(lake)) as connection:
        for column in ("message_id", "client_ip", "sender"):
            row = connection.execute(
                f"select min(value) from (select {column} as value from verdicts"
                " where date = cast($day as date)"
                f" and regexp_full_match({column}, '[0-9A-Za-z@.:-]+') group by 1"
                " having count(*) = 1)",
                {"day": day},
            ).fetchone()
            sample[column] = str(row[0]) if row else ""
    return sample


def _lookups(sample: Mapping[str, str]) -> list[Question]:
    def question(sql: str) -> Question:
        return Question(sql, {name: each for name, each in sample.items() if f"${name}" in sql})

    return [
        question("from trace($message_id, $day)"),
        question("from trace($client_ip, $day)"),
        question("from trace($sender, $day)"),
        question("from sender_history($sender)"),
        question("from top_rejected_senders_between($day, $month_later, 10)"),
        question("from verdicts where message_id = $message_id"),
        question("from verdicts where sender = $sender"),
        question("from connections where client_ip = $client_ip and date = cast($day as date)"),
    ]


def _describe(lake: Lake, days: int, hosts: int) -> str:
    with closing(catalog.connect(lake)) as connection:
        counts = {
            table: (connection.execute(f"select count(*) from {table}").fetchone() or (0,))[0]
            for table in ("events", "verdicts", "connections", "hourly_counts")
        }
    size = sum(file.stat().st_size for file in Path(lake.store.root).rglob("*.parquet"))
    shown = ", ".join(f"{count:,} {table}" for table, count in counts.items())
    return (
        f"A lake of {days} days and {hosts} hosts: {shown}; {size / 1e9:.2f} GB. It repeats one"
        " simulated week."
    )


def _evidence(lake: Lake, questions: Sequence[Question]) -> Iterator[list[str]]:
    with closing(catalog.connect(lake)) as connection:
        for each in questions:
            # A macro takes no parameters under EXPLAIN in older versions of DuckDB; nor need it.
            explained = connection.execute(
                f"explain (analyze, format json) {each.sql}", each.parameters
            ).fetchall()
            for scan in _scans(json.loads(explained[0][1])):
                info = scan["extra_info"]
                files = str(info.get("Scanning Files") or f"{info.get('Total Files Read', '?')}")
                groups = f"{scan.get('row_groups_scanned', '?')}/"
                groups += f"{scan.get('total_row_groups_to_scan', '?')}"
                table = _table_of(str(info.get("Filename(s)", "")), lake)
                yield [each.name, table, files, groups, f"{scan.get('rows_scanned', 0):,}"]


def _scans(node: Any) -> Iterator[dict[str, Any]]:
    """The nodes of a profile that read Parquet files."""
    if isinstance(node, dict):
        info = node.get("extra_info")
        if isinstance(info, dict) and info.get("Function") == "READ_PARQUET":
            yield node
        for child in node.values():
            yield from _scans(child)
    elif isinstance(node, list):
        for child in node:
            yield from _scans(child)


def _table_of(path: str, lake: Lake) -> str:
    inside = path.removeprefix(f"{SCHEME}://").removeprefix(lake.store.root)
    return inside.strip("/").partition("/")[0] or "none"


def _footers(lake: Lake, sample: Mapping[str, str]) -> Iterator[list[str]]:
    with closing(duckdb.connect()) as connection:
        for table, column in (
            ("events", "message_id"),
            ("verdicts", "message_id"),
            ("verdicts", "sender"),
            ("verdicts", "client_ip"),
            ("connections", "client_ip"),
        ):
            parameters = {
                "glob": f"{lake.store.root}/{table}/*/*/{table}.parquet",
                "column": column,
                "value": sample[column],
            }
            row = connection.execute(_FOOTERS, parameters).fetchone()
            if row is not None:
                yield [f"`{column} = {sample[column]}`", table, *(f"{each:,}" for each in row)]


_FOOTERS = """
with ranges as (
    select
        file_name,
        row_group_id,
        $value between stats_min_value and stats_max_value as is_in_range
    from parquet_metadata($glob)
    where path_in_schema = $column
),

probes as (
    select file_name, row_group_id, bloom_filter_excludes
    from parquet_bloom_probe($glob, $column, $value)
)

select
    count(*),
    count(*) filter (where is_in_range),
    count(*) filter (where is_in_range and not coalesce(bloom_filter_excludes, false))
from ranges
left join probes using (file_name, row_group_id)
"""


if __name__ == "__main__":
    main()
