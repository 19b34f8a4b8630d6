"""Each DuckDB that a BI tool may have built in reads every view and macro, also during a night."""

import json
import re
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flows import catalog
from flows.catalog import Kind
from flows.simulate import Edition, Plan, simulate
from tests.reliability.harness import CATALOG, acceptlake

PROJECT = Path(__file__).parents[2]
PINS = (PROJECT / ".ci" / "readers.txt").read_text("utf-8")
VERSIONS = re.findall(r"^duckdb==(\S+)$", PINS, re.MULTILINE)
NEWEST = VERSIONS[-1]
MACROS = {
    "client_network": "select distinct client_network(client_ip) from connections",
    "ipv6_network": "select ipv6_network('2001:db8::1')",
    "is_checked": "select is_checked(date) from partitions",
    "line_text": "select line_text(events) from events",
    "printable": "select printable(raw) from events where raw is not null",
    "sender_history": "from sender_history('')",
    "top_rejected_senders_between": (
        "from top_rejected_senders_between('2026-05-04', '2026-05-10', 10)"
    ),
    "trace": "from trace('192.0.2.131', '2026-05-20')",
}
VIEWS = [each for each in catalog.definitions() if each.kind is Kind.VIEW]
QUESTIONS = MACROS | {view.name: f"from {view.name}" for view in VIEWS}
TELL_WHEN = {"footers", "ingested_files"}
"""Views that say when a log was ingested, which is another time after each night."""
SCALARS = {"VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP"}
SCALARS |= {"TIMESTAMP WITH TIME ZONE"}

Answers = Mapping[str, Any]
Tool = subprocess.Popen[str]


@dataclass(frozen=True)
class Read:
    """What one version read, its connection open all the while."""

    before: Answers
    during: Answers
    """While nights replaced every file by its like."""
    afterwards: Answers
    """After one more night, which brought a new day."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers") / "lake"


@pytest.fixture(scope="module")
def read(lake: Path) -> Mapping[str, Read]:
    """What each version read."""
    if not all(_python(version).exists() for version in VERSIONS):
        pytest.fail("there are no environments with other versions of DuckDB; run `make readers`")
    plan = Plan(Edition.WIN_4AN, ("MX1",), date(2026, 5, 1), 30, 60, seed=3, hostility=0.02)
    *logs, strange_day, new_day = simulate(lake.parent / "mail", plan, truth=False).files
    logs[9].unlink()
    strange_day.write_bytes(strange_day.read_bytes()[:500])
    new_content = new_day.read_bytes()
    new_day.unlink()
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        _night(lake)
        tools = [_open(version, lake, stack) for version in VERSIONS]
        before = list(pool.map(_ask, tools))
        looks = [pool.submit(_ask, tool) for tool in tools]
        while not all(look.done() for look in looks):
            _night(lake, "--force")
        new_day.write_bytes(new_content)
        _night(lake)
        afterwards = list(pool.map(_ask, tools))
    during = [look.result() for look in looks]
    return dict(zip(VERSIONS, map(Read, before, during, afterwards), strict=True))


@pytest.fixture(scope="module")
def opened_anew(read: Mapping[str, Read], lake: Path) -> Answers:
    """What one who opens the catalog after all that reads."""
    with ExitStack() as stack:
        return _ask(_open(NEWEST, lake, stack))


def _night(lake: Path, *options: str) -> None:
    words = ("ingest", "--direct", *options, lake.parent / "mail", "--lake", lake)
    finished = acceptlake(*words)
    assert finished.code == 0, finished.text


def _python(version: str) -> Path:
    return PROJECT / ".venv-readers" / f"duckdb-{version}" / "bin" / "python"


def _open(version: str, lake: Path, stack: ExitStack) -> Tool:
    words = (_python(version), Path(__file__).with_name("read_catalog.py"), lake / CATALOG)
    tool = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return stack.enter_context(tool)  # ends the questions, and so the tool


def _ask(tool: Tool) -> Answers:
    assert tool.stdin
    assert tool.stdout
    tool.stdin.write(json.dumps(QUESTIONS) + "\n")
    tool.stdin.flush()
    return json.loads(tool.stdout.readline())


def _differing(some: Answers, others: Answers) -> set[str]:
    return {name for name in QUESTIONS if some[name] != others[name]}


def test_everything_is_asked_and_answered(read: Mapping[str, Read]) -> None:
    assert set(QUESTIONS) == {each.name for each in catalog.definitions()}
    assert {name for name, answer in read[NEWEST].before.items() if not answer["rows"]} == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_answers_the_same_in_the_same_types(
    version: str, read: Mapping[str, Read]
) -> None:
    assert _differing(read[version].before, read[NEWEST].before) == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_have_types_that_bi_tools_know(version: str, read: Mapping[str, Read]) -> None:
    answers = [each.name for each in VIEWS if not each.is_base]
    types = {name: set(read[version].before[name]["types"].values()) for name in answers}
    assert {name: strange - SCALARS for name, strange in types.items() if strange - SCALARS} == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_night_disturbs_no_answer(version: str, read: Mapping[str, Read]) -> None:
    assert _differing(read[version].during, read[version].before) <= TELL_WHEN


@pytest.mark.parametrize("version", VERSIONS)
def test_an_open_catalog_shows_the_new_night(
    version: str, read: Mapping[str, Read], opened_anew: Answers
) -> None:
    afterwards = read[version].afterwards
    assert ["MX1", "2026-05-31"] in [row[:2] for row in afterwards["acceptance_rate_daily"]["rows"]]
    assert _differing(afterwards, opened_anew) == set()
