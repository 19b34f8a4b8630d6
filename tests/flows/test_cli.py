"""The command as people and scripts meet it: exit codes, one clear sentence, no traceback."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from flows.cli import app
from flows.simulate import Edition, Plan, simulate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated")
    simulate(out, Plan(Edition.BSD, ("MX1",), date(2026, 5, 30), 1, 200, seed=1), truth=False)
    return out


@pytest.fixture(scope="module")
def lake(mail: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("lake")
    acceptlake("ingest", mail, "--lake", where, "--direct")
    return where


def acceptlake(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", "from flows.cli import main; main()", *map(str, words)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"COLUMNS": "200"},
        **options,  # type: ignore[call-overload]
    )


def test_help_and_mistakes_do_not_wait_for_heavy_imports() -> None:
    code = (
        "import sys; from flows import cli; sys.argv = ['acceptlake', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('pyarrow', 'duckdb', 'numpy', 'prefect') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_both_readmes_show_the_same_commands_and_they_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "README.ja.md"]
    english, japanese = (
        re.findall(
            r"^    acceptlake ([^#\n]*[^#\s])", page.read_text(encoding="utf-8"), re.MULTILINE
        )
        for page in pages
    )
    assert sorted(english) == sorted(japanese)
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert {line.split()[0] for line in english} <= known


def test_a_night_is_one_json_object(mail: Path, tmp_path: Path) -> None:
    made = acceptlake("ingest", mail, "--lake", tmp_path / "lake", "--direct", "--json")
    assert made.returncode == 0
    summary = json.loads(made.stdout)
    counts = [summary[kind] for kind in ("accepts", "verdicts", "debug", "blank", "malformed")]
    assert summary["lines"] == sum(counts) > 0
    assert summary["failed"] == summary["unchanged"] == 0
    assert summary["bytes"] == sum(log.stat().st_size for log in mail.rglob("*.log"))
    again = acceptlake("ingest", mail, "--lake", tmp_path / "lake", "--direct", "--json")
    assert json.loads(again.stdout)["unchanged"] == summary["files"]


def test_some_failed_is_1_and_the_rest_is_there(mail: Path, tmp_path: Path) -> None:
    folder = tmp_path / "acceptlog" / "MX1"
    folder.mkdir(parents=True)
    (folder / "260530.log").write_bytes((mail / "acceptlog/MX1/260530.log").read_bytes())
    (folder / "260531.log.gz").write_bytes(b"no gzip")
    made = acceptlake("ingest", tmp_path, "--lake", tmp_path / "lake", "--direct")
    assert made.returncode == 1
    assert "1 ingested" in made.stdout
    assert "260531.log.gz" in made.stderr
    assert "Traceback" not in made.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ingest", "/no/such/place", "--lake", "LAKE"], "no such file or folder"),
        (["ingest", "EMPTY", "--lake", "LAKE"], "no acceptlog files in"),
        (["ingest", "MAIL", "--lake", "MAIL"], "is no lake"),
        (["ingest", "MAIL", "--lake", "MAIL/acceptlog/MX1/260530.log"], "is a file, not"),
        (["ingest", "MAIL", "--lake", "NEW", "--zone", "Nowhere"], "no time zone 'Nowhere'"),
        (["ingest", "MAIL/acceptlog/MX1", "--lake", "NEW", "--since", "yesterday"], "--since"),
        (["sql", "select 1", "--lake", "EMPTY"], "is no lake"),
        (["sql", "selec 1", "--lake", "LAKE"], "syntax error"),
        (["sql", "select x from events", "--lake", "LAKE"], '"x" not found'),
        (["sql", "select 1", "--lake", "LAKE", "--format", "xml"], "unknown format 'xml'"),
        (["export-log", "--lake", "LAKE", "--host", "MX9", "--date", "2026-05-30"], "not in the"),
        (["verify", "--lake", "/no/such/lake"], "is no lake"),
        (["prune", "MAIL", "--lake", "LAKE", "--older-than", "soon"], "cannot read the age 'soon'"),
        (["prune", "MAIL", "--lake", "LAKE", "--older-than", "999999d"], "cannot read the age"),
        (["simulate", "MAIL"], "exists"),
        (["serve", "MAIL", "--lake", "LAKE", "--cron", "at noon"], "not a cron expression"),
    ],
)
def test_wrong_use_is_2_and_one_sentence(
    words: list[str], says: str, mail: Path, lake: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"MAIL": mail, "LAKE": lake, "EMPTY": tmp_path / "empty", "NEW": tmp_path / "new"}
    told = acceptlake(
        *(
            next((word.replace(name, str(to)) for name, to in places.items() if name in word), word)
            for word in words
        )
    )
    assert told.returncode == 2
    assert says in " ".join(told.stderr.split())
    assert "Traceback" not in told.stderr
    assert told.stdout == ""


def test_a_log_goes_out_as_it_came_in(mail: Path, lake: Path) -> None:
    command = [sys.executable, "-c", "from flows.cli import main; main()", "export-log"]
    words = ["--lake", str(lake), "--host", "MX1", "--date", "2026-05-30"]
    exported = subprocess.run([*command, *words], capture_output=True, check=True).stdout
    assert exported == (mail / "acceptlog/MX1/260530.log").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["export-log", "--host", "MX1", "--date", "2026-05-30"],
        ["sql", "select 1", "--format", "parquet"],
    ],
    ids=lambda words: words[0],
)
def test_what_is_no_text_goes_to_no_terminal(words: list[str], lake: Path) -> None:
    ours, terminal = os.openpty()
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(terminal, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-c", "from flows.cli import main; main()", *words, "--lake", lake],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("acceptlake: this is not for a terminal")


def test_verify_proves_every_partition(mail: Path, lake: Path) -> None:
    proof = acceptlake("verify", mail, "--lake", lake)
    assert proof.returncode == 0
    assert proof.stdout.count("gives back its log") == len(list(mail.rglob("*.log")))


def test_verify_finds_a_log_that_is_not_in_the_lake(mail: Path, lake: Path, tmp_path: Path) -> None:
    folder = tmp_path / "acceptlog" / "MX7"
    folder.mkdir(parents=True)
    (folder / "260530.log").write_bytes((mail / "acceptlog/MX1/260530.log").read_bytes())
    proof = acceptlake("verify", tmp_path, "--lake", lake)
    assert proof.returncode == 1
    assert "MX7 2026-05-30: is not in the lake" in proof.stderr


def test_prune_deletes_only_what_the_lake_gives_back(mail: Path, tmp_path: Path) -> None:
    folder = tmp_path / "acceptlog" / "MX1"
    folder.mkdir(parents=True)
    for name in ("250101.log", "250102.log", "250103.log"):
        (folder / name).write_bytes((mail / "acceptlog/MX1/260530.log").read_bytes())
    place = ("--lake", tmp_path / "lake")
    acceptlake("ingest", tmp_path, *place, "--direct")
    (folder / "250102.log").write_bytes(b"something else\n")
    (folder / "250104.log").write_bytes(b"never ingested\n")

    none = acceptlake("prune", tmp_path, *place, "--older-than", "9999d")
    assert none.stdout == "no log is of a day more than 9999 days ago; nothing to delete\n"
    dry = acceptlake("prune", tmp_path, *place, "--older-than", "30d")
    assert dry.stdout.count("would be deleted") == 2
    assert len(list(folder.iterdir())) == 4

    done = acceptlake("prune", tmp_path, *place, "--older-than", "30d", "--delete")
    assert done.returncode == 1
    assert sorted(path.name for path in folder.iterdir()) == ["250102.log", "250104.log"]
    records = list((tmp_path / "lake" / "pruned").rglob("*.json"))
    assert len(records) == 2
    assert acceptlake("verify", *place).returncode == 0


def test_prune_deletes_also_the_beginning_of_what_the_lake_gives_back(
    mail: Path, tmp_path: Path
) -> None:
    """A log that was compressed too early; alone it would be taken for one that lost lines."""
    content = (mail / "acceptlog/MX1/260530.log").read_bytes()
    folder = tmp_path / "acceptlog" / "MX1"
    folder.mkdir(parents=True)
    (folder / "250101.log").write_bytes(content)
    (folder / "250101.log.gz").write_bytes(gzip.compress(content[:1000]))
    place = ("--lake", tmp_path / "lake")
    acceptlake("ingest", tmp_path, *place, "--direct")
    done = acceptlake("prune", tmp_path, *place, "--older-than", "30d", "--delete")
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    records = sorted((tmp_path / "lake" / "pruned").rglob("*.json"))
    assert [json.loads(record.read_text())["bytes"] for record in records] == [1000, len(content)]


def test_prune_keeps_the_log_of_a_day_that_is_not_over(mail: Path, tmp_path: Path) -> None:
    today = datetime.now(UTC).strftime("%y%m%d")
    log = tmp_path / "acceptlog" / "MX1" / f"{today}.log"
    log.parent.mkdir(parents=True)
    log.write_bytes((mail / "acceptlog/MX1/260530.log").read_bytes())
    place = ("--lake", tmp_path / "lake")
    acceptlake("ingest", tmp_path, *place, "--direct")
    done = acceptlake("prune", tmp_path, *place, "--older-than", "0d", "--delete")
    assert "nothing to delete" in done.stdout
    assert log.exists()


def test_check_and_views_have_something_to_say(lake: Path) -> None:
    assert acceptlake("check", "--lake", lake).returncode == 0
    assert "acceptance_rate_daily" in acceptlake("views").stdout


def test_output_that_nobody_reads_any_more_is_no_error(lake: Path) -> None:
    command = [sys.executable, "-c", "from flows.cli import main; main()", "sql"]
    query = "select * from range(1000000)"
    with subprocess.Popen(
        [*command, query, "--lake", str(lake), "--format", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("ask", [["report"], ["sql", "select 1 as x"]], ids=["report", "sql"])
def test_what_cannot_be_written_is_said_of_the_file_that_was_asked_for(
    ask: list[str], lake: Path, tmp_path: Path
) -> None:
    nowhere = acceptlake(*ask, "--lake", lake, "-o", tmp_path / "none" / "out")
    folder = acceptlake(*ask, "--lake", lake, "-o", tmp_path)
    assert (nowhere.returncode, folder.returncode) == (2, 2)
    assert nowhere.stderr.startswith(
        f"acceptlake: cannot write '{tmp_path}/none/out': No such file"
    )
    assert folder.stderr == f"acceptlake: '{tmp_path}' is a folder; name a file in it\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", [["--direct"], []], ids=["direct", "as a flow"])
def test_ctrl_c_says_that_the_next_run_goes_on_and_it_does(way: list[str], tmp_path: Path) -> None:
    plan = Plan(Edition.BSD, ("MX1",), date(2026, 5, 30), 1, 300_000, seed=1)
    simulate(tmp_path / "mail", plan, truth=False)
    log = next((tmp_path / "mail").rglob("260530.log"))
    lake = tmp_path / "lake"
    command = [sys.executable, "-c", "from flows.cli import main; main()", "ingest"]
    with subprocess.Popen(
        [*command, str(log), "--lake", str(lake), *way],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not list(lake.rglob(".events.parquet.*.tmp")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said == (
        "",
        "acceptlake: interrupted; every file of the lake is whole,"
        " and the next ingest goes on from here\n",
    )
    assert list(lake.rglob("*.parquet")) == []
    assert acceptlake("ingest", log, "--lake", lake, "--direct").returncode == 0
    assert list(lake.rglob("*.tmp")) == []
    assert acceptlake("verify", log, "--lake", lake).returncode == 0
