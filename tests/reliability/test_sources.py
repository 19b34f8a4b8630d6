"""Whatever a source holds, nothing that is in the lake is lost, and the other logs are taken."""

import ctypes
import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from flows import night
from flows.discover import LogDay
from flows.errors import SourceError
from flows.export import export_log
from flows.ingest import BLOCKS_AHEAD, replay_events
from flows.lake import Key, Lake, TableName
from flows.night import Night, State, Unwatched
from flows.source import BLOCK_BYTES, Log
from tests.reliability.harness import (
    COMMAND,
    PEAK,
    Finished,
    acceptlake,
    damage,
    environment,
    partitions,
    strays,
)

ACCEPT = "[01/Jun/2025:09:00:{:02}], (mx1.example.jp), [192.0.2.1]:25, Client accept now.\r\n"
LINES = [ACCEPT.format(second).encode() for second in range(40)]
LOG = b"".join(LINES[:20])
GROWN = b"".join(LINES[:30])
DAY = date(2025, 6, 1)
OTHER_DAY = date(2025, 6, 2)
KIB_OF_MEMORY = 800_000
"""More than an ingest needs, less than what the bombs take if they are let."""


@dataclass
class Place:
    """A mail work folder and a lake."""

    folder: Path
    watch: night.Watch = field(default_factory=Unwatched)

    @property
    def source(self) -> Path:
        return self.folder / "mail"

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def log(self, name: str = "250601.log", host: str | bytes = "MX1") -> Path:
        """The path of a log; its folder is there."""
        path = self.source / "acceptlog" / os.fsdecode(host) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def ingest(self, *, allow_shrink: bool = False) -> Night:
        """A night's work in this process."""
        request = night.Request(self.source, str(self.lake), allow_shrink=allow_shrink)
        return night.run(request, night.threads, self.watch)

    def command(self, *words: str | Path) -> Finished:
        """The same by the command."""
        return acceptlake("ingest", "--direct", self.source, "--lake", self.lake, *words)

    def command_measured(self) -> subprocess.CompletedProcess[str]:
        """The same, with the KiB that it took at most instead of what it says."""
        ingest = [COMMAND, "ingest", "--direct", self.source, "--lake", self.lake]
        measured = [sys.executable, "-c", PEAK, *ingest]
        return subprocess.run(measured, capture_output=True, text=True, env=environment())

    def exported(self, day: date = DAY, host: str = "MX1") -> bytes:
        return b"".join(export_log(Lake.at(str(self.lake)), Key(host, day)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def only_error(result: Night) -> str:
    """The one error of a night."""
    [error] = [outcome.error for outcome in result.outcomes if outcome.error is not None]
    return error


SHRUNK = {
    "shorter": (b"".join(LINES[:15]), "became shorter", "line 16 was '[01/Jun/2025:09:00:15]"),
    "torn": (LOG[:-30], "became shorter", "line 20 was '[01/Jun/2025:09:00:19]"),
    "empty": (b"", "became shorter", "line 1 was '[01/Jun/2025:09:00:00]"),
    "changed": (LOG.replace(b":09]", b":59]"), "changed", "line 10 was '[01/Jun/2025:09:00:09]"),
    "changed and longer": (LINES[39] + GROWN, "changed", "line 1 was '[01/Jun/2025:09:00:00]"),
    "of another kind": (b"\x1b]0;hello\x07\n", "became shorter", r"is '\x1b]0;hello\x07'"),
}


@pytest.mark.parametrize(("content", "change", "where"), SHRUNK.values(), ids=list(SHRUNK))
def test_a_log_that_lost_lines_does_not_replace_its_partition(
    place: Place, content: bytes, change: str, where: str
) -> None:
    place.log().write_bytes(LOG)
    place.log("250602.log").write_bytes(LOG)
    assert place.ingest().is_good
    old = partitions(place.lake)

    place.log().write_bytes(content)
    place.log("250602.log").write_bytes(GROWN)
    error = only_error(place.ingest())
    assert change in error
    assert f"{len(LOG)} bytes" in error
    assert str(len(content)) in error
    assert where in error
    assert error.isprintable()
    events = f"events/host=MX1/date={DAY}/events.parquet"
    assert partitions(place.lake)[events] == old[events]
    assert place.exported() == LOG
    assert place.exported(OTHER_DAY) == GROWN, "the other log goes on"

    assert place.ingest(allow_shrink=True).is_good
    assert place.exported() == content
    assert strays(place.lake) == []


def test_the_command_says_what_was_lost_and_what_to_do(place: Place) -> None:
    place.log().write_bytes(LOG)
    assert place.command().code == 0
    place.log().write_bytes(LOG[:1_000])
    place.log("250602.log").write_bytes(GROWN)
    done = place.command()
    assert done.code == 1
    assert not done.has_traceback
    assert "--allow-shrink" in done.err.decode()
    assert "line 13 was" in done.err.decode()
    assert place.exported() == LOG
    assert place.exported(OTHER_DAY) == GROWN
    assert place.command("--allow-shrink").code == 0
    assert place.exported() == LOG[:1_000]


def test_a_source_that_vanished_keeps_its_partition(place: Place) -> None:
    for name in ("250601.log", "250602.log"):
        place.log(name).write_bytes(LOG)
    place.log(host="MX2").write_bytes(LOG)
    assert place.ingest().is_good
    old = partitions(place.lake)

    place.log().unlink()
    place.log(host="MX2").unlink()
    place.log(host="MX2").parent.rmdir()
    result = place.ingest()
    assert result.is_good
    assert partitions(place.lake) == old
    assert place.exported() == place.exported(host="MX2") == LOG

    place.log("250602.log").unlink()
    with pytest.raises(SourceError, match="no acceptlog files"):
        place.ingest()
    assert partitions(place.lake) == old


@pytest.mark.parametrize("packed", [LOG, GROWN, b""], ids=["older", "newer", "empty"])
def test_of_a_log_and_its_compressed_copy_the_longer_is_taken(place: Place, packed: bytes) -> None:
    plain = b"".join(LINES[:25])
    place.log().write_bytes(plain)
    place.log("250601.log.gz").write_bytes(gzip.compress(packed))
    assert place.ingest().is_good
    assert place.exported() == max(plain, packed, key=len)
    place.log().unlink()
    assert place.ingest().is_good is (len(packed) > len(plain)), "else it would be a loss"
    assert place.exported() == max(plain, packed, key=len)


def test_a_compressed_copy_that_says_otherwise_fails_for_its_day_only(place: Place) -> None:
    place.log().write_bytes(LOG)
    place.log("250601.log.gz").write_bytes(gzip.compress(LINES[0] + LINES[39] + LINES[2]))
    place.log("250602.log").write_bytes(GROWN)
    error = only_error(place.ingest())
    assert "'250601.log' and '250601.log.gz' contradict each other" in error or (
        "'250601.log.gz' and '250601.log' contradict each other" in error
    )
    assert "line 2 was" in error
    assert [key.date for key in Lake.at(str(place.lake)).keys(TableName.EVENTS)] == [OTHER_DAY]


NAMES: dict[str, str] = {
    name: name
    for name in (
        "..x", "...", ".x", "-n", "--help", "~", "$HOME", "`id`", "%", "%2F", "%252F", "a%2Fb",
        "a=b", "host=*", "host=MX9", "date=2025-01-01", "[x]", "*", "?", "**", "{a,b}", "a\\b",
        "'; drop table x --", '"', "a\nb", "\x1b[31mred", "\x9b31m", "\x7f", "\u202egnp", "\ufeff",
        "1", "007", "1e5", "2025-06-01", "true", "NULL", "__HIVE_DEFAULT_PARTITION__", "_x",
        "x.", "x..", " x", "x ", "CON", "mx1", "MX1", "é", "e\u0301", "日本語のサーバー", "😀",
        "a#b?c", "a&b+c", "a:b", "<x>|y", "events.parquet", "250601.log.d", "a" * 200,
    )
}  # fmt: skip
"""Computer folders, none of which is one of a mail server."""
UNREADABLE_NAMES = {b"\x89\x63\x8b\xc6": "営業", b"\xff\xfe": None}
"""Folders whose names are CP932, and nothing valid."""


def test_a_host_is_what_its_folder_is_called_however_hostile(place: Place) -> None:
    logs = {host: LOG + host.encode().replace(b"\n", b"") + b"\r\n" for host in NAMES}
    for host, content in logs.items():
        place.log(host=host).write_bytes(content)
    done = place.command("--json")
    assert done.code == 0, done.text
    assert done.raw_controls == set()
    assert sorted(path.name for path in place.folder.iterdir()) == ["lake", "mail"]
    assert list(damage(place.lake)) == []
    assert strays(place.lake) == []
    with duckdb.connect(place.lake / "catalog.duckdb", read_only=True) as connection:
        for table in ("events", "connections", "hourly_counts", "ingested_files"):
            rows = connection.execute(f"select distinct host from {table}").fetchall()
            assert sorted(host for (host,) in rows) == sorted(logs), table
    for host, content in logs.items():
        assert place.exported(host=host) == content
    again = place.ingest()
    assert again.count(State.UNCHANGED) == len(logs)
    assert again.paired == 0


@pytest.mark.parametrize("host", ["..", "../../outside", "/outside", "a/../..", "~root"])
def test_a_host_that_is_named_cannot_lead_out_of_the_lake(place: Place, host: str) -> None:
    log = place.folder / "250601.log"
    log.write_bytes(LOG)
    request = night.Request(log, str(place.lake), host=host)
    assert night.run(request, night.threads, Unwatched()).is_good
    assert sorted(path.name for path in place.folder.iterdir()) == ["250601.log", "lake"]
    assert len(list(place.lake.glob("events/*/*/events.parquet"))) == 1
    assert place.exported(host=host) == LOG


def test_a_folder_whose_name_is_no_utf_8_is_a_host_too(place: Place) -> None:
    for host in UNREADABLE_NAMES:
        place.log(host=host).write_bytes(LOG)
    done = place.command()
    assert done.code == 0, done.text
    assert done.raw_controls == set()
    assert place.exported(host="営業") == LOG
    assert len(Lake.at(str(place.lake)).keys(TableName.EVENTS)) == len(UNREADABLE_NAMES)


def test_a_host_name_too_long_for_a_folder_of_the_lake_is_no_obstacle(place: Place) -> None:
    place.log(host="x" * 255).write_bytes(LOG)
    place.log(host=" " * 100).write_bytes(LOG)
    place.log(host="MX1").write_bytes(LOG)
    done = place.command()
    assert done.code == 1
    assert not done.has_traceback
    assert done.err.decode().count("File name too long") == 2
    assert place.exported() == LOG


def test_what_only_looks_like_a_log_is_refused_with_its_reason(place: Place) -> None:
    outside = place.folder / "outside"
    (outside / "MX8").mkdir(parents=True)
    (outside / "MX8" / "250601.log").write_bytes(b"secret\n")
    (outside / "250603.log").write_bytes(b"secret\n")
    place.log().write_bytes(LOG)
    place.log("250604.log").symlink_to("250601.log")
    refused = {
        place.log("250602.log"): "not a regular file",
        place.log("250603.log"): "leads out of the source",
        place.log("250605.log"): "cannot be looked at",
        place.log("250606.log"): "cannot be looked at",
        place.log("250607.log"): "not a regular file",
        place.log("251301.log"): "there is no day 251301",
        place.source / "acceptlog" / "MX8" / "250601.log": "leads out of the source",
    }
    os.mkfifo(place.log("250602.log"))
    place.log("250603.log").symlink_to(outside / "250603.log")
    place.log("250605.log").symlink_to("nowhere")
    place.log("250606.log").symlink_to("250606.log")
    place.log("250607.log").mkdir()
    place.log("251301.log").write_bytes(LOG)
    (place.source / "acceptlog" / "MX8").symlink_to(outside / "MX8")
    done = place.command()
    assert done.code == 1
    assert not done.has_traceback
    said = done.err.decode().splitlines()
    for path, reason in refused.items():
        assert any(str(path) in line and reason in line for line in said), path
    proof = acceptlake("verify", place.source, "--lake", place.lake)
    assert proof.code == 1
    for path, reason in refused.items():
        assert f"{path}: " in proof.err.decode()
        assert reason in proof.err.decode()
    assert place.exported() == place.exported(date(2025, 6, 4)) == LOG
    assert len(Lake.at(str(place.lake)).keys(TableName.EVENTS)) == 2


def without_a_right_to_everything() -> None:
    """In a child: root may read any file, unless it gives that up."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # DAC_OVERRIDE and DAC_READ_SEARCH
        if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
            os._exit(99)


def test_what_cannot_be_read_fails_and_the_rest_is_taken(place: Place) -> None:
    place.log().write_bytes(LOG)
    assert place.ingest().is_good
    place.log().write_bytes(GROWN)
    place.log().chmod(0)
    place.log("250602.log").write_bytes(LOG)
    place.log(host="MX2").write_bytes(LOG)
    place.log(host="MX2").parent.chmod(0)
    is_root = sys.platform == "linux" and os.geteuid() == 0
    try:
        done = subprocess.run(
            [COMMAND, "ingest", "--direct", place.source, "--lake", place.lake],
            capture_output=True,
            env=environment(),
            preexec_fn=without_a_right_to_everything if is_root else None,
        )
    finally:
        place.log().chmod(0o600)
        (place.source / "acceptlog" / "MX2").chmod(0o700)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert said.count("Permission denied") == 2
    assert place.exported() == LOG
    assert place.exported(OTHER_DAY) == LOG
    assert place.ingest().is_good
    assert place.exported() == GROWN
    assert place.exported(host="MX2") == LOG


@pytest.mark.parametrize(
    ("member", "members", "code"),
    [
        (b"a" * (16 << 20), 256, 1),
        ((b"a" * (1 << 20) + b"\n") * 16, 64, 0),
        (b"\n" * (2 << 20), 1, 0),
    ],
    ids=["one line of 4 GiB", "1024 lines of a MiB", "millions of line ends"],
)
def test_a_bomb_does_not_eat_the_memory(
    place: Place, member: bytes, members: int, code: int
) -> None:
    place.log("250601.log.gz").write_bytes(gzip.compress(member) * members)
    place.log("250602.log").write_bytes(LOG)
    done = place.command_measured()
    assert done.returncode == code, done.stderr
    assert ("a line of more than 256 MiB" in done.stderr) is (code == 1)
    assert int(done.stdout) < KIB_OF_MEMORY
    assert place.exported(OTHER_DAY) == LOG
    assert strays(place.lake) == []


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_compressed_file_that_is_not_whole_waits_for_the_next_night(
    place: Place, suffix: str
) -> None:
    whole = pa.compress(GROWN, "gzip" if suffix == "gz" else "zstd", asbytes=True)
    place.log().write_bytes(LOG)
    assert place.ingest().is_good
    place.log().unlink()
    for size in (len(whole) - 1, len(whole) // 2, 12, 1, 0):
        place.log(f"250601.log.{suffix}").write_bytes(whole[:size])
        place.log("250602.log").write_bytes(LOG + b"%d" % size)
        error = only_error(place.ingest(allow_shrink=True))
        assert "is no whole" in error
        assert place.exported() == LOG
        assert place.exported(OTHER_DAY).endswith(b"%d" % size)
    place.log(f"250601.log.{suffix}").write_bytes(whole)
    assert place.ingest().is_good
    assert place.exported() == GROWN


def test_control_characters_never_reach_a_terminal(place: Place) -> None:
    evil = "\x1b[2J\x07\x9b31m\u202e\x08"
    sender = f"[01/Jun/2025:09:00:01], (m{evil}), 192.0.2.1[192.0.2.1], a{evil}@b,<B0000000000>,ok"
    host = f"MX{evil}"
    place.log(host=host).write_bytes(LOG + sender.encode() + b"\r\n" + evil.encode() + b"\r\n")
    place.log("250602.log", host=host).mkdir()
    lake = ("--lake", place.lake)
    runs = [place.command()]
    questions = ("from events", "from malformed_lines", "from suspect_lines", f"select '{evil}'")
    runs += [acceptlake("sql", question, *lake) for question in questions]
    runs.append(acceptlake("sql", f'from "{evil}"', *lake))
    runs.append(acceptlake("verify", place.source, *lake))
    place.log(host=host).write_bytes(evil.encode() + LOG)
    runs.append(place.command())
    runs.append(acceptlake("verify", place.source, *lake))
    event_file = next(place.lake.glob("events/*/*/events.parquet"))
    event_file.write_bytes(event_file.read_bytes()[:-4])
    runs.append(acceptlake("verify", *lake))
    runs.append(acceptlake("ingest", "--direct", f"/nowhere/{evil}", *lake))
    runs.append(acceptlake("ingest", "--direct", place.source, "--lake", f"/dev/null/{evil}"))
    runs.append(acceptlake("ingest", "--direct", place.source, *lake, "--zone", evil))
    runs.append(acceptlake("export-log", *lake, "--host", evil, "--date", "2025-06-01"))
    assert [run.code for run in runs] == [1, 0, 0, 0, 0, 2, 1, 1, 1, 1, 2, 2, 2, 2]
    for run in runs:
        assert run.raw_controls == set(), run.text
        assert not run.has_traceback


class Meddling(Unwatched):
    """Does something to a log while it is read: when its first block was."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self._deeds = [deed]

    def read(self, day: LogDay, size: int) -> None:
        while self._deeds:
            self._deeds.pop()()


LONG = b"".join(LINES) * 100 + (b"x" * (BLOCK_BYTES - 1) + b"\n") * (BLOCKS_AHEAD + 2)
"""More than is read before the first block of it is done."""


def test_what_is_appended_to_a_log_while_it_is_read_is_for_the_next_night(place: Place) -> None:
    def append() -> None:
        with place.log().open("ab") as log:
            log.write(b"".join(LINES) * 100)

    place.log().write_bytes(LONG + LINES[0][:30])
    place.watch = Meddling(append)
    assert place.ingest().is_good
    assert place.exported() == LONG + LINES[0][:30]
    place.watch = Unwatched()
    assert place.ingest().count(State.INGESTED) == 1
    assert place.exported() == place.log().read_bytes()


def test_a_log_cut_while_it_is_read_changes_nothing(place: Place) -> None:
    place.log().write_bytes(LOG)
    assert place.ingest().is_good
    place.log().write_bytes(LOG + LONG)
    place.watch = Meddling(lambda: os.truncate(place.log(), 5 << 20))
    assert "became shorter while it was read" in only_error(place.ingest())
    assert place.exported() == LOG
    assert strays(place.lake) == []


def test_a_log_that_vanishes_before_it_is_read_fails_alone(place: Place) -> None:
    class Removing(Unwatched):
        def plan(self, days: Sequence[LogDay]) -> None:
            place.log().unlink()

    place.log().write_bytes(LOG)
    place.log("250602.log").write_bytes(LOG)
    place.watch = Removing()
    assert "No such file" in only_error(place.ingest())
    assert place.exported(OTHER_DAY) == LOG


def test_a_very_long_line_is_a_line(place: Place) -> None:
    content = LOG + b"[" * (200 << 20) + b"\r\n" + LOG
    place.log().write_bytes(content)
    done = place.command_measured()
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2 * KIB_OF_MEMORY
    assert place.exported() == content


def test_an_empty_log_is_a_log(place: Place) -> None:
    place.log().write_bytes(b"")
    place.log("250602.log.gz").write_bytes(gzip.compress(b""))
    assert place.ingest().is_good
    assert place.exported() == place.exported(OTHER_DAY) == b""


def test_how_a_log_is_cut_when_it_is_read_makes_no_difference() -> None:
    head = LINES[0].replace(b"\r\n", b"\n") * 3
    content = head + b"".join(LINES) * 3_000
    for size in (100, len(head), 1_000, 70_000, len(content)):
        chunks = (content[start : start + size] for start in range(0, 200_000, size))
        log = Log("cut", chunks)
        assert log.head(1 << 16) == content[: 1 << 16]
        assert b"".join(log.pieces()) == content[: -(-200_000 // size) * size]


def test_replay_reads_as_ingestion_did_whatever_the_first_block_was(place: Place) -> None:
    # Its first block ends before lines prevail that end otherwise.
    content = b"x\n" * (1 << 17) + LOG * 2_000
    place.log().write_bytes(content)
    place.log("250602.log.gz").write_bytes(gzip.compress(LINES[0]) + gzip.compress(content))
    assert place.ingest().is_good
    lake = Lake.at(str(place.lake))
    for day in (DAY, OTHER_DAY):
        key = Key("MX1", day)
        known = lake.entry(key)
        assert known is not None
        again = replay_events(lake, known, ZoneInfo("Asia/Tokyo"))
        assert again.dialect == known.dialect
        assert place.exported(day).endswith(content)


def test_bytes_of_no_encoding_come_back(place: Place) -> None:
    senders = [bytes([n]) for n in range(0x80, 0x100)] + [b"\x81\x40", b"\xfd\xfe", b"\xa0\x80"]
    content = b"".join(
        b"[01/Jun/2025:09:00:01], (mx), 192.0.2.1[192.0.2.1], " + sender + b",<B0000000001>,ok\r\n"
        for sender in senders
    )
    place.log().write_bytes(content)
    assert place.ingest().is_good
    assert place.exported() == content
    rows = acceptlake("sql", "select sender from verdicts", "--lake", place.lake)
    assert rows.raw_controls == set()
