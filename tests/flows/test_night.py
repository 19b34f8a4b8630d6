"""A night's work as a whole: again, in another order, with something broken."""

import os
import random
import shutil
from datetime import date
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows import night
from flows.errors import AcceptlakeError, LakeError, SourceError
from flows.lake import Key, Lake, TableName, path_of
from flows.night import Request, State, Unwatched
from flows.simulate import Edition, Plan, simulate
from transforms import grammar


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated")
    plan = Plan(Edition.WIN_4AN, ("MX1",), date(2026, 5, 30), 4, 300, seed=11, hostility=0.01)
    simulate(out, plan, truth=False)
    return out


@pytest.fixture
def source(mail: Path, tmp_path: Path) -> Path:
    """A copy of the simulated logs that a test may change."""
    return Path(shutil.copytree(mail, tmp_path / "mail"))


def run(source: Path, lake: Path, **wishes: object) -> night.Night:
    request = Request(source, str(lake), **wishes)  # type: ignore[arg-type]
    return night.run(request, night.threads, Unwatched())


def parquet_hashes(lake: Path) -> dict[str, str]:
    return {
        path.relative_to(lake).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in lake.rglob("*.parquet")
    }


def contents(lake: Path) -> dict[str, object]:
    """All rows of all tables, by file."""
    found = {}
    for path in lake.rglob("*.parquet"):
        found[path.relative_to(lake).as_posix()] = pq.ParquetFile(path).read().to_pydict()
    return found


def test_a_second_night_changes_no_byte(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "lake")
    before = parquet_hashes(tmp_path / "lake")
    again = run(source, tmp_path / "lake")
    assert again.count(State.UNCHANGED) == len(again.outcomes) == 5
    assert again.paired == 0
    assert parquet_hashes(tmp_path / "lake") == before


def test_days_ingested_one_by_one_in_any_order_give_the_same_lake(
    source: Path, tmp_path: Path
) -> None:
    run(source, tmp_path / "at once")
    days = sorted((source / "acceptlog" / "MX1").iterdir())
    random.Random(5).shuffle(days)
    for day in days:
        run(day, tmp_path / "one by one")
    assert contents(tmp_path / "one by one") == contents(tmp_path / "at once")


def test_a_log_that_grew_replaces_its_day_and_mends_its_neighbours_pairs(
    source: Path, tmp_path: Path
) -> None:
    log = source / "acceptlog" / "MX1" / "260531.log"
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    run(source, tmp_path / "lake")
    log.write_bytes(whole)
    grown = run(source, tmp_path / "lake")
    assert (grown.count(State.INGESTED), grown.count(State.UNCHANGED)) == (1, 4)
    assert grown.paired == 3
    run(source, tmp_path / "fresh")
    assert contents(tmp_path / "lake") == contents(tmp_path / "fresh")


def test_one_bad_log_does_not_stop_the_others(source: Path, tmp_path: Path) -> None:
    folder = source / "acceptlog" / "MX1"
    (folder / "260531.log").rename(folder / "260531.log.gz")
    (folder / "269999.log").touch()
    made = run(source, tmp_path / "lake")
    errors = [outcome.error for outcome in made.outcomes if outcome.error]
    assert made.count(State.INGESTED) == 4
    assert len(errors) == 2
    assert "260531.log.gz' is no whole gzip file" in errors[0]
    assert "there is no day 269999" in errors[1]
    assert not made.is_good


def test_a_vanished_log_keeps_its_partition(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "lake")
    before = parquet_hashes(tmp_path / "lake")
    (source / "acceptlog" / "MX1" / "260531.log").unlink()
    run(source, tmp_path / "lake")
    assert parquet_hashes(tmp_path / "lake") == before


def test_since_and_until_bound_the_days(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "lake", since=date(2026, 5, 31), until=date(2026, 6, 1))
    keys = Lake.at(str(tmp_path / "lake")).keys(TableName.EVENTS)
    assert keys == [Key("MX1", date(2026, 5, 31)), Key("MX1", date(2026, 6, 1))]


