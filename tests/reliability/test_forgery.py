"""Lines that a client smuggled into the log by line ends in its AUTH user are found, and no others.

What the server meant to write is one line `…, AUTH-PLAIN:USER [failed],<ID>,abort`, and USER is the
client's, line ends included.
"""

from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from flows import catalog, night
from flows.lake import Lake
from flows.night import Unwatched
from flows.simulate import Edition, Plan, simulate

HEAD = "AUTH line without its result"
INSIDE = "inside a broken AUTH line"
TAIL = "AUTH result without its line"
STRANGER = "address never connected"

ATTACKER = "203.0.113.5"
VICTIM = "198.51.100.7"


def accept(ip: str, at: str = "09:00:00") -> str:
    return f"[03/Jun/2026:{at}], (mx1), [{ip}]:587, Client accept now."


def verdict(ip: str, subject: str, at: str = "09:00:01", tail: str = "<B0000000001>,ok") -> str:
    return f"[03/Jun/2026:{at}], (mx1), {ip}[{ip}], {subject},{tail}"


def login(user: str) -> str:
    """What the server writes of a login, in one go."""
    return verdict(ATTACKER, f"AUTH-PLAIN:{user} [failed]", tail="<B0000000000>,abort")


FORGED = verdict(ATTACKER, "ceo@example.jp")
OF_NOBODY = verdict(VICTIM, "ceo@example.jp")
ATTACKS = {
    "one line": (login(f"x\n{FORGED}\ny"), [HEAD, INSIDE, TAIL]),
    "three lines": (
        login("\n".join(["x", FORGED, accept(VICTIM), OF_NOBODY, "y"])),
        [HEAD, INSIDE, INSIDE, INSIDE, TAIL],
    ),
    "no whole line": (login("x\ny"), [HEAD, TAIL]),
    "nothing around it": (login(f"\n{FORGED}\n"), [HEAD, INSIDE, TAIL]),
    "a line that is none": (login("x\n[03/Jun/2026:09:00:01], (mx1)\ny"), [HEAD, INSIDE, TAIL]),
    "a blank line": (login("x\n\ny"), [HEAD, INSIDE, TAIL]),
    "a head made whole": (
        login(f"x [failed],<B0000000000>,abort\n{FORGED}\ny"),
        [None, None, TAIL],
    ),
    "a tail made whole": (
        login(f"x\n{FORGED}\n{verdict(ATTACKER, 'AUTH-PLAIN:y', tail='')[:-1]}"),
        [HEAD, None, None],
    ),
    "all made whole": (
        login(
            f"x [failed],<B0000000000>,abort\n{OF_NOBODY}\n"
            + verdict(ATTACKER, "AUTH-PLAIN:y", tail="")[:-1]
        ),
        [None, STRANGER, None],
    ),
}
"""What the client did, and why each line of it is suspect; None = it is not."""

INNOCENT = {
    "a login with a wrong date": [login("admin").replace("03/Jun", "00/Jun")],
    "a log that ends in a login": [login("admin")[:90]],
    "a torn line": [verdict(ATTACKER, "taro@ki")[:-20], accept(ATTACKER)],
    "a connection of 59 minutes ago": [verdict(VICTIM, "a@example.jp", "09:59:00")],
    "a sender that looks like a login": [verdict(ATTACKER, "AUTH-PLAIN:x [success]")],
    "a sender that looks like a result": [verdict(ATTACKER, "x [failed],<B0000000000>,abort")],
}


LINE_ENDS = {"LF": "\n", "CRLF": "\r\n"}
Suspects = dict[int, tuple[str, str, str]]
"""Number of each suspect line of a log, with reason, text and context."""


def attacked(written: str) -> list[str]:
    return [accept("192.0.2.1", "08:59:59"), accept(ATTACKER), *written.split("\n"), accept("::1")]


@pytest.fixture(scope="module")
def suspects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Suspects]:
    """Of each log, of which each lies in a computer folder of its own."""
    folder = tmp_path_factory.mktemp("forgery")
    logs = {
        f"{name} {line_end}": (attacked(written), LINE_ENDS[line_end])
        for name, (written, _) in ATTACKS.items()
        for line_end in LINE_ENDS
    }
    before = [accept(ATTACKER), accept(VICTIM)]
    logs |= {name: ([*before, *lines], "\n") for name, lines in INNOCENT.items()}
    for name, (lines, line_end) in logs.items():
        log = folder / "acceptlog" / name / "260603.log"
        log.parent.mkdir(parents=True)
        log.write_bytes(line_end.join([*lines, ""]).encode())
    night.run(night.Request(folder, str(folder / "lake")), night.threads, Unwatched())
    found: dict[str, Suspects] = {name: {} for name in logs}
    with closing(catalog.connect(Lake.at(str(folder / "lake")))) as connection:
        rows = connection.execute("select host, line_no, reason, raw, context from suspect_lines")
        for host, number, *what in rows.fetchall():
            found[host][number] = tuple(what)
    return found


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_smuggled_lines_are_found_with_what_surrounds_them(
    suspects: dict[str, Suspects], attack: str, line_end: str
) -> None:
    written, reasons = ATTACKS[attack]
    lines = attacked(written)
    found = suspects[f"{attack} {line_end}"]
    why = {number: reason for number, reason in enumerate(reasons, start=3) if reason}
    assert {number: reason for number, (reason, _, _) in found.items()} == why
    shown = "\\x0D" if line_end == "CRLF" else ""
    for number, (reason, raw, context) in found.items():
        assert raw.removesuffix(shown) == lines[number - 1]
        around = range(max(number - 2, 1), min(number + 2, len(lines)) + 1)
        marked = [f"{'>' if each == number else ' '} {each} {lines[each - 1]}" for each in around]
        assert context.replace(shown, "").split("\n") == marked, reason


@pytest.mark.parametrize("log", INNOCENT)
def test_what_servers_write_by_themselves_is_no_suspect(
    suspects: dict[str, Suspects], log: str
) -> None:
    assert suspects[log] == {}


@pytest.mark.parametrize("edition", list(Edition))
def test_ordinary_logs_give_no_false_alarm(tmp_path: Path, edition: Edition) -> None:
    plan = Plan(edition, ("MX1",), date(2026, 6, 1), 2, 300, seed=5, hostility=0)
    simulate(tmp_path, plan, truth=False)
    night.run(night.Request(tmp_path, str(tmp_path / "lake")), night.threads, Unwatched())
    with closing(catalog.connect(Lake.at(str(tmp_path / "lake")))) as connection:
        assert connection.execute("from suspect_lines").fetchall() == []
        [(verdicts,)] = connection.execute("select count(*) from verdicts").fetchall()
        assert verdicts > 300
