"""Let every file-system call of an ingest fail, one after the other, and look at what it leaves.

    python -m tests.reliability.faults

The ingest replaces partitions of a lake by those of logs that have grown, adds a new one, and
replaces the catalog. First its calls are counted: opening, making folders, writing, syncing,
closing, renaming, listing, deleting, in the lake and in the folder of temporary files. Then each
of them fails once in a run of its own, with ENOSPC, EIO and EACCES, and writes also after half of
what was to be written. Last the disk is really full: at a limit for the size of files, and on a
small file system of its own where one can be mounted.

Every run must say what failed, without a traceback, and go on with the other days; what readers
see must be whole, and the next run must make of it the lake of a clean run. Exit code 1 if
anything was not so.
"""

import argparse
import builtins
import errno
import io
import multiprocessing
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.reliability.harness import (
    CATALOG,
    Finished,
    Growth,
    damage,
    environment,
    growing,
    neither_nor,
    partitions,
    strays,
)

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
SHORT = 0
"""Instead of an error number: write half, and then have no space for the rest."""
LIMITS = (0, 64, 500, 2_000, 4_000, 8_000, 12_000, 16_000, 24_000, 32_000, 64_000, 200_000, 500_000)
"""Sizes that no file may exceed, in bytes."""
ROOMS = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256)
"""Free pages of a full disk."""

_PAGE = 4096
_DAY = re.compile(r"host=([^/]+)/date=([^/]+)")
_RANDOM = re.compile(r"(?<=\.)\d+(?=\.tmp)|(?:(?<=acceptlake-)|(?<=\.scratch-))\w{8}")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["flows.cli", "flows.night", "flows.terminal", "flows.catalog"])


class Call(NamedTuple):
    """One of the calls, by what stays the same from run to run."""

    what: str
    path: str
    number: int
    """How many of these there were before."""

    def __str__(self) -> str:
        return f"{self.what} {self.path} ({self.number})"


@dataclass(frozen=True)
class Fault:
    """What is to fail, and how."""

    call: Call
    error: int

    def __str__(self) -> str:
        name = errno.errorcode[self.error] if self.error else "short"
        return f"{self.call} {name}"


@dataclass
class Report:
    """What came of the faults."""

    calls: int = 0
    runs: int = 0
    reported: Counter[int] = field(default_factory=Counter)
    """Exit codes."""
    missed: int = 0
    """Faults whose call did not come again."""
    violations: list[str] = field(default_factory=list)
    seconds: float = 0

    def __str__(self) -> str:
        codes = ", ".join(f"{n} with exit code {code}" for code, n in sorted(self.reported.items()))
        return (
            f"{self.calls} calls, {self.runs} runs with a fault ({codes}), {self.missed} missed,"
            f" {len(self.violations)} violations, {self.seconds:.0f} s"
        )


