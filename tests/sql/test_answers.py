"""The cases: small logs through the whole pipeline, and what the views then answer, cell by cell.

A case holds logs, each under `@ HOST DATE` (or `@ HOST DATE empty`), and questions, each under
`? SQL`, with the table that answers it. Lines that start with `#` explain.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from lakes import Logs, opened

from flows import catalog
from flows.lake import Lake

CASES = sorted(Path(__file__).with_name("cases").glob("*.case"))


@dataclass
class Case:
    logs: dict[tuple[str, date], bytes] = field(default_factory=dict)
    questions: list[tuple[str, list[list[str]]]] = field(default_factory=list)


def read_case(path: Path) -> Case:
    case = Case()
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if not lines:
            continue
        mark, _, title = lines[0].partition(" ")
        if mark == "@":
            host, day = title.split()
            case.logs[host, date.fromisoformat(day)] = "".join(f"{n}\n" for n in lines[1:]).encode()
        else:
            assert mark == "?", f"{path.name}: neither a log nor a question: {lines[0]}"
            rows = [[cell.strip() for cell in line.split(" | ")] for line in lines[1:]]
            case.questions.append((title, rows))
    return case


def cell(value: object) -> str:
    """A value as cases write it: on one line, without spaces around it."""
    if value is None:
        return "null"
    return str(value).replace("\n", "\\n").strip() or "''"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_views_answer_the_case(path: Path, lake_of: Callable[[Logs], Lake]) -> None:
    case = read_case(path)
    with opened(lake_of(case.logs)) as connection:
        for question, expected in case.questions:
            result = connection.execute(question)
            columns = [column[0] for column in result.description]
            rows = [[cell(value) for value in row] for row in result.fetchall()]
            assert [columns, *rows] == expected, question


def test_every_view_and_macro_is_asked() -> None:
    asked = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("*.*"))
    answers = [each.name for each in catalog.definitions() if not each.is_base]
    assert [name for name in answers if f"from {name}" not in asked] == []
