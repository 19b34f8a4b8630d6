"""Parquet as the lake keeps it; `python -m benchmarks.parquet` compares other encodings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 1 << 17
_ROW_GROUP_BYTES = 1 << 27
"""In memory; ordinary rows fill less than a quarter of it, hostile ones any amount."""

_HAS_BLOOM_FILTERS = "bloom_filter_options" in signature(pq.ParquetWriter).parameters  # not in 20

REPEATING = (
    "kind",
    "server_name",
    "client_ip",
    "peer_name",
    "sender",
    "auth_mechanism",
    "auth_user",
    "status",
    "verdict",
    "parse_error",
    "sender_domain",
    "sender_registrable_domain",
    "pairing",
    "outcome",
    "subject",
    "class",
)
"""Text columns whose values come again and again: dictionary-encoded."""

_FEW_NUMBERS = ("port", "latency_s", "verdict_count", "accepted_count", "rejected_count")
"""Columns of few distinct numbers: likewise."""

_ENCODINGS = {
    "line_no": "DELTA_BINARY_PACKED",
    "connection_id": "DELTA_BYTE_ARRAY",
    "message_id": "DELTA_BYTE_ARRAY",
}
"""Columns that go up in small steps, or share their beginnings."""

_RANGED = {
    "date",
    "line_no",
    "ts",
    "ts_utc",
    "connected_at",
    "connected_at_utc",
    "first_verdict_at",
    "latency_s",
    "client_ip",
    "sender",
    "sender_domain",
    "sender_registrable_domain",
    "message_id",
    "connection_id",
    "parse_error",  # null where there are no malformed lines, as in most row groups
}
"""Columns with statistics, so that a query reads only the row groups in whose range its values are.
In the others the row groups are all alike, or nothing is looked up."""

_LOOKED_UP = {"sender", "sender_domain", "client_ip", "message_id"}
"""Columns with a bloom filter, so that a lookup reads only the row groups that may hold it."""


def write_parquet(
    path: Path,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    footer: Callable[[], Mapping[str, str]],
) -> None:
    """Write tables as one Parquet file; see `ParquetFile`.

    Raises:
        OSError: the disk is full, and the like.
    """
    with ParquetFile(path, schema, footer) as file:
        for table in tables:
            file.write(table)


class ParquetFile:
    """A Parquet file on its way to disk."""

    def __init__(
        self, path: Path, schema: pa.Schema, footer: Callable[[], Mapping[str, str]]
    ) -> None:
        """Begin one.

        Args:
            path: where; nothing else reads it before it is published.
            schema: the columns and their types on disk.
            footer: gives the key-value metadata, and is asked when all is written.
        """
        self._path = path
        self._schema = schema
        self._footer = footer
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Add a row group of at most `ROW_GROUP_ROWS` rows, or none if it is empty; text columns
        may be dictionary-encoded.
        """
        if _decoded(table.schema) != self._schema.remove_metadata():
            raise TypeError(f"expected the columns\n{self._schema}\nnot\n{table.schema}")
        if len(table):
            self._begun(table).write_table(table, row_group_size=ROW_GROUP_ROWS)

    def _begun(self, first: pa.Table) -> pq.ParquetWriter:
        if self._writer is None:
            options = _options(self._schema, first)
            self._writer = pq.ParquetWriter(self._path, first.schema, **options)
        return self._writer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        with self._begun(self._schema.empty_table()) as writer:
            if error is None:
                writer.add_key_value_metadata(dict(self._footer()))


def _options(schema: pa.Schema, first: pa.Table) -> dict[str, object]:
    options: dict[str, object] = {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [n for n in schema.names if n in REPEATING + _FEW_NUMBERS],
        "column_encoding": {n: _ENCODINGS[n] for n in schema.names if n in _ENCODINGS},
        "write_statistics": [name for name in schema.names if name in _RANGED],
        "write_batch_size": ROW_GROUP_ROWS,  # a column at a time; the default is 1024 values
        "store_schema": False,  # else dictionary encoding would leak into what readers see
    }
    if _HAS_BLOOM_FILTERS:
        options["bloom_filter_options"] = {
            name: {"ndv": _distinct(first[name]), "fpp": 0.01}
            for name in schema.names
            if name in _LOOKED_UP
        }
    return options


def _distinct(column: pa.ChunkedArray) -> int:
    """How many distinct values a row group has at most, to judge by its first."""
    if pa.types.is_dictionary(column.type):
        return max([1, *(len(chunk.dictionary) for chunk in column.chunks)])
    return max(1, len(column) - column.null_count)


def row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Small tables joined, and large ones cut, to `ROW_GROUP_ROWS` rows each but for the last.

    Of tables with rows of very many bytes, fewer are joined.
    """
    pending: list[pa.Table] = []
    rows = 0
    for table in tables:
        rest = table
        while rows + len(rest) >= ROW_GROUP_ROWS:
            missing = ROW_GROUP_ROWS - rows
            yield _join([*pending, rest.slice(0, missing)])
            rest, pending, rows = rest.slice(missing), [], 0
        pending.append(rest)
        rows += len(rest)
        if sum(table.nbytes for table in pending) > _ROW_GROUP_BYTES:
            yield _join(pending)
            pending, rows = [], 0
    if rows:
        yield _join(pending)


def _join(tables: list[pa.Table]) -> pa.Table:
    # Parquet keeps a dictionary only if it is the same throughout the row group.
    return pa.concat_tables(tables).unify_dictionaries()


def _decoded(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        (field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in schema
    )
