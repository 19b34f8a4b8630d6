"""The flow on a real Prefect server: its runs, its retries, its artifact, its end."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

# Prefect reads its settings when it is imported.
os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows import nightly as module
from flows.night import Request, State, Unwatched
from flows.nightly import nightly, run_as_flow
from flows.prefect_server import prefect_api
from flows.simulate import Edition, Plan, simulate
from transforms import grammar


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated")
    simulate(out, Plan(Edition.WIN, ("MX1",), date(2026, 5, 30), 1, 100, seed=1), truth=False)
    return out


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[str]:
    with prefect_api() as url:
        yield url


def test_a_night_is_a_flow_run_with_a_task_for_each_log(mail: Path, tmp_path: Path) -> None:
    state = nightly(source=str(mail), lake=str(tmp_path / "lake"), return_state=True)
    assert state.is_completed()
    assert state.message == "2 ingested, 0 unchanged, 0 failed"
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs(sort="EXPECTED_START_TIME_DESC")
        names = {run.name for run in tasks if run.flow_run_id == state.state_details.flow_run_id}
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["acceptlake-night"]))
        artifact = client.read_artifacts(artifact_filter=wanted, limit=1)[0]
    assert {"ingest MX1 2026-05-30", "pair MX1 2026-05-31"} <= names
    assert "| MX1 2026-05-30 | ingested |" in str(artifact.data)


def test_tasks_are_named_after_hosts_whatever_these_are_called(
    mail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect takes a name for a template; such a one would fail, or look into what is at work."""
    for host in ("{a,b}", "{item.__class__}", "}"):
        folder = tmp_path / "acceptlog" / host
        folder.mkdir(parents=True)
        (folder / "260530.log").write_bytes((mail / "acceptlog/MX1/260530.log").read_bytes())

    def names_of_tasks() -> set[str]:
        state = nightly(source=str(tmp_path), lake=str(tmp_path / "lake"), return_state=True)
        assert state.is_completed()
        with get_client(sync_client=True) as client:
            tasks = client.read_task_runs(sort="EXPECTED_START_TIME_DESC")
        return {run.name for run in tasks if run.flow_run_id == state.state_details.flow_run_id}

    days = {"{a,b} 2026-05-30", "{item.__class__} 2026-05-30", "} 2026-05-30"}
    derived = {f"pair {day}" for day in days}
    derived |= {"summarize {a,b} 2026", "summarize {item.__class__} 2026", "summarize } 2026"}
    assert names_of_tasks() == {f"ingest {day}" for day in days} | derived
    shutil.rmtree(tmp_path / "acceptlog" / "}")
    monkeypatch.setattr(grammar, "VERSION", grammar.VERSION + 1)
    assert names_of_tasks() - derived == {
        "ingest {a,b} 2026-05-30",
        "ingest {item.__class__} 2026-05-30",
        "replay } 2026-05-30",
    }


def test_unchanged_logs_are_no_tasks(mail: Path, tmp_path: Path) -> None:
    request = Request(mail, str(tmp_path / "lake"))
    assert run_as_flow(request, Unwatched()).count(State.INGESTED) == 2
    again = nightly(source=str(mail), lake=str(tmp_path / "lake"), return_state=True)
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs()
    assert not [run for run in tasks if run.flow_run_id == again.state_details.flow_run_id]


def test_bad_content_fails_the_run_at_once_and_ingests_the_rest(mail: Path, tmp_path: Path) -> None:
    folder = tmp_path / "acceptlog" / "MX1"
    folder.mkdir(parents=True)
    (folder / "260530.log").write_bytes((mail / "acceptlog/MX1/260530.log").read_bytes())
    (folder / "260531.log.zst").write_bytes(b"no zstd")
    state = nightly(source=str(tmp_path), lake=str(tmp_path / "lake"), return_state=True)
    assert state.is_failed()
    assert state.message == "1 ingested, 0 unchanged, 1 failed"
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs()
    failed = [run for run in tasks if run.name == "ingest MX1 2026-05-31" and run.state]
    assert failed[0].run_count == 1


def test_a_share_that_stumbles_is_tried_again(
    mail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening the log fails twice with EIO, as on a share that is being restarted."""
    monkeypatch.setattr(module, "_RETRY_PAUSES_S", [0.1, 0.1, 0.1])
    real = Path.open
    stumbles = iter([OSError(5, "Input/output error"), OSError(5, "Input/output error")])

    def stumbling(path: Path, *words: object, **named: object) -> object:
        if path.name == "260530.log" and (error := next(stumbles, None)):
            raise error
        return real(path, *words, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", stumbling)
    made = run_as_flow(Request(mail, str(tmp_path / "lake")), Unwatched())
    assert made.count(State.INGESTED) == 2


def test_the_server_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import os, signal\n"
        "from flows.prefect_server import prefect_api\n"
        "with prefect_api() as url:\n"
        "    print(url, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    killed = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env=environment | {"PREFECT_HOME": str(tmp_path)},
    )
    assert killed.stdout
    url = killed.stdout.readline().strip()
    killed.wait(60)
    port = url.rpartition(":")[2].removesuffix("/api")
    gone = subprocess.run(
        [sys.executable, "-c", _WAIT_UNTIL_REFUSED, port], timeout=60, check=False
    )
    assert gone.returncode == 0


_WAIT_UNTIL_REFUSED = """
import socket, sys, time
while True:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", int(sys.argv[1]))):
            break
    time.sleep(0.1)
"""
