"""One day's log into the lake: the events it holds, and the tables that follow from them.

Both steps publish files that are functions of the logs' bytes alone, so doing either again, later,
elsewhere or in another order gives the same lake.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.discover import LogDay, LogFile
from flows.errors import LakeError, ShrunkError, SourceError, printable
from flows.export import export_log, first_difference
from flows.lake import INPUTS, Key, Lake, TableName
from flows.ledger import Entry, Origin
from flows.source import BLOCK_BYTES, Log, open_log
from flows.write import ParquetFile, row_groups, write_parquet
from transforms import grammar, pairing, scanner, sessions
from transforms.grammar import Dialect, Kind
from transforms.schemas import CONNECTIONS, EVENTS, HOURLY_COUNTS, VERDICTS
from transforms.sessions import Day, Stretch
from transforms.spans import PADDING

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_DIALECT_BYTES = 1 << 16
BLOCKS_AHEAD = 4 * CORES
_BYTES_AHEAD = 2 * BLOCKS_AHEAD * BLOCK_BYTES
"""Only blocks with lines that are far too long are as large as that."""
_EPOCH = datetime(1970, 1, 1)

Progress = Callable[[int], None]
"""Told how many more bytes of a log have been parsed; what it raises ends the reading."""


def ingest_events(
    lake: Lake, day: LogDay, zone: ZoneInfo, progress: Progress, *, allow_shrink: bool = False
) -> Entry:
    """Parse a day's log and publish its events.

    Args:
        lake: locked by the caller.
        day: the day's file, or files of which one holds all that the others do.
        zone: the host's time zone.
        progress: told how many more bytes have been read.
        allow_shrink: let a log that no longer begins with what the lake holds replace it.

    Returns:
        The new entry of the ledger.

    Raises:
        ShrunkError: the log no longer begins with what the lake holds of it.
        SourceError: the file is damaged, or the day's files contradict each other.
        OSError: reading or writing failed; trying again may help.
    """
    try:
        known = lake.entry(Key(day.host, day.date))
    except LakeError:
        if not allow_shrink:
            raise
        known = None
    file = longest(day)
    log = open_log(file, known.bytes if known else 0)

    def check() -> None:
        if known and not allow_shrink and log.known_sha256 != known.sha256:
            raise ShrunkError(shrunk(lake, known, file))

    return _publish(lake, Origin.of(day, file), log, zone, progress, check)


def replay_events(lake: Lake, known: Entry, zone: ZoneInfo) -> Entry:
    """Parse a day anew from what the lake holds of it, and publish its events.

    Args:
        lake: locked by the caller.
        known: the day's entry in the ledger.
        zone: the host's time zone.

    Returns:
        The new entry of the ledger.

    Raises:
        LakeError: the partition is damaged.
        OSError: reading or writing failed; trying again may help.
    """
    key = Key(known.host, known.date)
    log = Log(f"{key} in the lake", export_log(lake, key))

    def check() -> None:
        if log.sha256 != known.sha256:
            raise LakeError(f"{key} does not give back its log: the partition is damaged")

    return _publish(lake, known.origin, log, zone, unheard, check)


def unheard(read: int) -> None:
    """A `Progress` that nobody listens to."""


def _publish(
    lake: Lake,
    origin: Origin,
    log: Log,
    zone: ZoneInfo,
    progress: Progress,
    check: Callable[[], None],
) -> Entry:
    """Write a log's events; publish them if, when all is read, the check does not object."""
    reading = _Reading(origin, log, zone, progress)

    def footer() -> dict[str, str]:
        check()
        return reading.entry().to_footer()

    with lake.replace(TableName.EVENTS, Key(origin.host, origin.date)) as path:
        write_parquet(path, EVENTS, row_groups(reading.tables()), footer)
    return reading.entry()


