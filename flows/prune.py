"""Deleting source logs, once it is proved that the lake gives them back.

The proof is made for each file at the moment of its deletion: the partition is rendered and both
are hashed. What was deleted is on record in the lake before it is gone.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows.discover import LogDay, LogFile, discover
from flows.errors import AcceptlakeError, printable
from flows.export import reproduces
from flows.ingest import read_log
from flows.lake import Key, Lake, folder_of
from flows.ledger import Entry
from flows.verify import Finding


def prune(
    source: Path, host: str | None, where: str, age: timedelta, *, delete: bool
) -> Iterator[Finding]:
    """Delete old logs that the lake holds completely.

    Args:
        source: the logs, see `flows.discover`.
        host: server name for logs that lie in no computer folder.
        where: the lake.
        age: logs of days before this long ago; by the day in their name.
        delete: without it, nothing is touched.

    Yields:
        What was, or would be, done with each old log; not good where it had to be kept.

    Raises:
        AcceptlakeError: there is no lake or no source, or someone else writes the lake.
    """
    now = datetime.now(UTC)
    lake = Lake.at(where, must_exist=True)
    days = discover(source, host, until=now.date() - age).days
    with lake.lock():
        for day in days:
            for file in day.files:
                yield _prune(lake, day, file, now if delete else None)


def _prune(lake: Lake, day: LogDay, file: LogFile, now: datetime | None) -> Finding:
    name = printable(str(file.path))
    key = Key(day.host, day.date)
    try:
        entry = lake.entry(key)
        if entry is None:
            return Finding(name, False, "kept: it is not in the lake; ingest it")
        log = read_log(file, entry.bytes)
        if log.known_sha256 != entry.sha256 or log.size != entry.bytes:
            return Finding(name, False, "kept: the lake holds something else; ingest it again")
        if not reproduces(lake, key):
            return Finding(name, False, "kept: its partition is damaged; ingest it again")
        if now is None:
            return Finding(name, True, f"would be deleted; {key} gives it back")
        state = file.path.stat()
        if (state.st_size, state.st_mtime_ns) != (file.size, file.mtime_ns):
            return Finding(name, False, "kept: it is being written; try again later")
        _record(lake, file, entry, now)
        file.path.unlink()
    except (AcceptlakeError, OSError) as error:
        return Finding(name, False, f"kept: {error}")
    return Finding(name, True, f"deleted; {key} gives it back")


def _record(lake: Lake, file: LogFile, entry: Entry, now: datetime) -> None:
    record = {
        "path": str(file.path),
        "host": entry.host,
        "date": entry.date.isoformat(),
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "pruned_at": now.isoformat(timespec="seconds"),
    }
    key = Key(entry.host, entry.date)
    name = f"pruned/{folder_of(key)}/{file.path.name}.json"
    with lake.store.replace(name) as path:
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
