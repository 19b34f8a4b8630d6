"""DuckDB reads a lake through this file system: of every file it is given one version.

Left alone, DuckDB opens a Parquet file once for its footer and again for its rows. A file that is
replaced between the two makes the query fail, or, where the old footer happens to fit the new
file, answer wrongly. Here the second opening is given what the first was given; where that is gone
the query ends in an error and is asked again, by `catalog.Reader`. It also makes a lake in an
object store one that any DuckDB can read, without an extension.
"""

import errno
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from fsspec import AbstractFileSystem

from flows.store import Pinned, Readable, ReplacedError, Store

SCHEME = "lake"
"""`lake://events/…`, relative to the lake."""

_KEPT_OPEN = 200
# Also by drive letters; a host's name has none of these in its folder.
_LEADS_OUT = re.compile(r"(^|/)\.{0,2}(/|$)|[\\:]")
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class LakeFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec is untyped
    """The files of a store, to read only; until `renew`, one version of each.

    Args:
        store: the lake's.
    """

    cachable = False

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        # An object store's own addresses, too, lest DuckDB look for its extension for them.
        scheme, separator, _ = store.root.partition("://")
        self.protocol = [SCHEME, scheme] if separator else [SCHEME]
        self._roots = (f"{SCHEME}://", f"{store.root}/")
        self._found: dict[str, list[str]] = {}
        self._versions: dict[str, object] = {}
        self._opened: OrderedDict[str, Pinned] = OrderedDict()
        self._lock = threading.Lock()
        self.failure: Exception | None = None
        """What DuckDB was told first when it could not read. None = it could."""

    def renew(self) -> None:
        """Forget all versions: what follows may see newer ones."""
        with self._lock:
            self._found.clear()
            self._versions.clear()
            self._opened.clear()
            self.failure = None

    def glob(self, path: str, *_: object, **__: object) -> list[str]:
        """The files that match a pattern, by the same scheme."""
        with self.noting():
            root, pattern = self._split(path)
            if pattern not in self._found:
                self._found[pattern] = self._store.find(pattern)
            return [root + found for found in self._found[pattern]]

    def open(self, path: str, mode: str = "rb", *_: object, **__: object) -> "_Handle":
        """Open a file, in the version that was opened first.

        Raises:
            ReplacedError: that version is no longer there.
            OSError: it cannot be read, or is to be written.
        """
        with self.noting():
            if mode != "rb":
                raise PermissionError(errno.EACCES, "a lake is only read here", path)
            return _Handle(self, self._pinned(path).file)

    def size(self, path: str) -> int:
        """Bytes of the version that was opened first."""
        with self.noting():
            return self._pinned(path).file.size()

    def info(self, path: str, **_: object) -> dict[str, object]:
        """The same as a record."""
        return {"name": path, "size": self.size(path), "type": "file"}

    def exists(self, path: str, **_: object) -> bool:
        """Whether there is such a file."""
        return bool(self.glob(path))

    def isfile(self, path: str) -> bool:
        """The same: there are no folders here."""
        return self.exists(path)

    def modified(self, path: str) -> datetime:  # noqa: ARG002  (part of fsspec's)
        """Any time will do: within a query a file does not change."""
        return _LONG_AGO

    def _split(self, path: str) -> tuple[str, str]:
        for root in self._roots:
            inside = path.removeprefix(root)
            if inside != path and not _LEADS_OUT.search(inside):
                return root, inside
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _pinned(self, path: str) -> Pinned:
        inside = self._split(path)[1]
        with self._lock:
            if (known := self._opened.get(inside)) is not None:
                self._opened.move_to_end(inside)
                return known
        pinned = self._store.pin(inside)
        with self._lock:
            if self._versions.setdefault(inside, pinned.version) != pinned.version:
                raise ReplacedError(inside)
            self._opened[inside] = pinned
            if len(self._opened) > _KEPT_OPEN:  # who reads it still keeps it open
                self._opened.popitem(last=False)
        return pinned

    @contextmanager
    def noting(self) -> Iterator[None]:
        """A context that keeps what is raised in it, for DuckDB passes on no more than its text."""
        try:
            yield
        except Exception as error:
            if self.failure is None:
                self.failure = error
            raise


class _Handle:
    """A file as DuckDB uses it: several threads share it, and each seeks and then reads."""

    def __init__(self, files: LakeFiles, file: Readable) -> None:
        self._files = files
        self._file = file
        self._at = threading.local()

    def seek(self, position: int) -> int:
        self._at.position = position
        return position

    def tell(self) -> int:
        return int(getattr(self._at, "position", 0))

    def read(self, size: int) -> bytes:
        start = self.tell()
        with self._files.noting():
            content = self._file.read_at(size, start)
            if len(content) < size and start + size <= self._file.size():
                raise OSError(errno.EIO, "it gave fewer bytes than it has")
        self._at.position = start + len(content)
        return content

    def close(self) -> None:
        """Nothing: others may read the same file, and it is closed when nobody does."""
