"""Simulated trees: what is on disk is what the truth says, by this file's own reading of it."""

import datetime as dt
import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flows.simulate import Edition, Fate, Plan, Summary, simulate

STAMP = rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)\]"
ACCEPT = re.compile(
    STAMP + rb", \((mx\d\.example\.jp)\), \[(\S+)\]:(\d+)( SSL)?, Client accept now\."
)
TAIL = rb"(.*),<(B\d{10})>,(ok|abort|connection timeout)"
VERDICTS = {
    Edition.WIN: re.compile(
        STAMP + rb", \((mx\d\.example\.jp)\), (?:[0-9a-f.:]+)\[([0-9a-f.:]+)\], " + TAIL
    ),
    Edition.BSD: re.compile(
        STAMP + rb", \((mx\d\.example\.jp)\), (?:[a-z0-9.-]*) \[([0-9a-f.:]+)\], " + TAIL
    ),
}
VERDICTS[Edition.WIN_4AN] = VERDICTS[Edition.WIN]
AUTH = re.compile(rb"AUTH-(PLAIN|LOGIN|CRAM-MD5|XAOUTH2|unknown):(.*) \[(success|failed)\]")
MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

PLAN = Plan(
    hosts=("MX1", "MX2"), first_day=dt.date(2024, 2, 28), days=2, connections_per_day=1_500, seed=11
)
Place = tuple[str, str, int]


