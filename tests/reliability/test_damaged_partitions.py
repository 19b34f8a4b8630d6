"""A partition that the disk damaged is named and made anew; it does not stop the other days."""

import shutil
from pathlib import Path

import pytest

from flows import night
from flows.errors import AcceptlakeError
from flows.night import Unwatched
from tests.reliability.harness import damage, growing, partitions

GROWN = "acceptlog/MX2/250601.log"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Logs of which one has grown, and a lake of what they were before."""
    folder = tmp_path_factory.mktemp("damaged")
    logs = growing(folder / "mail", days=1, connections=30)
    logs.write_later()
    assert ingest(logs.source, folder / "lake").is_good
    with (logs.source / GROWN).open("ab") as log:
        log.write(b"\r\n")
    return logs.source, folder / "lake"


def ingest(source: Path, lake: Path, *, force: bool = False) -> night.Night:
    return night.run(night.Request(source, str(lake), force=force), night.threads, Unwatched())


@pytest.mark.parametrize(
    ("table", "how"),
    [
        ("events", "cut"),
        ("events", "overwritten"),
        ("events", "overwritten at the end"),
        ("verdicts", "cut"),
        ("verdicts", "overwritten"),
        ("connections", "cut"),
        ("hourly_counts", "cut"),
        ("hourly_counts", "empty"),
        ("hourly_counts", "overwritten at the end"),
        ("summaries", "cut"),
        ("summaries", "overwritten"),
    ],
)
def test_a_damaged_partition_is_named_and_heals(
    grown: tuple[Path, Path], tmp_path: Path, table: str, how: str
) -> None:
    source, base = grown
    lake = Path(shutil.copytree(base, tmp_path / "lake"))
    old = partitions(lake)
    path = lake / table / "host=MX1" / "date=2025-05-31" / f"{table}.parquet"
    if table == "summaries":
        path = lake / table / "host=MX1" / "year=2025" / "acceptance_rate_hourly.parquet"
    content = path.read_bytes()
    spoiled = {
        "cut": content[:-1_000],
        "overwritten": content[:100] + bytes(800) + content[900:],
        "overwritten at the end": content[:-900] + bytes(800) + content[-100:],
        "empty": b"",
    }
    path.write_bytes(spoiled[how])

    try:
        result = ingest(source, lake)
        said = [*result.other_errors, *(each.error or "" for each in result.outcomes)]
        said += [str(check) for check in result.checks]
    except (AcceptlakeError, OSError) as error:
        said = [str(error)]
    if list(damage(lake)):
        assert any(path.relative_to(lake).as_posix() in text for text in said), said
    events = "events/host=MX2/date=2025-06-01/events.parquet"
    assert partitions(lake)[events] != old[events], "the other days are taken"

    assert ingest(source, lake, force=True).is_good
    assert list(damage(lake)) == []
