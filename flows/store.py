"""Where a lake's files lie, and how one of them is replaced so that nobody ever sees half of it.

Readers see the old file or the new one: on a file system by writing under a hidden name beside it
and renaming, in an object store because an object appears when its upload is complete.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from pyarrow import fs

from flows.errors import LakeError, printable

_PENDING = ".tmp"
_SCRATCH = ".scratch-"
_REPLACE_TRIES = 50
_REPLACE_PAUSE_S = 0.2


class Store(Protocol):
    """Files by relative path with `/`, readable at random and replaceable as a whole."""

    @property
    def root(self) -> str:
        """The absolute path or URI of the store, with `/`, without a final one."""

    def list(self, folder: str, name: str) -> list[str]:
        """All files called `name` below a folder, sorted; none if there is no such folder."""

    def open(self, path: str) -> pa.NativeFile:
        """Open a file to read. Raises FileNotFoundError."""

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

    def list(self, folder: str, name: str) -> list[str]:
        found = (self.folder / folder).glob(f"*/*/{name}")
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def open(self, path: str) -> pa.NativeFile:
        return pa.OSFile(str(self.folder / path), "rb")

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
    """A prefix in an object store, through pyarrow's file systems and with their credentials."""

    def __init__(self, uri: str) -> None:
        try:
            self.files, self.prefix = fs.FileSystem.from_uri(uri)
        except (pa.ArrowInvalid, ValueError) as error:
            raise LakeError(f"cannot use {printable(uri)!r} as a lake: {error}") from error
        self.root = uri.rstrip("/")

    def list(self, folder: str, name: str) -> list[str]:
        selector = fs.FileSelector(f"{self.prefix}/{folder}", allow_not_found=True, recursive=True)
        paths = (info.path for info in self.files.get_file_info(selector) if info.is_file)
        inside = (path.removeprefix(f"{self.prefix}/") for path in paths)
        return sorted(path for path in inside if path.rpartition("/")[2] == name)

    def open(self, path: str) -> pa.NativeFile:
        return self.files.open_input_file(f"{self.prefix}/{path}")

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="acceptlake-") as folder:
            yield Path(folder)

    @contextmanager
    def replace(self, path: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="acceptlake-") as folder:
            pending = Path(folder, "object")
            yield pending
            # Nothing is visible before the stream is closed, and it is closed only when all is in.
            stream = self.files.open_output_stream(f"{self.prefix}/{path}")
            with pa.memory_map(str(pending)) as content:
                stream.write(content.read_buffer())
            stream.close()


def store_at(where: str) -> Store:
    """The store at a local path or at an object store's URI (`s3://`, `gs://`, `abfs://`)."""
    scheme, separator, _ = where.partition("://")
    if separator and scheme != "file":
        return ObjectStore(where)
    return LocalStore(Path(where.removeprefix("file://")))


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
