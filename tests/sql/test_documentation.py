"""The headers of the SQL files: complete, true to the statements, and in docs/views.md."""

from pathlib import Path

import pytest

from flows import catalog

ROOT = Path(__file__).parents[2]


def test_views_page_is_current() -> None:
    """If not: `python -m flows.catalog > docs/views.md`."""
    page = (ROOT / "docs" / "views.md").read_text(encoding="utf-8")
    assert page == catalog.markdown() + "\n"


@pytest.mark.parametrize("definition", catalog.definitions(), ids=lambda each: each.name)
def test_headers_say_what_a_row_is_and_what_stands_in_it(definition: catalog.Definition) -> None:
    assert definition.grain
    assert definition.description.endswith((".", ")"))
    assert all(each.comment.endswith(".") for each in (*definition.columns, *definition.parameters))
    if definition.kind is not catalog.Kind.MACRO:
        columns = {column.name for column in definition.columns}
        assert set(definition.grain.split(", ")) <= columns


@pytest.mark.parametrize(
    "file",
    sorted((ROOT / "sql").rglob("*.sql")),
    ids=lambda file: f"{file.parent.name}/{file.stem}",
)
def test_files_end_in_the_select_that_gives_the_answer(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    if file.parent.name != "base":
        assert [line for line in lines if line.startswith("select") or " final" in line][-1:] != []
        end = "\n".join(lines[-10:])
        assert "from final" in end
    assert max(map(len, lines)) <= 100
    assert not any(line.endswith(" ") or "\t" in line for line in lines)
