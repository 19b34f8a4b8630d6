"""Proof, partition by partition, that the lake gives back the logs it was made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.discover import LogDay, Survey, discover
from flows.errors import AcceptlakeError, printable
from flows.export import reproduces
from flows.ingest import longest, read_log, shrunk
from flows.lake import Key, Lake, TableName


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one partition."""

    name: str
    """Host and day, or the path of a file."""
    is_good: bool
    text: str


def verify_lake(where: str, source: Path | None, host: str | None) -> Iterator[Finding]:
    """Verify all partitions, and compare them with a source if there is one.

    Args:
        where: the lake.
        source: logs to compare with; every one of them must be in the lake, also if it cannot be
            taken. None = no source.
        host: server name for logs that lie in no computer folder.

    Raises:
        AcceptlakeError: there is no lake, or no source.
    """
    lake = Lake.at(where, must_exist=True)
    survey = discover(source, host) if source else Survey((), ())
    logs = {Key(day.host, day.date): day for day in survey.days}
    keys = lake.keys(TableName.EVENTS)
    for key in keys:
        try:
            yield _verify(lake, key, logs.get(key))
        except (AcceptlakeError, OSError) as error:
            yield Finding(str(key), False, str(error))
    for key in sorted(logs.keys() - set(keys)):
        yield Finding(str(key), False, "is not in the lake; ingest it")
    for refused in survey.refused:
        yield Finding(printable(str(refused.path)), False, refused.reason)


def _verify(lake: Lake, key: Key, day: LogDay | None) -> Finding:
    entry = lake.entry(key)
    if entry is None or not reproduces(lake, key):
        return Finding(
            str(key), False, "does not give back its log: the partition is damaged; ingest it again"
        )
    proved = f"gives back its log: {entry.bytes} bytes, sha256 {entry.sha256}"
    if day is None:
        return Finding(str(key), True, proved)
    file = longest(day)
    log = read_log(file, entry.bytes)
    if log.known_sha256 != entry.sha256:
        return Finding(str(key), False, shrunk(lake, entry, file))
    grown = log.size - entry.bytes
    state = f"the source has grown by {grown} bytes since" if grown else "the source is the same"
    return Finding(str(key), True, f"{proved}; {state}")
