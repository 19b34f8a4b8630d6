"""One log file into Parquet: acceptlake beside everyone else, and the floors below them all.

python -m benchmarks.parse --megabytes 434 --rounds 3
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks import harness, logs, peers
from benchmarks.agreement import Agreement, compare
from benchmarks.harness import DATA, Call, ChildError, Run

SCRATCH = DATA / "parse"
OURS = "acceptlake"


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who takes part."""

    name: str
    function: str
    """In `benchmarks.contestants`."""
    family: str = ""
    """Of several ways to use the same program, the best counts. Empty = a floor, or ourselves."""
    peer: str = ""
    """The package or program it needs. Empty = what acceptlake has anyway."""
    cores: int | None = None
    writes_events: bool = True


CONTESTANTS = (
    Contestant(OURS, "ours:parse"),
    Contestant("acceptlake, one core", "ours:parse", cores=1),
    Contestant("polars, string functions", "polars_lines:by_position", "polars", "polars"),
    Contestant("polars, regular expression", "polars_lines:by_pattern", "polars", "polars"),
    Contestant("chDB, string functions", "chdb_sql:by_position", "chDB", "chdb"),
    Contestant("chDB, regular expression", "chdb_sql:by_pattern", "chDB", "chdb"),
    Contestant("Arrow kernels, splits", "arrow_kernels:by_position", "Arrow kernels"),
    Contestant("Arrow kernels, regular expression", "arrow_kernels:by_pattern", "Arrow kernels"),
    Contestant("DuckDB, string functions", "duckdb_sql:by_position", "DuckDB SQL"),
    Contestant("DuckDB, regular expression", "duckdb_sql:by_pattern", "DuckDB SQL"),
    Contestant(
        "DuckDB, without order and line numbers",
        "duckdb_sql:unordered",
        "DuckDB SQL without order and line numbers",
    ),
    Contestant("Python `re`, line by line", "python_re:parse", "Python `re`"),
    Contestant("lnav, to CSV", "viewers:lnav", "lnav", "lnav", writes_events=False),
    Contestant("GoAccess, report", "viewers:goaccess", "GoAccess", "goaccess", writes_events=False),
    Contestant("floor: read the file", "floors:read", writes_events=False),
    Contestant("floor: read it, take its SHA-256", "floors:digest", writes_events=False),
    Contestant("floor: write ready tables, one core", "floors:write", cores=1),
)


def main() -> None:
    """Measure and write the section `parse` of the page."""
    parser = harness.parser("parse", __doc__)
    parser.add_argument("--megabytes", type=float, default=434)
    options = parser.parse_args()

    log = logs.simulated_day(options.megabytes)
    versions = peers.installed()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    calls = {
        each: _call(each, log) for each in CONTESTANTS if not each.peer or each.peer in versions
    }
    harness.run(calls[CONTESTANTS[0]])  # fills the page cache, and makes what `write` reads
    named = {each.name: call for each, call in calls.items()}
    runs = harness.in_rounds(named, options.rounds)
    if isinstance(ours := runs[OURS], ChildError):
        sys.exit(f"acceptlake failed: {ours}")
    agreements = {
        each.name: _agreement(ours, run)
        for each in calls
        if each.writes_events and isinstance(run := runs[each.name], Run)
    }
    text = "\n\n".join(_section(log, options.rounds, ours, runs, agreements, versions))
    harness.publish(options.page, "parse", text)


def _call(contestant: Contestant, log: Path) -> Call:
    module, _, function = contestant.function.partition(":")
    ours = SCRATCH / "acceptlake"
    out = ours if contestant.name == OURS else SCRATCH / f"{module}-{function}-{contestant.cores}"
    source = {"lake": str(ours)} if contestant.function == "floors:write" else {"log": str(log)}
    python = peers.PYTHON if contestant.peer in ("polars", "chdb") else Path(sys.executable)
    return Call(
        function=f"benchmarks.contestants.{contestant.function}",
        arguments=source | {"out": str(out)},
        python=python,
        cores=contestant.cores,
    )


def _agreement(ours: Run, theirs: Run) -> Agreement:
    answer: Mapping[str, object] = theirs.answer
    return compare(ours.answer["events"], str(answer["events"]), theirs.answer.get("dropped", ()))


def _section(
    log: Path,
    rounds: int,
    ours: Run,
    runs: Mapping[str, Run | ChildError],
    agreements: Mapping[str, Agreement],
    versions: Mapping[str, str],
) -> Iterator[str]:
    size = log.stat().st_size
    kinds = _kinds(ours.answer["events"])
    shares = ", ".join(f"{count / kinds.total():.1%} {kind}" for kind, count in kinds.most_common())
    yield (
        f"One simulated log of {size / 1e6:,.0f} MB and {kinds.total():,} lines ({shares}) into"
        f" Parquet with zstd; medians of {rounds} interleaved rounds, each in a fresh process with"
        " the file in the page cache. “× ours” is how many times as long it takes as acceptlake,"
        " which alone also hashes the file, computes `ts_utc`, keeps the bytes and the fault of"
        " odd lines, writes bloom filters and a ledger, and waits for the disk."
    )
    header = ("", "s", "× ours", "MB/s", "CPU s", "peak MB", "output MB", "lines that differ")
    yield harness.table(
        header, (_row(each, size, ours, runs, agreements.get(each.name)) for each in CONTESTANTS)
    )
    best: dict[str, float] = {}
    for each in CONTESTANTS:
        run = runs.get(each.name)
        if each.family and isinstance(run, Run):
            best[each.family] = min(run.seconds, best.get(each.family, run.seconds))
    figures = (f"{family} {seconds / ours.seconds:.2f}" for family, seconds in best.items())
    yield f"The best way of each, × ours: {', '.join(figures)}."
    yield "\n".join(
        [
            "Lines that differ, of those with any:",
            "",
            *(f"- {name}: {found}." for name, found in agreements.items() if found.differing),
            "",
            "DuckDB's text must be UTF-8, so it drops the lines that are not; polars replaces"
            " their bytes. lnav and GoAccess make no rows to compare.",
        ]
    )
    others = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield f"{harness.machine('numpy', 'pyarrow', 'duckdb')} Others: {others or 'none'}."


def _row(
    contestant: Contestant,
    size: int,
    ours: Run,
    runs: Mapping[str, Run | ChildError],
    agreement: Agreement | None,
) -> list[str]:
    run = runs.get(contestant.name)
    if run is None:
        return [contestant.name, "not installed", *[""] * 6]
    if isinstance(run, ChildError):
        return [contestant.name, f"failed: {str(run)[:80]}".replace("|", "/"), *[""] * 6]
    output = (run.answer or {}).get("events") or (run.answer or {}).get("output")
    return [
        contestant.name,
        f"{run.seconds:.2f}",
        f"{run.seconds / ours.seconds:.2f}",
        f"{size / 1e6 / run.seconds:,.0f}",
        f"{run.cpu_seconds:.2f}",
        f"{run.peak_bytes / 1e6:,.0f}",
        f"{Path(output).stat().st_size / 1e6:,.1f}" if output else "",
        f"{agreement.differing:,}" if agreement else "",
    ]


def _kinds(events: str) -> Counter[str]:
    with closing(duckdb.connect()) as connection:
        rows = connection.execute(
            "select kind, count(*) from read_parquet($events) group by kind", {"events": events}
        ).fetchall()
    return Counter(dict(rows))


if __name__ == "__main__":
    main()
