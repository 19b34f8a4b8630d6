"""Server-local seconds to UTC, for arrays, with Python's own time zone database."""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1)
_QUARTER = 900  # clocks change at quarters of an hour only
_DENSE = 4 * 24 * 62


def to_utc(local: Seconds, zone: ZoneInfo) -> Seconds:
    """Seconds since 1970 in UTC for seconds since 1970 of the wall clock in `zone`.

    Of an hour that occurs twice the first is meant; an hour that is skipped is read with the
    offset before the change (PEP 495, fold=0).
    """
    if not len(local):
        return local
    quarters = local // _QUARTER
    first, last = int(quarters.min()), int(quarters.max())
    if last - first < _DENSE:
        distinct, index = np.arange(first, last + 1), quarters - first
    else:
        distinct, index = np.unique(quarters, return_inverse=True)
    offsets = np.array([_offset(quarter, zone) for quarter in distinct.tolist()], np.int64)
    return local - offsets[index]


@lru_cache(maxsize=1 << 16)
def _offset(quarter: int, zone: ZoneInfo) -> int:
    wall = _EPOCH + timedelta(seconds=quarter * _QUARTER)
    offset = wall.replace(tzinfo=zone).utcoffset()
    assert offset is not None, "a ZoneInfo knows its offset at any time"
    return int(offset.total_seconds())
