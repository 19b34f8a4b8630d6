"""SQL from the command line: it can read the lake, and nothing else; it can write nowhere.

Two walls stand one behind the other. Only a statement that selects, in all its parts, is run; and
the connection it runs in may open nothing but the lake, and that only through `flows.reading`,
which does not write; it may install nothing and change no setting.
"""

import csv
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import closing, contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import chain
from typing import Any, BinaryIO, TextIO, TypeVar
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows import catalog
from flows.catalog import Reader
from flows.errors import QueryError, printable
from flows.lake import Lake
from flows.reading import SCHEME
from flows.store import ReplacedError
from transforms.grammar import decode_text

_BATCH_ROWS = 10_000
_WIDE = 1 << 14
# Words only: a quote or a comment begun here would make something else of what follows.
_EXPLAIN = re.compile(r"\A\s*explain\b(?:\s+analyze\b|\s*\([\w\s,]*\))?", re.IGNORECASE)
_ADVICE = "to change or keep anything, open catalog.duckdb in DuckDB yourself"
_ACTING = {
    "checkpoint",
    "disable_logging",
    "disable_profiling",
    "enable_logging",
    "enable_profiling",
    "force_checkpoint",
    "json_execute_serialized_sql",
    "query",
    "query_table",
    "read_duckdb",
    "truncate_duckdb_logs",
    "write_log",
}
"""Functions that write, or run SQL that is not seen here."""

Batch = TypeVar("Batch", bound=Sized)

# Also the wide ones, which some spreadsheets take for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def query(
    lake: Lake, sql: str, target: BinaryIO, form: Format, *, for_spreadsheet: bool = False
) -> None:
    """Run a query and write its rows as they come, however many they are.

    Args:
        lake: what can be read.
        sql: one statement that selects, or EXPLAIN of one.
        target: where to write; UTF-8 but for Parquet.
        form: as what.
        for_spreadsheet: in CSV, put `'` before what a spreadsheet would take for a formula.

    Raises:
        QueryError: the statement is wrong, or does more than read the lake.
    """
    statement = _only_reading(sql)
    with (
        tempfile.TemporaryDirectory(prefix="acceptlake-") as spill,
        catalog.reading(lake) as reader,
    ):
        _confine(reader.connection, lake, spill)
        try:
            if form is Format.PARQUET:
                _write_parquet(reader, statement, target)
                return
            columns, rows = _answer(reader, statement)
            with _text(target) as text:
                match form:
                    case Format.CSV:
                        _write_csv(columns, rows, text, for_spreadsheet=for_spreadsheet)
                    case Format.JSON:
                        _write_json(columns, rows, text)
                    case _:
                        _write_table(columns, rows, text)
        except duckdb.Error as error:
            raise QueryError(_message(error)) from error


def _only_reading(sql: str) -> str:
    """The statement, if it is one and does nothing but read.

    What kind of statement it is does not tell: EXPLAIN ANALYZE runs what it explains, and DuckDB 2
    takes a COPY for a common table expression. So its syntax tree is looked through.
    """
    # Serializing is for statements that select, and for nothing else.
    with closing(duckdb.connect()) as parser:
        parser.execute(
            "select json_serialize_sql(cast($sql as varchar))",
            {"sql": _EXPLAIN.sub("", sql)},
        )
        tree = json.loads((parser.fetchone() or ("{}",))[0])
    if tree["error"]:
        if tree["error_type"] == "parser":
            raise QueryError(f"Parser Error: {tree['error_message']}")
        raise QueryError(f"only statements that select can be run; {_ADVICE}")
    if len(tree["statements"]) != 1:
        raise QueryError(f"expected one SQL statement, not {len(tree['statements'])}")
    for node in _nodes(tree):
        kind, function = str(node.get("type", "")), str(node.get("function_name", "")).lower()
        if kind.endswith("_QUERY_NODE") or function in _ACTING:
            what = function or kind.removesuffix("_QUERY_NODE")
            raise QueryError(f"{what} does more than read the lake; {_ADVICE}")
    return sql


def _nodes(tree: object) -> Iterator[dict[str, object]]:
    if isinstance(tree, dict):
        yield tree
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for child in children:
        yield from _nodes(child)


