"""The other programs: those that need it in a Python environment of their own.

It is made by the first benchmark that wants it, from benchmarks/requirements.txt, so that nothing
of theirs gets into acceptlake's.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import DATA, ROOT, say

_REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
_ENVIRONMENT = DATA.parent / "bench-venv"

PYTHON = _ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

PROGRAMS = ("lnav", "goaccess")
"""Taken if they are on the path."""

_VERSIONS = (
    "import importlib.metadata, json, sys;"
    "json.dump({name: importlib.metadata.version(name) for name in sys.argv[1:]}, sys.stdout)"
)


def installed() -> dict[str, str]:
    """The peers that are there with their versions, after an attempt to install the packages."""
    wanted = dict(line.split("==") for line in _REQUIREMENTS.read_text().split() if "==" in line)
    if _versions(wanted) != wanted:
        say(f"installing {', '.join(wanted)} into {_ENVIRONMENT}")
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=False)
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(_REQUIREMENTS)], check=False)
    programs = {name: _version_of(name) for name in PROGRAMS if shutil.which(name)}
    return _versions(wanted) | programs


def _version_of(program: str) -> str:
    home = {"HOME": str(DATA), "XDG_CONFIG_HOME": str(DATA)}  # lnav writes there, whatever it does
    said = subprocess.run(
        [program, "--version"], env=os.environ | home, capture_output=True, text=True, check=False
    )
    found = re.search(r"\d+(?:\.\d+)+", said.stdout)
    return found[0] if found else "of unknown version"


def _versions(names: dict[str, str]) -> dict[str, str]:
    if not Path(PYTHON).exists():
        return {}
    asked = subprocess.run(
        [PYTHON, "-c", _VERSIONS, *names], capture_output=True, text=True, check=False
    )
    return json.loads(asked.stdout) if asked.returncode == 0 else {}
