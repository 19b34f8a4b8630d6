"""What Windows does differently, as far as it can be had elsewhere.

A file that is open cannot be replaced; names do not differ by case alone, and some are reserved;
there is no fork, no fcntl and nothing else of POSIX; paths have drive letters and backslashes.
"""

import nturl2path
import subprocess
import sys
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.discover import discover
from flows.errors import LakeError
from flows.export import export_log
from flows.ingest import ingest_events
from flows.lake import Key, Lake, folder_of
from flows.store import LocalStore, Pinned, store_at

DAY = date(2025, 6, 1)
ACCEPT = b"[01/Jun/2025:09:00:01], (mx1), [192.0.2.1]:25, Client accept now.\r\n"
RESERVED = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{name}{n}" for name in ("COM", "LPT") for n in "123456789"),
}
NOT_IN_NAMES = set('<>:"|?*\\/') | {chr(code) for code in range(32)}


class Held:
    """`os.replace` on Windows while a reader has the file open."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, source: Path, target: Path) -> None:
        if self.left:
            self.left -= 1
            raise PermissionError(13, "used by another process", str(source), 5, str(target))
        source.rename(target)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("flows.store.sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr("flows.store._REPLACE_PAUSE_S", 0)
    return monkeypatch


def replace(store: LocalStore, content: bytes) -> None:
    with store.replace("x") as path:
        path.write_bytes(content)


@pytest.mark.parametrize("times", [1, 49])
def test_a_file_held_by_a_reader_is_replaced_when_it_lets_go(
    windows: pytest.MonkeyPatch, tmp_path: Path, times: int
) -> None:
    store = LocalStore(tmp_path)
    replace(store, b"old")
    windows.setattr("os.replace", Held(times))
    replace(store, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"new"


def test_a_file_held_for_good_stays_as_it_is(windows: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    replace(store, b"old")
    windows.setattr("os.replace", Held(50))
    with pytest.raises(PermissionError):
        replace(store, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_elsewhere_a_refused_replacement_is_no_matter_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(2)
    monkeypatch.setattr("os.replace", held)
    with pytest.raises(PermissionError):
        replace(LocalStore(tmp_path), b"new")
    assert held.left == 1


class CaseBlind(LocalStore):
    """A folder in which names that differ only in case are one."""

    def open(self, path: str) -> pa.NativeFile:
        return super().open(path.lower())

    def pin(self, path: str) -> Pinned:
        return super().pin(path.lower())

    def replace(self, path: str) -> AbstractContextManager[Path]:
        return super().replace(path.lower())


def test_hosts_that_differ_only_in_case_are_not_mixed_up(tmp_path: Path) -> None:
    lake = Lake(CaseBlind(tmp_path / "lake"))
    for host, content in (("MX1", ACCEPT), ("mx1", ACCEPT * 2)):
        log = tmp_path / host / "250601.log"
        log.parent.mkdir()
        log.write_bytes(content)
    days = {host: discover(tmp_path / host, host).days[0] for host in ("MX1", "mx1")}

    def ingest(host: str) -> None:
        ingest_events(lake, days[host], ZoneInfo("Asia/Tokyo"), lambda _: None)

    ingest("MX1")
    with pytest.raises(LakeError, match="is of the host 'MX1'"):
        ingest("mx1")
    assert b"".join(export_log(lake, Key("MX1", DAY))) == ACCEPT
    ingest("MX1")


@given(
    host=st.text(min_size=1) | st.sampled_from([*sorted(RESERVED), "x.", "x ", "..", "a:b", "é "])
)
def test_folders_of_a_lake_are_names_on_windows_too(host: str) -> None:
    folders = folder_of(Key(host, DAY)).split("/")
    assert len(folders) == 2
    for folder in folders:
        assert folder.partition(".")[0].upper() not in RESERVED
        assert not folder.endswith((".", " "))
        assert NOT_IN_NAMES.isdisjoint(folder)
    assert unquote(folders[0].removeprefix("host=")) == host


def test_addresses_of_files_have_drives_and_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_at((tmp_path / "my lake").as_uri()).root == (tmp_path / "my lake").as_posix()
    assert store_at(f"file://localhost{tmp_path}").root == tmp_path.as_posix()
    assert isinstance(store_at("C://lake"), LocalStore)
    monkeypatch.setattr("flows.store.url2pathname", nturl2path.url2pathname)
    monkeypatch.setattr(
        "flows.store.LocalStore", lambda path: SimpleNamespace(folder=PureWindowsPath(str(path)))
    )
    folders = {
        "file:///C:/my%20lake": "C:/my lake",
        "file://server/share/lake": "//server/share/lake",
        "C:/lake": "C:/lake",
        r"\\server\share\lake": "//server/share/lake",
    }
    for where, folder in folders.items():
        found: object = store_at(where)
        assert isinstance(found, SimpleNamespace)
        assert found.folder == PureWindowsPath(folder), where


WITHOUT_POSIX = """
import os, sys
import duckdb, filelock, fsspec, prefect, publicsuffixlist, pyarrow.parquet, rich.progress, typer
import prefect.runtime, pyarrow.compute, pyarrow.fs, uvicorn
for name in ("fcntl", "grp", "pwd", "resource", "termios", "posix"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "getuid", "geteuid", "getpgid", "killpg", "mkfifo", "pread",
             "setsid", "sched_getaffinity", "uname", "wait4", "waitid", "O_DIRECTORY", "fchmod"):
    delattr(os, name)
import signal
del signal.SIGKILL, signal.SIGALRM, signal.SIGSTOP
from pathlib import Path
for folder in ("flows", "transforms"):
    for path in sorted(Path(folder).glob("**/*.py")):
        __import__(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
from flows import night
from flows.lake import Lake
from flows.query import Format, query
from flows.terminal import Bars
source, lake = sys.argv[1:]
with Bars() as bars:
    assert night.run(night.Request(Path(source), lake), night.threads, bars).is_good
query(Lake.at(lake), "select count(*) as n from connections", sys.stdout.buffer, Format.CSV)
"""


def test_nothing_of_posix_is_in_the_way(tmp_path: Path) -> None:
    log = tmp_path / "acceptlog" / "MX1" / "250601.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(ACCEPT * 3)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX, tmp_path, tmp_path / "lake"],
        capture_output=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"n\n3\n"
