"""Ways to use the cores, for one log and for many: threads, processes, one log a core.

python -m benchmarks.cores --megabytes 434 --rounds 3
"""

import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import harness, logs
from benchmarks.contestants.ours import ZONE
from benchmarks.harness import DATA, Call, ChildError
from flows import ingest
from flows.discover import LogDay, discover
from flows.ingest import CORES, ingest_events, unheard
from flows.lake import Lake

_LOGS = 8


class _Inline(Executor):
    """Does the work where it is given."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def _processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(CORES, get_context("spawn"))


SCANNERS: dict[str, Callable[[], Executor]] = {
    "none": _Inline,
    "threads": lambda: ThreadPoolExecutor(CORES),
    "one thread": lambda: ThreadPoolExecutor(1),
    "processes": _processes,
}
LOGS: dict[str, Callable[[], Executor]] = {
    "one after the other": _Inline,
    "a thread a core": lambda: ThreadPoolExecutor(CORES),
    "a process a core": _processes,
}
WAYS = (
    ("none", "one after the other"),
    ("threads", "one after the other"),
    ("one thread", "one after the other"),
    ("processes", "one after the other"),
    ("threads", "a thread a core"),
    ("one thread", "a thread a core"),
    ("none", "a thread a core"),
    ("none", "a process a core"),
)
SHIPPED = ("threads", "a thread a core")


def main() -> None:
    """Measure and write the section `cores` of the page."""
    parser = harness.parser("cores", __doc__)
    parser.add_argument("--megabytes", type=float, default=434)
    options = parser.parse_args()

    sources = {
        "one log": logs.simulated(options.megabytes),
        f"{_LOGS} logs": logs.simulated(options.megabytes, hosts=_LOGS),
    }
    calls = {
        (*way, name): Call(
            "benchmarks.cores:parse",
            {
                "source": str(source),
                "lake": str(DATA / "cores"),
                "scanners": way[0],
                "logs_at_once": way[1],
            },
        )
        for way in WAYS
        for name, source in sources.items()
    }
    runs = harness.in_rounds(calls, options.rounds)
    rows = []
    for way in WAYS:
        row = [f"{way[0]}{' (as shipped)' if way == SHIPPED else ''}", way[1]]
        for name in sources:
            run = runs[*way, name]
            if isinstance(run, ChildError):
                row += [f"failed: {run}", "", ""]
            else:
                peak = f"{run.peak_bytes / 1e6:,.0f}"
                row += [f"{run.seconds:.2f}", f"{run.cpu_seconds:.2f}", peak]
        rows.append(row)
    columns = [f"{name}: {figure}" for name in sources for figure in ("s", "CPU s", "peak MB")]
    text = (
        f"{options.megabytes:g} MB, as one log and as {_LOGS}, into their events; medians of"
        f" {options.rounds} rounds. Processes are spawned, as on every system; their start counts,"
        " their memory does not.\n\n"
        + harness.table(("scanning blocks", "logs", *columns), rows)
        + f"\n\n{harness.machine('numpy', 'pyarrow')}"
    )
    harness.publish(options.page, "cores", text)


def parse(source: str, lake: str, scanners: str, logs_at_once: str) -> None:
    """Take each log into its events, in some way."""
    shutil.rmtree(lake, ignore_errors=True)
    days = discover(Path(source)).days
    with LOGS[logs_at_once]() as pool:
        for done in [pool.submit(_parse, day, lake, scanners) for day in days]:
            done.result()


def _parse(day: LogDay, lake: str, scanners: str) -> None:
    vars(ingest)["_scanners"] = partial(_pool, scanners)
    ingest_events(Lake.at(lake), day, ZONE, unheard)


@cache
def _pool(scanners: str) -> Executor:
    return SCANNERS[scanners]()


if __name__ == "__main__":
    main()