class _Reading:
    """A log on its way into a table, and what there is to say of it at the end."""

    def __init__(self, origin: Origin, log: Log, zone: ZoneInfo, progress: Progress) -> None:
        self._origin = origin
        self._log = log
        self._zone = zone
        self._progress = progress
        self._dialect = Dialect()
        self._is_torn = False
        self._lines = 0
        self._kinds: Counter[str] = Counter()
        self._stretches: list[Stretch] = []
        self._ingested_at = datetime.now(UTC).replace(microsecond=0)

    def tables(self) -> Iterator[pa.Table]:
        """The events of the log, in order."""
        # Blocks are scanned ahead on all cores, as many as keep these busy while a row group is
        # being written, and no more: memory is bound.
        scanning: deque[tuple[Future[pa.RecordBatch], int]] = deque()
        self._dialect = Dialect.of(self._log.head(_DIALECT_BYTES))
        for block in self._log.blocks():
            content = memoryview(block)[: -len(PADDING)]
            self._is_torn = content[-1] != ord("\n")
            scanned = _scanners().submit(scanner.scan, block, self._dialect, self._zone)
            scanning.append((scanned, len(content)))
            while len(scanning) > BLOCKS_AHEAD or sum(size for _, size in scanning) > _BYTES_AHEAD:
                yield self._taken(*scanning.popleft())
        while scanning:
            yield self._taken(*scanning.popleft())

    def _taken(self, scanned: Future[pa.RecordBatch], size: int) -> pa.Table:
        batch = scanned.result()
        self._progress(size)
        table = pa.Table.from_batches([batch])
        for count in table["kind"].value_counts().to_pylist():
            self._kinds[count["values"]] += count["counts"]
        if (stretch := sessions.stretch(table, self._origin.date)) is not None:
            self._stretches.append(stretch)
        numbers = np.arange(self._lines + 1, self._lines + 1 + len(table))
        self._lines += len(table)
        return table.add_column(0, "line_no", pa.array(numbers))

    def entry(self) -> Entry:
        """What the ledger is to say of the log; all of it must have been read."""
        dialect = self._dialect
        return Entry(
            **asdict(self._origin),
            bytes=self._log.size,
            sha256=self._log.sha256,
            lines=self._lines,
            accepts=self._kinds[Kind.ACCEPT],
            verdicts=self._kinds[Kind.VERDICT],
            debug=self._kinds[Kind.DEBUG],
            blank=self._kinds[Kind.BLANK],
            malformed=self._kinds[Kind.MALFORMED],
            is_torn=self._is_torn,
            line_end=dialect.line_end.decode(),
            peer_gap=dialect.peer_gap.decode(),
            no_id=dialect.no_id.decode(),
            zone=str(self._zone),
            span_from=min((stretch.first for stretch in self._stretches), default=None),
            span_to=max((stretch.last for stretch in self._stretches), default=None),
            parser_version=grammar.VERSION,
            ingested_at=self._ingested_at,
        )


@cache
def _scanners() -> ThreadPoolExecutor:
    """The threads that scan blocks, of all logs being read; numpy and Arrow let go of the GIL."""
    return ThreadPoolExecutor(CORES, thread_name_prefix="scan")


def longest(day: LogDay) -> LogFile:
    """Of several files for one day, the one that holds all that the others do.

    Raises:
        SourceError: two of them contradict each other.
    """
    best = day.files[0]
    for other in day.files[1:]:
        sizes = {file: read_log(file).size for file in (best, other)}
        shorter, best = (other, best) if sizes[best] >= sizes[other] else (best, other)
        if read_log(best, sizes[shorter]).known_sha256 != read_log(shorter).sha256:
            where = first_difference(open_log(shorter).pieces(), open_log(best).pieces())
            raise SourceError(
                f"{day}: {_name(shorter)} and {_name(best)} contradict each other: {where};"
                " move away the one that is wrong"
            )
    return best


def read_log(file: LogFile, known_bytes: int = 0) -> Log:
    """The log in a file, after it was read to its end."""
    log = open_log(file, known_bytes)
    for _ in log.blocks():
        pass
    return log


def shrunk(lake: Lake, known: Entry, file: LogFile) -> str:
    """How a log differs from what the lake holds of it, and what to do."""
    key = Key(known.host, known.date)
    size = read_log(file).size
    where = first_difference(export_log(lake, key), open_log(file).pieces())
    change = "became shorter" if size < known.bytes else "changed in what was already ingested"
    return (
        f"{key}: {_name(file)} {change}: the lake holds {known.bytes} bytes of it, the file has"
        f" {size}; {where}. The lake keeps what it has; --allow-shrink takes the file as it is"
    )


def _name(file: LogFile) -> str:
    return repr(printable(file.path.name))


