"""What Parquet settings cost and give: time to write, size, and time of the typical lookups.

    python -m benchmarks.parquet --megabytes 434 --days 14

Every setting is the one that is shipped (`flows.write`) but for one thing. The tables are ready in
memory, cut and encoded as the scanner gives them.
"""

import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks import harness, logs
from benchmarks.contestants.ours import ZONE
from benchmarks.harness import DATA, Call, ChildError
from flows import write
from flows.lake import SCHEMAS, Key, Lake, TableName, path_of
from flows.night import Request, Unwatched, run, threads
from transforms.scanner import SCANNED

_BASE = DATA / "parquet" / "base"
_BLOCK_ROWS = 40_000
"""About what the scanner gives at once."""
_LOOKUPS = 5
"""So often each lookup is done; the median counts."""

Options = Mapping[str, Any]
"""Of `pyarrow.parquet.ParquetWriter`, to replace or, if None, to drop; and `row_group_rows`."""


def _without(name: str) -> Options:
    return {"use_dictionary": [each for each in write.REPEATING if each != name]}


SETTINGS: Mapping[str, Options] = {
    "as shipped": {},
    "zstd 3": {"compression_level": 3},
    "zstd 6": {"compression_level": 6},
    "snappy": {"compression": "snappy", "compression_level": None},
    "lz4": {"compression": "lz4", "compression_level": None},
    "dictionary for every column": {"use_dictionary": True, "column_encoding": None},
    "dictionary for no column": {"use_dictionary": False},
    **{
        f"no dictionary for {name}": _without(name)
        for name in ("server_name", "client_ip", "peer_name", "sender", "auth_user")
    },
    "no DELTA encodings": {"column_encoding": None},
    "DELTA for timestamps too": {
        "column_encoding": write._ENCODINGS | dict.fromkeys(("ts", "ts_utc"), "DELTA_BINARY_PACKED")
    },
    "row groups of 65,536": {"row_group_rows": 1 << 16},
    "row groups of 262,144": {"row_group_rows": 1 << 18},
    "row groups of 524,288": {"row_group_rows": 1 << 19},
    "row groups of 1,048,576": {"row_group_rows": 1 << 20},
    "pages of 256 KiB": {"data_page_size": 1 << 18},
    "pages of 4 MiB": {"data_page_size": 1 << 22},
    "page index": {"write_page_index": True},
    "no statistics": {"write_statistics": False},
    "statistics for every column": {"write_statistics": True},
    "batches of 1,024 values": {"write_batch_size": 1024},
    "no bloom filters": {"bloom_filter_options": None},
    "milliseconds": {"coerce_timestamps": "ms"},
}

_QUERIES = {
    "one sender": (
        "select count(*), min(ts), max(ts) from read_parquet($events) where sender = $sender"
    ),
    "one message id": "select * from read_parquet($events) where message_id = $message_id",
    "one day's rates": (
        "select class, sum(n) from read_parquet($hourly_counts) where date = $date"
        " and subject = 'verdict' group by class"
    ),
    "count by verdict": "select verdict, count(*) from read_parquet($events) group by verdict",
}


def main() -> None:
    """Measure and write the section `parquet` of the page."""
    parser = harness.parser("parquet", __doc__, "parquet.md")
    parser.add_argument("--megabytes", type=float, default=434)
    parser.add_argument("--days", type=int, default=14)
    options = parser.parse_args()

    source = logs.simulated(options.megabytes, options.days)
    shutil.rmtree(_BASE, ignore_errors=True)
    run(Request(source, str(_BASE), zone=str(ZONE)), threads, Unwatched())
    wanted = _wanted()
    calls = {
        name: Call(
            "benchmarks.parquet:measure",
            {"name": name, "out": str(DATA / "parquet" / "lake"), "wanted": wanted},
        )
        for name in SETTINGS
    }
    rows, lines = [], 0
    for name, result in harness.in_rounds(calls, options.rounds).items():
        if isinstance(result, ChildError):
            rows.append([name, f"failed: {result}"])
            continue
        lookups = [f"{result.answer[query] * 1e3:.1f}" for query in _QUERIES]
        lines = result.answer["rows"]
        megabytes = f"{result.answer['bytes'] / 1e6:.2f}"
        rows.append([name, f"{result.seconds:.2f}", megabytes, *lookups])
    header = ("setting", "write, s", "MB", *(f"{query}, ms" for query in _QUERIES))
    text = (
        f"The events of {options.days} days, {lines:,} lines, ready in memory, written one day"
        f" after the other on one core; medians of {options.rounds} rounds. Lookups: DuckDB with a"
        " new connection, over the files of all days; the sender and the message id occur once."
        f"\n\n{harness.table(header, rows)}\n\n{harness.machine('pyarrow', 'duckdb')}"
    )
    harness.publish(options.page, "parquet", text)


