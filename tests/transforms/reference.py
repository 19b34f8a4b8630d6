"""What the scanner must say of a block, made from the line parser alone: slow, and plainly right.

`scanned` splits a block by hand, asks `grammar.parse_line` about each line and puts the answers
side by side. Nothing here is shared with `transforms.scanner` but the schema of its answer.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from transforms.grammar import Dialect, Line, parse_line, render_line
from transforms.schemas import EVENTS

PLAIN = EVENTS.remove(EVENTS.get_field_index("line_no")).remove_metadata()
"""`EVENTS` without the line number, all text columns plain."""

_EPOCH = datetime(1970, 1, 1)
_SECOND = timedelta(seconds=1)


def split(block: bytes) -> list[tuple[bytes, bytes]]:
    """The lines of a block, each with its line end apart.

    A line ends in LF or CR LF. The last may be torn: then it ends in nothing, or in the CR of a
    CR LF that was half written.
    """
    lines = block.split(b"\n")
    torn = lines.pop()
    pairs = [(line[:-1], b"\r\n") if line[-1:] == b"\r" else (line, b"\n") for line in lines]
    if torn:
        content = torn.removesuffix(b"\r")
        pairs.append((content, torn[len(content) :]))
    return pairs


def raw(line: Line, content: bytes, end: bytes, is_torn: bool, dialect: Dialect) -> bytes | None:
    """The bytes a line keeps, by the rule: those its columns do not reproduce.

    A line that ends as usual keeps its content, and only where the columns say something else; any
    other keeps all of itself, and a torn one has no usual end.
    """
    if is_torn or end != dialect.line_end:
        return content + end
    return content if render_line(line, dialect) != content else None


def scanned(block: bytes, dialect: Dialect, zone: ZoneInfo) -> pa.RecordBatch:
    """The exact table of a block, with the columns of `PLAIN`."""
    pairs = split(block)
    lines = [parse_line(content) for content, _ in pairs]
    torn = len(pairs) - 1 if block and not block.endswith(b"\n") else None
    fields = zip(*lines, strict=True) if lines else [()] * len(Line._fields)
    values: dict[str, object] = dict(zip(Line._fields, fields, strict=True))
    values["raw"] = [
        raw(line, *pair, row == torn, dialect)
        for row, (line, pair) in enumerate(zip(lines, pairs, strict=True))
    ]
    columns = {
        field.name: pa.array(values[field.name], field.type)
        for field in PLAIN
        if field.name != "ts_utc"
    }
    columns["ts_utc"] = _timestamps(lines, zone)
    return pa.RecordBatch.from_pydict(columns, schema=PLAIN)


def _timestamps(lines: list[Line], zone: ZoneInfo) -> pa.Array:
    # As numbers, since year 1 in Tokyo is a year that Python does not know in UTC.
    seconds = [0 if line.ts is None else _utc_seconds(line.ts, zone) for line in lines]
    absent = np.array([line.ts is None for line in lines], np.bool_)
    microseconds = pa.array(np.array(seconds, np.int64) * 1_000_000, mask=absent)
    return microseconds.cast(PLAIN.field("ts_utc").type)


@lru_cache(maxsize=1 << 17)
def _utc_seconds(ts: datetime, zone: ZoneInfo) -> int:
    offset = ts.replace(tzinfo=zone).utcoffset()
    assert offset is not None
    return (ts - _EPOCH - offset) // _SECOND


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with its dictionary-encoded columns decoded."""
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def first_difference(found: pa.RecordBatch, expected: pa.RecordBatch) -> int | None:
    """The first row in which two tables differ; None if they are equal.

    A table that is longer differs in its first row too many; one with other columns in row 0.
    """
    if found.schema.remove_metadata() != expected.schema.remove_metadata():
        return 0
    if found.equals(expected):
        return None
    low, high = 0, min(len(found), len(expected))
    while low < high:
        middle = (low + high) // 2
        if found.slice(low, middle + 1 - low).equals(expected.slice(low, middle + 1 - low)):
            low = middle + 1
        else:
            high = middle
    return low