class Injector:
    """Counts the calls that reach some folders, and lets one of them fail.

    Args:
        folders: name and path of those that count.
        fault: what is to fail. None = nothing.
    """

    def __init__(self, folders: Mapping[str, Path], fault: Fault | None) -> None:
        self.calls: list[Call] = []
        self.has_failed = False
        self._folders = folders
        self._fault = fault
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def due(self, what: str, path: object) -> int | None:
        """Count a call; gives the error that it is to fail with, if it is."""
        if not isinstance(path, str | Path):
            return None
        for name, folder in self._folders.items():
            if Path(path).is_relative_to(folder):
                inside = Path(path).relative_to(folder).as_posix()
                label = _RANDOM.sub("N", f"{name}/{inside}")
                break
        else:
            return None
        with self._lock:
            call = Call(what, label, self._counts[what, label])
            self._counts[what, label] += 1
            self.calls.append(call)
            if self._fault is None or self._fault.call != call:
                return None
            self.has_failed = True
            return self._fault.error

    def meet(self, what: str, path: object) -> None:
        """Count a call, and raise what it is to fail with."""
        if (error := self.due(what, path)) is not None:
            raise failure(error, path)

    def install(self) -> None:
        """Put ourselves before the calls, for the rest of this process."""
        for name in ("mkdir", "replace", "unlink", "rmdir", "scandir", "open"):
            setattr(os, name, self._by_path(name, getattr(os, name)))
        for name in ("fsync", "close"):
            setattr(os, name, self._by_descriptor(name, getattr(os, name)))
        os.sendfile = self._sendfile(os.sendfile)
        builtins.open = io.open = self._file(io.open)
        pa.OSFile = self._by_path("open to read", pa.OSFile)
        injector = self

        class Writer(pq.ParquetWriter):  # type: ignore[misc]
            """Writes through us."""

            def __init__(self, where: Path, schema: pa.Schema, **options: object) -> None:
                injector.meet("open to write", where)
                self._file = _Counted(io.FileIO(where, "w"), injector, where)
                super().__init__(pa.PythonFile(self._file, "w"), schema, **options)

            def close(self) -> None:
                super().close()
                self._file.close()

        pq.ParquetWriter = Writer

    def _by_path(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: object, *rest: Any, **options: Any) -> Any:
            self.meet(what, path)
            return real(path, *rest, **options)

        return call

    def _by_descriptor(self, what: str, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(descriptor: int) -> None:
            path = _path_of(descriptor)
            if what == "close":  # what fails to close is closed all the same
                real(descriptor)
                self.meet(what, path)
            else:
                self.meet(what, path)
                real(descriptor)

        return call

    def _sendfile(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(target: int, source: int, offset: int, count: int) -> int:
            path = _path_of(target)
            error = self.due("write", path)
            if error == SHORT:
                real(target, source, offset, os.fstat(source).st_size // 2)
            if error is not None:
                raise failure(error, path)
            return real(target, source, offset, count)

        return call

    def _file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            writes = any(letter in mode for letter in "wxa+")
            self.meet("open to write" if writes else "open to read", path)
            file = real(path, mode, *rest, **options)
            return _Counted(file, self, path) if writes else file

        return call


class _Counted:
    """A file being written, of which every write counts."""

    def __init__(self, file: Any, injector: Injector, path: Any) -> None:
        self._file = file
        self._injector = injector
        self._path = path

    def write(self, content: Any) -> int:
        error = self._injector.due("write", self._path)
        if error == SHORT:
            half = content if isinstance(content, str) else memoryview(content)
            self._file.write(half[: len(half) // 2])
        if error is not None:
            raise failure(error, self._path)
        return int(self._file.write(content))

    def __enter__(self) -> "_Counted":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _path_of(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return ""


def failure(error: int, path: object) -> OSError:
    """The error of that number; `SHORT` ends in a full disk."""
    number = error or errno.ENOSPC
    return OSError(number, os.strerror(number), str(path))


@dataclass(frozen=True)
class Setting:
    """Where an ingest runs."""

    source: Path
    lake: Path
    tmp: Path

    def run(
        self, fault: Fault | None = None, limit: int | None = None
    ) -> tuple[Finished, list[Call], bool]:
        """Run the command in a process of its own.

        Args:
            fault: what is to fail.
            limit: size that no file of the lake may exceed, in bytes.

        Returns:
            What it left, its calls, and whether the fault came to pass.
        """
        pipes = [_FORKS.Pipe(duplex=False) for _ in range(3)]
        process = _FORKS.Process(
            target=_run_command, args=(self, fault, limit, *(theirs for _, theirs in pipes))
        )
        process.start()
        for _, theirs in pipes:
            theirs.close()
        out, err, report = (ours for ours, _ in pipes)
        calls: list[Call] = []
        has_failed = False
        with suppress(EOFError):  # it died
            calls, has_failed = report.recv()
        said = [_read(pipe) for pipe in (out, err)]
        process.join()
        return Finished(process.exitcode or 0, *said), calls, has_failed


def _read(pipe: Connection) -> bytes:
    return b"".join(iter(lambda: os.read(pipe.fileno(), _PAGE), b""))


def _run_command(
    setting: Setting,
    fault: Fault | None,
    limit: int | None,
    out: Connection,
    err: Connection,
    report: Connection,
) -> None:
    from flows.cli import main

    for pipe, descriptor in ((out, 1), (err, 2)):
        os.dup2(pipe.fileno(), descriptor)
        pipe.close()
    os.environ.update(environment(TMPDIR=str(setting.tmp)))
    tempfile.tempdir = None
    sys.argv = ["acceptlake", "ingest", "--direct", "--no-wait", str(setting.source)]
    sys.argv += ["--lake", str(setting.lake)]
    injector = Injector({"lake": setting.lake, "tmp": setting.tmp}, fault)
    if limit is None:
        injector.install()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        report.send((injector.calls, injector.has_failed))


class Ground:
    """Logs, a lake of their earlier state, and what a clean ingest makes of it.

    Args:
        folder: empty, to work in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs: Growth = growing(folder / "mail", days=1, connections=60)
        self.base = folder / "base"
        self.logs.write_earlier()
        self._ingest(self.base)
        self.logs.write_later()
        self.old = partitions(self.base)
        clean = self.trial("clean")
        self.calls = self._ingest(clean.lake)
        self.new = partitions(clean.lake)
        self.answer = answer(clean.lake)

    def _ingest(self, lake: Path) -> list[Call]:
        tmp = self.folder / "tmp"
        tmp.mkdir(exist_ok=True)
        done, calls, _ = Setting(self.logs.source, lake, tmp).run()
        if done.code:
            raise RuntimeError(f"an undisturbed ingest fails: {done.text}")
        return calls

    def trial(self, name: str, folder: Path | None = None) -> Setting:
        """A lake of the earlier state; its catalog is another folder's and will be replaced."""
        place = folder or self.folder
        lake, tmp = place / f"lake-{name}", self.folder / f"tmp-{name}"
        shutil.copytree(self.base, lake)
        tmp.mkdir()
        return Setting(self.logs.source, lake, tmp)

    def judge(self, setting: Setting, done: Finished, where: str | None) -> Iterator[str]:
        """What is wrong after a run that met a fault, and after the next one.

        Args:
            setting: of the run.
            done: what it left.
            where: the path that the fault hit; None = many.
        """
        lake = setting.lake
        if done.has_traceback:
            yield f"traceback: {done.err.decode().strip().splitlines()[-1]}"
        elif done.code not in (0, 1, 2):
            yield f"exit code {done.code}"
        elif done.code and not done.err.strip():
            yield f"exit code {done.code}, and not a word"
        if done.code == 0 and (partitions(lake) != self.new or answer(lake) != self.answer):
            yield "exit code 0, and the lake is not as it should be"
        yield from damage(lake)
        yield from neither_nor(lake, self.old, self.new, ["events"])
        yield from self._left_undone(lake, done, where)
        yield from self._not_healed(setting, where)

    def _left_undone(self, lake: Path, done: Finished, where: str | None) -> Iterator[str]:
        """The days that were not taken, without a word or without a reason."""
        now = partitions(lake)
        days = {path: _DAY.search(path) for path in self.new if path.startswith("events/")}
        left = [path for path in days if now.get(path) != self.new[path]]
        if done.code == 2 and all(now.get(path) == self.old.get(path) for path in days):
            return  # nothing at all could be done, and that was said
        for path in left:
            day = days[path]
            if day is None or f"{day[1]} {day[2]}" not in done.text:
                yield f"not a word of {path}, which was not taken"
            if where is not None and (day is None or day[0] not in where):
                yield f"{path} was not taken"

    def _not_healed(self, setting: Setting, where: str | None) -> Iterator[str]:
        done, _, _ = setting.run()
        if done.code:
            yield f"the next run fails: {done.text}"
        now = partitions(setting.lake)
        for path in sorted(now.keys() | self.new.keys()):
            if now.get(path) != self.new.get(path):
                yield f"the next run does not heal {path}"
        if (found := answer(setting.lake)) != self.answer:
            yield f"the next run leaves a catalog that says {found}"
        for path in strays(setting.lake):
            yield f"the next run leaves {path}"
        # Where deleting a temporary file failed it stays, for who would come back for it?
        for file in () if where and where.startswith("tmp/") else setting.tmp.iterdir():
            yield f"the next run leaves {file.name} among the temporary files"

    def drop(self, setting: Setting) -> None:
        shutil.rmtree(setting.lake)
        shutil.rmtree(setting.tmp)


def answer(lake: Path) -> object:
    """What a lake's catalog says of it."""
    try:
        with closing(duckdb.connect(lake / CATALOG, read_only=True)) as connection:
            return connection.execute(
                "select (select count(*) from events), (select count(*) from verdicts),"
                " (select count(*) from connections), (select count(*) from ingested_files)"
            ).fetchone()
    except duckdb.Error as error:
        return str(error)


def plan(calls: Sequence[Call]) -> list[Fault]:
    """All faults: of every call in every way; of the many writes each in one of them."""
    ways = (*ERRORS, SHORT)
    faults: list[Fault] = []
    for number, call in enumerate(sorted(calls)):
        errors = [ways[number % len(ways)]] if call.what == "write" else ERRORS
        faults += [Fault(call, error) for error in errors]
    return faults


def sweep(part: int | None, seed: int) -> Report:
    """Let calls fail: all of them, or a random part of so many."""
    report = Report()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="acceptlake-faults-") as folder:
        ground = Ground(Path(folder))
        faults = plan(ground.calls)
        report.calls = len(ground.calls)
        if part is not None:
            faults = random.Random(seed).sample(faults, min(part, len(faults)))
        for number, fault in enumerate(faults, start=1):
            setting = ground.trial(str(number))
            done, _, has_failed = setting.run(fault)
            report.runs += 1
            report.missed += not has_failed
            report.reported[done.code] += 1
            _note(report, str(fault), ground.judge(setting, done, fault.call.path))
            ground.drop(setting)
            if number % 200 == 0:
                _say(f"{number} of {len(faults)}, {time.monotonic() - started:.0f} s")
    report.seconds = time.monotonic() - started
    return report


def fill_up(limits: Sequence[int] = LIMITS, rooms: Sequence[int] = ROOMS) -> Report:
    """Ingest with more and more room, until there is enough.

    Args:
        limits: sizes that no file may exceed, in bytes.
        rooms: free pages of a disk that is otherwise full.
    """
    report = Report()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="acceptlake-full-") as folder:
        ground = Ground(Path(folder))
        report.calls = len(ground.calls)
        for number, limit in enumerate(limits):
            setting = ground.trial(f"limit{limit}")
            if number % 2:  # then the first to write the catalog is DuckDB itself
                (setting.lake / CATALOG).unlink()
            done, _, _ = setting.run(limit=limit)
            report.runs += 1
            report.reported[done.code] += 1
            _note(report, f"no file above {limit} bytes", ground.judge(setting, done, None))
            ground.drop(setting)
        for room in rooms:
            with _small_disk(Path(folder, "disk")) as disk:
                if disk is None:
                    break
                setting = ground.trial(f"room{room}", disk)
                used = shutil.disk_usage(disk).used
                _mount(disk, f"remount,size={used + room * _PAGE}")
                done, _, _ = setting.run()
                _mount(disk, "remount,size=64m")
                report.runs += 1
                report.reported[done.code] += 1
                _note(report, f"{room} free pages", ground.judge(setting, done, None))
                ground.drop(setting)
    report.seconds = time.monotonic() - started
    return report


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of its own; None if we may not mount one."""
    folder.mkdir(exist_ok=True)
    if not _mount(folder, "size=64m"):
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(folder: Path, options: str) -> bool:
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return mount is not None and subprocess.run(command, capture_output=True).returncode == 0


def _note(report: Report, fault: str, violations: Iterator[str]) -> None:
    for text in violations:
        report.violations.append(f"{fault}: {text}")
        _say(report.violations[-1])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", type=int, help="only so many faults, at random")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    swept = sweep(options.part, options.seed)
    full = fill_up()
    _say(f"injected: {swept}")
    _say(f"no room:  {full}")
    sys.exit(1 if swept.violations or full.violations else 0)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
