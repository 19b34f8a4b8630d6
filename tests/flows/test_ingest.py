"""Real files into a real lake and back out: whatever a log holds, the lake gives it back."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import flows.source
import flows.write
from flows.discover import discover
from flows.errors import ShrunkError, SourceError
from flows.export import export_log, first_difference, reproduces
from flows.ingest import ingest_events, ingest_pairs
from flows.lake import Key, Lake, TableName, path_of
from flows.ledger import Entry
from flows.simulate import Edition, Plan, simulate
from transforms.grammar import Fault
from transforms.schemas import EVENTS

TOKYO = ZoneInfo("Asia/Tokyo")
DAY = date(2017, 11, 30)
KEY = Key("MX1", DAY)
ACCEPT = b"[30/Nov/2017:09:00:01], (mx1.example.jp), [192.0.2.1]:25, Client accept now."
VERDICT = b"[30/Nov/2017:09:00:02], (mx1.example.jp), 192.0.2.1[192.0.2.1], a@b.jp,<B0000000007>,ok"
LOG = b"".join(line + b"\r\n" for line in (ACCEPT, VERDICT, ACCEPT))


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A new lake, locked."""
    new = Lake.at(str(tmp_path / "lake"))
    with new.lock():
        yield new


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The computer folder of a server, empty."""
    path = tmp_path / "work" / "acceptlog" / "MX1"
    path.mkdir(parents=True)
    return path


def ingest(lake: Lake, folder: Path, *, allow_shrink: bool = False) -> Entry:
    """Ingest the one day that the folder holds."""
    [day] = discover(folder.parents[1]).days
    read: list[int] = []

    entry = ingest_events(lake, day, TOKYO, read.append, allow_shrink=allow_shrink)
    assert sum(read) == entry.bytes
    assert lake.entry(Key(day.host, day.date)) == entry
    return entry


def exported(lake: Lake, key: Key = KEY) -> bytes:
    return b"".join(export_log(lake, key))


def events(lake: Lake, key: Key = KEY) -> pa.Table:
    with lake.open(TableName.EVENTS, key) as file:
        return file.read()


SHAPES = {
    "a file": LOG,
    "empty": b"",
    "only a line end": b"\r\n",
    "only a torn line": b"[30/Nov/2017:09:0",
    "only a torn line that is a line": ACCEPT,
    "only a carriage return": b"\r",
    "torn within CR LF": LOG + VERDICT + b"\r",
    "torn after LF": LOG.replace(b"\r\n", b"\n") + VERDICT[:50],
    "mixed line ends": LOG + LOG.replace(b"\r\n", b"\n") + b"\r\r\n\n",
    "blank lines": b"\n\n \n\t\r\n" + LOG + b"\r\n\r\n",
    "one NUL": b"\0",
    "NUL bytes": LOG + b"\0" * 5_000 + LOG + VERDICT.replace(b"a@", b"a\0") + b"\r\n",
    "a 1 MB line": LOG + VERDICT.replace(b"a@", b"a" * (1 << 20) + b"@") + b"\r\n" + LOG,
    "a 1 MB torn line": LOG + b"[x](" * (1 << 18),
    "a 9 MB line, longer than two blocks": b"y" * (9 << 20) + b"\n" + LOG,
    "a byte order mark": b"\xef\xbb\xbf" + LOG,
    "CP932 and UTF-8 senders": VERDICT.replace(b"a@", "営業@".encode())
    + b"\n"
    + VERDICT.replace(b"a@", "営業@".encode("cp932"))
    + b"\n",
    "bytes that are neither": VERDICT.replace(b"a@", b"\x81\xff\x81@") + b"\n",
    "2007 in a file of 2017": VERDICT.replace(b"2017", b"2007") + b"\r\n" + LOG,
    "29 Feb 2017": ACCEPT.replace(b"30/Nov", b"29/Feb") + b"\r\n",
    "an unknown month": ACCEPT.replace(b"Nov", b"Mai") + b"\r\n",
    "the first and the last year": ACCEPT.replace(b"2017", b"0001")
    + b"\n"
    + ACCEPT.replace(b"2017", b"9999")
    + b"\n",
    "impossible ports": ACCEPT.replace(b"]:25", b"]:0")
    + b"\n"
    + ACCEPT.replace(b"]:25", b"]:99999")
    + b"\n",
    "a forged line in an AUTH user": VERDICT.replace(
        b"a@b.jp,", b"AUTH-PLAIN:x\r\n" + VERDICT + b"\r\ny [failed],"
    )
    + b"\r\n",
    "a build without ids": VERDICT.replace(b"<B0000000007>,ok", b"<>,abort") + b"\n",
    "a build without ids, null sender last": VERDICT.replace(
        b"a@b.jp,<B0000000007>,ok", b",<>,abort"
    ),
    "no log at all": bytes(range(256)) * 500,
}


@pytest.mark.parametrize("suffix", [".log", ".log.gz", ".log.zst", ".LOG", ".LOG.GZ"])
@pytest.mark.parametrize("content", [pytest.param(log, id=name) for name, log in SHAPES.items()])
def test_a_log_comes_back_byte_for_byte(
    lake: Lake, folder: Path, content: bytes, suffix: str
) -> None:
    write_log(folder / f"171130{suffix}", content)
    entry = ingest(lake, folder)
    assert exported(lake) == content
    assert reproduces(lake, KEY)
    assert entry.lines == content.count(b"\n") + entry.is_torn
    assert entry.is_torn == (content != b"" and not content.endswith(b"\n"))
    kinds = entry.accepts, entry.verdicts, entry.debug, entry.blank, entry.malformed
    assert sum(kinds) == entry.lines == len(events(lake))
    assert events(lake)["line_no"].to_pylist() == list(range(1, entry.lines + 1))


def write_log(path: Path, content: bytes) -> None:
    if path.suffix.lower() == ".gz":
        path.write_bytes(gzip.compress(content))
    elif path.suffix.lower() == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as packed:
            packed.write(content)
    else:
        path.write_bytes(content)


def test_what_a_log_says_is_in_its_columns(lake: Lake, folder: Path) -> None:
    write_log(folder / "171130.log", LOG + b"junk\r\n\r\n <>, [QUIT]\r\n")
    entry = ingest(lake, folder)
    assert (entry.line_end, entry.peer_gap, entry.no_id) == ("\r\n", "", "B0000000000")
    table = events(lake)
    assert table.schema.equals(EVENTS.remove_metadata())
    assert table["kind"].to_pylist() == [
        "accept", "verdict", "accept", "malformed", "blank", "debug",
    ]  # fmt: skip
    assert table["raw"].to_pylist() == [None, None, None, b"junk", None, b" <>, [QUIT]"]
    assert table["parse_error"].to_pylist()[3] == Fault.NO_STAMP
    assert table["ts"].to_pylist()[1] == datetime(2017, 11, 30, 9, 0, 2)
    assert table["ts_utc"].cast(pa.int64()).to_pylist()[1] == 1_512_000_002_000_000


@pytest.mark.parametrize("block_bytes", [1, 50, 1_000])
@pytest.mark.parametrize("rows", [1, 3, 1_000])
def test_blocks_and_row_groups_may_end_anywhere(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, rows: int
) -> None:
    monkeypatch.setattr(flows.source, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(flows.write, "ROW_GROUP_ROWS", rows)
    lines = [ACCEPT, VERDICT, b"junk", VERDICT.replace(b"a@", b"\x8e\x52@"), b"", VERDICT[:60]]
    content = b"\r\n".join(lines)
    write_log(folder / "171130.log", content)
    ingest(lake, folder)
    assert reproduces(lake, KEY)
    assert exported(lake) == content
    with lake.open(TableName.EVENTS, KEY) as file:
        assert file.num_row_groups == -(-len(lines) // rows)


def test_ingesting_twice_gives_the_same_table(lake: Lake, folder: Path) -> None:
    write_log(folder / "171130.log", LOG)
    first, before = ingest(lake, folder), events(lake)
    again = ingest(lake, folder)
    assert again == replace(first, ingested_at=again.ingested_at)
    assert events(lake).equals(before)


@pytest.mark.parametrize("cut", [0, 1, 30, len(ACCEPT), len(ACCEPT) + 1, len(ACCEPT) + 2, -1])
def test_a_log_may_grow_from_anywhere(lake: Lake, folder: Path, cut: int) -> None:
    write_log(folder / "171130.log", LOG[:cut])
    ingest(lake, folder)
    write_log(folder / "171130.log", LOG)
    assert ingest(lake, folder).bytes == len(LOG)
    assert exported(lake) == LOG


SHRUNK = {
    "cut by a line": (LOG[: -len(ACCEPT) - 2], "became shorter"),
    "cut within a line": (LOG[:-5], "became shorter"),
    "emptied": (b"", "became shorter"),
    "another beginning": (b"x" + LOG[1:] + LOG, "changed in what was already ingested"),
    "another byte": (LOG.replace(b"a@b", b"A@b"), "changed in what was already ingested"),
    "other line ends": (LOG.replace(b"\r\n", b"\n") * 2, "changed in what was already ingested"),
}


@pytest.mark.parametrize(
    ("content", "reason"), [pytest.param(*case, id=name) for name, case in SHRUNK.items()]
)
def test_a_log_replaced_by_a_shorter_one_leaves_the_lake_as_it_was(
    lake: Lake, folder: Path, content: bytes, reason: str
) -> None:
    write_log(folder / "171130.log", LOG)
    entry = ingest(lake, folder)
    write_log(folder / "171130.log", content)
    with pytest.raises(ShrunkError, match=f"MX1 2017-11-30: '171130.log' {reason}: .*line [123] "):
        ingest(lake, folder)
    assert lake.entry(KEY) == entry
    assert exported(lake) == LOG
    stored = Path(lake.store.root, path_of(TableName.EVENTS, KEY))
    assert list(stored.parent.iterdir()) == [stored]
    assert ingest(lake, folder, allow_shrink=True).bytes == len(content)
    assert exported(lake) == content


@pytest.mark.parametrize(
    ("plain", "packed"),
    [
        pytest.param(LOG, LOG, id="equal"),
        pytest.param(LOG, LOG[:100], id="the plain one grew"),
        pytest.param(LOG[:100], LOG, id="the packed one holds more"),
        pytest.param(b"", LOG, id="the plain one was emptied"),
    ],
)
def test_of_a_log_and_its_compressed_copy_the_longer_is_taken(
    lake: Lake, folder: Path, plain: bytes, packed: bytes
) -> None:
    write_log(folder / "171130.log", plain)
    write_log(folder / "171130.log.gz", packed)
    ingest(lake, folder)
    assert exported(lake) == LOG
    assert lake.keys(TableName.EVENTS) == [KEY]


def test_three_copies_of_a_log_are_one_log(lake: Lake, folder: Path) -> None:
    for suffix, content in ((".log", LOG[:90]), (".log.gz", LOG), (".log.zst", LOG[:5])):
        write_log(folder / f"171130{suffix}", content)
    ingest(lake, folder)
    assert exported(lake) == LOG


def test_a_log_and_a_compressed_one_that_contradict_each_other_are_refused(
    lake: Lake, folder: Path
) -> None:
    write_log(folder / "171130.log", LOG)
    write_log(folder / "171130.log.gz", LOG.replace(b"a@b", b"c@b") + LOG)
    with pytest.raises(SourceError, match=r"contradict each other: line 2 was .*a@b.* is .*c@b"):
        ingest(lake, folder)
    assert lake.entry(KEY) is None


def test_the_compressed_log_that_replaces_a_plain_one_changes_nothing(
    lake: Lake, folder: Path
) -> None:
    write_log(folder / "171130.log", LOG)
    ingest(lake, folder)
    (folder / "171130.log").unlink()
    write_log(folder / "171130.log.gz", LOG)
    assert ingest(lake, folder).bytes == len(LOG)
    assert exported(lake) == LOG


def test_a_gzip_file_of_several_members_is_one_log(lake: Lake, folder: Path) -> None:
    (folder / "171130.log.gz").write_bytes(gzip.compress(LOG) + gzip.compress(LOG))
    ingest(lake, folder)
    assert exported(lake) == LOG + LOG


@pytest.mark.parametrize("suffix", [".log.gz", ".log.zst"])
@pytest.mark.parametrize("cut", [1, 5, 20, 60, -12, -9, -8, -1])
def test_a_compressed_log_that_is_cut_is_refused(
    lake: Lake, folder: Path, suffix: str, cut: int
) -> None:
    path = folder / f"171130{suffix}"
    write_log(path, LOG)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SourceError, match=r"no whole (gzip|zstd) file.* the next run will take it"):
        ingest(lake, folder)
    assert lake.entry(KEY) is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(LOG, id="no gzip file"),
        pytest.param(gzip.compress(LOG)[:-8] + bytes(8), id="wrong checksum"),
        pytest.param(gzip.compress(LOG) + LOG, id="a log after it"),
        pytest.param(
            gzip.compress(LOG)[:40] + b"\xff" + gzip.compress(LOG)[41:], id="a wrong byte"
        ),
    ],
)
def test_a_damaged_compressed_log_is_refused(lake: Lake, folder: Path, content: bytes) -> None:
    (folder / "171130.log.gz").write_bytes(content)
    with pytest.raises(SourceError, match="no whole gzip file"):
        ingest(lake, folder)
    assert lake.entry(KEY) is None


def test_a_log_that_shrinks_while_it_is_read_is_refused(lake: Lake, folder: Path) -> None:
    write_log(folder / "171130.log", LOG)
    [day] = discover(folder).days
    write_log(folder / "171130.log", LOG[:10])
    with pytest.raises(SourceError, match="became shorter while it was read"):
        ingest_events(lake, day, TOKYO, lambda *_: None)
    assert lake.entry(KEY) is None


def test_what_is_appended_while_a_log_is_read_waits_for_the_next_run(
    lake: Lake, folder: Path
) -> None:
    write_log(folder / "171130.log", LOG)
    [day] = discover(folder).days
    write_log(folder / "171130.log", LOG + LOG)
    assert ingest_events(lake, day, TOKYO, lambda *_: None).bytes == len(LOG)
    assert exported(lake) == LOG


def test_a_line_that_never_ends_is_no_log(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows.source, "LONGEST_LINE", 1 << 20)
    write_log(folder / "171130.log", LOG + b"x" * (9 << 20))
    with pytest.raises(SourceError, match="this is no acceptlog"):
        ingest(lake, folder)


def test_a_difference_of_logs_names_the_line_and_quotes_both() -> None:
    was, now = [b"one\ntwo\r\n", b"three\n"], [b"one\n", b"two\r\nfour\n"]
    assert first_difference(was, now) == "line 3 was 'three' and is 'four'"
    assert first_difference(was, now[:1]) == "line 2 was 'two' and is missing"
    assert first_difference(was, was) == "no line differs"
    assert r"\x1b" in first_difference([b"\x1b[2J\n"], [b"\n"])


@pytest.mark.parametrize("edition", Edition)
def test_a_simulated_tree_comes_back_whole(lake: Lake, tmp_path: Path, edition: Edition) -> None:
    plan = Plan(edition=edition, days=2, connections_per_day=2_000, hostility=0.05, seed=5)
    summary = simulate(tmp_path / "mail", plan, truth=False)
    entries = [
        ingest_events(lake, day, TOKYO, lambda *_: None) for day in discover(tmp_path / "mail").days
    ]
    for path, entry in zip(summary.files, entries, strict=True):
        assert exported(lake, Key(entry.host, entry.date)) == path.read_bytes()
    assert sum(entry.lines for entry in entries) == summary.lines
    assert sum(entry.accepts for entry in entries) == summary.accepts
    assert sum(entry.verdicts for entry in entries) == sum(summary.verdicts.values())
    assert sum(entry.malformed for entry in entries) == summary.malformed


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_derived_tables_do_not_depend_on_row_groups_or_the_order_of_days(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[int]
) -> None:
    """4.AN, whose verdicts of before midnight are in the next day's file."""
    plan = Plan(edition=Edition.WIN_4AN, days=2, connections_per_day=1_000, hostility=0.02, seed=9)
    simulate(tmp_path / "mail", plan, truth=False)
    days = discover(tmp_path / "mail").days
    other = Lake.at(str(tmp_path / "other"))
    for target, numbers, rows in ((other, range(3), 1 << 18), (lake, order, 300)):
        monkeypatch.setattr(flows.write, "ROW_GROUP_ROWS", rows)
        for number in numbers:
            ingest_events(target, days[number], TOKYO, lambda *_: None)
        entries = {
            day.date: entry for day in days if (entry := target.entry(Key(day.host, day.date)))
        }
        for number in numbers:
            ingest_pairs(target, Key(days[number].host, days[number].date), entries)
    for table in (TableName.VERDICTS, TableName.CONNECTIONS, TableName.HOURLY_COUNTS):
        for day in days:
            path = path_of(table, Key(day.host, day.date))
            stored, expected = (
                pq.read_table(Path(each.store.root, path), partitioning=None)
                for each in (lake, other)
            )
            assert stored.equals(expected)
    # One of the connections of the second day got verdicts that are in the third day's file.
    answered = pq.read_table(
        Path(lake.store.root, path_of(TableName.VERDICTS, Key(days[2].host, days[2].date))),
        partitioning=None,
    )
    assert any(str(days[1].date) in (each or "") for each in answered["connection_id"].to_pylist())
