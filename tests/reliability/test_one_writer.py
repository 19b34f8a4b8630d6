"""A lake has one writer at a time; who waits for it, and who does not, does no harm."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.reliability.harness import (
    acceptlake,
    damage,
    finish,
    growing,
    holder,
    partitions,
    start,
    strays,
)

LONGEST_S = 60


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two mail work folders of other days, and in part other hosts."""
    folder = tmp_path_factory.mktemp("sources")
    logs = growing(folder / "all", ("MX1", "MX2"), days=2, connections=100)
    for number, (path, content) in enumerate(sorted(logs.later.items())):
        half = folder / ("even" if number % 2 == 0 else "odd")
        copy = half / "acceptlog" / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    return [folder / "even", folder / "odd"]


@pytest.fixture(scope="module")
def right(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The partitions of a lake into which both sources were put one after the other."""
    lake = tmp_path_factory.mktemp("right") / "lake"
    for source in sources:
        done = acceptlake("ingest", "--direct", source, "--lake", lake)
        assert done.code == 0, done.text
    return partitions(lake)


@contextmanager
def stopped_while_writing(source: Path, lake: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An ingest that holds the lake and does not get on."""
    process = start("ingest", "--direct", source, "--lake", lake)
    try:
        until = time.monotonic() + LONGEST_S
        while holder(lake) != process.pid:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield process
    finally:
        process.kill()
        process.wait()


def test_who_does_not_wait_is_told_who_writes_and_since_when(
    sources: list[Path], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    with stopped_while_writing(sources[0], lake) as first:
        second = acceptlake("ingest", "--direct", "--no-wait", sources[1], "--lake", lake)
    assert second.code == 2
    assert second.out == b""
    [sentence] = second.err.decode().splitlines()
    machine = os.uname().nodename
    assert f"is being written by process {first.pid} on {machine} since 20" in sentence
    assert list(damage(lake)) == []


def test_who_waits_goes_on_when_the_other_is_done(
    sources: list[Path], right: dict[str, str], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    with stopped_while_writing(sources[0], lake) as first:
        second = start("ingest", "--direct", sources[1], "--lake", lake)
        # Who comes later and does not wait is turned away; by then the second is there too.
        late = acceptlake("ingest", "--direct", "--no-wait", sources[1], "--lake", lake)
        assert late.code == 2
        assert second.poll() is None, "it waits"
        assert holder(lake) == first.pid
        first.send_signal(signal.SIGCONT)
        assert finish(first).code == 0
        done = finish(second)
    assert done.code == 0, done.text
    assert partitions(lake) == right
    assert strays(lake) == []


def test_the_lock_of_a_killed_writer_is_no_obstacle(
    sources: list[Path], right: dict[str, str], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    with stopped_while_writing(sources[0], lake) as first:
        first.kill()
        first.wait()
        for source in sources:
            done = acceptlake("ingest", "--direct", "--no-wait", source, "--lake", lake)
            assert done.code == 0, done.text
    assert partitions(lake) == right
    assert strays(lake) == []


def test_ingests_started_together_end_in_the_right_lake(
    sources: list[Path], right: dict[str, str], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    both = [start("ingest", "--direct", source, "--lake", lake) for source in sources * 2]
    for done in map(finish, both):
        assert done.code == 0, done.text
    assert partitions(lake) == right
    assert strays(lake) == []


def test_of_two_ingests_of_one_source_the_second_finds_all_done(
    sources: list[Path], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    first, second = (
        start("ingest", "--direct", "--json", sources[0], "--lake", lake) for _ in range(2)
    )
    counts = [json.loads(finish(process).out) for process in (first, second)]
    files = counts[0]["files"]
    assert sorted(count["ingested"] for count in counts) == [0, files]
    assert sorted(count["unchanged"] for count in counts) == [0, files]
