"""A whole night's work on a backlog of many days, beside the bare parsing of the same files.

    python -m benchmarks.night --megabytes 3000 --days 14 --hosts 1 --rounds 3

The night is the command `acceptlake ingest --direct`, as an administrator runs it. Bare parsing
takes each log into its events, on the same threads, and does nothing else.
"""

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from benchmarks import harness, logs
from benchmarks.contestants.ours import ZONE
from benchmarks.harness import DATA, Call, Run
from flows import catalog
from flows.discover import LogDay, discover
from flows.ingest import ingest_events, unheard
from flows.lake import CATALOG, Lake
from flows.ledger import Entry
from flows.night import Request, Unwatched, run, threads

COMMAND = Path(sys.executable).with_name("acceptlake")

Item = TypeVar("Item")
Result = TypeVar("Result")


def main() -> None:
    """Measure and write the section `night` of the page."""
    parser = harness.parser("night", __doc__)
    parser.add_argument("--megabytes", type=float, default=3000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--hosts", type=int, default=1)
    options = parser.parse_args()

    source = logs.simulated(options.megabytes, options.days, options.hosts)
    calls = {
        name: Call(
            f"benchmarks.night:{function}",
            {"source": str(source), "lake": str(DATA / "night" / function)},
        )
        for name, function in {
            "bare parsing: log → events": "parse_only",
            "`acceptlake ingest --direct`": "ingest",
            "the same steps, timed": "steps",
        }.items()
    }
    runs = harness.in_rounds(calls, options.rounds)
    bare, whole, steps = (_good(each) for each in runs.values())
    logs_found = [file.stat().st_size for file in source.glob("acceptlog/*/*.log")]
    megabytes = sum(logs_found) / 1e6
    rates = [
        [
            name,
            f"{each.seconds:.2f}",
            f"{megabytes / each.seconds:,.0f}",
            f"{each.cpu_seconds:.2f}",
            f"{each.peak_bytes / 1e6:,.0f}",
        ]
        for name, each in zip(calls, (bare, whole), strict=False)
    ]
    spent = [[name, f"{s:.2f}", f"{s / whole.seconds:.0%}"] for name, s in steps.answer.items()]
    starting = whole.seconds - sum(steps.answer.values())
    spent.append(["start of the command, table of results", f"{starting:.2f}", ""])
    text = (
        f"{len(logs_found)} logs of {options.hosts} hosts, {megabytes:,.0f} MB in all, into an"
        f" empty lake; medians of {options.rounds} interleaved rounds.\n\n"
        + harness.table(("", "s", "MB/s", "CPU s", "peak MB"), rates)
        + f"\n\nThe whole night goes at {bare.seconds / whole.seconds:.2f} of the rate of bare"
        " parsing. Where its time goes, in a process that calls the same steps (the last"
        " round):\n\n"
        + harness.table(("step", "s", "of the command"), spent)
        + f"\n\n{harness.machine('numpy', 'pyarrow', 'duckdb')}"
    )
    section = "night" if options.hosts == 1 else f"night of {options.hosts} hosts"
    harness.publish(options.page, section, text)


def parse_only(source: str, lake: str) -> dict[str, float]:
    """Take each log into its events."""
    place = _empty(lake)
    days = discover(Path(source)).days

    def parse(day: LogDay) -> Entry:
        return ingest_events(place, day, ZONE, unheard)

    started = perf_counter()
    results = threads("ingest", parse, days)
    seconds = perf_counter() - started
    for result in results:
        if isinstance(result, Exception):
            raise result
    return {"seconds": seconds}


def ingest(source: str, lake: str) -> dict[str, float]:
    """Run the command."""
    _empty(lake)
    started = perf_counter()
    subprocess.run(
        [COMMAND, "ingest", source, "--lake", lake, "--direct", "--zone", str(ZONE), "--json"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    seconds = perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {"seconds": seconds, "peak_bytes": peak}


def steps(source: str, lake: str) -> dict[str, float]:
    """Do the night's work in this process; say how many seconds each step takes."""
    place = _empty(lake)
    timed = _Timed()
    started = perf_counter()
    night = run(Request(Path(source), lake, zone=str(ZONE)), timed, Unwatched())
    whole = perf_counter() - started
    if not night.is_good:
        raise RuntimeError(f"the night failed: {night}")
    # These two are done once more, to know them apart.
    Path(lake, CATALOG).unlink()
    refresh_seconds = _seconds(lambda: catalog.refresh(place))
    check_seconds = _seconds(lambda: catalog.check(place))
    known = {
        "log → events": timed.seconds["ingest"],
        "pairs, connections, counts": timed.seconds["pair"],
        "catalog": refresh_seconds,
        "checks": check_seconds,
    }
    return known | {"discovery, ledger": max(whole - sum(known.values()), 0)}


class _Timed:
    """An `Each` on plain threads that takes the time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(
        self, name: str, step: Callable[[Item], Result], items: Sequence[Item]
    ) -> list[Result | Exception]:
        started = perf_counter()
        results = threads(name, step, items)
        self.seconds[name] = perf_counter() - started
        return results


def _seconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _empty(lake: str) -> Lake:
    shutil.rmtree(lake, ignore_errors=True)
    return Lake.at(lake)


def _good(result: Run | harness.ChildError) -> Run:
    if isinstance(result, Run):
        return result
    raise result


if __name__ == "__main__":
    main()
