"""A night's work, whoever runs it: discover, ingest what is new, pair, summarize, check.

`run` is the whole pipeline. How its many equal steps are carried out is left to an `Each`: the
Prefect flow makes every step a task (`flows.nightly`), `--direct` uses plain threads (`threads`).
"""

import errno
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from typing import NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from flows import catalog
from flows.discover import LogDay, Refused, discover
from flows.errors import AcceptlakeError, LakeError, printable
from flows.ingest import CORES, expected_inputs, ingest_events, ingest_pairs, replay_events
from flows.lake import Key, Lake, TableName, Year
from flows.ledger import Entry
from flows.store import ReplacedError
from flows.summaries import are_current, summarize

DEFAULT_ZONE = "Asia/Tokyo"

_FOOTER_READERS = 8
_LASTING = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.ENAMETOOLONG,
}

Ledger = dict[str, dict[date, Entry]]
"""The entries of some hosts, by host and day; a night keeps them true to the lake."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Request:
    """What to ingest, from where, to where."""

    source: Path
    lake: str
    host: str | None = None
    """Server name for logs that lie in no computer folder."""
    since: date | None = None
    until: date | None = None
    zone: str | None = None
    """IANA time zone of the servers. None = as each host's days in the lake have it, or Tokyo."""
    force: bool = False
    """Ingest unchanged files too."""
    allow_shrink: bool = False
    """Let logs replace their partitions that no longer begin with what these hold."""
    wait: bool = True
    """Wait for another writer of the lake to finish."""


class State(StrEnum):
    """What became of one day's log."""

    INGESTED = "ingested"
    REPLAYED = "replayed"
    """Parsed anew from what the lake holds."""
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one day's log, and why."""

    name: str
    """Host and day, or the path of a file that cannot be a log."""
    state: State
    entry: Entry | None = None
    """The ledger's entry, if there is one: of a failed log, what the lake keeps."""
    error: str | None = None
    """What to tell the administrator. None unless it failed."""


@dataclass(frozen=True, slots=True)
class Night:
    """What happened."""

    outcomes: tuple[Outcome, ...]
    paired: int
    """Days whose verdicts and connections were computed anew."""
    other_errors: tuple[str, ...]
    """What went wrong after the events, each in a sentence."""
    checks: tuple[catalog.CheckResult, ...]
    """The checks that found something."""
    seconds: float

    def count(self, state: State) -> int:
        """Logs in a state."""
        return sum(outcome.state is state for outcome in self.outcomes)

    @property
    def ingested(self) -> list[Entry]:
        """The ledger's entries of what was read this time."""
        states = (State.INGESTED, State.REPLAYED)
        return [each.entry for each in self.outcomes if each.state in states and each.entry]

    def summary(self) -> dict[str, int | float]:
        """The night in numbers, as `--json` prints it; counts are of what was ingested in it."""
        ingested = self.ingested
        return {
            "files": len(self.outcomes),
            "ingested": self.count(State.INGESTED),
            "replayed": self.count(State.REPLAYED),
            "unchanged": self.count(State.UNCHANGED),
            "failed": self.count(State.FAILED),
            "lines": sum(entry.lines for entry in ingested),
            "accepts": sum(entry.accepts for entry in ingested),
            "verdicts": sum(entry.verdicts for entry in ingested),
            "debug": sum(entry.debug for entry in ingested),
            "blank": sum(entry.blank for entry in ingested),
            "malformed": sum(entry.malformed for entry in ingested),
            "bytes": sum(entry.bytes for entry in ingested),
            "seconds": round(self.seconds, 3),
        }

    @property
    def is_good(self) -> bool:
        """Whether everything is in the lake that should be, and agrees."""
        failed_checks = [check for check in self.checks if check.severity == "fail"]
        return not (self.count(State.FAILED) or self.other_errors or failed_checks)


class Each(Protocol):
    """Does one step for many items, perhaps at once; one that fails does not stop the others."""

    def __call__(
        self, name: str, step: Callable[[Item], Result], items: Sequence[Item]
    ) -> list[Result | Exception]:
        """The results in order of the items, or what was raised instead."""


class Watch(Protocol):
    """Is told how a night gets on."""

    def plan(self, days: Sequence[LogDay]) -> None:
        """These will be read."""

    def read(self, day: LogDay, size: int) -> None:
        """So many more bytes of a log have been read."""

    def done(self, day: LogDay) -> None:
        """The day is in the lake, or has failed."""


class Unwatched:
    """A `Watch` that looks away."""

    def plan(self, days: Sequence[LogDay]) -> None:
        """Do nothing."""

    def read(self, day: LogDay, size: int) -> None:
        """Do nothing."""

    def done(self, day: LogDay) -> None:
        """Do nothing."""


