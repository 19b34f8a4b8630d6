"""Read a lake in every way there is while a writer replaces its partitions without a pause.

    python -m tests.reliability.readers --seconds 600

The writer takes two states of the same logs by turns, and replaces the catalog too. Readers are
processes of their own: one with the catalog always open and one that opens it for each look, one
with a connection that reads the Parquet files directly and one that connects for each look, one
that reads them with Arrow, one that asks as `acceptlake sql` does, and one that exports logs. All
have looked before the first change. Whatever they are given must be, partition by partition, what
one of the two states has. DuckDB opens a file twice, so the looks of its own connections may be
broken off: they are repeated and counted. The other three are never disturbed. Exit code 1 if
anything was not so.
"""

import argparse
import io
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from flows import night
from flows.errors import AcceptlakeError
from flows.export import export_log
from flows.lake import Lake, TableName
from flows.night import Unwatched
from flows.query import Format, query
from tests.reliability.harness import CATALOG, SUMMARIES, TABLES, growing

LONGEST_S = 120
"""So long a reader waits for the state that it has not seen yet."""

_PROCESSES = multiprocessing.get_context("spawn")
_TRIES = 3
_QUESTION = (
    "select host, date::varchar as date, count(*) as n, bit_xor(hash(each)) as x,"
    " sum(hash(each))::varchar as s from {} as each group by all"
)
_NAMES = (*TABLES, *SUMMARIES)
"""The tables, and the views that have their rows ready."""
_TOLD = 3
"""Violations that a reader tells; the rest is counted."""

Partition = tuple[str, str, str]
"""Table or view, or `log`; host; date."""
View = dict[Partition, tuple[object, ...]]
"""What a reader sees of each partition."""
Look = Callable[[], View]


class Way(StrEnum):
    """How a reader reads."""

    CATALOG = "catalog always open"
    CATALOG_ANEW = "catalog opened anew"
    FILES = "files always connected"
    FILES_ANEW = "files connected anew"
    ARROW = "Arrow"
    SQL = "acceptlake sql"
    EXPORT = "export"


@dataclass
class Seen:
    """What a reader saw."""

    looks: int = 0
    """How often it looked at all partitions."""
    errors: int = 0
    """Looks that DuckDB broke off because a file was replaced under it."""
    states: set[int] = field(default_factory=set)
    """Of which of the states it saw partitions."""
    violations: list[str] = field(default_factory=list)


@dataclass
class Report:
    """What all of them saw."""

    rounds: int = 0
    """Times that the writer replaced everything."""
    seen: dict[Way, Seen] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0

    def __str__(self) -> str:
        looks = ", ".join(f"{way} {seen.looks}" for way, seen in self.seen.items())
        return (
            f"replaced {self.rounds} times, looks: {looks};"
            f" {sum(seen.errors for seen in self.seen.values())} broken off;"
            f" {len(self.violations)} violations, {self.seconds:.0f} s"
        )


def watch(seconds: float, connections: int = 400) -> Report:
    """Let readers read for so long, or until each has seen both states.

    Args:
        seconds: how long at least.
        connections: of a host and day, in the simulated logs.
    """
    report = Report()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="acceptlake-readers-") as folder:
        lake = Path(folder, "lake")
        logs = growing(Path(folder, "mail"), connections=connections)
        states = [logs.later | logs.earlier, logs.later]

        def write(state: int) -> None:
            for path, content in states[state].items():
                path.write_bytes(content)
            _ingest(logs.source, lake)

        views: dict[Way, list[View]] = {way: [] for way in Way}
        for state in range(len(states)):
            write(state)
            for way in Way:
                views[way].append(_look(way, lake))
        readers = {way: _PROCESSES.Pipe() for way in Way}
        processes = [
            _PROCESSES.Process(target=_read, args=(way, lake, views[way], theirs))
            for way, (_, theirs) in readers.items()
        ]
        for process in processes:
            process.start()
        for ours, theirs in readers.values():
            theirs.close()
            ours.recv()  # it has looked
        is_over = False
        while any(process.is_alive() for process in processes):
            write(report.rounds % 2)
            report.rounds += 1
            if not is_over and time.monotonic() - started > seconds:
                is_over = True
                for ours, _ in readers.values():
                    ours.send("enough")
        for way, (ours, _) in readers.items():
            report.seen[way] = ours.recv()
            report.violations += [f"{way}: {text}" for text in report.seen[way].violations]
            if _look(way, lake) != views[way][(report.rounds - 1) % 2]:
                report.violations.append(f"{way}: afterwards, does not see the last state")
    report.seconds = time.monotonic() - started
    return report


def _ingest(source: Path, where: Path) -> None:
    request = night.Request(source, str(where), force=True, allow_shrink=True)
    result = night.run(request, night.threads, Unwatched())
    if not result.is_good:
        raise RuntimeError(f"the writer failed: {result}")
    lake = Lake.at(str(where))
    with lake.lock(), lake.store.replace(CATALOG) as path:
        shutil.copyfile(where / CATALOG, path)


