"""Ingests killed at any moment leave a lake that is whole, and that the next one completes."""

from tests.reliability import killing

KILLS = 12
"""`python -m tests.reliability.killing` does hundreds."""


def test_a_killed_ingest_leaves_a_whole_lake_and_the_next_one_completes_it() -> None:
    report = killing.kill(KILLS, seed=2, hosts=2, connections=300)
    assert report.violations == []
    assert report.kills == sum(report.stages.values()) == KILLS
    assert len(report.stages) > 1, "the kills were at more than one moment"
