"""`acceptlake sql` with results of any size: little memory, and a whole file or none."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import catalog
from flows.lake import Lake
from tests.reliability.harness import COMMAND, PEAK, acceptlake, environment, finish, start

FORMS = ("csv", "json", "parquet")
WIDE = "select i, repeat('x', 1000) || i as text from range(300_000) as rows (i)"
"""300 MB of rows."""
KIB_OF_MEMORY = 300_000
"""More than the command needs for nothing at all (160,000), less than with all these rows."""
ENDLESS = "select i, j from range(1_000_000) as a (i) cross join range(1_000_000) as b (j)"
LONG = f"select sum(hash(i, j)) as x from ({ENDLESS})"
"""Gives nothing for hours."""
FAILING = "select cast(if(i < 300_000, '1', 'x') as integer) as n from range(1_000_000) as rows (i)"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """An empty one."""
    (tmp_path / "lake").mkdir()
    catalog.refresh(Lake.at(str(tmp_path / "lake")))
    return tmp_path / "lake"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The file to write, in a folder of its own."""
    (tmp_path / "exports").mkdir()
    return tmp_path / "exports" / "out"


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_the_result(form: str, lake: Path) -> None:
    export = [COMMAND, "sql", WIDE, "--lake", lake, "--format", form]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *export], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < KIB_OF_MEMORY


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_fails_half_way_leaves_the_file_that_was_there(
    form: str, lake: Path, target: Path
) -> None:
    target.write_text("of yesterday")
    told = acceptlake("sql", FAILING, "--lake", lake, "--format", form, "-o", target)
    assert told.code == 2
    assert "Could not convert string 'x' to INT32" in told.text
    assert [path.read_text() for path in target.parent.iterdir()] == ["of yesterday"]


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupted_export_leaves_no_file(form: str, lake: Path, target: Path) -> None:
    export = start("sql", ENDLESS, "--lake", lake, "--format", form, "-o", target)
    while not any(path.stat().st_size > 1000 for path in target.parent.iterdir()):
        assert export.poll() is None
        time.sleep(0.01)
    export.send_signal(signal.SIGINT)
    told = finish(export)
    assert (told.code, told.has_traceback) == (130, False)
    assert list(target.parent.iterdir()) == []


def test_a_long_query_can_be_interrupted(lake: Path, target: Path) -> None:
    query = start("sql", LONG, "--lake", lake, "-o", target)
    while not list(target.parent.iterdir()):
        assert query.poll() is None
        time.sleep(0.01)
    time.sleep(1)  # until DuckDB is at it
    query.send_signal(signal.SIGINT)
    told = finish(query)
    assert (told.code, told.has_traceback) == (130, False)
    assert list(target.parent.iterdir()) == []