def run(request: Request, each: Each, watch: Watch) -> Night:
    """Do a night's work.

    Raises:
        AcceptlakeError: nothing at all could be done: no source, no lake, someone else writes.
    """
    started = monotonic()
    zone = zone_named(request.zone) if request.zone else None
    survey = discover(request.source, request.host, request.since, request.until)
    lake = Lake.at(request.lake)
    hosts = {day.host for day in survey.days}

    def zone_of(entry: Entry) -> ZoneInfo:
        return zone if zone and entry.host in hosts else zone_named(entry.zone)

    with lake.lock(wait=request.wait):
        ledger = read_ledger(lake, hosts | _hosts(lake))
        outcomes = _ingest(request, survey.days, lake, ledger, zone, each, watch)
        outcomes += _replay(lake, ledger, zone_of, each)
        outcomes += map(_refused, survey.refused)
        return _finish(lake, ledger, outcomes, each, started, anew=hosts if request.force else ())


def replay(where: str, zone_name: str | None, each: Each) -> Night:
    """Parse anew, from the lake itself, whatever an older parser or another time zone has read.

    Raises:
        AcceptlakeError: there is no lake or no such zone, or someone else writes.
    """
    started = monotonic()
    zone = zone_named(zone_name) if zone_name else None
    lake = Lake.at(where, must_exist=True)
    with lake.lock():
        ledger = read_ledger(lake, _hosts(lake))
        replayed = _replay(lake, ledger, lambda entry: zone or zone_named(entry.zone), each)
        return _finish(lake, ledger, replayed, each, started)


def _hosts(lake: Lake) -> set[str]:
    return {key.host for key in lake.keys(TableName.EVENTS)}


def _finish(
    lake: Lake,
    ledger: Ledger,
    outcomes: Sequence[Outcome],
    each: Each,
    started: float,
    *,
    anew: Collection[str] = (),
) -> Night:
    """What comes after the events; what is derived of the hosts in `anew` is made in any case."""
    paired = _pair(lake, ledger, each, anew)
    summary_errors = _summarize(lake, paired.inputs, each, anew)
    checks, check_errors = _check(lake, _touched(outcomes, paired.days))
    return Night(
        outcomes=tuple(outcomes),
        paired=len(paired.days),
        other_errors=(*paired.errors, *summary_errors, *check_errors),
        checks=checks,
        seconds=monotonic() - started,
    )


class _Paired(NamedTuple):
    """What pairing has come to."""

    days: list[Key]
    """Those that were paired just now."""
    inputs: dict[Key, str]
    """Of every day that has derived tables, what these follow from."""
    errors: list[str]


def _pair(lake: Lake, ledger: Ledger, each: Each, anew: Collection[str]) -> _Paired:
    """Pair the days whose derived tables are not what follows from the events."""
    keys = [Key(host, day) for host, entries in ledger.items() for day in sorted(entries)]
    inputs = {key: known for key in keys if (known := lake.inputs(key)) is not None}
    stale = [
        key
        for key in keys
        if key.host in anew or inputs.get(key) != expected_inputs(key, ledger[key.host])
    ]

    def pair(key: Key) -> str:
        return ingest_pairs(lake, key, ledger[key.host])

    results = dict(zip(stale, each("pair", pair, stale), strict=True))
    made = {key: result for key, result in results.items() if isinstance(result, str)}
    return _Paired(list(made), inputs | made, _errors(results))


def _summarize(
    lake: Lake, inputs: Mapping[Key, str], each: Each, anew: Collection[str]
) -> list[str]:
    """Bring the summaries of all years up to date; say what went wrong."""
    years: dict[Year, dict[date, str]] = {}
    for key, made_from in inputs.items():
        years.setdefault(Year(key.host, key.date.year), {})[key.date] = made_from
    stale = [
        year for year in years if year.host in anew or not are_current(lake, year, years[year])
    ]

    def summarize_year(year: Year) -> None:
        summarize(lake, year, years[year], all_anew=year.host in anew)

    return _errors(dict(zip(stale, each("summarize", summarize_year, stale), strict=True)))


def _errors(results: Mapping[Item, object]) -> list[str]:
    return [
        f"{item}: {_reason(result)}"
        for item, result in results.items()
        if isinstance(result, Exception)
    ]


def _check(lake: Lake, days: Collection[date]) -> tuple[tuple[catalog.CheckResult, ...], list[str]]:
    """Refresh the catalog; return the checks that find something, and why if they cannot be run."""
    try:
        catalog.refresh(lake)
        checks = catalog.check(lake, dates=days)
    except (duckdb.Error, ReplacedError, OSError) as error:
        return (), list(lake.damaged()) or [f"the checks: {_reason(error)}"]
    return tuple(check for check in checks if check.count), []


def _touched(outcomes: Sequence[Outcome], paired: Collection[Key]) -> set[date]:
    """The days that are not as they were before this night."""
    read = (State.INGESTED, State.REPLAYED)
    entries = (each.entry for each in outcomes if each.entry and each.state in read)
    return {entry.date for entry in entries} | {key.date for key in paired}


