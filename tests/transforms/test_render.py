"""What was scanned gives back the very bytes it was scanned from."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings

from flows.write import REPEATING, write_parquet
from tests.transforms import reference
from tests.transforms.cases import LINES
from tests.transforms.strategies import ANYTHING, BLOCKS, DIALECTS
from transforms.grammar import NO_IDS, Dialect, parse_line, render_line
from transforms.render import render
from transforms.scanner import scan
from transforms.schemas import EVENTS
from transforms.spans import PADDING

TOKYO = ZoneInfo("Asia/Tokyo")
ACCEPT = b"[03/Jun/2026:09:00:01], (mx1), [192.0.2.1]:25, Client accept now."
VERDICT = b"[03/Jun/2026:09:00:02], (mx1), 192.0.2.1[192.0.2.1], a@b.jp,<B0000000007>,ok"


def scanned(block: bytes, dialect: Dialect) -> pa.Table:
    return pa.Table.from_batches([scan(block + PADDING, dialect, TOKYO)])


def is_torn(block: bytes) -> bool:
    return block != b"" and not block.endswith(b"\n")


@settings(max_examples=300, deadline=None)
@given(BLOCKS, DIALECTS)
def test_nearly_valid_lines_come_back(block: bytes, dialect: Dialect) -> None:
    assert render(scanned(block, dialect), dialect, is_torn=is_torn(block)) == block


@settings(max_examples=200, deadline=None)
@given(ANYTHING, DIALECTS)
@example(b"", Dialect())
def test_any_bytes_come_back(block: bytes, dialect: Dialect) -> None:
    assert render(scanned(block, dialect), dialect, is_torn=is_torn(block)) == block


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("peer_gap", [b"", b" "])
@pytest.mark.parametrize("no_id", NO_IDS)
def test_all_cases_of_the_grammar_come_back_in_every_dialect(
    line_end: bytes, peer_gap: bytes, no_id: bytes
) -> None:
    dialect = Dialect(line_end, peer_gap, no_id)
    for end in (b"\n", b"\r\n"):
        block = b"".join(line + end for line in LINES.values())
        assert render(scanned(block, dialect), dialect) == block


@settings(max_examples=150, deadline=None)
@given(BLOCKS, DIALECTS)
def test_many_lines_are_rendered_as_each_of_them_is(block: bytes, dialect: Dialect) -> None:
    """Where a line keeps no bytes of its own, its columns alone give it, one by one and at once."""
    for content, end in reference.split(block):
        event = scanned(content + end, dialect)
        if event["raw"].null_count:
            line = render_line(parse_line(content), dialect)
            assert line == content
            assert render(event, dialect) == content + end


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(BLOCKS, DIALECTS)
def test_lines_come_back_from_parquet(tmp_path: Path, block: bytes, dialect: Dialect) -> None:
    path = tmp_path / "events.parquet"
    events = scanned(block, dialect)
    events = events.add_column(0, "line_no", pa.array(range(1, len(events) + 1), pa.int64()))
    write_parquet(path, EVENTS, iter([events]), dict)
    for repeating in ([], list(REPEATING)):
        stored = pq.read_table(path, read_dictionary=repeating)
        assert render(stored, dialect, is_torn=is_torn(block)) == block


@pytest.mark.parametrize("cut", range(4))
def test_pieces_of_a_table_give_pieces_of_the_log(cut: int) -> None:
    lines = [ACCEPT + b"\n", VERDICT + b"\r\n", b"\n", b"junk"]
    events = scanned(b"".join(lines), Dialect())
    first = render(events.slice(0, cut), Dialect())
    assert first == b"".join(lines[:cut])
    assert render(events.slice(cut), Dialect(), is_torn=True) == b"".join(lines[cut:])


def test_lines_of_any_year_come_back() -> None:
    block = b"".join(
        b"[%02d/%b/%04d:%02d:%02d:%02d], (), [::]:25, Client accept now.\n"
        % (1 + n % 28, (b"Jan", b"Feb", b"Dec")[n % 3], 1 + n * 7 % 9999, n % 24, n % 60, n % 59)
        for n in range(20_000)
    )
    events = scanned(block, Dialect())
    assert events["raw"].null_count == len(events)
    assert render(events, Dialect()) == block
