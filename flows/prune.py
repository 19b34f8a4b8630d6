"""Deleting source logs, once it is proved that the lake gives them back.

The proof is made for each file at the moment of its deletion: the partition is rendered, and the
log it gives back must be the one that was ingested and begin with all that the file holds. What was
deleted is on record in the lake before it is gone.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from flows.discover import LogDay, LogFile, discover
from flows.errors import AcceptlakeError, printable
from flows.export import export_log
from flows.ingest import read_log
from flows.lake import Key, Lake, folder_of
from flows.source import Log
from flows.verify import Finding

_WHERE_DAYS_END_LAST = timezone(timedelta(hours=-12))


def prune(
    source: Path, host: str | None, where: str, age: timedelta, *, delete: bool
) -> Iterator[Finding]:
    """Delete old logs that the lake holds completely.

    Args:
        source: the logs, see `flows.discover`.
        host: server name for logs that lie in no computer folder.
        where: the lake.
        age: logs of days that were over this long ago, wherever on earth; by the day in the name.
        delete: without it, nothing is touched.

    Yields:
        What was, or would be, done with each old log; not good where it had to be kept.

    Raises:
        AcceptlakeError: there is no lake or no source, or someone else writes the lake.
    """
    now = datetime.now(UTC)
    lake = Lake.at(where, must_exist=True)
    first_kept = now.astimezone(_WHERE_DAYS_END_LAST).date() - age
    days = discover(source, host, until=first_kept - timedelta(days=1)).days
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
        log = read_log(file)
        held = Log(str(key), export_log(lake, key), log.size)
        for _ in held.blocks():
            pass
        if held.sha256 != entry.sha256:
            return Finding(name, False, "kept: its partition is damaged; ingest it again")
        if held.known_sha256 != log.sha256:
            return Finding(name, False, "kept: the lake holds something else; ingest it again")
        if now is None:
            return Finding(name, True, f"would be deleted; {key} gives it back")
        state = file.path.stat()
        if (state.st_size, state.st_mtime_ns) != (file.size, file.mtime_ns):
            return Finding(name, False, "kept: it is being written; try again later")
        _record(lake, key, file, log, now)
        file.path.unlink()
    except (AcceptlakeError, OSError) as error:
        return Finding(name, False, f"kept: {error}")
    return Finding(name, True, f"deleted; {key} gives it back")


def _record(lake: Lake, key: Key, file: LogFile, log: Log, now: datetime) -> None:
    record = {
        "path": str(file.path),
        "host": key.host,
        "date": key.date.isoformat(),
        "bytes": log.size,
        "sha256": log.sha256,
        "pruned_at": now.isoformat(timespec="seconds"),
    }
    name = f"pruned/{folder_of(key)}/{file.path.name}.json"
    with lake.store.replace(name) as path:
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
