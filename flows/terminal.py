"""What people see: progress bars while a night runs, and tables of what happened."""

import sys
from collections.abc import Sequence
from pathlib import PurePath

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from flows.catalog import CheckResult, call, definitions
from flows.discover import LogDay
from flows.errors import printable
from flows.night import Night, Outcome, State

_STYLES = {
    State.INGESTED: "green",
    State.REPLAYED: "green",
    State.UNCHANGED: "dim",
    State.FAILED: "bold red",
}
_SHOWN = 40
"""Unchanged days are summed up where the table would be longer than this."""


class Bars:
    """A `night.Watch`: a bar for each log being read and one for all, if on a terminal."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._all: TaskID | None = None
        self._days: dict[LogDay, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def plan(self, days: Sequence[LogDay]) -> None:
        total = sum(max(file.size for file in day.files) for day in days)
        self._all = self._bars.add_task(f"all {len(days)} logs", total=total)

    def read(self, day: LogDay, size: int) -> None:
        if day not in self._days:
            # Of a compressed log nobody knows the size before its end.
            sizes = [file.size for file in day.files if file.compression is None]
            self._days[day] = self._bars.add_task(
                escape(str(day)), total=max(sizes, default=None), start=True
            )
        self._bars.advance(self._days[day], size)
        if self._all is not None:
            self._bars.advance(self._all, size)

    def done(self, day: LogDay) -> None:
        if day in self._days:
            self._bars.remove_task(self._days.pop(day))


def night_table(night: Night) -> Table:
    """One row for each log, and what there was in it."""
    table = Table(title_justify="left", header_style="bold")
    table.add_column("log")
    table.add_column("result")
    for name in ("MB", "lines", "accepts", "verdicts", "malformed"):
        table.add_column(name, justify="right")
    unchanged = night.count(State.UNCHANGED)
    sums_up = len(night.outcomes) > _SHOWN and unchanged > 0
    for outcome in night.outcomes:
        if sums_up and outcome.state is State.UNCHANGED:
            continue
        table.add_row(*_cells(outcome), style=_STYLES[outcome.state])
    if sums_up:
        table.add_row(f"{unchanged:,} more", "unchanged", style="dim")
    return table


def _cells(outcome: Outcome) -> list[str]:
    name = outcome.name if outcome.entry else PurePath(outcome.name).name
    if outcome.entry is None:
        return [escape(name), outcome.state.value]
    entry = outcome.entry
    counts = (entry.lines, entry.accepts, entry.verdicts, entry.malformed)
    return [
        escape(name),
        outcome.state.value,
        f"{entry.bytes / 1e6:,.1f}",
        *(f"{count:,}" for count in counts),
    ]


def show_night(night: Night, *, table: bool) -> None:
    """Print what a night did: the table to stdout if wanted, what went wrong to stderr."""
    console, errors = Console(), Console(stderr=True, soft_wrap=True)
    if table:
        read = sum(entry.bytes for entry in night.ingested)
        console.print(night_table(night))
        console.print(
            ", ".join(f"{night.count(state):,} {state}" for state in State)
            + f"; {night.paired:,} days paired;"
            f" {read / 1e6:,.1f} MB in {night.seconds:,.1f} s",
            highlight=False,
        )
    for outcome in night.outcomes:
        if outcome.error:
            errors.print(f"failed: {printable(outcome.error)}", style="red", markup=False)
    for error in night.other_errors:
        errors.print(f"failed: {printable(error)}", style="red", markup=False)
    for check in night.checks:
        errors.print(
            f"check {check.name}: {check.count:,} rows, {check.severity}: {check.reason}",
            style="red" if check.severity == "fail" else "yellow",
            markup=False,
        )


def show_checks(checks: Sequence[CheckResult]) -> None:
    """Print what checks found, with the rows that offend."""
    console = Console()
    for check in checks:
        style = "red" if check.severity == "fail" else "yellow"
        console.print(Text(f"{check.name}: {check.severity}, {check.count:,} rows", style=style))
        console.print(Text(check.reason))
        table = Table(header_style="bold")
        for column in check.columns:
            table.add_column(Text(column))
        for row in check.rows:
            table.add_row(*(Text(printable(str(value))) for value in row))
        if len(check.rows) < check.count:
            table.caption = f"the first {len(check.rows)} of {check.count:,} rows"
        console.print(table)
    if not checks:
        console.print("All checks passed.")


def show_views() -> None:
    """Print the views and macros with their grain and what they answer."""
    table = Table(header_style="bold", show_lines=True)
    for column in ("name", "kind", "a row per", "what it answers"):
        table.add_column(column, overflow="fold")
    for each in definitions():
        if not each.is_base:
            table.add_row(*map(Text, (call(each), each.kind, each.grain, each.description)))
    Console().print(table)
