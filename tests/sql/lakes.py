"""Small lakes, made by the real pipeline."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb

from flows import catalog, night
from flows.lake import Lake

Logs = Mapping[tuple[str, date], bytes]
"""The logs of some hosts and days."""


def ingest(source: Path, where: Path) -> Lake:
    """The lake that a night makes of a mail work folder."""
    result = night.run(night.Request(source, str(where)), night.threads, night.Unwatched())
    assert [o.error for o in result.outcomes if o.error] == []
    assert result.other_errors == ()
    return Lake.at(str(where))


def write_logs(source: Path, logs: Logs) -> None:
    """Lay out a mail work folder."""
    for (host, day), content in logs.items():
        path = source / "acceptlog" / host / f"{day:%y%m%d}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def opened(lake: Lake) -> duckdb.DuckDBPyConnection:
    """The lake's catalog as a BI tool has it: read-only."""
    where = Path(lake.store.root, "catalog.duckdb")
    return duckdb.connect(str(where), read_only=True)


def views(*, answers_only: bool = False) -> list[str]:
    """The names of all views."""
    return [
        each.name
        for each in catalog.definitions()
        if each.kind is catalog.Kind.VIEW and not (answers_only and each.is_base)
    ]
