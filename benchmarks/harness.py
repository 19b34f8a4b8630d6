"""What all benchmarks share: fresh processes, interleaved rounds, medians, Markdown.

A figure is the median of several rounds. In each round everyone has a turn, in a process of its
own, so that memory is its own and a slow minute of the machine hurts all alike.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data" / "bench"
DOCS = ROOT / "docs"

Name = TypeVar("Name")


class ChildError(Exception):
    """A measured call did not end well; says how."""


@dataclass(frozen=True, slots=True)
class Call:
    """What to measure."""

    function: str
    """`module:function`."""
    arguments: Mapping[str, object]
    """By name; JSON must be able to say them."""
    python: Path = Path(sys.executable)
    cores: int | None = None
    """How many it may use. None = all."""


@dataclass(frozen=True, slots=True)
class Run:
    """A call that was measured."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    answer: Any
    """What it returned, as JSON has it."""


def parser(name: str, description: str, page: str = "benchmarks.md") -> argparse.ArgumentParser:
    """The command line of a benchmark, with the options that all have.

    Args:
        name: the module's.
        description: its docstring, of which the first line counts.
        page: where its section stands, in `docs`.
    """
    options = argparse.ArgumentParser(f"benchmarks.{name}", description=description.splitlines()[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--page", type=Path, default=DOCS / page)
    return options


def run(call: Call) -> Run:
    """Do a call in a fresh process.

    Raises:
        ChildError: it raised, or was killed.
    """
    os.sync()  # what others have written is theirs to pay for
    command = [str(call.python), "-m", "benchmarks.child", call.function]
    command.append(json.dumps(call.arguments))
    if call.cores is not None:
        command.append(str(call.cores))
    child = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False
    )
    if child.returncode < 0:
        raise ChildError(f"killed by signal {-child.returncode}, as for want of memory")
    if child.returncode:
        raised = re.findall(r"^[\w.]+: .+", child.stderr, re.MULTILINE)
        raise ChildError(raised[-1] if raised else f"ended with exit code {child.returncode}")
    return Run(**json.loads(child.stdout.strip().splitlines()[-1]))


def in_rounds(calls: Mapping[Name, Call], rounds: int) -> dict[Name, Run | ChildError]:
    """Do every call once a round.

    Returns:
        Of each the median of its seconds, CPU seconds and peaks with its last answer, or why it
        failed; what has failed gets no second turn.
    """
    runs: dict[Name, list[Run]] = {name: [] for name in calls}
    failed: dict[Name, ChildError] = {}
    for number in range(1, rounds + 1):
        for name, call in calls.items():
            if name in failed:
                continue
            try:
                runs[name].append(run(call))
                say(f"round {number}: {name}: {runs[name][-1].seconds:.3f} s")
            except ChildError as error:
                failed[name] = error
                say(f"round {number}: {name}: {error}")
    return {name: failed[name] if name in failed else _median(runs[name]) for name in calls}


def _median(runs: Sequence[Run]) -> Run:
    def middle(figure: Callable[[Run], float]) -> float:
        return median(map(figure, runs))

    return Run(
        seconds=middle(lambda each: each.seconds),
        cpu_seconds=middle(lambda each: each.cpu_seconds),
        peak_bytes=int(middle(lambda each: each.peak_bytes)),
        answer=runs[-1].answer,
    )


def machine(*packages: str) -> str:
    """Where the figures come from, in one sentence.

    Args:
        packages: installed ones whose versions matter.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"Measured on {cores} × {_processor()}, {_memory_gb()} GB, {platform.system()}"
        f" {platform.machine()}, Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    return _line_of("/proc/cpuinfo", "model name") or platform.processor() or "processor"


def _memory_gb() -> str:
    kilobytes = _line_of("/proc/meminfo", "MemTotal").split()
    return f"{int(kilobytes[0]) * 1024 / 1e9:.0f}" if kilobytes else "?"


def _line_of(path: str, key: str) -> str:
    """What a file of the kernel says of a key; empty where there is no such file or key."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(key))
    return next(found, "")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""

    def lines() -> Iterator[str]:
        yield f"| {' | '.join(header)} |"
        yield "|---" + "|---:" * (len(header) - 1) + "|"
        for row in rows:
            yield f"| {' | '.join(row)} |"

    return "\n".join(lines())


def publish(page: Path, section: str, text: str) -> None:
    """Print a section of a page, and put it where the page has it, or at its end.

    Args:
        page: a Markdown file, made if it is not there.
        section: its name, in the two comments that enclose it.
        text: what stands between them.
    """
    begin, end = f"<!-- {section}: begin, written by its benchmark -->", f"<!-- {section}: end -->"
    block = f"{begin}\n{text.strip()}\n{end}\n"
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    before, found, rest = old.partition(begin)
    if found:
        new = before + block + rest.partition(end)[2].removeprefix("\n")
    else:
        new = f"{old.rstrip()}\n\n{block}".lstrip()
    page.parent.mkdir(exist_ok=True)
    page.write_text(new, encoding="utf-8")
    say(f"\n{text.strip()}\n\n(written to {page})")


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