class Tree:
    """A simulated tree, read back."""

    def __init__(self, out: Path, plan: Plan) -> None:
        """Simulates it first."""
        self.plan = plan
        self.end = b"\n" if plan.edition is Edition.BSD else b"\r\n"
        self.summary: Summary = simulate(out, plan)
        self.lines: dict[Place, bytes] = {}  # without LF
        for path in self.summary.files:
            date = f"20{path.stem[:2]}-{path.stem[2:4]}-{path.stem[4:]}"
            lines = path.read_bytes().split(b"\n")
            if not lines[-1]:
                lines.pop()
            for number, line in enumerate(lines, 1):
                self.lines[path.parent.name, date, number] = line
        with (out / "truth.jsonl").open(encoding="utf-8") as truth:
            self.truth: list[dict[str, Any]] = [json.loads(line) for line in truth]
        self.by_place = {(row["host"], row["date"], row["line"]): row for row in self.truth}

    def text(self, row: dict[str, Any]) -> bytes:
        """The line that a truth is about, without any line end."""
        return self.lines[row["host"], row["date"], row["line"]].removesuffix(b"\r")

    def verdicts(self) -> list[dict[str, Any]]:
        """The truths about verdict lines, also forged ones."""
        return [row for row in self.truth if row["k"] == "verdict"]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function from edition and hostility to their tree."""

    @cache
    def grow(edition: Edition, hostility: float) -> Tree:
        plan = replace(PLAN, edition=edition, hostility=hostility)
        return Tree(tmp_path_factory.mktemp(f"{edition}"), plan)

    return grow


@pytest.fixture(params=list(Edition))
def calm(request: pytest.FixtureRequest, plant: Any) -> Tree:
    """A tree without hostility."""
    return plant(request.param, 0.0)  # type: ignore[no-any-return]


@pytest.fixture(params=list(Edition))
def rough(request: pytest.FixtureRequest, plant: Any) -> Tree:
    """A tree with a lot of it."""
    return plant(request.param, 0.05)  # type: ignore[no-any-return]


def moment(match: re.Match[bytes]) -> str:
    day, month, year, time = match.group(1, 2, 3, 4)
    date = dt.date(int(year), MONTHS.index(month) + 1, int(day))
    return f"{date}T{time.decode()}"


def decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("cp932")


def test_a_file_for_each_day_and_a_small_one_after_the_last_midnight(calm: Tree) -> None:
    names = [f"{path.parent.name}/{path.name}" for path in calm.summary.files]
    days = ("240228", "240229", "240301")
    assert names == [f"{host}/{day}.log" for host in ("MX1", "MX2") for day in days]
    first, _, last = (path.stat().st_size for path in calm.summary.files[:3])
    assert 0 < last < first / 20


def test_the_truth_has_exactly_one_entry_for_each_line_in_order(rough: Tree) -> None:
    places = [(row["host"], row["date"], row["line"]) for row in rough.truth]
    assert places == sorted(places)
    assert places == list(rough.lines)


def test_the_summary_counts_what_is_there(rough: Tree) -> None:
    summary, kinds = rough.summary, Counter(row["k"] for row in rough.truth)
    assert summary.lines == len(rough.lines)
    assert summary.bytes == sum(path.stat().st_size for path in summary.files)
    assert summary.accepts == kinds["accept"]
    assert (summary.blank, summary.debug) == (kinds["blank"], kinds["debug"])
    assert summary.malformed == kinds["malformed"]
    classes = Counter(row["cls"] for row in rough.verdicts())
    assert summary.verdicts == {
        fate: classes[None if fate is Fate.ACCEPTED else fate] for fate in Fate
    }


def test_without_hostility_there_are_only_accepts_and_verdicts(calm: Tree) -> None:
    assert {row["k"] for row in calm.truth} == {"accept", "verdict"}
    assert not any("forged" in row for row in calm.truth)
    assert all(line.endswith(calm.end[:-1]) for line in calm.lines.values())
    assert all(path.read_bytes().endswith(calm.end) for path in calm.summary.files)


def test_lines_say_what_the_truth_says(rough: Tree) -> None:
    for row in rough.truth:
        text = rough.text(row)
        if row["k"] == "accept":
            match = ACCEPT.fullmatch(text)
            assert match, text
            _, _, _, _, server, address, port, tls = match.groups()
            assert row["port"] == int(port)
            assert row["tls"] == (tls is not None) == (row["port"] == 465)
        elif row["k"] == "verdict":
            match = VERDICTS[rough.plan.edition].fullmatch(text)
            assert match, text
            _, _, _, _, server, address, subject, message_id, status = match.groups()
            assert row["status"] == status.decode()
            assert row["message_id"] == (
                None if message_id == b"B0000000000" else message_id.decode()
            )
            if auth := AUTH.fullmatch(subject):
                assert row["sender"] is None
                assert row["auth_mechanism"] == auth[1].decode()
                assert row["auth_user"] == auth[2].decode()
                assert row["auth_success"] == (auth[3] == b"success")
            elif row["cls"] in ("dnsbl", "reverse_dns"):
                assert row["sender"] is None
                assert subject in (b"It was in the ORDB IP.", b'"Revers DNS" was failed.')
            else:
                assert row["sender"] == decoded(subject)
                assert "auth_user" not in row
        else:
            assert row["raw"].encode("latin-1") == text
            continue
        assert row["ts"] == moment(match)
        assert row["client_ip"] == address.decode()
        assert row["server"] == server.decode()


def test_malformed_lines_cannot_be_read_as_anything(rough: Tree) -> None:
    for row in rough.truth:
        text = rough.text(row)
        if row["k"] == "blank":
            assert text == b""
        elif row["k"] == "debug":
            assert re.fullmatch(rb" <B\d{10}>, \[.*\](, .*)?", text)
        elif row["k"] == "malformed":
            assert text
            verdict = VERDICTS[rough.plan.edition].fullmatch(text)
            if verdict or ACCEPT.fullmatch(text):
                with pytest.raises(ValueError, match=r"day|list"):
                    moment(verdict or ACCEPT.fullmatch(text))  # type: ignore[arg-type]


def test_classes_follow_from_status_id_and_subject(rough: Tree) -> None:
    for row in rough.verdicts():
        expected = {"ok": None, "connection timeout": "timeout"}.get(row["status"], "policy")
        if row["status"] == "abort":
            if row["message_id"]:
                expected = "content"
            elif row["sender"] is None:
                expected = "policy" if row.get("auth_success") else "auth"
        if row["cls"] in ("dnsbl", "reverse_dns"):
            assert (row["status"], row["message_id"], row["sender"]) == ("abort", None, None)
        else:
            assert row["cls"] == expected
        assert row["status"] != "ok" or row["message_id"]


def test_a_verdict_belongs_to_an_earlier_accept_of_its_client(rough: Tree) -> None:
    orphans = 0
    for row in rough.verdicts():
        if row["conn"] is None:
            assert row["conn_ts"] is None
            orphans += 1
            continue
        date, line = row["conn"]
        accept = rough.by_place[row["host"], date, line]
        assert accept["k"] == "accept"
        assert accept["client_ip"] == row["client_ip"]
        assert accept["ts"] == row["conn_ts"] <= row["ts"]
        assert (date, line) < (row["date"], row["line"])
        if row["cls"] in ("dnsbl", "reverse_dns"):
            assert accept["ts"] == row["ts"]
    assert 0 < orphans < 0.1 * len(rough.verdicts())


def test_without_hostility_only_sessions_older_than_the_log_are_orphans(calm: Tree) -> None:
    for row in calm.verdicts():
        if row["conn"] is None:
            assert row["date"] == "2024-02-28"
            assert row["ts"] < "2024-02-28T00:30"


def test_an_accept_stands_in_the_file_of_its_day(calm: Tree) -> None:
    assert all(row["ts"][:10] == row["date"] for row in calm.truth if row["k"] == "accept")


@pytest.mark.parametrize("edition", [Edition.WIN, Edition.BSD])
def test_before_4an_yesterdays_file_still_grows_after_midnight(
    plant: Any, edition: Edition
) -> None:
    """Verdicts stand in the file of their stamp's day, so a file begins with verdicts whose
    connections stand in the one before."""
    tree = plant(edition, 0.0)
    assert all(row["ts"][:10] == row["date"] for row in tree.truth)
    over = [row for row in tree.verdicts() if row["conn"] and row["conn"][0] < row["date"]]
    assert {(row["host"], row["date"]) for row in over} == {
        (host, date) for host in ("MX1", "MX2") for date in ("2024-02-29", "2024-03-01")
    }


def test_4an_puts_a_line_stamped_yesterday_in_todays_file(plant: Any) -> None:
    tree = plant(Edition.WIN_4AN, 0.0)
    late = [row for row in tree.truth if row["ts"][:10] != row["date"]]
    assert {row["k"] for row in late} == {"verdict"}
    assert all(row["ts"][:10] < row["date"] for row in late)
    assert len({(row["host"], row["date"]) for row in late}) == 6  # every file of both hosts


def test_files_are_not_sorted_by_time(calm: Tree) -> None:
    stamps = [
        row["ts"] for row in calm.truth if row["host"] == "MX1" and row["date"] == "2024-02-29"
    ]
    assert stamps != sorted(stamps)


@pytest.mark.parametrize(
    "fragment",
    [
        ",",
        " ",
        '"',
        "\t",
        "[",
        "\x1b",
        "営業",
        "サーバー",
        "x,<B0000000001>,ok",
        "x,<B0000000001>,abort",
        "It was in the ORDB IP.",
        ", Client accept now.",
    ],
)
def test_awkward_senders_occur(plant: Any, fragment: str) -> None:
    senders = [
        row["sender"]
        for edition in Edition
        for row in plant(edition, 0.0).verdicts()
        if row["sender"] is not None
    ]
    assert sum(fragment in sender for sender in senders) >= 3
    assert senders.count("") > 50


def test_senders_come_as_utf_8_and_as_cp932(plant: Any) -> None:
    raw = b"".join(plant(Edition.WIN, 0.0).lines.values())
    assert "営業".encode() in raw
    assert "営業".encode("cp932") in raw


def test_a_sender_equal_to_the_dnsbl_sentence_has_an_id(calm: Tree) -> None:
    for row in calm.verdicts():
        if row["sender"] == "It was in the ORDB IP.":
            assert (row["status"], row["cls"]) == ("ok", None)
            assert row["message_id"]


def test_every_day_one_guesser_succeeds_after_many_failures(calm: Tree) -> None:
    for host in ("MX1", "MX2"):
        failures: Counter[tuple[str, str]] = Counter()
        broken_in = set()
        for row in calm.verdicts():
            key = (row["date"], row["client_ip"])
            if row["host"] != host or "auth_user" not in row:
                continue
            failures[key] += not row["auth_success"]
            if row["auth_success"] and failures[key] >= 25:
                broken_in.add(row["date"])
        assert broken_in >= {"2024-02-28", "2024-02-29"}


def test_4an_repeats_an_auth_result_for_each_message(plant: Any) -> None:
    repeated = Counter(
        (row["host"], *row["conn"], row["ts"], row["auth_user"])
        for row in plant(Edition.WIN_4AN, 0.0).verdicts()
        if row.get("auth_success") and row["conn"]
    )
    assert max(repeated.values()) > 3
    sessions = Counter(key[:3] for key in repeated)
    assert set(sessions.values()) == {1}


def test_a_forged_line_leaves_a_head_without_tail_and_a_tail_without_head(rough: Tree) -> None:
    forged = [row for row in rough.truth if row.get("forged")]
    assert len(forged) > 3
    for row in forged:
        assert (row["k"], row["status"], row["cls"], row["conn"]) == ("verdict", "ok", None, None)
        before, after = (
            rough.by_place[row["host"], row["date"], row["line"] + step] for step in (-1, 1)
        )
        assert before["k"] == after["k"] == "malformed"
        assert before["raw"].endswith("AUTH-PLAIN:x")
        assert after["raw"].endswith("[failed],<B0000000000>,abort")


def test_a_crlf_file_has_a_few_lone_line_feeds(plant: Any) -> None:
    tree = plant(Edition.WIN, 0.05)
    lone = [place for place, line in tree.lines.items() if not line.endswith(b"\r")]
    assert len(lone) >= 3
    assert {tree.by_place[place]["k"] for place in lone} <= {"accept", "verdict"}


def test_the_last_line_may_lack_its_end(tmp_path: Path) -> None:
    """Only that of a host's last file, and not always."""
    unfinished: Counter[bool] = Counter()
    for seed in range(6):
        plan = Plan(days=1, connections_per_day=50, seed=seed)
        *others, last = simulate(tmp_path / f"{seed}", plan).files
        assert all(path.read_bytes().endswith(b"\r\n") for path in others)
        unfinished[last.read_bytes().endswith(b"\n")] += 1
    assert set(unfinished) == {True, False}


def test_the_truth_can_be_left_out(tmp_path: Path) -> None:
    plan = Plan(days=1, connections_per_day=100)
    with_truth = simulate(tmp_path / "with", plan)
    without = simulate(tmp_path / "without", plan, truth=False)
    assert [path.name for path in (tmp_path / "without").iterdir()] == ["acceptlog"]
    assert [path.read_bytes() for path in without.files] == [
        path.read_bytes() for path in with_truth.files
    ]
    assert replace(without, files=with_truth.files) == with_truth
    assert {path.name for path in (tmp_path / "with").rglob("*") if path.is_file()} == {
        "truth.jsonl",
        *(path.name for path in with_truth.files),
    }


def test_an_existing_tree_is_left_alone(tmp_path: Path) -> None:
    plan = Plan(days=1, connections_per_day=10)
    simulate(tmp_path, plan)
    with pytest.raises(FileExistsError, match="empty folder"):
        simulate(tmp_path, plan)
