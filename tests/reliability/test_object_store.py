"""A lake in an object store is a lake, with the same guarantees, without any DuckDB extension.

Against a server of the S3 API; credentials and its address are in the environment and nowhere else.
"""

import io
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import boto3
import pytest
from pyarrow import fs

from flows import catalog, night
from flows.errors import LakeError, QueryError
from flows.export import export_log
from flows.lake import Key, Lake, TableName
from flows.prune import prune
from flows.query import Format, query
from flows.store import ObjectStore, ReplacedError
from flows.verify import verify_lake
from tests.reliability.harness import (
    TABLES,
    Finished,
    Growth,
    acceptlake,
    damage,
    finish,
    growing,
    neither_nor,
    partitions,
    start,
)
from tests.reliability.object_server import ObjectServer, Request, download, serving

KEY = Key("MX1", date(2025, 5, 31))
PART = 10 << 20
"""Bytes of a part of an upload, or less."""


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Growth:
    return growing(tmp_path_factory.mktemp("logs") / "mail", days=1, connections=40)


@pytest.fixture(scope="module")
def right(logs: Growth, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The partitions of the earlier and of the later logs, in lakes on a disk."""
    folder = tmp_path_factory.mktemp("right")
    found = []
    for number, content in enumerate((logs.earlier, logs.later)):
        write(logs, content)
        assert ingest(logs.source, str(folder / str(number))).is_good
        found.append(partitions(folder / str(number)))
    # Where a log was not there yet its lake had nothing of it.
    return found


@pytest.fixture(scope="module")
def lakes(server: ObjectServer, logs: Growth, right: object) -> list[str]:
    """A lake of the earlier logs, and one of the later; nobody changes these."""
    where = [server.bucket(), server.bucket()]
    for place, content in zip(where, (logs.earlier, logs.later), strict=True):
        write(logs, content)
        assert ingest(logs.source, place).is_good
    return where


@pytest.fixture
def lake(server: ObjectServer, logs: Growth, lakes: list[str]) -> str:
    """A lake of the earlier logs; on disk are the later ones."""
    where = server.bucket()
    put(where, objects(lakes[0], "**"))
    write(logs, logs.later)
    return where


def objects(where: str, pattern: str = "events/**/*.parquet") -> dict[str, bytes]:
    store = Lake.at(where).store
    return {path: store.open(path).readall() for path in store.find(pattern)}


def put(where: str, content: Mapping[str, bytes]) -> None:
    bucket, _, prefix = where.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    for path, data in content.items():
        client.put_object(Bucket=bucket, Key=f"{prefix}/{path}", Body=data)


def spoil(where: str, path: str) -> None:
    content = Lake.at(where).store.open(path).readall()
    put(where, {path: content[:100] + bytes(300) + content[400:]})


def write(logs: Growth, content: Mapping[Path, bytes]) -> None:
    """Let the logs be these, with the same times each time."""
    for path in logs.later:
        path.unlink(missing_ok=True)
    for path, log in content.items():
        path.write_bytes(log)
        os.utime(path, (len(log), len(log)))


def ingest(source: Path, where: str) -> night.Night:
    return night.run(night.Request(source, where), night.threads, night.Unwatched())


def ask(where: str, sql: str) -> str:
    target = io.BytesIO()
    query(Lake.at(where, must_exist=True), sql, target, Format.CSV)
    return target.getvalue().decode()


def seen(where: str) -> str:
    """What a query shows of every partition."""
    return "".join(
        ask(
            where,
            f"select host, date, count(*), sum(hash(each)) from {table} as each group by all"
            " order by all",
        )
        for table in TABLES
    )


def test_every_command_works_on_an_object_store(
    server: ObjectServer, logs: Growth, right: list[dict[str, str]], tmp_path: Path
) -> None:
    write(logs, logs.earlier)
    where = server.bucket()
    lake = ("--lake", where)

    def run(*words: str | Path) -> Finished:
        done = acceptlake(*words, *lake)
        assert done.code == 0, done.text
        return done

    count = json.loads(run("ingest", "--direct", "--json", logs.source).out)
    assert count["ingested"] == len(logs.earlier)
    write(logs, logs.later)
    count = json.loads(run("ingest", "--direct", "--json", logs.source).out)
    assert (count["ingested"], count["unchanged"]) == (len(logs.later) - 1, 1)
    assert partitions(download(where, tmp_path / "copy")) == right[1]
    assert list(damage(tmp_path / "copy")) == []
    sql = "select sum(verdicts) from acceptance_rate_daily"
    local = acceptlake("sql", sql, "--lake", tmp_path / "copy", "--format", "csv")
    assert run("sql", sql, "--format", "csv").out == local.out
    run("sql", "select * from suspect_lines", "-o", tmp_path / "suspects.parquet")
    run("check")
    run("replay")
    run("verify", logs.source)
    exported = run("export-log", "--host", "MX1", "--date", "2025-05-31").out
    assert exported == logs.later[logs.source / "acceptlog/MX1/250531.log"]


def test_a_host_is_what_its_folder_is_called(server: ObjectServer, tmp_path: Path) -> None:
    accept = "[01/Jun/2025:09:00:01], (mx1), [192.0.2.1]:25, Client accept now.\r\n"
    hosts = ("a=b%2F", "'; drop", "日本語のサーバー", "x+y z", "*[?]")
    where = server.bucket()
    for host in hosts:
        log = tmp_path / "acceptlog" / host / "250601.log"
        log.parent.mkdir(parents=True)
        log.write_bytes((accept + host).encode())
    assert ingest(tmp_path, where).is_good
    assert ingest(tmp_path, where).count(night.State.UNCHANGED) == len(hosts)
    found = ask(where, "select distinct host from events").splitlines()[1:]
    assert sorted(found) == sorted(hosts)
    for host in hosts:
        exported = export_log(Lake.at(where), Key(host, date(2025, 6, 1)))
        assert b"".join(exported).decode() == accept + host


def test_a_log_is_pruned_on_proof_and_on_record(lake: str, logs: Growth) -> None:
    assert ingest(logs.source, lake).is_good
    path = logs.source / "acceptlog/MX1/250531.log"
    spoil(lake, "events/host=MX1/date=2025-06-01/events.parquet")
    findings = list(prune(logs.source, None, lake, timedelta(days=1), delete=True))
    assert [finding.is_good for finding in findings] == [True, False, True, True]
    assert not path.exists()
    [record] = Lake.at(lake).store.find("pruned/host=MX1/date=2025-05-31/250531.log.json")
    assert json.loads(Lake.at(lake).store.open(record).readall())["bytes"] > 0
    assert b"".join(export_log(Lake.at(lake), KEY)) == logs.later[path]


def test_views_prune_partitions_and_read_no_column_in_vain(server: ObjectServer, lake: str) -> None:
    def fetched(sql: str) -> set[str]:
        with server.meddling(lambda request: True):
            ask(lake, sql)
            return {each.path for each in server.requests if each.method == "GET"}

    one = fetched("select count(*), max(ts) from events where host = 'MX1' and date = '2025-05-31'")
    others = {path for path in one if "MX1" not in path and "events" in path}
    assert any("host=MX1/date=2025-05-31/events.parquet" in path for path in one)
    assert len([path for path in others if path.endswith(".parquet")]) <= 1, "one tells the types"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("s3://no-such-bucket-here/lake", "there is no bucket 'no-such-bucket-here'"),
        ("s3://KEY:secret@bucket/lake", "credentials"),
        ("s3://bucket/lake?endpoint_override=x", "options"),
        ("nonsense://bucket/lake", "cannot use 'nonsense://bucket/lake' as a lake"),
    ],
)
def test_a_place_that_cannot_be_is_refused_at_once(
    server: ObjectServer, logs: Growth, where: str, reason: str
) -> None:
    with pytest.raises(LakeError, match=r"^[^\n]*$") as caught:
        ingest(logs.source, where)
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_empty_prefix_is_no_lake_to_read_and_a_used_one_none_to_write(
    server: ObjectServer, logs: Growth
) -> None:
    where = server.bucket()
    with pytest.raises(LakeError, match="is no lake"):
        ask(where, "select 1")
    files, prefix = fs.FileSystem.from_uri(where)
    with files.open_output_stream(f"{prefix}/holiday.jpg") as stream:
        stream.write(b"x")
    with pytest.raises(LakeError, match="holds other things"):
        ingest(logs.source, where)


def test_commands_end_as_they_should_however_often(lake: str) -> None:
    # Arrow's threads must not be in Python when it ends.
    assert [acceptlake("verify", "--lake", lake).code for _ in range(5)] == [0] * 5


def test_denied_access_is_said_with_what_to_do(
    server: ObjectServer, lake: str, logs: Growth
) -> None:
    with server.meddling(lambda request: False), pytest.raises(LakeError, match="AWS_ACCESS_KEY"):
        ask(lake, "select 1")


def test_sql_sees_no_other_object(server: ObjectServer, lake: str) -> None:
    files, prefix = fs.FileSystem.from_uri(lake)
    outside = prefix.rpartition("/")[0]
    with files.open_output_stream(f"{outside}/secret.csv") as stream:
        stream.write(b"secret\n")
    for source in (
        f"read_text('s3://{outside}/secret.csv')",
        f"read_csv('{lake}/../secret.csv')",
        "read_text('lake://../secret.csv')",
        f"glob('s3://{outside}/*')",
    ):
        with pytest.raises((QueryError, OSError)) as caught:
            ask(lake, f"select * from {source}")
        assert "secret\n" not in str(caught.value)
    assert ask(lake, f"select count(*) from read_parquet('{lake}/events/*/*/*.parquet')")


def test_an_upload_that_fails_leaves_the_old_object(
    server: ObjectServer, lake: str, logs: Growth, right: list[dict[str, str]], tmp_path: Path
) -> None:
    trial = server.bucket()
    put(trial, objects(lake, "**"))
    with server.meddling(lambda request: True):
        assert ingest(logs.source, trial).is_good
        uploads = len([each for each in server.requests if each.writes])
    assert uploads > len(right[1])
    for number in (4, uploads - 1):
        writes = iter(range(uploads + 100))

        def deny(request: Request, writes: Iterator[int] = writes, number: int = number) -> bool:
            return not request.writes or next(writes) != number

        where = server.bucket()
        put(where, objects(lake, "**"))
        with server.meddling(deny):
            assert not ingest(logs.source, where).is_good
        copy = download(where, tmp_path / f"{number}")
        assert list(neither_nor(copy, *right, tables=["events"])) == []
        assert list(damage(copy)) == []
        assert ingest(logs.source, where).is_good
        assert partitions(download(where, tmp_path / f"{number}-healed")) == right[1]


@pytest.mark.parametrize("upload", [1, 20])
def test_an_ingest_killed_in_an_upload_leaves_the_old_object(
    server: ObjectServer,
    lake: str,
    logs: Growth,
    right: list[dict[str, str]],
    tmp_path: Path,
    upload: int,
) -> None:
    process = None
    writes = iter(range(10_000))

    def kill(request: Request) -> bool:
        if request.writes and next(writes) == upload and process is not None:
            process.kill()
            return False
        return True

    with server.meddling(kill):
        process = start("ingest", "--direct", logs.source, "--lake", lake)
        assert finish(process).code == -signal.SIGKILL
    copy = download(lake, tmp_path / "copy")
    assert list(neither_nor(copy, *right)) == []
    assert list(damage(copy)) == []
    assert ingest(logs.source, lake).is_good
    assert partitions(download(lake, tmp_path / "healed")) == right[1]


@pytest.mark.parametrize("denied", [2, 4])
def test_of_an_upload_in_parts_all_or_nothing_is_published(
    server: ObjectServer, denied: int
) -> None:
    store = ObjectStore(server.bucket())
    with store.replace("x") as path:
        path.write_bytes(b"old")
    writes = iter(range(1_000))
    content = bytes(range(256)) * (2 * PART // 256 + 1)

    def replace() -> None:
        with store.replace("x") as path:
            path.write_bytes(content)

    with (
        server.meddling(lambda request: not request.writes or next(writes) != denied),
        pytest.raises(OSError, match="ACCESS_DENIED"),
    ):
        replace()
    assert store.open("x").readall() == b"old"
    replace()
    assert store.open("x").readall() == content


def test_a_failing_writer_publishes_nothing(server: ObjectServer) -> None:
    store = ObjectStore(server.bucket())

    def fail() -> None:
        with store.replace("x") as path:
            path.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.find("**") == []


def test_an_object_replaced_while_it_is_read_is_not_mixed_up(server: ObjectServer) -> None:
    store = ObjectStore(server.bucket())
    length = 1 << 20
    for content in (b"old" * length, b"new" * length):
        with store.replace("x") as path:
            path.write_bytes(content)
    file = store.pin("x").file
    assert file.read_at(6, 0) == b"newnew"
    with store.replace("x") as path:
        path.write_bytes(b"old" * length)
    with pytest.raises(ReplacedError, match="was replaced while it was being read"):
        file.read_at(6, 6)


@pytest.mark.parametrize(("small", "tail"), [(1 << 20, 1 << 16), (0, 8)], ids=["whole", "parts"])
def test_a_query_sees_the_old_or_the_new_however_it_is_interrupted(
    server: ObjectServer,
    lake: str,
    lakes: list[str],
    monkeypatch: pytest.MonkeyPatch,
    small: int,
    tail: int,
) -> None:
    monkeypatch.setattr("flows.store._SMALL", small)
    monkeypatch.setattr("flows.store._TAIL", tail)
    path = "events/host=MX2/date=2025-05-31/events.parquet"
    old, new = ({path: objects(where)[path]} for where in lakes)
    sql = "select count(*), sum(hash(each)) from events as each where host = 'MX2'"
    sql += " and date = '2025-05-31'"
    answers = [ask(where, sql) for where in lakes]
    assert answers[0] != answers[1]

    def is_look(request: Request) -> bool:
        return not request.writes and request.path.endswith(path)

    with server.meddling(lambda request: True):
        assert ask(lake, sql) == answers[0]
        looks = len(list(filter(is_look, server.requests)))
    given = []
    for moment in range(0, looks, 1 + looks // 5):
        put(lake, old)
        requests = iter(range(10_000))

        def replace(
            request: Request, requests: Iterator[int] = requests, moment: int = moment
        ) -> bool:
            if is_look(request) and next(requests) == moment:
                put(lake, new)
            return True

        with server.meddling(replace):
            given.append(ask(lake, sql))
    assert set(given) <= set(answers)
    assert answers[1] in given


def test_checks_find_what_is_wrong_in_an_object_store(lake: str) -> None:
    files, prefix = fs.FileSystem.from_uri(lake)
    files.delete_file(f"{prefix}/connections/host=MX1/date=2025-05-31/connections.parquet")
    failed = {each.name for each in catalog.check(Lake.at(lake)) if each.count}
    assert {"accepts_are_connections", "days_have_all_tables"} <= failed


def test_verify_finds_a_damaged_object(lake: str) -> None:
    spoil(lake, "events/host=MX1/date=2025-05-31/events.parquet")
    bad = [finding for finding in verify_lake(lake, None, None) if not finding.is_good]
    assert [finding.name for finding in bad] == [str(KEY)]


def test_on_one_machine_a_second_writer_waits_and_elsewhere_nothing_is_lost(
    lake: str, logs: Growth, right: list[dict[str, str]], tmp_path: Path
) -> None:
    with Lake.at(lake).lock():
        late = acceptlake("ingest", "--direct", "--no-wait", logs.source, "--lake", lake)
    assert late.code == 2
    assert "is being written by process" in late.err.decode()
    # Machines do not see each other's locks, which are in their folders of temporary files.
    machines: list[Callable[[], Finished]] = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        process = start("ingest", "--direct", logs.source, "--lake", lake,
                        TMPDIR=str(tmp_path / name))  # fmt: skip
        machines.append(lambda process=process: finish(process))
    for done in machines:
        assert not done().has_traceback
    copy = download(lake, tmp_path / "copy")
    assert list(damage(copy)) == []
    assert list(neither_nor(copy, *right, tables=["events"])) == []
    assert ingest(logs.source, lake).is_good
    assert partitions(download(lake, tmp_path / "healed")) == right[1]
    assert Lake.at(lake).keys(TableName.EVENTS)
