"""acceptlake itself: one log file into the events of a lake, with all that belongs to that."""

import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

from flows.discover import LogDay, discover
from flows.ingest import ingest_events, unheard
from flows.lake import Key, Lake, TableName, path_of

ZONE = ZoneInfo("Asia/Tokyo")


def parse(log: str, out: str) -> dict[str, str]:
    """Ingest a log into a lake, made anew in the folder `out`; say where its events are."""
    shutil.rmtree(out, ignore_errors=True)
    lake, day = Lake.at(out), day_of(Path(log))
    with lake.lock():
        ingest_events(lake, day, ZONE, unheard)
    return {"events": f"{out}/{path_of(TableName.EVENTS, Key(day.host, day.date))}"}


def day_of(log: Path) -> LogDay:
    """The day of a log file that lies in its computer folder."""
    return discover(log).days[0]
