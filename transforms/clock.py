"""Server-local seconds to UTC, for arrays, with Python's own time zone database."""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1)
_QUARTER = 900  # clocks change at quarters of an hour only


def to_utc(local: Seconds, zone: ZoneInfo) -> Seconds:
    """Seconds since 1970 in UTC for seconds since 1970 of the wall clock in `zone`.

    Of an hour that occurs twice the first is meant; an hour that is skipped is read with the
    offset before the change (PEP 495, fold=0).
    """
    quarters = local // _QUARTER
    starts = np.ones(len(local), np.bool_)
    starts[1:] = quarters[1:] != quarters[:-1]
    offsets = np.array([_offset(each, zone) for each in quarters[starts].tolist()], np.int64)
    return local - offsets[np.cumsum(starts) - 1]


@lru_cache(maxsize=1 << 16)
def _offset(quarter: int, zone: ZoneInfo) -> int:
    wall = _EPOCH + timedelta(seconds=quarter * _QUARTER)
    offset = wall.replace(tzinfo=zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
