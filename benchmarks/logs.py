"""Simulated logs to measure with, made once and kept under data/bench."""

import shutil
from datetime import date, timedelta
from pathlib import Path

from benchmarks.harness import DATA, say
from flows.simulate import Edition, Plan, simulate

FIRST_DAY = date(2026, 6, 3)
"""A Wednesday, with all the traffic of a working day."""

HOSTILITY = 0.01
"""Share of odd lines, of which about half are malformed."""

_CONNECTION_BYTES = 193.1
"""Bytes of log for each connection, on average, of this edition at this hostility."""


def simulated(megabytes: float, days: int = 1, hosts: int = 1) -> Path:
    """A source with so many megabytes of log in all, give or take a few per cent."""
    folder = DATA / f"logs-{megabytes:g}mb-{days}d-{hosts}h"
    if folder.exists():
        return folder
    working_days = sum(
        1.0 if (FIRST_DAY + timedelta(day)).weekday() < 5 else 0.5 for day in range(days)
    )
    plan = Plan(
        edition=Edition.WIN,
        hosts=tuple(f"MX{number}" for number in range(1, hosts + 1)),
        first_day=FIRST_DAY,
        days=days,
        connections_per_day=round(megabytes * 1e6 / _CONNECTION_BYTES / working_days / hosts),
        seed=1,
        hostility=HOSTILITY,
    )
    say(f"simulating {megabytes:g} MB of log in {folder}")
    pending = folder.with_suffix(".tmp")
    shutil.rmtree(pending, ignore_errors=True)
    simulate(pending, plan, truth=False)
    pending.rename(folder)
    return folder


def simulated_day(megabytes: float) -> Path:
    """One log file of about that size."""
    folder = simulated(megabytes)
    return max(folder.glob("acceptlog/*/*.log"), key=lambda path: path.stat().st_size)
