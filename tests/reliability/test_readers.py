"""While all is replaced readers see whole partitions, wholly old or wholly new."""

import errno
import io
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from flows.discover import discover
from flows.errors import LakeError
from flows.export import export_log
from flows.ingest import ingest_events
from flows.lake import Key, Lake
from flows.query import Format, query
from flows.store import LocalStore, Pinned
from flows.verify import verify_lake
from tests.reliability.readers import Way, watch

SECONDS = 10
"""`python -m tests.reliability.readers` watches for longer."""

KEY = Key("MX1", date(2025, 6, 1))
ACCEPT = b"[01/Jun/2025:09:00:01], (mx1.example.jp), [192.0.2.1]:25, Client accept now."
TORN = ACCEPT + b"\r\n" + ACCEPT[:50]
WHOLE = b"\n".join([ACCEPT] * 3) + b"\n"


def test_readers_only_ever_see_whole_partitions() -> None:
    report = watch(SECONDS)
    assert report.violations == []
    assert report.seen.keys() == set(Way)
    one_sided = [way for way, seen in report.seen.items() if len(seen.states) < 2]
    assert one_sided == [], "each saw partitions of both states"


class Interrupted(LocalStore):
    """A store in which something happens just before a certain file is opened."""

    def __init__(self, folder: Path, opening: int, event: Callable[[], None]) -> None:
        super().__init__(folder)
        self._events = {opening: event}
        self._opened = 0

    def open(self, path: str) -> pa.NativeFile:
        self._happen()
        return super().open(path)

    def pin(self, path: str) -> Pinned:
        self._happen()
        return super().pin(path)

    def _happen(self) -> None:
        self._events.pop(self._opened, lambda: None)()
        self._opened += 1


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], None]:
    """Puts a log into the lake at `tmp_path`/lake."""
    log = tmp_path / "acceptlog" / "MX1" / "250601.log"
    log.parent.mkdir(parents=True)
    store = LocalStore(tmp_path / "lake")

    def write(content: bytes) -> None:
        log.write_bytes(content)
        [day] = discover(tmp_path).days
        ingest_events(Lake(store), day, ZoneInfo("Asia/Tokyo"), lambda _: None, allow_shrink=True)

    return write


@pytest.mark.parametrize("opening", range(3))
def test_a_log_is_given_back_whole_though_it_is_replaced_meanwhile(
    tmp_path: Path, write: Callable[[bytes], None], opening: int
) -> None:
    write(TORN)
    lake = Lake(Interrupted(tmp_path / "lake", opening, lambda: write(WHOLE)))
    assert b"".join(export_log(lake, KEY)) in (TORN, WHOLE)


@pytest.mark.parametrize("opening", range(4))
def test_a_partition_replaced_meanwhile_is_not_taken_for_a_damaged_one(
    tmp_path: Path,
    write: Callable[[bytes], None],
    monkeypatch: pytest.MonkeyPatch,
    opening: int,
) -> None:
    write(TORN)
    store = Interrupted(tmp_path / "lake", opening, lambda: write(WHOLE))
    monkeypatch.setattr("flows.lake.store_at", lambda where: store)
    [finding] = verify_lake(str(tmp_path / "lake"), None, None)
    assert finding.is_good, finding.text


SQL = "select count(*) as n, count(*) filter (where kind = 'malformed') as torn from events"
SEEN = {b"n,torn\n2,1\n", b"n,torn\n3,0\n"}


def ask(store: LocalStore, sql: str = SQL) -> bytes:
    target = io.BytesIO()
    query(Lake(store), sql, target, Format.CSV)
    return target.getvalue()


@pytest.mark.parametrize("kept_open", [200, 0], ids=["as always", "nothing kept open"])
def test_a_query_sees_one_version_of_a_file_whenever_it_is_replaced(
    tmp_path: Path,
    write: Callable[[bytes], None],
    monkeypatch: pytest.MonkeyPatch,
    kept_open: int,
) -> None:
    monkeypatch.setattr("flows.reading._KEPT_OPEN", kept_open)
    sql = f"{SQL} union all {SQL}"  # which DuckDB reads one after the other
    given = set()
    for opening in range(6):
        write(TORN)
        answer = ask(Interrupted(tmp_path / "lake", opening, lambda: write(WHOLE)), sql)
        [first, second] = answer.splitlines()[1:]
        assert first == second
        given.add(b"n,torn\n" + first + b"\n")
    assert {b"n,torn\n3,0\n"} <= given <= SEEN


def test_a_query_that_never_gets_one_version_says_so(
    tmp_path: Path, write: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Restless(LocalStore):
        def pin(self, path: str) -> Pinned:
            pinned = super().pin(path)
            write(WHOLE)
            return pinned

    monkeypatch.setattr("flows.reading._KEPT_OPEN", 0)
    write(WHOLE)
    with pytest.raises(LakeError, match="was replaced while it was being read; once more will do"):
        ask(Restless(tmp_path / "lake"))


def test_the_writers_own_folders_may_vanish_while_a_query_looks_around(
    tmp_path: Path, write: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(WHOLE)
    (tmp_path / "lake" / ".scratch-x").mkdir()
    scandir = os.scandir

    def vanishing(path: str | Path) -> object:
        if ".scratch-x" in str(path):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", vanishing)
    assert ask(LocalStore(tmp_path / "lake")) in SEEN


def test_what_cannot_be_read_is_said_without_a_traceback(
    tmp_path: Path, write: Callable[[bytes], None]
) -> None:
    class Failing(LocalStore):
        def pin(self, path: str) -> Pinned:
            raise OSError(errno.EIO, "Input/output error", path)

    write(WHOLE)
    with pytest.raises(OSError, match=r"^\[Errno 5\] Input/output error: 'events/[^\n]*$"):
        ask(Failing(tmp_path / "lake"))
