"""A log is deleted only where the lake gives it back at that moment, and this is on record."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from flows import night
from flows.lake import Lake
from flows.night import Unwatched
from flows.prune import prune
from flows.verify import Finding
from tests.reliability.test_readers import Interrupted

LOG = b"[01/Jun/2025:09:00:01], (mx1.example.jp), [192.0.2.1]:25, Client accept now.\r\n" * 3


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """One of an ingested log; its lake lies beside."""
    path = tmp_path / "mail" / "acceptlog" / "MX1" / "250601.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(LOG)
    request = night.Request(tmp_path / "mail", str(tmp_path / "lake"))
    assert night.run(request, night.threads, Unwatched()).is_good
    return path


def pruned(folder: Path) -> Finding:
    [found] = prune(folder / "mail", None, str(folder / "lake"), timedelta(days=9), delete=True)
    return found


def test_a_log_that_grows_while_it_is_proved_is_kept(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow() -> None:
        log.write_bytes(LOG * 2)

    for opening in range(2):
        log.write_bytes(LOG)
        store = Interrupted(tmp_path / "lake", opening, grow)
        monkeypatch.setattr("flows.lake.store_at", lambda where, store=store: store)
        assert not pruned(tmp_path).is_good
        assert log.read_bytes() == LOG * 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda lake: (lake / "pruned").touch(), "Not a directory"),
        (lambda lake: next(lake.glob("events/*/*/*")).unlink(), "it is not in the lake"),
        (lambda lake: next(lake.glob("events/*/*/*")).write_bytes(b"PAR1" * 99), "is damaged"),
    ],
    ids=["no record", "no partition", "a damaged partition"],
)
def test_a_log_is_kept_where_there_is(
    log: Path, tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(tmp_path / "lake")
    found = pruned(tmp_path)
    assert not found.is_good
    assert reason in found.text
    assert log.read_bytes() == LOG


def test_a_deleted_log_is_on_record_and_given_back(log: Path, tmp_path: Path) -> None:
    assert pruned(tmp_path).is_good
    assert not log.exists()
    assert Lake.at(str(tmp_path / "lake")).store.find("pruned/**/250601.log.json")
