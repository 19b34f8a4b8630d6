"""Where a lake's files lie, and how one of them is replaced so that nobody ever sees half of it.

Readers see the old file or the new one: on a file system by writing under a hidden name beside it
and renaming, in an object store because an object appears when its upload is complete.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
from fsspec.utils import glob_translate
from pyarrow import fs

from flows.errors import LakeError, printable

_PENDING = ".tmp"
_SCRATCH = ".scratch-"
_REPLACE_TRIES = 50
_REPLACE_PAUSE_S = 0.2
_SMALL = 1 << 20
_TAIL = 1 << 16
_WILD = re.compile(r"[*?\[]")


class ReplacedError(LakeError):
    """A file of an object store was replaced while it was being read; reading it again helps."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{printable(path)!r} was replaced while it was being read; once more will do"
        )


class Readable(Protocol):
    """A file to read at random, from several threads at once."""

    def size(self) -> int:
        """Bytes in it."""

    def read_at(self, size: int, start: int) -> bytes:
        """So many bytes from a position on; fewer at the end. Raises ReplacedError."""


class Pinned(NamedTuple):
    """A file opened to read, and which of all that were ever under its path it is."""

    file: Readable
    version: object
    """Differs between any two files under one path; of no meaning but that."""


class Store(Protocol):
    """Files by relative path with `/`, readable at random and replaceable as a whole."""

    @property
    def root(self) -> str:
        """The absolute path or URI of the store, with `/`, without a final one."""

    def names(self) -> set[str]:
        """What lies at the top; nothing where the store is still to be made.

        Raises:
            LakeError: there is no such place, or it cannot be reached.
        """

    def find(self, pattern: str) -> list[str]:
        """The paths that match a pattern of `*`, `**`, `?` and `[…]`, sorted."""

    def open(self, path: str) -> pa.NativeFile:
        """Open a file to read all of it, as it is now. Raises as `pin`."""

    def pin(self, path: str) -> Pinned:
        """Open a file to read parts of it, and tell its version.

        Raises:
            FileNotFoundError: there is no such file.
            ReplacedError: an object was replaced and can be read no further; also when reading.
        """

    def scratch(self) -> AbstractContextManager[Path]:
        """A context that yields an empty folder, gone at its end; for the one writer."""

    def replace(self, path: str) -> AbstractContextManager[Path]:
        """A context that yields a local path to write to, and publishes it when it ends well."""


class LocalStore:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def root(self) -> str:
        return self.folder.as_posix()

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()

    def find(self, pattern: str) -> list[str]:
        found = self.folder.glob(pattern)
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def open(self, path: str) -> pa.NativeFile:
        return pa.OSFile(str(self.folder / path), "rb")

    def pin(self, path: str) -> Pinned:
        place = self.folder / path
        version = _version_at(place)
        while True:
            file = pa.OSFile(str(place), "rb")
            before, version = version, _version_at(place)
            if before == version:  # so it was not replaced between being looked at and opened
                return Pinned(file, version)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        # In the lake, so that what a crash leaves behind is found by the next writer.
        for stray in self.folder.glob(f"{_SCRATCH}*"):
            shutil.rmtree(stray)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.folder) as folder:
            yield Path(folder)

    @contextmanager
    def replace(self, path: str) -> Iterator[Path]:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # The lake's one writer is us, so what lies there under such a name was left by a crash.
        for stray in target.parent.glob(f".{target.name}.*{_PENDING}"):
            stray.unlink()
        pending = target.with_name(f".{target.name}.{os.getpid()}{_PENDING}")
        try:
            yield pending
            _sync(pending)
            _rename(pending, target)
        except BaseException:
            with suppress(OSError):
                pending.unlink()
            raise
        _sync_folder(target.parent)


