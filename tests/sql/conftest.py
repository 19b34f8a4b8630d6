"""Fixtures of the SQL tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lakes import Logs, ingest, write_logs

from flows.lake import Lake


@pytest.fixture
def lake_of(tmp_path: Path) -> Callable[[Logs], Lake]:
    """Makes a lake of logs, each time adding to the one before."""

    def make(logs: Logs) -> Lake:
        write_logs(tmp_path / "mail", logs)
        return ingest(tmp_path / "mail", tmp_path / "lake")

    return make