def _ingest(
    request: Request,
    days: Sequence[LogDay],
    lake: Lake,
    ledger: Ledger,
    zone: ZoneInfo | None,
    each: Each,
    watch: Watch,
) -> list[Outcome]:
    """Ingest the days that need it, and bring the ledger up to date."""

    def zone_of(day: LogDay) -> ZoneInfo:
        latest = max(ledger[day.host].items(), default=None)
        return zone or zone_named(latest[1].zone if latest else DEFAULT_ZONE)

    def is_current(day: LogDay) -> bool:
        entry = ledger[day.host].get(day.date)
        return entry is not None and not request.force and entry.is_current(day, zone_of(day))

    stopping = Event()

    def read(day: LogDay, size: int) -> None:
        if stopping.is_set():
            raise AcceptlakeError(f"{day}: interrupted")
        watch.read(day, size)

    def ingest(day: LogDay) -> Entry:
        try:
            shrink = request.allow_shrink
            if request.force and day.date not in ledger[day.host]:
                shrink = True  # it is not there, or so damaged that there is nothing to protect
            progress = partial(read, day)
            return ingest_events(lake, day, zone_of(day), progress, allow_shrink=shrink)
        finally:
            watch.done(day)

    outcomes = {
        day: Outcome(str(day), State.UNCHANGED, ledger[day.host][day.date])
        for day in days
        if is_current(day)
    }
    todo = [day for day in days if day not in outcomes]
    watch.plan(todo)
    try:
        results = each("ingest", ingest, todo)
    except BaseException:  # Ctrl-C: logs being read end at their next block
        stopping.set()
        raise
    for day, result in zip(todo, results, strict=True):
        if isinstance(result, Entry):
            ledger[day.host][day.date] = result
            outcomes[day] = Outcome(str(day), State.INGESTED, result)
        else:
            kept = ledger[day.host].get(day.date)
            outcomes[day] = Outcome(str(day), State.FAILED, kept, _reason(result))
    return [outcomes[day] for day in days]


def _replay(
    lake: Lake, ledger: Ledger, zone_of: Callable[[Entry], ZoneInfo], each: Each
) -> list[Outcome]:
    """Read anew what would be read differently today and has no source any more."""

    def replay(entry: Entry) -> Entry:
        return replay_events(lake, entry, zone_of(entry))

    outdated = [
        entry
        for entries in ledger.values()
        for entry in entries.values()
        if not entry.is_read_as_today(zone_of(entry))
    ]
    outcomes = []
    for entry, result in zip(outdated, each("replay", replay, outdated), strict=True):
        if isinstance(result, Entry):
            ledger[entry.host][entry.date] = result
            outcomes.append(Outcome(str(entry), State.REPLAYED, result))
        else:
            outcomes.append(Outcome(str(entry), State.FAILED, entry, _reason(result)))
    return outcomes


def read_ledger(lake: Lake, hosts: Collection[str]) -> Ledger:
    """The ledger's entries of some hosts, by host and day; without those of damaged partitions."""
    keys = [key for key in lake.keys(TableName.EVENTS) if key.host in hosts]
    ledger: Ledger = {host: {} for host in hosts}

    def sound(key: Key) -> Entry | None:
        try:
            return lake.entry(key)
        except LakeError:
            return None  # ingesting the day says what is wrong with it

    with ThreadPoolExecutor(_FOOTER_READERS) as pool:
        for key, entry in zip(keys, pool.map(sound, keys), strict=True):
            if entry is not None:
                ledger[key.host][key.date] = entry
    return ledger


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        AcceptlakeError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise AcceptlakeError(
            f"there is no time zone {printable(name)!r}; use an IANA name such as Asia/Tokyo"
        ) from None


def threads(
    name: str,  # noqa: ARG001  (part of `Each`)
    step: Callable[[Item], Result],
    items: Sequence[Item],
) -> list[Result | Exception]:
    """An `Each` on plain threads, one a core."""

    def attempt(item: Item) -> Result | Exception:
        try:
            return step(item)
        except Exception as error:  # noqa: BLE001  (it is the result, and reported as such)
            return error

    pool = ThreadPoolExecutor(CORES)
    try:
        return list(pool.map(attempt, items))
    finally:  # after Ctrl-C without waiting; otherwise there is nothing left to wait for
        pool.shutdown(wait=False, cancel_futures=True)


def is_worth_retrying(error: BaseException) -> bool:
    """Whether the same step may well succeed in a moment: a share that stumbled, a disk error."""
    return isinstance(error, OSError) and error.errno not in _LASTING


def _reason(error: object) -> str:
    if isinstance(error, AcceptlakeError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        name = f"{printable(str(error.filename))!r}: " if error.filename else ""
        return f"{name}{error.strerror}"
    return f"{type(error).__name__}: {error}"


def _refused(refused: Refused) -> Outcome:
    path = printable(str(refused.path))
    return Outcome(path, State.FAILED, error=f"{path!r} {refused.reason}")
