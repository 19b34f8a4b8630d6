"""What SQLAlchemy tells of the views, and reads from them, as Superset uses it.

`Table(…, autoload_with=engine)` works with no table of DuckDB: it asks for constraints in a way
that only PostgreSQL understands. Tools ask for the columns.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.pool import NullPool

from flows import catalog
from flows.catalog import Definition, Described, Kind
from flows.simulate import Edition, Plan, simulate
from tests.reliability.harness import CATALOG, acceptlake, finish, start

NIGHTS = 2
VIEWS = [each for each in catalog.definitions() if each.kind is Kind.VIEW]
PYTHON_TYPES = {
    "BIGINT": int,
    "BLOB": bytes,
    "BOOLEAN": bool,
    "DATE": date,
    "DOUBLE": float,
    "INTEGER": int,
    "TIMESTAMP": datetime,
    "TIMESTAMP WITH TIME ZONE": datetime,
    "VARCHAR": str,
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sqlalchemy")
    plan = Plan(Edition.BSD, ("MX1", "MX2"), date(2026, 5, 1), 2, 300, seed=3, hostility=0.02)
    simulate(folder / "mail", plan, truth=False)
    assert acceptlake("ingest", "--direct", folder / "mail", "--lake", folder / "lake").code == 0
    return folder / "lake"


@pytest.fixture(scope="module")
def engine(lake: Path) -> sa.Engine:
    """As docs/bi says to connect; each query opens the catalog anew."""
    address = f"duckdb:///{lake / CATALOG}"
    return sa.create_engine(address, connect_args={"read_only": True}, poolclass=NullPool)


@pytest.fixture(scope="module")
def told(engine: sa.Engine) -> Mapping[str, Sequence[ReflectedColumn]]:
    """The columns of each view."""
    views = sa.inspect(engine).get_multi_columns(kind=ObjectKind.VIEW)
    return {view: columns for (_, view), columns in views.items()}


def read(
    engine: sa.Engine, view: str, columns: Sequence[ReflectedColumn], tries: int = 5
) -> list[sa.Row[Any]]:
    """All rows; a query that ends because a file was replaced under it is asked again."""
    table = sa.table(view, *(sa.column(each["name"], each["type"]) for each in columns))
    try:
        with engine.connect() as connection:
            return sorted(connection.execute(sa.select(table)), key=str)
    except sa.exc.DBAPIError:
        if tries == 1:
            raise
        return read(engine, view, columns, tries - 1)


def test_views_are_found(engine: sa.Engine) -> None:
    assert set(sa.inspect(engine).get_view_names()) == {view.name for view in VIEWS}


@pytest.mark.parametrize("view", VIEWS, ids=lambda each: each.name)
def test_columns_have_the_types_of_their_values(
    view: Definition, engine: sa.Engine, told: Mapping[str, Sequence[ReflectedColumn]]
) -> None:
    columns = told[view.name]
    assert [Described(each["name"], each["comment"]) for each in columns] == list(view.columns)
    types = [each["type"].python_type for each in columns]
    with engine.connect() as connection:
        described = connection.execute(sa.text(f"describe {view.name}")).all()
    assert types == [PYTHON_TYPES[row.column_type] for row in described]
    for row in read(engine, view.name, columns):
        for value, python_type in zip(row, types, strict=True):
            assert value is None or isinstance(value, python_type)


def test_nothing_can_be_changed(engine: sa.Engine) -> None:
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="read-only mode"):
        connection.execute(sa.text("drop view events"))


def test_a_night_disturbs_no_answer(
    engine: sa.Engine, lake: Path, told: Mapping[str, Sequence[ReflectedColumn]]
) -> None:
    # These say when a log was ingested: after each night something else.
    views = told.keys() - {"footers", "ingested_files"}
    before = {view: read(engine, view, told[view]) for view in views}
    for _ in range(NIGHTS):
        night = start("ingest", "--direct", "--force", lake.parent / "mail", "--lake", lake)
        while night.poll() is None:
            for view in views:
                assert read(engine, view, told[view]) == before[view]
        assert finish(night).code == 0
