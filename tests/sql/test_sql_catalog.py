"""The catalog: there on an empty lake, typed and commented for BI tools, right for any names."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest
from lakes import Logs, ingest, opened, views, write_logs

from flows import catalog
from flows.errors import LakeError
from flows.lake import SCHEMAS, Lake, TableName

DAY = date(2026, 6, 3)
LOG = b"""\
[03/Jun/2026:09:00:00], (mx1), [192.0.2.1]:25, Client accept now.
[03/Jun/2026:09:00:01], (mx1), 192.0.2.1[192.0.2.1], taro@kita.co.jp,<B0000000001>,ok
"""
SCALARS = {"VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP"}
SCALARS |= {"TIMESTAMP WITH TIME ZONE"}


def columns_of(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    described = connection.execute(f"describe {name}").fetchall()
    return {column: dtype for column, dtype, *_ in described}


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    lake = Lake.at(str(tmp_path / "lake"))
    (tmp_path / "lake").mkdir()
    assert catalog.refresh(lake)
    return lake


@pytest.mark.parametrize("view", views())
def test_views_of_an_empty_lake_are_empty(view: str, empty: Lake) -> None:
    with opened(empty) as connection:
        assert connection.execute(f"from {view}").fetchall() == []


@pytest.mark.parametrize("view", views())
def test_columns_are_the_same_whether_or_not_there_are_files(
    view: str, empty: Lake, lake_of: Callable[[Logs], Lake], tmp_path: Path
) -> None:
    with opened(empty) as connection:
        before = columns_of(connection, view)
    with opened(lake_of({("MX1", DAY): LOG})) as connection:
        assert columns_of(connection, view) == before


@pytest.mark.parametrize("view", views(answers_only=True))
def test_answers_have_types_that_bi_tools_know(view: str, empty: Lake) -> None:
    with opened(empty) as connection:
        assert set(columns_of(connection, view).values()) <= SCALARS


@pytest.mark.parametrize("table", TableName)
def test_tables_show_the_columns_of_their_schema(table: TableName, empty: Lake) -> None:
    with duckdb.connect() as plain:
        schema = plain.from_arrow(SCHEMAS[table].empty_table())
        expected = {"host": "VARCHAR", "date": "DATE"}
        expected |= dict(zip(schema.columns, map(str, schema.types), strict=True))
    with opened(empty) as connection:
        assert columns_of(connection, table) == expected


@pytest.mark.parametrize("definition", catalog.definitions(), ids=lambda each: each.name)
def test_everything_is_described_in_the_catalog(
    definition: catalog.Definition, empty: Lake
) -> None:
    with opened(empty) as connection:
        if definition.kind is catalog.Kind.VIEW:
            of_view = "select comment from duckdb_views() where view_name = ?"
            of_columns = """
                select column_name, comment from duckdb_columns()
                where table_name = ? order by column_index
            """
            comments = connection.execute(of_view, [definition.name]).fetchall()
            columns = connection.execute(of_columns, [definition.name]).fetchall()
            assert columns == [(each.name, each.comment) for each in definition.columns]
        else:
            of_macro = """
                select comment, parameters from duckdb_functions() where function_name = ?
            """
            ((comment, parameters),) = connection.execute(of_macro, [definition.name]).fetchall()
            comments = [(comment,)]
            assert parameters == [each.name for each in definition.parameters]
    assert [comment.startswith(definition.description) for (comment,) in comments] == [True]
    assert definition.description


@pytest.mark.parametrize(
    "macro",
    [each for each in catalog.definitions() if each.kind is catalog.Kind.TABLE_MACRO],
    ids=lambda each: each.name,
)
def test_table_macros_have_the_columns_they_say(macro: catalog.Definition, empty: Lake) -> None:
    with opened(empty) as connection:
        relation = connection.table_function(macro.name, [None for _ in macro.parameters])
        assert relation.columns == [column.name for column in macro.columns]
        assert {str(dtype) for dtype in relation.types} <= SCALARS
        assert relation.fetchall() == []


@pytest.mark.parametrize("host", ["1", "a b", "O'Brien", "%2F", "2026-01-01", "日本", "x+y=z"])
def test_hosts_keep_their_names(host: str, lake_of: Callable[[Logs], Lake]) -> None:
    with opened(lake_of({(host, DAY): LOG})) as connection:
        for view in ("events", "ingested_files", "acceptance_rate_daily", "partitions"):
            where = f"select distinct host, date from {view} where host = ? and date = ?"
            assert connection.execute(where, [host, DAY]).fetchall() == [(host, DAY)]
        assert connection.execute("from missing_days").fetchall() == []


def test_paths_are_taken_literally(tmp_path: Path) -> None:
    write_logs(tmp_path / "mail", {("MX1", DAY): LOG})
    place = tmp_path / "it's a [lake] {a,b} $events *"
    lake = ingest(tmp_path / "mail", place)
    # What the pattern would match if it were one.
    ingest(tmp_path / "mail", tmp_path / "it's a l {a,b} $events x")
    with opened(lake) as connection:
        assert connection.execute("select count(*) from events").fetchone() == (2,)
        assert connection.execute("select count(*) from ingested_files").fetchone() == (1,)


def test_a_path_that_duckdb_would_misread_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host=a" / "lake").mkdir(parents=True)
    with pytest.raises(LakeError, match="'host=a' for a partition"):
        catalog.refresh(Lake.at(str(tmp_path / "host=a" / "lake")))


def test_files_still_being_written_are_not_read(
    lake_of: Callable[[Logs], Lake], tmp_path: Path
) -> None:
    lake = lake_of({("MX1", DAY): LOG})
    for file in (tmp_path / "lake").rglob("*.parquet"):
        file.with_name(f".{file.name}.1.tmp").write_bytes(b"half a file")
        shutil.copy(file, file.with_name(f".{file.name}"))
    with opened(lake) as connection:
        assert connection.execute("select count(*) from events").fetchone() == (2,)
        assert connection.execute("select count(*) from partitions").fetchone() == (4,)


def test_catalog_is_rewritten_only_when_definitions_change(empty: Lake, tmp_path: Path) -> None:
    file = tmp_path / "lake" / "catalog.duckdb"
    before = file.read_bytes()
    assert not catalog.refresh(empty)
    assert file.read_bytes() == before
    write_logs(tmp_path / "mail", {("MX1", DAY): LOG})
    ingest(tmp_path / "mail", tmp_path / "lake")  # the first files of the tables
    assert file.read_bytes() != before
    assert not catalog.refresh(empty)
    file.write_bytes(b"damaged")
    assert catalog.refresh(empty)


def test_an_open_catalog_sees_new_days(tmp_path: Path) -> None:
    write_logs(tmp_path / "mail", {("MX1", DAY): LOG})
    lake = ingest(tmp_path / "mail", tmp_path / "lake")
    count = "select count(*) from acceptance_rate_daily"
    with opened(lake) as connection:
        assert connection.execute(count).fetchone() == (1,)
        write_logs(tmp_path / "mail", {("MX2", DAY): LOG})
        ingest(tmp_path / "mail", tmp_path / "lake")
        assert connection.execute(count).fetchone() == (2,)


def test_catalog_works_from_anywhere_and_attached(
    lake_of: Callable[[Logs], Lake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake_of({("MX1", DAY): LOG})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with duckdb.connect() as connection:
        connection.execute("attach '../lake/catalog.duckdb' as mail (read_only)")
        daily = "select verdicts from mail.acceptance_rate_daily"
        assert connection.execute(daily).fetchall() == [(1,)]
        connection.execute("use mail")
        history = "select accepted from sender_history('taro@kita.co.jp')"
        assert connection.execute(history).fetchall() == [(1,)]


def test_catalog_has_the_storage_version_of_old_drivers(empty: Lake) -> None:
    header = Path(empty.store.root, "catalog.duckdb").read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64  # v1.0.0 to v1.1.3


BY_DAY = [
    each.name
    for each in catalog.definitions()
    if {"host", "date"} <= {column.name for column in each.columns}
    and each.kind is catalog.Kind.VIEW
    and each.name not in ("footers", "ingested_files", "missing_days", "partitions")  # no tables
    and each.name != "unusual_days"  # compares with the days before
]


@pytest.mark.parametrize("view", BY_DAY)
def test_filters_on_host_and_date_open_one_file_of_a_table(
    view: str, lake_of: Callable[[Logs], Lake]
) -> None:
    days = [date(2026, 6, n) for n in range(1, 6)]
    lake = lake_of({(host, day): LOG for host in ("MX1", "MX2") for day in days})
    with opened(lake) as connection:
        plan = connection.execute(
            f"explain analyze select * from {view} where host = 'MX1' and date = '2026-06-03'"
        ).fetchall()[0][1]
    opened_files = [int(part.split()[0]) for part in plan.split("Total Files Read: ")[1:]]
    # Whether a suspect's address connected shows in files of that host around the day.
    most = len(days) if view == "suspect_lines" else 1
    assert opened_files
    assert max(opened_files) <= most
