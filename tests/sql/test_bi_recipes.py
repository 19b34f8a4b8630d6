"""What the recipes in docs/bi name is in the catalog of a lake."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
from lakes import ingest, opened, write_logs
from superset_charts import CHARTS, DATASETS, LAYOUT, Chart, Dataset

RECIPES = Path(__file__).parents[2] / "docs" / "bi"
LOG = b"""\
[03/Jun/2026:09:00:00], (mx1), [192.0.2.1]:25, Client accept now.
[03/Jun/2026:09:00:01], (mx1), 192.0.2.1[192.0.2.1], taro@kita.co.jp,<B0000000001>,ok
[03/Jun/2026:09:01:00], (mx1), [192.0.2.2]:25, Client accept now.
[03/Jun/2026:09:01:02], (mx1), 192.0.2.2[192.0.2.2], ,<B0000000000>,abort
"""
QUESTION = re.compile(r'```sql\n(.*?)```|acceptlake sql "(.*?)"', re.DOTALL)
QUESTIONS = [
    pytest.param(block or argument, id=f"{page.name}-{number}")
    for page in sorted(RECIPES.glob("*.md"))
    for number, (block, argument) in enumerate(QUESTION.findall(page.read_text("utf-8")))
]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    where = tmp_path_factory.mktemp("bi")
    write_logs(where / "mail", {("MX1", date(2026, 6, 3)): LOG})
    with opened(ingest(where / "mail", where / "lake")) as connection:
        yield connection


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda each: each.view)
def test_superset_datasets_are_views(dataset: Dataset, catalog: duckdb.DuckDBPyConnection) -> None:
    expressions = [each.sql for each in (*dataset.metrics, *dataset.calculated)]
    for expression in (dataset.time_column, *expressions):
        rows = catalog.execute(f"select {expression} from {dataset.view}").fetchall()
        assert rows[0][0] is not None


@pytest.mark.parametrize("chart", CHARTS, ids=lambda each: each.title)
def test_superset_charts_have_columns_of_their_dataset(
    chart: Chart, catalog: duckdb.DuckDBPyConnection
) -> None:
    (dataset,) = (each for each in DATASETS if each.view == chart.view)
    columns = set(catalog.table(chart.view).columns)
    columns |= {each.name for each in dataset.calculated}
    assert {*chart.columns, *chart.equal} <= columns
    assert {each.removeprefix("-") for each in chart.order} <= columns
    assert set(chart.metrics) <= {each.name for each in dataset.metrics}


@pytest.mark.parametrize("chart", CHARTS, ids=lambda each: each.title)
def test_superset_charts_have_the_data_they_are_compared_with(
    chart: Chart, catalog: duckdb.DuckDBPyConnection
) -> None:
    (dataset,) = (each for each in DATASETS if each.view == chart.view)
    meant = {each.name: each.sql for each in (*dataset.metrics, *dataset.calculated)}
    names = (*chart.columns, *chart.metrics)
    shown = ", ".join(f"{meant.get(name, name)} as {name}" for name in names)
    where = "".join(f" and {column} = '{value}'" for column, value in chart.equal.items())
    drawn = catalog.execute(f"select {shown} from {chart.view} where true{where} group by all")
    rows = drawn.fetchall()
    answer = catalog.execute(f"select {', '.join(names)} from ({chart.answer})").fetchall()
    assert rows
    assert sorted(rows) == sorted(answer)


def test_superset_dashboard_shows_every_chart_once() -> None:
    assert sorted(place for places, _ in LAYOUT for place in places) == list(range(len(CHARTS)))


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_in_recipes_can_be_asked(
    question: str, catalog: duckdb.DuckDBPyConnection
) -> None:
    # Grafana puts the time range of the dashboard there.
    catalog.execute(re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > '2000-01-01'", question))