def measure(name: str, out: str, wanted: dict[str, str]) -> dict[str, float]:
    """Write the base lake's events and counts anew with a setting, and look something up."""
    _set(SETTINGS[name])
    shutil.rmtree(out, ignore_errors=True)
    base = Lake.at(str(_BASE))
    seconds, size, rows = 0.0, 0, 0
    for key in base.keys(TableName.EVENTS):
        for table in (TableName.EVENTS, TableName.HOURLY_COUNTS):
            blocks = _blocks(base, table, key)
            path = Path(out, path_of(table, key))
            path.parent.mkdir(parents=True)
            started = perf_counter()
            write.write_parquet(path, SCHEMAS[table], write.row_groups(blocks), dict)
            if table is TableName.EVENTS:
                seconds += perf_counter() - started
                size += path.stat().st_size
                rows += sum(map(len, blocks))
    lookups = {query: _look_up(sql, out, wanted) for query, sql in _QUERIES.items()}
    return {"seconds": seconds, "bytes": size, "rows": rows} | lookups


def _set(options: Options) -> None:
    """Change the shipped settings, in this process."""
    shipped = write._options  # the very one, so that nothing here can fall behind it
    changed = dict(options)
    write.ROW_GROUP_ROWS = changed.pop("row_group_rows", write.ROW_GROUP_ROWS)

    def altered(schema: pa.Schema, first: pa.Table) -> dict[str, object]:
        everything: dict[str, Any] = shipped(schema, first) | changed
        if everything.get("use_dictionary") not in (True, False):
            names = everything["use_dictionary"]
            everything["use_dictionary"] = [each for each in schema.names if each in names]
        if encodings := everything.get("column_encoding"):
            everything["column_encoding"] = {
                name: encoding for name, encoding in encodings.items() if name in schema.names
            }
        return {option: value for option, value in everything.items() if value is not None}

    write._options = altered


def _blocks(lake: Lake, table: TableName, key: Key) -> list[pa.Table]:
    """A partition as the step that makes it gives it to the writer."""
    with lake.open(table, key) as file:
        whole = file.read().combine_chunks()
    blocks = [whole.slice(start, _BLOCK_ROWS) for start in range(0, len(whole), _BLOCK_ROWS)]
    return [_encoded(block) for block in blocks] if table is TableName.EVENTS else blocks


def _encoded(block: pa.Table) -> pa.Table:
    for number, field in enumerate(block.schema):
        if field.name != "line_no" and pa.types.is_dictionary(SCANNED.field(field.name).type):
            block = block.set_column(number, field.name, block.column(number).dictionary_encode())
    return block


def _wanted() -> dict[str, str]:
    """A sender and an id that occur once in the base lake, and a day of it."""
    events = f"read_parquet('{_BASE}/events/*/*/*.parquet')"
    once = (
        "select min({0}) from (select {0} from {1} where {0} is not null and kind = 'verdict'"
        " group by {0} having count(*) = 1)"
    )
    with closing(duckdb.connect()) as connection:
        rows = {
            name: connection.execute(once.format(name, events)).fetchone()
            for name in ("sender", "message_id")
        }
    return {name: row[0] for name, row in rows.items() if row} | {"date": str(logs.FIRST_DAY)}


def _look_up(sql: str, lake: str, wanted: dict[str, str]) -> float:
    parameters = wanted | {
        name: f"{lake}/{name}/*/*/*.parquet" for name in ("events", "hourly_counts")
    }
    used = {name: value for name, value in parameters.items() if f"${name}" in sql}
    seconds = []
    for _ in range(_LOOKUPS):
        with closing(duckdb.connect()) as connection:
            started = perf_counter()
            connection.execute(sql, used).fetchall()
            seconds.append(perf_counter() - started)
    return median(seconds)


if __name__ == "__main__":
    main()
