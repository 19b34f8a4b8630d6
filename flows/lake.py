"""The lake: one Parquet file for each table, host and day.

LAKE/events/host=H/date=D/events.parquet                a row per line
LAKE/verdicts/host=H/date=D/verdicts.parquet            a row per verdict, with its connection
LAKE/connections/host=H/date=D/connections.parquet      a row per accepted connection
LAKE/hourly_counts/host=H/date=D/hourly_counts.parquet  what rates and quantiles are made of
LAKE/summaries/host=H/year=Y/VIEW.parquet               the rows of a daily or hourly view
LAKE/catalog.duckdb                                     views and macros only
"""

import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from flows.errors import LakeError, printable
from flows.ledger import Entry
from flows.store import LocalStore, Store, in_memory, store_at
from flows.write import REPEATING
from transforms.schemas import CONNECTIONS, EVENTS, HOURLY_COUNTS, VERDICTS

CATALOG = "catalog.duckdb"
SUMMARIES = "summaries"
INPUTS = "acceptlake.inputs"
"""Under this key the footer of a derived file says what it was made from."""

_PARTITION = re.compile(r"[^/]+/host=([^/]+)/date=(\d{4}-\d\d-\d\d)/[^/]+")
# What is special in paths, globs, URLs, or to Windows, and the escape character itself.
_UNSAFE = re.compile(r"""[\x00-\x1f\x7f"#%&'*+/:;<=>?@\[\\\]^`{|}~ ]|\.$|^_""")


class TableName(StrEnum):
    """The tables of a lake; the name is also that of folder and file."""

    EVENTS = "events"
    VERDICTS = "verdicts"
    CONNECTIONS = "connections"
    HOURLY_COUNTS = "hourly_counts"


SCHEMAS = {
    TableName.EVENTS: EVENTS,
    TableName.VERDICTS: VERDICTS,
    TableName.CONNECTIONS: CONNECTIONS,
    TableName.HOURLY_COUNTS: HOURLY_COUNTS,
}


class Key(NamedTuple):
    """A partition: the log of one host and day."""

    host: str
    date: date

    def __str__(self) -> str:
        return f"{printable(self.host)} {self.date}"


class Year(NamedTuple):
    """A year of one host's logs, by their days: what a summary is of."""

    host: str
    year: int

    def __str__(self) -> str:
        return f"{printable(self.host)} {self.year}"


def path_of(table: TableName, key: Key) -> str:
    """Where a partition lies in the lake."""
    return f"{table}/{folder_of(key)}/{table}.parquet"


def path_of_summary(view: str, year: Year) -> str:
    """Where the rows of a view lie in the lake."""
    return f"{SUMMARIES}/{_folder_of_host(year.host)}/year={year.year}/{view}.parquet"


def folder_of(key: Key) -> str:
    """The folders of a partition as Hive names them, below a table's."""
    return f"{_folder_of_host(key.host)}/date={key.date}"


def _folder_of_host(host: str) -> str:
    return "host=" + _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", host)