def expected_inputs(key: Key, entries: Mapping[date, Entry]) -> str:
    """What the derived tables of a day follow from: the logs of that day and of its edges.

    Args:
        key: host and day, which is in the lake.
        entries: the ledger of that host.
    """
    made_from = [entries[day].identity for day in sorted(_reachable(key.date, entries))]
    return "\n".join([f"pairing {pairing.VERSION}", *made_from])


def _reachable(day: date, entries: Mapping[date, Entry]) -> Iterator[date]:
    """The day, and those around it whose lines could pair with its own."""
    own = entries[day].stretch
    yield day
    if own is None:
        return
    for other, entry in entries.items():
        is_near = 0 < abs((other - day).days) <= sessions.REACH_DAYS
        if is_near and entry.stretch and entry.stretch.meets(own.surroundings):
            yield other


def ingest_pairs(lake: Lake, key: Key, entries: Mapping[date, Entry]) -> str:
    """Compute and publish what follows from a day's events: verdicts, connections, counts.

    Args:
        lake: locked by the caller.
        key: host and day, whose events are in the lake.
        entries: the ledger of that host.

    Returns:
        What they follow from, see `expected_inputs`.

    Raises:
        LakeError: a partition is damaged.
        OSError: reading or writing failed; trying again may help.
    """
    own = entries[key.date].stretch
    day = Day.pair(
        key.host,
        key.date,
        {
            day: _needed(lake, Key(key.host, day), own if day != key.date else None)
            for day in _reachable(key.date, entries)
        },
    )
    inputs = expected_inputs(key, entries)
    footer = {INPUTS: inputs}
    _publish_pairs(lake, key, day, footer)
    # Last: `Lake.inputs` takes it as the sign that all three are there.
    with lake.replace(TableName.HOURLY_COUNTS, key) as path:
        write_parquet(path, HOURLY_COUNTS, [day.hourly_counts()], lambda: footer)
    return inputs


def _publish_pairs(lake: Lake, key: Key, day: Day, footer: Mapping[str, str]) -> None:
    """Write both wide tables in one pass over the day's events, and publish them."""
    with (
        lake.replace(TableName.VERDICTS, key) as verdicts_path,
        lake.replace(TableName.CONNECTIONS, key) as connections_path,
        ParquetFile(verdicts_path, VERDICTS, lambda: footer) as verdicts,
        ParquetFile(connections_path, CONNECTIONS, lambda: footer) as connections,
        ThreadPoolExecutor(2) as pool,
    ):

        def write_verdicts(events: pa.Table) -> None:
            verdicts.write(day.verdict_table(events))

        def write_connections(events: pa.Table) -> None:
            connections.write(day.connection_table(events))

        # A row group is read while the one before it is being written.
        writing: list[Future[None]] = []
        for events in _events(lake, key):
            for written in writing:
                written.result()
            writing = [pool.submit(write, events) for write in (write_verdicts, write_connections)]
        for written in writing:
            written.result()


def _needed(lake: Lake, key: Key, around: Stretch | None) -> Iterator[pa.Table]:
    """What pairing needs of a day: all of it, or the row groups with stamps around a stretch."""
    with lake.open(TableName.EVENTS, key, encoded=True) as file:
        for group in range(file.num_row_groups):
            if around is None or _may_meet(file.metadata.row_group(group), around.surroundings):
                yield file.read_row_group(group, list(sessions.NEEDED), use_threads=False)


def _may_meet(group: pq.RowGroupMetaData, stretch: Stretch) -> bool:
    statistics = group.column(EVENTS.get_field_index("ts")).statistics
    if statistics is None or not statistics.has_min_max:
        return statistics is None or statistics.null_count < group.num_rows
    first, last = ((ts - _EPOCH) // timedelta(seconds=1) for ts in (statistics.min, statistics.max))
    return stretch.meets(Stretch(first, last))


def _events(lake: Lake, key: Key) -> Iterator[pa.Table]:
    """A day's events, a row group at a time, with the columns that the derived tables take over."""
    wanted = {*VERDICTS.names, *CONNECTIONS.names}
    columns = [name for name in EVENTS.names if name in wanted]
    with lake.open(TableName.EVENTS, key, encoded=True) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns, use_threads=False)