def _read(way: Way, lake: Path, states: list[View], parent: Connection) -> None:
    """Look until told that it is enough, and both states were seen."""
    os.nice(10)  # the more often the writer gets its turn, the better
    seen = Seen()
    enough_since: float | None = None
    with ExitStack() as stack:
        look = _looking(way, lake, stack)
        while enough_since is None or (
            len(seen.states) < len(states) and time.monotonic() - enough_since < LONGEST_S
        ):
            for text in _differences(look, states, seen):
                if len(seen.violations) < _TOLD:
                    seen.violations.append(text)
            seen.looks += 1
            if seen.looks == 1:
                parent.send("has looked")
            if parent.poll():
                parent.recv()
                enough_since = time.monotonic()
    parent.send(seen)


def _asked_again(look: Look, seen: Seen) -> View:
    """What a look shows, at the third try at the latest if it is DuckDB's.

    DuckDB opens a file for its footer and again for its rows. A query that is between the two at
    the moment of the replacement ends in an error, and asked again it answers.
    """
    for _ in range(_TRIES - 1):
        try:
            return look()
        except duckdb.Error:
            seen.errors += 1
    return look()


def _differences(look: Look, states: list[View], seen: Seen) -> Iterator[str]:
    try:
        view = _asked_again(look, seen)
    except (duckdb.Error, pa.ArrowException, AcceptlakeError, OSError) as error:
        yield f"{type(error).__name__}: {error}"
        return
    for partition in states[0].keys() | view.keys():
        known = [state.get(partition) for state in states]
        if (content := view.get(partition)) not in known:
            yield f"{partition} has {content}, not one of {known}"
        elif known[0] != known[1]:
            seen.states.add(known.index(content))


def _look(way: Way, lake: Path) -> View:
    with ExitStack() as stack:
        return _looking(way, lake, stack)()


def _looking(way: Way, lake: Path, stack: ExitStack) -> Look:
    """A function that looks at all of a lake; what it keeps open is on the stack."""
    if way is Way.EXPORT:
        return lambda: _exported(lake)
    if way is Way.ARROW:
        return lambda: _through_arrow(lake)
    if way is Way.SQL:
        return lambda: _asked(lake)
    catalog = lake / CATALOG if way in (Way.CATALOG, Way.CATALOG_ANEW) else None
    sources = (
        {name: name for name in _NAMES}
        if catalog
        else {table: _files(lake, table) for table in TABLES}
    )

    def connect() -> duckdb.DuckDBPyConnection:
        return duckdb.connect(catalog, read_only=True) if catalog else duckdb.connect()

    if way in (Way.CATALOG, Way.FILES):
        connection = stack.enter_context(closing(connect()))
        return lambda: _queried(connection, sources)

    def anew() -> View:
        with closing(connect()) as connection:
            return _queried(connection, sources)

    return anew


def _files(lake: Path, table: str) -> str:
    glob = f"{lake}/{table}/host=*/date=*/{table}.parquet"
    return f"read_parquet('{glob}', hive_partitioning = true)"


def _queried(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, str]) -> View:
    view: View = {}
    for table, source in sources.items():
        rows = connection.execute(_QUESTION.format(source)).fetchall()
        view |= {(table, host, day): tuple(content) for host, day, *content in rows}
    return view


def _asked(where: Path) -> View:
    view: View = {}
    for name in _NAMES:
        target = io.BytesIO()
        query(Lake.at(str(where)), _QUESTION.format(name), target, Format.JSON)
        rows = (tuple(row.values()) for row in json.loads(target.getvalue()))
        view |= {(name, host, day): tuple(content) for host, day, *content in rows}
    return view


def _through_arrow(lake: Path) -> View:
    view: View = {}
    for table in TABLES:
        for path in lake.glob(f"{table}/*/*/{table}.parquet"):
            with path.open("rb") as file:
                rows = pq.ParquetFile(file).read()
            content = sha256(repr(rows.to_pydict()).encode("utf-8", "backslashreplace"))
            host, day = (part.partition("=")[2] for part in path.parts[-3:-1])
            view[table, host, day] = (len(rows), content.hexdigest())
    return view


def _exported(where: Path) -> View:
    lake = Lake.at(str(where))
    view: View = {}
    for key in lake.keys(TableName.EVENTS):
        digest = sha256()
        for piece in export_log(lake, key):
            digest.update(piece)
        view["log", key.host, str(key.date)] = (digest.hexdigest(),)
    return view


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="readers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--connections", type=int, default=400, help="of a host and day")
    options = parser.parse_args()
    report = watch(options.seconds, options.connections)
    for text in report.violations:
        sys.stdout.write(text + "\n")
    sys.stdout.write(f"{report}\n")
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