@dataclass(frozen=True, slots=True)
class Lake:
    """The partitions of a lake, and the right to change them."""

    store: Store

    @classmethod
    def at(cls, where: str, *, must_exist: bool = False) -> "Lake":
        """The lake at a path or URI.

        Raises:
            LakeError: it must exist, and there is none; or the place is no folder.
        """
        store = store_at(where)
        if isinstance(store, LocalStore) and store.folder.exists() and not store.folder.is_dir():
            raise LakeError(f"{printable(where)!r} is a file, not the folder of a lake")
        known = [*TableName, CATALOG]
        names = store.names()  # at once: another writer may be making the lake just now
        is_lake = not names.isdisjoint(known)
        if must_exist and not is_lake:
            raise LakeError(
                f"{printable(where)!r} is no lake: it holds none of {', '.join(known)};"
                " make one with 'acceptlake ingest SOURCE --lake LAKE'"
            )
        if not is_lake and any(not name.startswith(".") for name in names):
            raise LakeError(
                f"{printable(where)!r} holds other things and is no lake; name an empty or new"
                " folder"
            )
        return cls(store)

    def keys(self, table: TableName) -> list[Key]:
        """The partitions of a table, sorted by host and date."""
        found = (_PARTITION.fullmatch(p) for p in self.store.find(f"{table}/*/*/{table}.parquet"))
        return sorted(Key(unquote(m[1]), date.fromisoformat(m[2])) for m in found if m)

    def entry(self, key: Key) -> Entry | None:
        """The ledger's entry of a partition; None if it is not in the lake.

        Raises:
            LakeError: the file is not one of acceptlake's.
        """
        footer = self.footer(path_of(TableName.EVENTS, key))
        if footer is None:
            return None
        try:
            entry = Entry.from_footer(footer)
        except (KeyError, ValueError) as error:
            raise LakeError(
                f"{key}: {path_of(TableName.EVENTS, key)} has no ledger entry ({error});"
                " it was not written by acceptlake"
            ) from error
        if entry.host != key.host:
            raise LakeError(
                f"{key}: {path_of(TableName.EVENTS, key)} is of the host {printable(entry.host)!r};"
                " where the lake lies names that differ only in case are one; name the server"
                f" {printable(entry.host)!r}, or keep a lake for each"
            )
        return entry

    def inputs(self, key: Key) -> str | None:
        """What the derived tables of a day were made from; None if they are not all there."""
        # Of the derived tables this one is published last, so where it is the others are.
        return self.made_from(path_of(TableName.HOURLY_COUNTS, key))

    def made_from(self, path: str) -> str | None:
        """What a derived file says it was made from; None if it is not there, or damaged."""
        try:
            footer = self.footer(path)
        except LakeError:
            return None  # it will be made anew
        return None if footer is None else footer.get(INPUTS.encode(), b"").decode()

    def files(self) -> list[str]:
        """The paths of all partitions and summaries, sorted."""
        # What is hidden is the writer's own, and vanishes while it is looked through.
        return self.store.find("[!.]*/host=*/*/*.parquet")

    def damaged(self) -> Iterator[str]:
        """What is wrong with which file; reads every one of them."""
        for path in self.files():
            try:
                with self.open_path(path) as file:
                    for group in range(file.num_row_groups):
                        file.read_row_group(group)
            except LakeError as error:
                yield str(error)
            except (pa.ArrowException, OSError) as error:
                yield _damage(path, error)

    def footer(self, path: str) -> dict[bytes, bytes] | None:
        """The key-value metadata of a Parquet file; None if there is no such file.

        Raises:
            LakeError: the file is damaged.
        """
        try:
            file = self.store.pin(path).file
        except FileNotFoundError:
            return None
        # No more than the footer is read, which Parquet's last eight bytes give the size of.
        size = file.size()
        length = int.from_bytes(file.read_at(8, max(size - 8, 0))[:4], "little") + 8
        content = file.read_at(length, max(size - length, 0))
        try:
            return pq.read_metadata(in_memory(content)).metadata or {}
        except (pa.ArrowInvalid, OSError) as error:
            raise LakeError(_damage(path, error)) from error

    def open(self, table: TableName, key: Key, *, encoded: bool = False) -> pq.ParquetFile:
        """Open a partition to read.

        Args:
            table: which table.
            key: of which host and day.
            encoded: give columns whose values repeat dictionary-encoded.

        Raises:
            FileNotFoundError: it is not in the lake.
            LakeError: the file is damaged.
        """
        repeating = [name for name in SCHEMAS[table].names if encoded and name in REPEATING]
        return self.open_path(path_of(table, key), repeating)

    def open_path(self, path: str, repeating: Sequence[str] = ()) -> pq.ParquetFile:
        """Open a Parquet file to read, some columns dictionary-encoded. Raises as `open`."""
        source = self.store.open(path)
        try:
            return pq.ParquetFile(source, read_dictionary=repeating)
        except (pa.ArrowInvalid, OSError) as error:
            source.close()
            if isinstance(error, OSError) and error.errno:
                raise  # it is the disk's; what Arrow cannot make sense of has no number
            raise LakeError(_damage(path, error)) from error

    def replace(self, table: TableName, key: Key) -> AbstractContextManager[Path]:
        """A context that yields a path to write to, and publishes that if all went well."""
        return self.store.replace(path_of(table, key))

    @contextmanager
    def lock(self, *, wait: bool = True) -> Iterator[None]:
        """Be the lake's only writer; the lock dies with its process.

        Raises:
            LakeError: someone else is, and we do not wait.
        """
        if isinstance(self.store, LocalStore):
            self.store.folder.mkdir(parents=True, exist_ok=True)
            path = self.store.folder / ".lock"
        else:  # an object store has no locks: be at least the only writer on this machine
            name = sha256(self.store.root.encode()).hexdigest()[:16]
            path = Path(tempfile.gettempdir(), f"acceptlake-{name}.lock")
        holder = path.with_suffix(".holder")
        lock = FileLock(path)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            raise LakeError(
                f"{printable(self.store.root)!r} is being written by {_read_holder(holder)};"
                " wait for it, or run without --no-wait"
            ) from None
        try:
            holder.write_text(
                json.dumps(
                    {
                        "process": os.getpid(),
                        "machine": socket.gethostname(),
                        "since": datetime.now(UTC).isoformat(timespec="seconds"),
                    }
                )
            )
            yield
        finally:
            lock.release()


def _damage(path: str, error: Exception) -> str:
    return f"{printable(path)} is damaged: {error}; ingest the host's logs again with --force"


def _read_holder(path: Path) -> str:
    try:
        holder: Mapping[str, object] = json.loads(path.read_text())
        return f"process {holder['process']} on {holder['machine']} since {holder['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"
