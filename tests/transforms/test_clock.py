"""Wall clock to UTC as Python's own time zones have it, PEP 495 with fold=0."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.clock import to_utc

EPOCH = datetime(1970, 1, 1)
FIRST, LAST = (
    int((moment - EPOCH).total_seconds()) for moment in (datetime.min, datetime(9999, 12, 31, 23))
)


def seconds(moment: str) -> int:
    return int((datetime.fromisoformat(moment) - EPOCH).total_seconds())


def by_python(second: int, zone: ZoneInfo) -> int:
    offset = (EPOCH + timedelta(seconds=second)).replace(tzinfo=zone).utcoffset()
    assert offset is not None
    return second - int(offset.total_seconds())


CASES = [
    pytest.param("Asia/Tokyo", "2026-06-03 09:00:01", "2026-06-03 00:00:01", id="Tokyo"),
    pytest.param("Asia/Tokyo", "2026-01-01 08:59:59", "2025-12-31 23:59:59", id="another year"),
    pytest.param("Asia/Tokyo", "1949-05-01 12:00:00", "1949-05-01 02:00:00", id="Tokyo, 1949"),
    pytest.param("UTC", "2026-06-03 09:00:01", "2026-06-03 09:00:01", id="UTC"),
    pytest.param(
        "America/New_York", "2026-03-08 01:59:59", "2026-03-08 06:59:59", id="before a skipped hour"
    ),
    pytest.param(
        "America/New_York", "2026-03-08 02:30:00", "2026-03-08 07:30:00",
        id="a skipped hour is read with the offset before",
    ),
    pytest.param(
        "America/New_York", "2026-03-08 03:00:00", "2026-03-08 07:00:00", id="after a skipped hour"
    ),
    pytest.param(
        "America/New_York", "2026-11-01 01:30:00", "2026-11-01 05:30:00",
        id="of a doubled hour the first is meant",
    ),
    pytest.param(
        "America/New_York", "2026-11-01 02:00:00", "2026-11-01 07:00:00", id="after a doubled hour"
    ),
    pytest.param(
        "Australia/Lord_Howe", "2026-04-05 01:29:59", "2026-04-04 14:29:59",
        id="Lord Howe before its doubled half hour",
    ),
    pytest.param(
        "Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04 14:45:00",
        id="Lord Howe within its doubled half hour",
    ),
    pytest.param(
        "Australia/Lord_Howe", "2026-04-05 02:00:00", "2026-04-04 15:30:00",
        id="Lord Howe after its doubled half hour",
    ),
    pytest.param(
        "Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03 15:45:00",
        id="Lord Howe within its skipped half hour",
    ),
    pytest.param("Asia/Kathmandu", "2026-06-03 09:00:00", "2026-06-03 03:15:00", id="a quarter"),
    pytest.param("America/New_York", "9999-07-01 12:00:00", "9999-07-01 16:00:00", id="far years"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "local", "utc"), CASES)
def test_local_time_in_utc(zone: str, local: str, utc: str) -> None:
    local_s = np.array([seconds(local)])
    assert to_utc(local_s, ZoneInfo(zone)).tolist() == [seconds(utc)]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Australia/Lord_Howe"])
def test_every_minute_around_the_changes_of_a_year(zone: str) -> None:
    minutes = np.arange(seconds("2026-03-01"), seconds("2026-11-10"), 60)
    sample = [seconds(day) for day in ("2026-03-08", "2026-04-05", "2026-10-04", "2026-11-01")]
    near = minutes[np.min(np.abs(minutes[:, None] - sample), axis=1) < 6 * 3600]
    utc = to_utc(near, ZoneInfo(zone))
    assert utc.tolist() == [by_python(second, ZoneInfo(zone)) for second in near.tolist()]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.integers(0, LAST), st.integers(0, 2**31)), max_size=30),
    st.sampled_from(["Asia/Tokyo", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_any_times_in_any_order(local: list[int], zone: str) -> None:
    """Since 1970: older offsets may change within a quarter of an hour, and no log is that old."""
    utc = to_utc(np.array(local, np.int64), ZoneInfo(zone))
    assert utc.tolist() == [by_python(second, ZoneInfo(zone)) for second in local]


def test_the_first_and_the_last_year_there_are() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    ends = [FIRST, LAST]
    assert to_utc(np.array(ends), tokyo).tolist() == [by_python(second, tokyo) for second in ends]


def test_no_times() -> None:
    assert to_utc(np.array([], np.int64), ZoneInfo("Asia/Tokyo")).tolist() == []