class ObjectStore:
    """A prefix in an object store, through pyarrow's file systems and with their credentials.

    An object under a path is replaced as a whole. One that is being read is fetched in parts, and
    nothing keeps these of one version; so each part counts only if the object is still the same
    after it was fetched.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        if parts.query or (parts.scheme == "s3" and "@" in parts.netloc):
            raise LakeError(
                f"cannot use an address with credentials or options as a lake: {parts.scheme}"
                "://…; they are taken from the environment, such as AWS_ACCESS_KEY_ID,"
                " AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL"
            )
        try:
            self.files, prefix = fs.FileSystem.from_uri(uri)
        except (pa.ArrowInvalid, ValueError) as error:
            raise LakeError(f"cannot use {printable(uri)!r} as a lake: {error}") from error
        self.prefix = prefix.rstrip("/")
        self.root = uri.rstrip("/")

    def names(self) -> set[str]:
        bucket = self.prefix.partition("/")[0]
        try:
            if self.files.get_file_info(bucket).type is fs.FileType.NotFound:
                raise LakeError(
                    f"there is no bucket {printable(bucket)!r}; make it first, or name another"
                    " server by AWS_ENDPOINT_URL"
                )
            selector = fs.FileSelector(self.prefix, allow_not_found=True)
            return {info.base_name for info in self.files.get_file_info(selector)}
        except OSError as error:
            raise LakeError(
                f"cannot read {printable(self.root)!r}: {printable(str(error))}; are credentials"
                " and server in the environment, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL?"
            ) from error

    def find(self, pattern: str) -> list[str]:
        fixed = _WILD.split(pattern, maxsplit=1)[0].rpartition("/")[0]
        folder = f"{self.prefix}/{fixed}".rstrip("/")
        selector = fs.FileSelector(folder, allow_not_found=True, recursive=True)
        paths = (info.path for info in self.files.get_file_info(selector) if info.is_file)
        inside = (path.removeprefix(f"{self.prefix}/") for path in paths)
        return sorted(filter(re.compile(glob_translate(pattern)).match, inside))

    def open(self, path: str) -> pa.NativeFile:
        file = self.pin(path).file
        return in_memory(file.read_at(file.size(), 0))  # by one request, so of one version

    def pin(self, path: str) -> Pinned:
        file = _Object(self.files, f"{self.prefix}/{path}")
        return Pinned(file, file.version)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="acceptlake-") as folder:
            yield Path(folder)

    @contextmanager
    def replace(self, path: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="acceptlake-") as folder:
            pending = Path(folder, "object")
            yield pending
            # Nothing is visible before the stream is closed. Arrow closes also one that is let go
            # of, so all goes in by one call: there is no moment at which a part would be published.
            stream = self.files.open_output_stream(f"{self.prefix}/{path}")
            with pa.memory_map(str(pending)) as content:
                stream.write(content.read_buffer())
            stream.close()


class _Object:
    """One version of an object, read in parts.

    Its end, where Parquet has its footer, is fetched at once, and so is all of a small one: what
    takes time in an object store is the number of requests.
    """

    def __init__(self, files: fs.FileSystem, path: str) -> None:
        self._files = files
        self._path = path
        self._file = files.open_input_file(path)
        self._size = int(self._file.size())
        self.version = _version(self._file)
        self._tail_at = 0 if self._size <= _SMALL else self._size - _TAIL
        self._tail = self._fetch(self._size - self._tail_at, self._tail_at)

    def _fetch(self, size: int, start: int) -> bytes:
        try:
            content: bytes = self._file.read_at(size, start)
            is_same = _version(self._files.open_input_file(self._path)) == self.version
        except FileNotFoundError:
            is_same = False
        if not is_same:
            raise ReplacedError(self._path)
        return content

    def size(self) -> int:
        return self._size

    def read_at(self, size: int, start: int) -> bytes:
        if start >= self._tail_at:
            return self._tail[start - self._tail_at :][:size]
        return self._fetch(min(size, self._size - start), start)


def _version_at(path: Path) -> tuple[int, ...]:
    state = path.stat()
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size


def _version(file: pa.NativeFile) -> object:
    """What tells an object from those before and after it."""
    metadata = file.metadata()
    return metadata.get("ETag") or (metadata.get("Last-Modified"), file.size())


def in_memory(content: bytes) -> pa.NativeFile:
    """A file of these bytes, in memory of Arrow's own.

    Python's would do as well, but for this: an Arrow thread that lets go of it while Python ends
    aborts the process.
    """
    stream = pa.BufferOutputStream()
    stream.write(content)
    return pa.BufferReader(stream.getvalue())


def store_at(where: str) -> Store:
    """The store at a local path, a `file://` URI, or an object store's (`s3://`, `gs://`, …)."""
    scheme, separator, _ = where.partition("://")
    if not separator or len(scheme) == 1:  # of one letter are the drives of Windows
        return LocalStore(Path(where))
    if scheme != "file":
        return ObjectStore(where)
    parts = urlsplit(where)
    server = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
    return LocalStore(Path(url2pathname(server + parts.path)))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # has no such thing; the rename is in the journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(pending: Path, target: Path) -> None:
    # On Windows and its shares a file cannot be replaced while a reader has it open without
    # sharing; readers of a lake are done with a file in moments.
    for tries_left in reversed(range(_REPLACE_TRIES)):
        try:
            os.replace(pending, target)  # noqa: PTH105
        except PermissionError:
            if sys.platform != "win32" or not tries_left:
                raise
            time.sleep(_REPLACE_PAUSE_S)
        else:
            return
