"""Kill real ingests at random moments, and look at what they leave.

    python -m tests.reliability.killing --kills 300 --seed 1

Every ingest replaces most partitions of a lake by those of logs that have grown, adds a new one,
and replaces the catalog. It is killed with SIGKILL, sometimes several in a row; after each kill
the lake must be whole, and every partition old or new. Then an ingest that is left alone must make
of it the very lake that comes of one that was never killed. Exit code 1 if anything was not so.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.harness import (
    CATALOG,
    Growth,
    acceptlake,
    damage,
    finish,
    growing,
    holder,
    neither_nor,
    partitions,
    start,
    strays,
)

CHAINS = (1, 1, 2, 3, 5)
"""How many kills there are before a lake is left to heal."""
IN_START_UP = 0.05
"""Share of the kills that do not wait until the ingest has begun to write."""
ANY_TIME = 0.5
"""Up to this share they are spread over its time; the others are while some file is replaced."""
SOON_S = 0.02
"""A file is replaced in about that time."""

_POLL_S = 0.0005


@dataclass
class Report:
    """What came of the kills."""

    kills: int = 0
    survived: int = 0
    """Ingests that were done before they were to be killed."""
    heals: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    """What the killed were doing."""
    violations: list[str] = field(default_factory=list)
    seconds: float = 0

    def __str__(self) -> str:
        stages = ", ".join(f"{count} {stage}" for stage, count in sorted(self.stages.items()))
        return (
            f"{self.kills} kills ({stages}), {self.survived} ended before theirs,"
            f" {self.heals} lakes healed, {len(self.violations)} violations,"
            f" {self.seconds:.0f} s"
        )


class Ground:
    """Logs, a lake of their earlier state, and what an undisturbed ingest makes of it.

    Args:
        folder: empty, to work in.
        hosts: number of servers.
        connections: of each a day.
    """

    def __init__(self, folder: Path, hosts: int, connections: int) -> None:
        self.folder = folder
        names = [f"MX{number}" for number in range(1, hosts + 1)]
        self.logs: Growth = growing(folder / "mail", names, connections=connections)
        # A trial's lake is a copy elsewhere, for which the catalog is wrong and will be replaced.
        self.base = folder / "base"
        self.logs.write_earlier()
        self._ingest(self.base)
        self.logs.write_later()
        self.old = partitions(self.base)
        clean = self.new_trial("clean")
        started = time.monotonic()
        self._ingest(clean)
        self.seconds = time.monotonic() - started
        self.new = partitions(clean)

    def _ingest(self, lake: Path) -> None:
        done = acceptlake("ingest", "--direct", self.logs.source, "--lake", lake)
        if done.code:
            raise RuntimeError(f"an undisturbed ingest fails: {done.text}")

    def new_trial(self, name: str) -> Path:
        """A lake of the earlier state."""
        return Path(shutil.copytree(self.base, self.folder / name))


def kill(kills: int, seed: int, hosts: int = 3, connections: int = 1_500) -> Report:
    """Kill so many ingests, in lakes of so many servers and connections a day."""
    report = Report()
    dice = random.Random(seed)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="acceptlake-killing-") as folder:
        ground = Ground(Path(folder), hosts, connections)
        number = 0
        while report.kills < kills:
            number += 1
            chain = min(dice.choice(CHAINS), kills - report.kills)
            for text in _trial(ground, number, chain, dice, report):
                report.violations.append(f"trial {number}: {text}")
                _say(report.violations[-1])
            if number % 20 == 0:
                _say(str(report))
            report.seconds = time.monotonic() - started
    return report


def _trial(
    ground: Ground, number: int, chain: int, dice: random.Random, report: Report
) -> Iterator[str]:
    """Kill a chain of ingests in one lake, then let it heal; gives the violations."""
    lake = ground.new_trial(f"trial{number}")
    tmp = ground.folder / f"tmp{number}"
    tmp.mkdir()
    catalog = (lake / CATALOG).read_bytes()
    words = ("ingest", "--direct", "--no-wait", ground.logs.source, "--lake", lake)
    for _ in range(chain):
        now = partitions(lake)
        todo = [path for path, digest in ground.new.items() if now.get(path) != digest]
        span = ground.seconds * max(len(todo) / len(ground.new), 0.3)
        process = start(*words, TMPDIR=str(tmp))
        if not _kill(process, lake, [*todo, CATALOG], span, dice):
            report.survived += 1
            break
        report.kills += 1
        stage = _stage(ground, lake, process.pid, catalog)
        report.stages[stage] += 1
        for text in (*damage(lake), *neither_nor(lake, ground.old, ground.new)):
            yield f"killed {stage}: {text}"
    report.heals += 1
    healing = acceptlake(*words, TMPDIR=str(tmp))
    if healing.code:
        yield f"does not heal: exit code {healing.code}: {healing.text}"
    if (healed := partitions(lake)) != ground.new:
        paths = healed.keys() | ground.new.keys()
        differing = sorted(path for path in paths if healed.get(path) != ground.new.get(path))
        yield f"healed, but not to the lake of a clean run: {', '.join(differing)}"
    for text in damage(lake):
        yield f"healed, but {text}"
    for path in strays(lake):
        yield f"healed, but {path} remains in the lake"
    for file in sorted(tmp.iterdir()):
        yield f"healed, but {file.name} remains in the folder of temporary files"
    shutil.rmtree(lake)
    shutil.rmtree(tmp)


def _kill(
    process: subprocess.Popen[bytes],
    lake: Path,
    todo: Sequence[str],
    span: float,
    dice: random.Random,
) -> bool:
    """Kill a process at a random moment; False if it had ended by itself.

    Args:
        process: the ingest.
        lake: what it writes.
        todo: the files that it will replace.
        span: how long it will take for that, about.
        dice: choose the moment.
    """
    moment = dice.random()
    if moment >= IN_START_UP:
        _wait_until(process, lambda: holder(lake) == process.pid)
    if moment >= ANY_TIME:
        path = lake / dice.choice(todo)
        before = _state(path)
        pending = f".{path.name}.{process.pid}.tmp"
        _wait_until(process, lambda: path.with_name(pending).exists() or _state(path) != before)
        span = SOON_S
    try:
        process.wait(dice.uniform(0, span))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return finish(process).code == -signal.SIGKILL


def _wait_until(process: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> None:
    while process.poll() is None and not is_so():
        time.sleep(_POLL_S)


def _state(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_ino, state.st_mtime_ns


def _stage(ground: Ground, lake: Path, process: int, catalog: bytes) -> str:
    """What the killed was doing, as far as its lake tells."""
    if holder(lake) != process:
        return "before the lock"
    for path in strays(lake):
        name = path.rpartition("/")[2]
        if name.endswith(f".{process}.tmp"):
            return f"writing {name[1:].partition('.')[0]}"
    now = partitions(lake)
    behind = {path for path, digest in ground.new.items() if now.get(path) != digest}
    if any(path.startswith("events/") for path in behind):
        return "between events"
    if behind:
        return "between pairs"
    if (lake / CATALOG).read_bytes() == catalog:
        return "making the catalog"
    return "in the checks"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="killing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--connections", type=int, default=1_500, help="of a host and day")
    options = parser.parse_args()
    report = kill(options.kills, options.seed, options.hosts, options.connections)
    _say(str(report))
    sys.exit(1 if report.violations else 0)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
