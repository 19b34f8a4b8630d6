"""What the reliability tests share: logs that grow, the real command, and lakes seen from outside.

A lake is looked at here as strangers see it: as files, and through DuckDB. Nothing of `flows` has
a say in whether it is whole.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path, PurePosixPath

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from flows.simulate import Edition, Plan, simulate

TABLES = ("events", "verdicts", "connections", "hourly_counts")
SUMMARIES = (
    "acceptance_rate_daily",
    "acceptance_rate_hourly",
    "connection_to_verdict_latency",
    "connection_to_verdict_latency_hourly",
    "reject_reasons_daily",
)
PLACES = (
    *(f"{table}/host=*/date=*/{table}.parquet" for table in TABLES),
    *(f"summaries/host=*/year=*/{view}.parquet" for view in SUMMARIES),
)
"""What the views read."""
CATALOG = "catalog.duckdb"
LOCK_FILES = {".lock", ".lock.holder"}
FIRST_DAY = date(2025, 5, 31)

COMMAND = Path(sys.executable).with_name("acceptlake")
PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Runs a command and prints the KiB it took at most. Of a child of ours the kernel would tell no
less than we have taken ourselves, for it begins as a copy of us; so something small is between."""

_INGESTED_AT = re.compile(
    rb"(acceptlake\.ingested_at.{2,3}?)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", re.DOTALL
)
_TRACEBACK = b"Traceback (most recent call last)"
# A raw control character other than the line end: what must not get to a terminal.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Finished:
    """What a run of the command left behind."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """All that it said."""
        return self.out.decode() + self.err.decode()

    @property
    def has_traceback(self) -> bool:
        return _TRACEBACK in self.err

    @property
    def raw_controls(self) -> set[str]:
        """The control characters that it wrote as they are."""
        return set(_CONTROL.findall(self.text))


def environment(**more: str) -> dict[str, str]:
    """That of the command: ours, without what would colour its output."""
    return {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1", **more}


def start(*words: str | Path, **more: str) -> subprocess.Popen[bytes]:
    """Start the command."""
    return subprocess.Popen(
        [COMMAND, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**more),
    )


def finish(process: subprocess.Popen[bytes]) -> Finished:
    """Wait for its end."""
    out, err = process.communicate()
    return Finished(process.returncode, out, err)


def acceptlake(*words: str | Path, **more: str) -> Finished:
    """Run the command to its end."""
    return finish(start(*words, **more))


@dataclass(frozen=True)
class Growth:
    """A mail work folder in an earlier state and as it is later on."""

    source: Path
    later: dict[Path, bytes]
    earlier: dict[Path, bytes]
    """By path; a log that is not there yet is missing."""

    def write_earlier(self) -> None:
        _write(self.earlier)

    def write_later(self) -> None:
        _write(self.later)


def _write(logs: Mapping[Path, bytes]) -> None:
    for path, content in logs.items():
        path.write_bytes(content)


def growing(
    source: Path, hosts: Sequence[str] = ("MX1", "MX2"), days: int = 2, connections: int = 300
) -> Growth:
    """Simulate logs, and what there was of them earlier; on disk is nothing but the folders.

    Most logs were shorter, one ended within a line, one was what it is, the last is new.
    """
    plan = Plan(
        edition=Edition.WIN_4AN,
        hosts=tuple(hosts),
        first_day=FIRST_DAY,
        days=days,
        connections_per_day=connections,
        seed=7,
        hostility=0.01,
    )
    later = {path: path.read_bytes() for path in simulate(source, plan, truth=False).files}
    earlier: dict[Path, bytes] = {}
    for number, (path, content) in enumerate(list(later.items())[:-1]):
        middle = len(content) * (1 + number % 3) // 4
        whole_lines = content[: content.rfind(b"\n", 0, middle) + 1]
        earlier[path] = (content, content[:middle], whole_lines)[min(number, 2)]
    for path in later:
        path.unlink()
    return Growth(source, later, earlier)


def partitions(lake: Path) -> dict[str, str]:
    """The Parquet files of a lake, each with a hash of all but the moment of its ingest."""
    return {
        path.relative_to(lake).as_posix(): _digest(path.read_bytes())
        for path in lake.glob("*/host=*/*/*.parquet")
    }


def _digest(content: bytes) -> str:
    return sha256(_INGESTED_AT.sub(rb"\1", content)).hexdigest()


def strays(lake: Path) -> list[str]:
    """The files in a lake's folder that are not of a lake at rest."""
    names = {*LOCK_FILES, CATALOG, *(f"{name}.parquet" for name in (*TABLES, *SUMMARIES))}
    files = (path for path in lake.rglob("*") if not path.is_dir())
    return sorted(path.relative_to(lake).as_posix() for path in files if path.name not in names)


def holder(lake: Path) -> int | None:
    """The process that writes a lake, or was the last to do so."""
    try:
        return int(json.loads((lake / ".lock.holder").read_text())["process"])
    except (OSError, ValueError):
        return None


def damage(lake: Path) -> Iterator[str]:
    """What is wrong with a lake for those who only read it: none of it may ever be."""
    files = (path for path in lake.glob("**/*.parquet") if not path.is_dir())
    seen = {path.relative_to(lake).as_posix() for path in files}
    for path in sorted(seen):
        if not any(PurePosixPath(path).match(place) for place in PLACES):
            yield f"{path} is visible and is no partition"
        try:
            with pq.ParquetFile(lake / path) as file:
                file.read(use_threads=False)
        except (pa.ArrowException, OSError) as error:
            yield f"{path} does not read: {error}"
    with closing(duckdb.connect()) as connection:
        for pattern in ("**/*.parquet", *PLACES):
            found = connection.execute("select file from glob($1)", [f"{lake}/{pattern}"])
            for (file,) in found.fetchall():
                if Path(file).relative_to(lake).as_posix() not in seen:
                    yield f"DuckDB finds {file}"
    yield from _damaged_catalog(lake)


def _damaged_catalog(lake: Path) -> Iterator[str]:
    if not (lake / CATALOG).exists():
        return
    try:
        with closing(duckdb.connect(lake / CATALOG, read_only=True)) as connection:
            connection.execute("select count(*) from acceptance_rate_daily").fetchall()
            connection.execute("select count(*) from ingested_files").fetchall()
    except duckdb.Error as error:
        yield f"the catalog does not answer: {error}"


def neither_nor(
    lake: Path,
    old: Mapping[str, str],
    new: Mapping[str, str],
    tables: Sequence[str] = (*TABLES, "summaries"),
) -> Iterator[str]:
    """The partitions that are neither as they were nor as they are to be.

    Args:
        lake: where.
        old: its `partitions` once.
        new: those of a lake where all went well.
        tables: whose partitions to look at.
    """
    now = partitions(lake)
    for path in sorted(old.keys() | now.keys()):
        if path.partition("/")[0] not in tables:
            continue
        if path not in now:
            yield f"{path} is gone"
        elif now[path] not in (old.get(path), new.get(path)):
            yield f"{path} is neither old nor new"
