"""The scanner says of each line exactly what the line parser says, whatever the bytes are."""

from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms import reference
from tests.transforms.cases import CASES, LINES
from tests.transforms.strategies import ANYTHING, BLOCKS, DIALECTS, ZONES
from transforms.grammar import NO_IDS, ZERO_ID, Dialect
from transforms.scanner import SCANNED, scan
from transforms.spans import PADDING

TOKYO = ZoneInfo("Asia/Tokyo")
ACCEPT = b"[03/Jun/2026:09:00:01], (mx1), [192.0.2.1]:25, Client accept now."
VERDICT = b"[03/Jun/2026:09:00:02], (mx1), 192.0.2.1[192.0.2.1], a@b.jp,<B0000000007>,ok"


def assert_exact(block: bytes, dialect: Dialect, zone: ZoneInfo) -> None:
    batch = scan(block + PADDING, dialect, zone)
    assert batch.schema == SCANNED
    batch.validate(full=True)
    expected = reference.scanned(block, dialect, zone)
    row = reference.first_difference(reference.plain(batch), expected)
    assert row is None, (reference.split(block)[row], batch[row : row + 1], expected[row : row + 1])


@settings(max_examples=400, deadline=None)
@given(BLOCKS, DIALECTS, ZONES)
def test_nearly_valid_lines_are_read_as_the_line_parser_reads_them(
    block: bytes, dialect: Dialect, zone: ZoneInfo
) -> None:
    assert_exact(block, dialect, zone)


@settings(max_examples=200, deadline=None)
@given(ANYTHING, DIALECTS, ZONES)
def test_any_bytes_are_read_as_the_line_parser_reads_them(
    block: bytes, dialect: Dialect, zone: ZoneInfo
) -> None:
    assert_exact(block, dialect, zone)


@settings(max_examples=150, deadline=None)
@given(BLOCKS, BLOCKS, DIALECTS, ZONES)
def test_it_does_not_matter_where_blocks_are_cut(
    first: bytes, second: bytes, dialect: Dialect, zone: ZoneInfo
) -> None:
    first += b"\n"
    at_once, *halves = (
        reference.plain(scan(block + PADDING, dialect, zone))
        for block in (first + second, first, second)
    )
    assert pa.Table.from_batches([at_once]).equals(pa.Table.from_batches(halves).combine_chunks())


@settings(max_examples=200, deadline=None)
@given(BLOCKS.filter(bool), DIALECTS, st.data())
def test_a_block_may_be_torn_anywhere(block: bytes, dialect: Dialect, data: st.DataObject) -> None:
    assert_exact(block[: data.draw(st.integers(0, len(block)))], dialect, TOKYO)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("no_id", NO_IDS)
@pytest.mark.parametrize("status", [b"ok", b"abort", b"connection timeout"])
@pytest.mark.parametrize(
    "subject", [b"", b"x", b"AUTH-", b"AUTH-CRAM-MD5: [failed]", b"It was in the ORDB IP."]
)
def test_the_shortest_verdicts_may_end_a_block(
    subject: bytes, status: bytes, no_id: bytes, line_end: bytes
) -> None:
    line = b"[03/Jun/2026:09:00:01], (), [::], %b,<%b>,%b" % (subject, no_id, status)
    for end in (b"", b"\n", b"\r\n"):
        assert_exact(line + end, Dialect(line_end, no_id=no_id), TOKYO)
        assert_exact(ACCEPT + line_end + line + end, Dialect(line_end, no_id=no_id), TOKYO)


@pytest.mark.parametrize("name", [b"", b"m", b"m" * 255, b"m" * 1_000_000], ids=len)
@pytest.mark.parametrize(
    "address", [b"::", b"2001:db8:1:2:3:4:5:6", b"fe80::1%" + b"z" * 999], ids=len
)
def test_a_block_may_begin_with_long_fields_and_end_with_short_ones(
    name: bytes, address: bytes
) -> None:
    long = ACCEPT.replace(b"mx1", name).replace(b"192.0.2.1", address)
    short = b"[03/Jun/2026:09:00:01], (), [::], ,<>,ok"
    for lines in ([long, short], [long, long, short], [short, long, short], [long, ACCEPT, short]):
        assert_exact(b"\n".join(lines), Dialect(), TOKYO)
        assert_exact(b"\n".join([*lines, b""]), Dialect(no_id=b""), TOKYO)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_each_case_of_the_grammar_alone(line: bytes) -> None:
    for end in (b"\n", b"\r\n", b""):
        assert_exact(line + end, Dialect(), TOKYO)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("peer_gap", [b"", b" "])
@pytest.mark.parametrize("no_id", NO_IDS)
def test_all_cases_of_the_grammar_in_every_dialect(
    line_end: bytes, peer_gap: bytes, no_id: bytes
) -> None:
    for end in (b"\n", b"\r\n"):
        block = b"".join(line + end for line in LINES.values())
        assert_exact(block, Dialect(line_end, peer_gap, no_id), TOKYO)


