"""Simulated acceptlog trees on disk, for trying acceptlake out, for tests and for benchmarks."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from transforms.simulation.scribe import Chunk, chunks
from transforms.simulation.traffic import Edition, Fate, Plan

__all__ = ["Edition", "Fate", "Plan", "Summary", "simulate"]


@dataclass(frozen=True)
class Summary:
    """What a simulation wrote, over all hosts and files."""

    files: tuple[Path, ...]
    """The log files, by host and date."""
    lines: int
    """Lines in them, also blank and damaged ones."""
    bytes: int
    """Their size together; the truth is not counted."""
    accepts: int
    """Undamaged accept lines."""
    verdicts: dict[Fate, int]
    """Undamaged verdict lines, also forged ones, by what became of the message or session; every
    fate is there."""
    blank: int
    """Empty lines."""
    debug: int
    """Lines of special builds, without a time stamp."""
    malformed: int
    """Lines that are none of the above."""


def simulate(out: Path, plan: Plan, *, truth: bool = True) -> Summary:
    """Write `out`/acceptlog/HOST/YYMMDD.log and, if asked for, `out`/truth.jsonl.

    The truth has one JSON object for each log line, by host, date and line number. Its times are
    server local, ISO 8601. Raises FileExistsError when `out` holds either already.
    """
    logs, truth_file = out / "acceptlog", out / "truth.jsonl"
    for existing in (logs, truth_file):
        if existing.exists():
            raise FileExistsError(f"{existing} exists; simulate into an empty folder")
    for host in plan.hosts:
        (logs / host).mkdir(parents=True)
    counts: Counter[str] = Counter()
    for chunk in chunks(plan, truth=truth):
        _append(chunk, logs)
        counts.update(chunk.counts)
    files = tuple(sorted(logs.glob("*/*.log")))
    if truth:
        _collect_truth(files, truth_file)
    return Summary(
        files=files,
        lines=counts.total(),
        bytes=sum(path.stat().st_size for path in files),
        accepts=counts["accept"],
        verdicts={fate: counts[fate] for fate in Fate},
        blank=counts["blank"],
        debug=counts["debug"],
        malformed=counts["malformed"],
    )


def _append(chunk: Chunk, logs: Path) -> None:
    """Add a chunk to its log file, and its truth to a file beside that."""
    path = logs / chunk.host / f"{chunk.file_date:%y%m%d}.log"
    with path.open("ab") as log:
        log.write(chunk.data)
    if chunk.truth:
        with _truth_of(path).open("ab") as statements:
            statements.writelines(f"{statement}\n".encode() for statement in chunk.truth)


def _truth_of(log: Path) -> Path:
    return log.with_suffix(".truth")


def _collect_truth(logs: tuple[Path, ...], target: Path) -> None:
    """Put the truths beside the logs one after the other, and remove them."""
    with target.open("xb") as everything:
        for path in map(_truth_of, logs):
            with path.open("rb") as part:
                shutil.copyfileobj(part, everything)
            path.unlink()
