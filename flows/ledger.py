"""The ledger: what a partition was made from, kept in the footer of its own Parquet file.

Data and bookkeeping are one file and so one commit; there is nothing that could disagree with it.
Each fact is one key of the footer's key-value metadata, `acceptlake.NAME`, with a text value.
"""

import os
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from flows.discover import LogDay, LogFile
from flows.errors import printable
from transforms import grammar
from transforms.grammar import Dialect, decode_text
from transforms.sessions import Stretch

Footer = dict[bytes, bytes]
"""Key-value metadata as Arrow reads it."""

_PREFIX = "acceptlake."


@dataclass(frozen=True, slots=True)
class Origin:
    """Which log a partition is of, and the files it was in."""

    host: str
    date: date
    source: str
    """Path of the log file, absolute, as the ingesting machine saw it."""
    files: str
    """Name, size and mtime (ns) of every file of the day, as `fingerprint` writes them."""
    source_bytes: int
    """Size of the log file on disk, perhaps compressed."""
    source_mtime_ns: int

    def __str__(self) -> str:
        return f"{printable(self.host)} {self.date}"

    @classmethod
    def of(cls, day: LogDay, file: LogFile) -> "Origin":
        """The origin of what is in a file, one of its day's."""
        return cls(
            host=day.host,
            date=day.date,
            source=decode_text(os.fsencode(file.path)),
            files=fingerprint(day),
            source_bytes=file.size,
            source_mtime_ns=file.mtime_ns,
        )


@dataclass(frozen=True, slots=True)
class Entry(Origin):
    """What one `events.parquet` holds."""

    bytes: int
    """Size of the log itself."""
    sha256: str
    """Of the log itself, hexadecimal."""
    lines: int
    accepts: int
    verdicts: int
    debug: int
    blank: int
    malformed: int
    is_torn: bool
    """Whether the last line has no line end."""
    line_end: str
    peer_gap: str
    no_id: str
    zone: str
    """IANA time zone by which ts_utc was computed."""
    span_from: int | None
    """Seconds since 1970 of the first regular stamp (`sessions.regular_stretch`). None = none."""
    span_to: int | None
    """The same of the last."""
    parser_version: int
    ingested_at: datetime
    """UTC."""

    @property
    def dialect(self) -> Dialect:
        """The dialect by which lines without `raw` are rebuilt."""
        return Dialect(self.line_end.encode(), self.peer_gap.encode(), self.no_id.encode())

    @property
    def stretch(self) -> Stretch | None:
        """From first to last regular stamp. None = the day has no regular accept or verdict."""
        if self.span_from is None or self.span_to is None:
            return None
        return Stretch(self.span_from, self.span_to)

    @property
    def identity(self) -> str:
        """What all rows of the partition follow from."""
        return f"{self.date} {self.sha256} {self.zone} {self.parser_version}"

    def is_current(self, day: LogDay, zone: ZoneInfo) -> bool:
        """Whether ingesting the day again would change nothing.

        That is so if its files are, by name, size and mtime, those that were ingested, and were
        read as they would be read today.
        """
        return self.files == fingerprint(day) and self.is_read_as_today(zone)

    def is_read_as_today(self, zone: ZoneInfo) -> bool:
        """Whether today's parser would make the same rows of the same bytes."""
        return self.parser_version == grammar.VERSION and self.zone == str(zone)

    @property
    def origin(self) -> Origin:
        """The entry's part that does not depend on how the log is read."""
        return Origin(**{field.name: getattr(self, field.name) for field in fields(Origin)})

    def to_footer(self) -> dict[str, str]:
        """The entry as key-value metadata."""
        return {_PREFIX + field.name: _to_text(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_footer(cls, footer: Footer) -> "Entry":
        """The entry in a footer's key-value metadata.

        Raises:
            KeyError: it was not written by acceptlake.
        """
        values = {
            field.name: _from_text(footer[(_PREFIX + field.name).encode()].decode(), field.type)
            for field in fields(cls)
        }
        return cls(**values)  # type: ignore[arg-type]  # each was read by its field's own type


def fingerprint(day: LogDay) -> str:
    """All files of a day by name, size in bytes and mtime in ns: one line each."""
    return "\n".join(f"{file.size} {file.mtime_ns} {file.path.name!a}" for file in day.files)


def _to_text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime() | date():
            return value.isoformat()
        case _:
            return str(value)


def _from_text(text: str, kind: object) -> object:
    if kind is int:
        return int(text)
    if kind is bool:
        return text == "true"
    if kind is date:
        return date.fromisoformat(text)
    if kind is datetime:
        return datetime.fromisoformat(text).astimezone(UTC)
    if kind == int | None:
        return int(text) if text else None
    return text
