"""The fuzzer finds nothing in the scanner as it is, and finds what is wrong in a wrong one."""

import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from benchmarks import fuzz
from transforms.grammar import Dialect
from transforms.scanner import scan


def test_a_short_run_finds_nothing() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--lines", "20000", "--seed", "5"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "no mismatch" in run.stdout


def test_equal_seeds_give_equal_blocks() -> None:
    one, other, different = (next(fuzz.blocks(seed)) for seed in (1, 1, 2))
    assert one == other
    assert one != different


def test_a_scanner_that_misreads_a_port_is_caught_with_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def careless(padded: bytes, dialect: Dialect, zone: ZoneInfo) -> pa.RecordBatch:
        return scan(padded.replace(b"]:587, Client", b"]:588, Client"), dialect, zone)

    monkeypatch.setattr(fuzz, "scan", careless)
    assert not fuzz.fuzz(lines=20_000, seed=1)
    summary = capsys.readouterr().out
    assert "]:587, Client accept now." in summary
    assert summary.count("Client accept now.") == 1


def test_a_scanner_that_raises_is_caught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fragile(padded: bytes, dialect: Dialect, zone: ZoneInfo) -> pa.RecordBatch:
        if b"\x1b" in padded:
            raise IndexError
        return scan(padded, dialect, zone)

    monkeypatch.setattr(fuzz, "scan", fragile)
    assert not fuzz.fuzz(lines=20_000, seed=1)
    assert r"\x1b" in capsys.readouterr().out
