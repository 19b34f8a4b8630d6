"""RELIABILITY.md: the proofs it names are there, and every test of this folder is one of them."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "RELIABILITY.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE))


def defined_in(file: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(("file", "test"), sorted(NAMED))
def test_a_named_test_exists(file: str, test: str) -> None:
    assert test in defined_in(ROOT / file)


def test_every_reference_has_a_file_and_a_name() -> None:
    assert len(re.findall(r"tests/\w", PAGE)) == len(re.findall(r"`tests/[\w/]+\.py::\w+`", PAGE))


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", PAGE))))
def test_a_named_command_exists(module: str) -> None:
    assert find_spec(module) is not None


def test_every_test_of_this_folder_proves_a_promise() -> None:
    files = set(Path(__file__).parent.glob("test_*.py")) - {Path(__file__)}
    tests = {
        (file.relative_to(ROOT).as_posix(), test) for file in files for test in defined_in(file)
    }
    assert tests - NAMED == set()
