"""Pairing a day: the rule itself, and the three tables that follow from it.

python -m benchmarks.pairing --megabytes 434
"""

from pathlib import Path
from time import perf_counter

from benchmarks import harness, logs
from benchmarks.contestants.ours import day_of
from benchmarks.harness import DATA, Call, ChildError
from flows.ingest import ingest_pairs
from flows.lake import Key, Lake, TableName
from flows.night import read_ledger
from transforms.pairing import match
from transforms.sessions import NEEDED, Lines

_TIMES = 5
"""So often the rule is applied in one process; the quickest counts, for the first also pays for
the memory."""


def main() -> None:
    """Measure and write the section `pairing` of the page."""
    parser = harness.parser("pairing", __doc__)
    parser.add_argument("--megabytes", type=float, default=434)
    options = parser.parse_args()

    arguments = {
        "log": str(logs.simulated_day(options.megabytes)),
        "lake": str(DATA / "pairing"),
    }
    harness.run(Call("benchmarks.scaling:events", arguments))
    calls = {
        "the rule alone, `pairing.match`": Call("benchmarks.pairing:rule", arguments),
        "verdicts, connections, counts, published": Call("benchmarks.pairing:tables", arguments),
    }
    rows = []
    for name, run in harness.in_rounds(calls, options.rounds).items():
        if isinstance(run, ChildError):
            raise run
        count = run.answer["events"]
        rate, peak = f"{count / run.seconds / 1e6:.1f}", f"{run.peak_bytes / 1e6:,.0f}"
        rows.append([name, f"{count:,}", f"{run.seconds:.2f}", rate, peak])
    text = (
        f"One day of {options.megabytes:g} MB; medians of {options.rounds} rounds. Events are its"
        " accepts and verdicts.\n\n"
        + harness.table(("", "events", "s", "million events/s", "peak MB"), rows)
        + f"\n\n{harness.machine('numpy', 'pyarrow')}"
    )
    harness.publish(options.page, "pairing", text)


def rule(log: str, lake: str) -> dict[str, float]:
    """Pair the day's timeline."""
    place, key = Lake.at(lake), _key(log)
    with place.open(TableName.EVENTS, key, encoded=True) as file:
        timeline = Lines.of(key.date, {key.date: [file.read(list(NEEDED))]}).timeline
    seconds = []
    for _ in range(_TIMES):
        started = perf_counter()
        match(timeline)
        seconds.append(perf_counter() - started)
    return {"seconds": min(seconds), "events": len(timeline.client)}


def tables(log: str, lake: str) -> dict[str, float]:
    """Make and publish what follows from the day's events."""
    place, key = Lake.at(lake), _key(log)
    ledger = read_ledger(place, {key.host})[key.host]
    started = perf_counter()
    ingest_pairs(place, key, ledger)
    seconds = perf_counter() - started
    return {"seconds": seconds, "events": ledger[key.date].accepts + ledger[key.date].verdicts}


def _key(log: str) -> Key:
    day = day_of(Path(log))
    return Key(day.host, day.date)


if __name__ == "__main__":
    main()
