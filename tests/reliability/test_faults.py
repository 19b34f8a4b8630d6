"""Whatever call fails, and wherever the disk is full: nothing is lost, and the next run heals."""

from tests.reliability import faults

RUNS = 10
"""`python -m tests.reliability.faults` lets every call fail."""


def test_a_call_that_fails_loses_nothing() -> None:
    report = faults.sweep(RUNS, seed=4)
    assert report.violations == []
    assert (report.runs, report.missed) == (RUNS, 0)


def test_a_full_disk_loses_nothing() -> None:
    report = faults.fill_up(limits=(0, 4_000, 24_000, 500_000), rooms=(0, 16, 256))
    assert report.violations == []
    assert report.reported[0] >= 1, "the last has room enough"