def test_a_better_parser_reads_the_log_again_or_else_the_lake(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(source, tmp_path / "lake")
    (source / "acceptlog" / "MX1" / "260531.log").unlink()
    monkeypatch.setattr(grammar, "VERSION", grammar.VERSION + 1)
    made = run(source, tmp_path / "lake")
    assert (made.count(State.INGESTED), made.count(State.REPLAYED)) == (4, 1)
    lake = Lake.at(str(tmp_path / "lake"))
    entries = [lake.entry(key) for key in lake.keys(TableName.EVENTS)]
    assert {entry.parser_version for entry in entries if entry} == {grammar.VERSION}
    assert run(source, tmp_path / "lake").count(State.UNCHANGED) == 4


def test_a_host_whose_logs_are_all_gone_is_read_again_in_its_own_zone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = source / "acceptlog" / "MX2"
    shutil.copytree(source / "acceptlog" / "MX1", gone)
    run(source, tmp_path / "lake", zone="Europe/Berlin")
    shutil.rmtree(gone)
    monkeypatch.setattr(grammar, "VERSION", grammar.VERSION + 1)
    made = run(source, tmp_path / "lake", zone="Asia/Tokyo")
    assert (made.count(State.INGESTED), made.count(State.REPLAYED)) == (5, 5)
    lake = Lake.at(str(tmp_path / "lake"))
    entries = [lake.entry(key) for key in lake.keys(TableName.EVENTS)]
    assert {(entry.host, entry.zone, entry.parser_version) for entry in entries if entry} == {
        ("MX1", "Asia/Tokyo", grammar.VERSION),
        ("MX2", "Europe/Berlin", grammar.VERSION),
    }


def test_replay_in_another_zone_moves_ts_utc_and_nothing_else(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "lake")
    before = contents(tmp_path / "lake")
    made = night.replay(str(tmp_path / "lake"), "America/New_York", night.threads)
    assert made.count(State.REPLAYED) == 5
    key = path_of(TableName.EVENTS, Key("MX1", date(2026, 5, 31)))
    was, now = before[key], contents(tmp_path / "lake")[key]
    assert isinstance(was, dict)
    assert isinstance(now, dict)
    assert {column for column in was if was[column] != now[column]} == {"ts_utc"}


def test_the_zone_of_a_host_is_remembered(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "lake", zone="Europe/Berlin")
    assert run(source, tmp_path / "lake").count(State.UNCHANGED) == 5


def test_a_lake_that_does_not_give_its_log_back_is_not_replayed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(source, tmp_path / "lake")
    path = tmp_path / "lake" / path_of(TableName.EVENTS, Key("MX1", date(2026, 5, 31)))
    table = pq.read_table(path)
    pq.write_table(table.slice(1).replace_schema_metadata(table.schema.metadata), path)
    monkeypatch.setattr(grammar, "VERSION", grammar.VERSION + 1)
    made = night.replay(str(tmp_path / "lake"), None, night.threads)
    assert [outcome.error for outcome in made.outcomes if outcome.error] == [
        "MX1 2026-05-31 does not give back its log: the partition is damaged"
    ]


def test_another_folder_full_of_things_is_not_taken_for_a_lake(
    source: Path, tmp_path: Path
) -> None:
    with pytest.raises(LakeError, match="holds other things and is no lake"):
        run(source, source)


def test_an_unknown_zone_is_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(AcceptlakeError, match="no time zone 'Mars/Olympus'"):
        run(source, tmp_path / "lake", zone="Mars/Olympus")


@pytest.mark.parametrize("layout", ["flat", "computer folder", "one file", "upper case", "zst"])
def test_every_layout_is_found(mail: Path, tmp_path: Path, layout: str) -> None:
    log = mail / "acceptlog" / "MX1" / "260530.log"
    work = tmp_path / "work"
    host = "MX1" if layout == "flat" else None
    if layout == "flat":
        target = work / "acceptlog" / "260530.log"
    elif layout == "upper case":
        target = work / "ACCEPTLOG" / "MX1" / "260530.LOG"
    else:
        target = work / "acceptlog" / "MX1" / "260530.log"
    target.parent.mkdir(parents=True)
    target.write_bytes(log.read_bytes())
    source = {"computer folder": target.parent, "one file": target}.get(layout, work)
    if layout == "zst":
        compressed = pa.compress(log.read_bytes(), "zstd", asbytes=True)
        target.unlink()
        target.with_suffix(".log.zst").write_bytes(compressed)
    run(source, tmp_path / "lake", host=host)
    entry = Lake.at(str(tmp_path / "lake")).entry(Key("MX1", date(2026, 5, 30)))
    assert entry is not None
    assert entry.sha256 == sha256(log.read_bytes()).hexdigest()


def test_flat_logs_need_a_host(mail: Path, tmp_path: Path) -> None:
    folder = tmp_path / "acceptlog"
    folder.mkdir()
    shutil.copy(mail / "acceptlog" / "MX1" / "260530.log", folder)
    made = run(tmp_path, tmp_path / "lake")
    assert [outcome.error for outcome in made.outcomes] == [
        f"'{folder / '260530.log'}' lies in no computer folder; name its server with --host"
    ]


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no acceptlog files in"):
        run(tmp_path / "empty", tmp_path / "lake")


def test_publishing_leaves_nothing_but_the_lake(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "lake")
    hidden = {
        name for _, _, names in os.walk(tmp_path / "lake") for name in names if name.startswith(".")
    }
    assert hidden == {".lock", ".lock.holder"}