def _confine(connection: duckdb.DuckDBPyConnection, lake: Lake, spill: str) -> None:
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    connection.execute("set python_enable_replacements = false")  # else SQL sees our variables
    # Where DuckDB puts what memory does not hold it may also read and write for a query, so it must
    # not be where others have files; of itself it takes `.tmp` in the current folder.
    connection.execute(f"set temp_directory = {catalog.literal(spill)}")
    # An object store's address is read through `flows.reading` too; a folder's path is not, and
    # DuckDB would also write there.
    roots = [root for root in (f"{SCHEME}://", f"{lake.store.root}/") if "://" in root]
    connection.execute(f"set allowed_directories = [{', '.join(map(catalog.literal, roots))}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _answer(reader: Reader, statement: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """The names of the columns, and the rows."""

    def begin() -> tuple[list[str], list[tuple[Any, ...]]]:
        result = reader.connection.execute(statement)
        columns = [printable(column[0]) for column in result.description or ()]
        return columns, result.fetchmany(_BATCH_ROWS)

    columns, first = reader.ask(begin)
    return columns, chain.from_iterable(
        _going_on(reader, first, lambda: reader.connection.fetchmany(_BATCH_ROWS))
    )


def _going_on(reader: Reader, first: Batch, more: Callable[[], Batch]) -> Iterator[Batch]:
    """Batches until an empty one; those after the first may have been replaced under us."""
    batch = first
    while len(batch):
        yield batch
        try:
            batch = reader.once(more)
        except ReplacedError as error:
            raise QueryError(f"{error}; what was written so far is not all") from error


def _write_csv(
    columns: Sequence[str], rows: Iterator[tuple[Any, ...]], text: TextIO, *, for_spreadsheet: bool
) -> None:
    writer = csv.writer(text, lineterminator="\n")
    for row in chain([columns], rows):  # a PIVOT makes columns of what clients sent
        cells = [_plain(value) for value in row]
        if text.isatty():  # a file gets the text as it is
            cells = [_shown(cell) if isinstance(cell, str) else cell for cell in cells]
        if for_spreadsheet:
            cells = [
                f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
                for cell in cells
            ]
        writer.writerow(cells)


def _write_json(columns: Sequence[str], rows: Iterator[tuple[Any, ...]], text: TextIO) -> None:
    """One array of objects, an object a line."""
    separator = "[\n"
    for row in rows:
        values = map(_plain, row)
        text.write(separator)
        line = json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False)
        # JSON has escapes, which mean the same: what a terminal would obey is always written so.
        if not line.isprintable():
            line = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)
        text.write(line)
        separator = ",\n"
    text.write("[]\n" if separator == "[\n" else "\n]\n")


def _write_table(columns: Sequence[str], rows: Iterator[tuple[Any, ...]], text: TextIO) -> None:
    table = Table(header_style="bold")
    is_number = [True] * len(columns)
    body = []
    for row in rows:
        is_number = [
            number and (value is None or isinstance(value, int | float | Decimal))
            for number, value in zip(is_number, row, strict=True)
        ]
        body.append([_cell(value) for value in row])
    for column, number in zip(columns, is_number, strict=True):
        table.add_column(Text(column), justify="right" if number else "left", overflow="fold")
    for cells in body:
        table.add_row(*cells)
    # Off a terminal nobody folds lines, and a cut value would be a wrong one.
    Console(file=text, width=None if text.isatty() else _WIDE).print(table)


def _cell(value: object) -> Text:
    # A value cannot break out of its cell.
    return Text("" if value is None else _shown(str(_plain(value))))


def _shown(text: str) -> str:
    # Line by line, for a query plan is a picture.
    return "\n".join(printable(line) for line in text.split("\n"))


def _write_parquet(reader: Reader, statement: str, target: BinaryIO) -> None:
    def begin() -> tuple[pa.RecordBatchReader, pa.RecordBatch | Sequence[object]]:
        relation = reader.connection.sql(statement)
        if relation is None:
            raise QueryError("the statement has no rows to write")
        batches = relation.to_arrow_reader(_BATCH_ROWS)
        return batches, next(batches, ())

    batches, first = reader.ask(begin)
    with batches, pq.ParquetWriter(target, batches.schema, compression="zstd") as writer:
        for batch in _going_on(reader, first, lambda: next(batches, ())):
            writer.write_batch(batch)


def _plain(value: object) -> object:
    """A value as JSON, CSV and people know it."""
    match value:
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case timedelta() | UUID():
            return str(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes():
            return decode_text(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case _:
            return value


@contextmanager
def _text(target: BinaryIO) -> Iterator[TextIO]:
    text = io.TextIOWrapper(target, encoding="utf-8", errors="backslashreplace", newline="")
    try:
        yield text
        text.flush()
    finally:
        text.detach()


def _message(error: duckdb.Error) -> str:
    """What DuckDB says, in one line and without its picture of where."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())
