"""Which log files a source holds: mail work folder, acceptlog folder, computer folder or one file.

    <mail work folder>/acceptlog/<COMPUTER>/YYMMDD.log     clustering on
    <mail work folder>/acceptlog/YYMMDD.log                clustering off: --host names the server

Names may be upper case, and admins compress old files: `.log.gz`, `.log.zst`.
"""

import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from flows.errors import SourceError, printable
from transforms.grammar import decode_text

_LOG_NAME = re.compile(r"(\d{6})\.log(?:\.(gz|zst))?", re.IGNORECASE)
_FOLDER = "acceptlog"


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file as it was when discovered."""

    path: Path
    size: int
    """Bytes on disk, perhaps compressed."""
    mtime_ns: int
    """Time of its last change, nanoseconds since 1970."""

    @property
    def compression(self) -> str | None:
        """`gzip`, `zstd` or None."""
        return {".gz": "gzip", ".zst": "zstd"}.get(self.path.suffix.lower())


@dataclass(frozen=True, slots=True)
class LogDay:
    """The files that hold one host's log of one day: normally one."""

    host: str
    date: date
    files: tuple[LogFile, ...]
    """Sorted by name. Two, where someone compressed a log and kept it."""

    def __str__(self) -> str:
        return f"{printable(self.host)} {self.date}"


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that looks like a log and cannot be taken."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in a source."""

    days: tuple[LogDay, ...]
    """Sorted by host and date."""
    refused: tuple[Refused, ...]


def discover(
    source: Path, host: str | None = None, since: date | None = None, until: date | None = None
) -> Survey:
    """Find all log files of a source.

    Args:
        source: a mail work folder, an acceptlog folder, a computer folder or one log file.
        host: the server's name, for files that lie in no computer folder.
        since: first day wanted, None = from the beginning.
        until: last day wanted, None = to the end.

    Raises:
        SourceError: there is no such source, or no log in it.
    """
    refused: list[Refused] = []
    files: dict[tuple[str, date], list[LogFile]] = defaultdict(list)
    base = _base(source)
    for path, folder_host in _candidates(source, base, refused):
        named = folder_host or host
        day = _day(path)
        if (reason := _objection(path, base, named, day)) is not None:
            refused.append(Refused(path, reason))
        elif named is not None and day is not None:
            state = path.stat()
            files[named, day].append(LogFile(path, state.st_size, state.st_mtime_ns))
    if not files and not refused:
        raise SourceError(
            f"no acceptlog files in {printable(str(source))!r}: expected below it"
            " acceptlog/COMPUTER/YYMMDD.log or acceptlog/YYMMDD.log, also .log.gz and .log.zst"
        )
    days = (
        LogDay(name, day, tuple(sorted(found, key=lambda file: file.path.name)))
        for (name, day), found in sorted(files.items())
        if (since is None or day >= since) and (until is None or day <= until)
    )
    return Survey(tuple(days), tuple(refused))


def _base(source: Path) -> Path:
    """The folder below which all the source's logs lie, without links."""
    try:
        if not source.is_dir():
            source.stat()
            return source.resolve().parent
        folders = (path for path in _entries(source) if path.name.lower() == _FOLDER)
        return next(folders, source).resolve()
    except FileNotFoundError:
        raise SourceError(
            f"no such file or folder: {printable(str(source))!r}; SOURCE is a mail work folder,"
            " an acceptlog folder or one log file"
        ) from None
    except OSError as error:
        raise SourceError(f"cannot read {printable(str(source))!r}: {error.strerror}") from error


def _candidates(
    source: Path, base: Path, refused: list[Refused]
) -> Iterator[tuple[Path, str | None]]:
    """All files named like logs, each with the name of its computer folder, if it is in one."""
    if not source.is_dir():
        if not _LOG_NAME.fullmatch(source.name):
            raise SourceError(
                f"{printable(source.name)!r} is not named like a log: expected YYMMDD.log,"
                " YYMMDD.log.gz or YYMMDD.log.zst"
            )
        yield base / source.name, _computer(base)
        return
    for path in _entries(base):
        if _LOG_NAME.fullmatch(path.name):
            yield path, _computer(base)
        elif path.is_dir():
            try:
                inside = _entries(path)
            except OSError as error:
                refused.append(Refused(path, f"cannot be read: {error.strerror}"))
                continue
            for inner in inside:
                if _LOG_NAME.fullmatch(inner.name):
                    yield inner, _host(path)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name))


def _computer(folder: Path) -> str | None:
    return _host(folder) if folder.parent.name.lower() == _FOLDER else None


def _host(folder: Path) -> str:
    return decode_text(os.fsencode(folder.name))


def _day(path: Path) -> date | None:
    match = _LOG_NAME.fullmatch(path.name)
    try:
        return datetime.strptime(match[1], "%y%m%d").date() if match else None
    except ValueError:
        return None


def _objection(path: Path, base: Path, host: str | None, day: date | None) -> str | None:
    """Why a file named like a log cannot be taken; None if it can."""
    if day is None:
        return f"there is no day {path.name[:6]} (YYMMDD)"
    try:
        is_inside = path.resolve().is_relative_to(base)
        is_regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    except RuntimeError:  # what Python 3.11 and 3.12 make of ELOOP
        return "cannot be looked at: it is a link that leads back to itself"
    if not is_inside:
        return "is a link that leads out of the source; ingest the folder it leads to"
    if not is_regular:
        return "is not a regular file"
    if host is None:
        return "lies in no computer folder; name its server with --host"
    return None
