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
def test_files_have_one_shape(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.endswith(";\n")
    assert max(map(len, text.splitlines())) <= 100
    if "\nwith " in text:
        end = " ".join(text.rpartition("\n\n")[2].split())
        assert end.startswith("select * from final")