@pytest.mark.parametrize(
    "case",
    [
        "accept with implicit TLS",
        "verdict of the BSD edition",
        "timeout without an id",
        "id with year and month",
        "no id in twelve zeros",
        "AUTH failed",
    ],
)
def test_any_byte_may_stand_at_any_place_of_a_line(case: str) -> None:
    line = CASES[case].line
    block = b"\n".join(
        line[:at] + bytes([byte]) + line[at + 1 :] for at in range(len(line)) for byte in range(256)
    )
    assert_exact(block, Dialect(), TOKYO)


@pytest.mark.parametrize("skeleton", [b"[])[]", b"[]),[]:", b"[]) []"])
def test_a_skeleton_of_a_line_may_be_all_of_a_block(skeleton: bytes) -> None:
    for length in range(len("[03/Jun/2026:09:00:01], (), [::], ,<>,ok") + 1):
        for at in (1, 2, 5):
            line = skeleton[:at] + b"x" * length + skeleton[at:]
            assert_exact(line, Dialect(), TOKYO)


RAW = [
    pytest.param(ACCEPT + b"\n", Dialect(), None, id="none where the columns say it all"),
    pytest.param(ACCEPT + b"\r\n", Dialect(b"\r\n"), None, id="none with the usual CR LF"),
    pytest.param(ACCEPT + b"\r\n", Dialect(), ACCEPT + b"\r\n", id="CR LF in a file of LF"),
    pytest.param(ACCEPT + b"\n", Dialect(b"\r\n"), ACCEPT + b"\n", id="LF in a file of CR LF"),
    pytest.param(ACCEPT, Dialect(), ACCEPT, id="a torn line never ends as usual"),
    pytest.param(ACCEPT + b"\r", Dialect(b"\r\n"), ACCEPT + b"\r", id="a line end torn in half"),
    pytest.param(b"\n", Dialect(), None, id="none of an empty line"),
    pytest.param(b" \n", Dialect(), b" ", id="the spaces of a blank line"),
    pytest.param(b"junk\n", Dialect(), b"junk", id="a malformed line without the usual end"),
    pytest.param(b"junk\r\n", Dialect(), b"junk\r\n", id="a malformed line with an odd end"),
    pytest.param(b"junk\r\r\n", Dialect(b"\r\n"), b"junk\r", id="a carriage return before CR LF"),
    pytest.param(b" <>, [QUIT]\n", Dialect(), b" <>, [QUIT]", id="a debug line"),
    pytest.param(
        VERDICT.replace(b"1[", b"1 [") + b"\n", Dialect(), VERDICT.replace(b"1[", b"1 ["),
        id="a gap before the address where others have none",
    ),
    pytest.param(
        VERDICT + b"\n", Dialect(peer_gap=b" "), VERDICT, id="no gap where others have one"
    ),
    pytest.param(
        VERDICT.replace(b"B0000000007", ZERO_ID) + b"\n", Dialect(no_id=b""),
        VERDICT.replace(b"B0000000007", ZERO_ID), id="no id, written as others do not",
    ),
    pytest.param(VERDICT + b"\n", Dialect(no_id=b""), None, id="none where there is an id"),
    pytest.param(
        VERDICT.replace(b"a@", b"\x8e\x52@") + b"\n", Dialect(),
        VERDICT.replace(b"a@", b"\x8e\x52@"),
        id="a CP932 sender",
    ),
    pytest.param(
        VERDICT.replace(b"a@", "山@".encode()) + b"\n", Dialect(), None, id="none of UTF-8"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("block", "dialect", "raw"), RAW)
def test_the_bytes_a_line_keeps(block: bytes, dialect: Dialect, raw: bytes | None) -> None:
    assert scan(block + PADDING, dialect, TOKYO)["raw"].to_pylist() == [raw]
    assert_exact(block, dialect, TOKYO)


def test_nothing_is_no_line() -> None:
    assert scan(PADDING, Dialect(), TOKYO).num_rows == 0


def test_a_line_of_a_megabyte_among_others() -> None:
    long = VERDICT.replace(b"a@", b"[,<])" * 200_000 + b"@")
    assert_exact(b"\n".join([ACCEPT, long, VERDICT, long[:-1], ACCEPT, b""]), Dialect(), TOKYO)


def test_a_block_too_large_to_be_scanned_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transforms.scanner._MOST_BYTES", 100)
    for end in (b"\n", b"\r\n"):
        assert_exact(b"".join(line + end for line in LINES.values()), Dialect(end), TOKYO)


def test_a_block_may_hold_more_clients_and_hours_than_caches_do() -> None:
    block = b"".join(
        b"[%02d/Jun/%04d:%02d:00:01], (mx1), [10.%d.%d.%d]:25, Client accept now.\n"
        % (n % 30 + 1, n % 9999 + 1, n % 24, n >> 16, n >> 8 & 255, n & 255)
        for n in range(70_000)
    )
    assert_exact(block, Dialect(), TOKYO)
