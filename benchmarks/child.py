"""One call in a process of its own, measured. Imports nothing that costs time or memory.

    python -m benchmarks.child MODULE:FUNCTION JSON_ARGUMENTS [CORES]

The last line of its output is a JSON object: `seconds` and `cpu_seconds` of the call alone,
`peak_bytes` of the whole process, and the `answer`, which, if it is an object, may overrule these.
"""

import json
import os
import resource
import sys
import time
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Call and report."""
    if len(sys.argv) > 3:  # before any import, for thread pools are made to the number of cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[3])])
    module, _, function = sys.argv[1].partition(":")
    call = getattr(import_module(module), function)
    arguments = json.loads(sys.argv[2])
    started, cpu_started = time.perf_counter(), _cpu_seconds()
    answer = call(**arguments)
    report = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": _cpu_seconds() - cpu_started,
        "peak_bytes": peak_bytes(),
        "answer": answer,
    }
    if isinstance(answer, dict):
        report |= {key: answer[key] for key in report.keys() & answer.keys()}
    sys.stdout.write("\n" + json.dumps(report) + "\n")


def peak_bytes() -> int:
    """The most memory this process has held so far."""
    try:
        # Not ru_maxrss: that is inherited from the process that started this one.
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
