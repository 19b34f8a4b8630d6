"""The rows kept of the daily and hourly views follow from the counts, however they came about."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows import catalog, night
from flows.lake import Key, Lake, TableName, Year, path_of, path_of_summary
from flows.simulate import Edition, Plan, simulate
from flows.summaries import are_current, summarize

YEAR = Year("MX1", 2026)
FIRST, SECOND, THIRD = (date(2026, 6, day) for day in (1, 2, 3))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of three days, which hold verdicts of the day before."""
    folder: Path = tmp_path_factory.mktemp("summaries") / "mail"
    plan = Plan(Edition.WIN_4AN, first_day=FIRST, days=3, connections_per_day=150, seed=3)
    simulate(folder, plan, truth=False)
    return folder


@pytest.fixture
def lake(source: Path, tmp_path: Path) -> Lake:
    return ingested(source, tmp_path / "lake")


def ingested(source: Path, where: Path, until: date | None = None) -> Lake:
    request = night.Request(source, str(where), until=until)
    result = night.run(request, night.threads, night.Unwatched())
    assert result.is_good
    return Lake.at(str(where))


def inputs(lake: Lake) -> dict[date, str]:
    keys = lake.keys(TableName.HOURLY_COUNTS)
    return {key.date: made_from for key in keys if (made_from := lake.inputs(key))}


def files(lake: Lake) -> dict[str, bytes]:
    found = lake.store.find("summaries/**/*.parquet")
    return {path: Path(lake.store.root, path).read_bytes() for path in found}


def days(lake: Lake, view: str) -> set[date]:
    path = Path(lake.store.root, path_of_summary(view, YEAR))
    return set(pq.ParquetFile(path).read()["date"].to_pylist())


def test_night_by_night_gives_what_all_at_once_gives(
    source: Path, lake: Lake, tmp_path: Path
) -> None:
    for until in (FIRST, SECOND, None):
        grown = ingested(source, tmp_path / "grown", until)
    assert files(grown) == files(lake)
    assert len(files(lake)) == len(catalog.summaries())


def test_only_what_changed_is_counted_again(lake: Lake) -> None:
    before = inputs(lake)
    Path(lake.store.root, path_of(TableName.HOURLY_COUNTS, Key("MX1", FIRST))).unlink()
    summarize(lake, YEAR, before | {SECOND: "something else"})
    with pytest.raises(FileNotFoundError):
        summarize(lake, YEAR, before | {FIRST: "something else"})


def test_a_day_that_is_gone_has_no_rows(lake: Lake) -> None:
    left = {day: text for day, text in inputs(lake).items() if day != SECOND}
    assert not are_current(lake, YEAR, left)
    summarize(lake, YEAR, left)
    assert are_current(lake, YEAR, left)
    for summary in catalog.summaries():
        assert days(lake, summary.name).isdisjoint({SECOND})
        assert days(lake, summary.name) >= {FIRST, THIRD}


@pytest.mark.parametrize("damage", ["removed", "cut", "of somebody else"])
def test_a_lost_file_is_made_anew(damage: str, source: Path, lake: Lake) -> None:
    before = files(lake)
    path = Path(lake.store.root, path_of_summary("reject_reasons_daily", YEAR))
    match damage:
        case "removed":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-100])
        case _:
            pq.write_table(pq.ParquetFile(path).read().replace_schema_metadata(None), path)
    ingested(source, Path(lake.store.root))
    assert files(lake) == before


def test_a_view_defined_otherwise_is_counted_anew(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert are_current(lake, YEAR, inputs(lake))
    changed = tuple(replace(each, sql=f"{each.sql} -- now") for each in catalog.summaries())
    monkeypatch.setattr(catalog, "summaries", lambda: changed)
    assert not are_current(lake, YEAR, inputs(lake))


def test_new_year_begins_new_files(tmp_path: Path) -> None:
    plan = Plan(Edition.WIN, first_day=date(2025, 12, 31), days=1, connections_per_day=50)
    simulate(tmp_path / "mail", plan, truth=False)
    lake = ingested(tmp_path / "mail", tmp_path / "lake")
    assert len(files(lake)) == 2 * len(catalog.summaries())
    with catalog.reading(lake) as reader:
        rows = reader.connection.execute("select date from acceptance_rate_daily").fetchall()
    assert rows == [(date(2025, 12, 31),), (date(2026, 1, 1),)]


def test_a_day_without_traffic_has_its_rows(tmp_path: Path) -> None:
    log = tmp_path / "mail" / "acceptlog" / "MX1" / "260601.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"")
    with catalog.reading(ingested(tmp_path / "mail", tmp_path / "lake")) as reader:
        for view, rows in (("acceptance_rate_daily", 1), ("acceptance_rate_hourly", 24)):
            asked = f"select count(*), sum(connections) from {view}"
            assert reader.connection.execute(asked).fetchone() == (rows, 0)


def test_files_hold_the_columns_of_their_views(lake: Lake) -> None:
    with catalog.reading(lake) as reader:
        for summary in catalog.summaries():
            described = reader.connection.execute(f"describe {summary.name}").fetchall()
            path = f"{lake.store.root}/{path_of_summary(summary.name, YEAR)}"
            kept = reader.connection.execute(f"describe from read_parquet('{path}')").fetchall()
            columns = [column for column, *_ in kept if column not in ("host", "year")]
            assert ["host", *columns] == [column for column, *_ in described]
            types = {column: dtype for column, dtype, *_ in kept}
            assert {c: t for c, t, *_ in described if c != "host"}.items() <= types.items()
