"""One log file of 0.1, 1 and 10 GB: whether time grows with size, and memory does not.

    python -m benchmarks.scaling --gigabytes 0.1 1 10

Files of more than a gigabyte are one of a gigabyte, several times over: for its reader as good as a
longer day, but its clock goes back to midnight at each seam, and pairing meets every stamp anew.
"""

import shutil
from pathlib import Path

from benchmarks import harness, logs
from benchmarks.contestants.ours import ZONE, day_of
from benchmarks.harness import DATA, Call, ChildError
from flows.ingest import ingest_events, ingest_pairs, unheard
from flows.lake import Key, Lake
from flows.night import read_ledger

_SIMULATED_GB = 1.0
"""The largest file that is simulated as such."""


def main() -> None:
    """Measure and write the section `scaling` of the page."""
    parser = harness.parser("scaling", __doc__)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 1, 10])
    options = parser.parse_args()

    rows = [_row(log_of(gigabytes), options.rounds) for gigabytes in options.gigabytes]
    header = ("log, MB", "events, s", "MB/s", "peak MB", "pairs, s", "both, MB/s", "peak MB")
    text = (
        f"One log file each; medians of {options.rounds} rounds. Events: log → `events.parquet`."
        " Pairs: `verdicts`, `connections` and `hourly_counts` from that, in a process of their"
        f" own. Files of more than {_SIMULATED_GB:g} GB are one of that size several times"
        " over.\n\n" + harness.table(header, rows) + f"\n\n{harness.machine('numpy', 'pyarrow')}"
    )
    harness.publish(options.page, "scaling", text)


def log_of(gigabytes: float) -> Path:
    """A log file of about that size."""
    times = round(gigabytes / _SIMULATED_GB)
    if times <= 1:
        return logs.simulated_day(1000 * gigabytes)
    part = logs.simulated_day(1000 * _SIMULATED_GB)
    whole = DATA / f"logs-{part.stat().st_size * times // 1_000_000}mb" / "acceptlog" / "MX1"
    path = whole / part.name
    if not path.exists():
        whole.mkdir(parents=True, exist_ok=True)
        pending = path.with_suffix(".tmp")
        with pending.open("wb") as target:
            for _ in range(times):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target, 1 << 24)
        pending.rename(path)
    return path


def _row(log: Path, rounds: int) -> list[str]:
    arguments = {"log": str(log), "lake": str(DATA / "scaling")}
    calls = {
        f"{log.stat().st_size / 1e6:,.0f} MB: {step}": Call(f"benchmarks.scaling:{step}", arguments)
        for step in ("events", "pairs")
    }
    megabytes = log.stat().st_size / 1e6
    seconds, row = 0.0, [f"{megabytes:,.0f}"]
    for run in harness.in_rounds(calls, rounds).values():
        if isinstance(run, ChildError):
            return [*row, f"failed: {run}"]
        seconds += run.seconds
        row += [f"{run.seconds:.2f}", f"{megabytes / seconds:,.0f}", f"{run.peak_bytes / 1e6:,.0f}"]
    return row


def events(log: str, lake: str) -> None:
    """The first step, into an empty lake."""
    shutil.rmtree(lake, ignore_errors=True)
    ingest_events(Lake.at(lake), day_of(Path(log)), ZONE, unheard)


def pairs(log: str, lake: str) -> None:
    """The second."""
    place, day = Lake.at(lake), day_of(Path(log))
    ingest_pairs(place, Key(day.host, day.date), read_ledger(place, {day.host})[day.host])


if __name__ == "__main__":
    main()
