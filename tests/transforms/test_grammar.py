"""What each line says, by the line parser; FORMAT's kinds, editions and pitfalls one by one."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.cases import (
    BSD,
    CASES,
    HEAD,
    MALFORMED,
    OK,
    PITFALLS,
    TAIL,
    TS,
    WINDOWS,
    ZERO,
    Case,
    verdict,
)
from tests.transforms.strategies import DIALECTS, lines
from transforms.grammar import (
    MECHANISMS,
    NO_IDS,
    STATUSES,
    ZERO_ID,
    ZERO_ID_12,
    Dialect,
    Fault,
    Kind,
    Line,
    Verdict,
    decode_text,
    parse_line,
    parse_stamp,
    render_line,
    seconds_at_hour,
)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in (CASES | PITFALLS).items()]
)
def test_a_line_says(case: Case) -> None:
    assert parse_line(case.line) == case.says
    if case.dialect is None:
        assert all(render_line(case.says, dialect) != case.line for dialect in (WINDOWS, BSD))
    else:
        assert render_line(case.says, case.dialect) == case.line


@pytest.mark.parametrize(("fault", "line"), MALFORMED)
def test_a_malformed_line_names_the_first_rule_it_breaks(fault: Fault, line: bytes) -> None:
    assert parse_line(line) == Line(Kind.MALFORMED, parse_error=fault)
    assert render_line(parse_line(line), WINDOWS) is None


def test_every_fault_has_a_case() -> None:
    assert {param.values[0] for param in MALFORMED} == set(Fault)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("result", "success"), [(b"[success]", True), (b"[failed]", False)])
def test_auth_by_every_method(mechanism: bytes, result: bytes, success: bool) -> None:
    line = verdict(b"AUTH-%b:user@example.org %b" % (mechanism, result))
    parsed = parse_line(line)
    assert parsed.auth_mechanism == mechanism.decode()
    assert (parsed.auth_user, parsed.auth_success) == ("user@example.org", success)
    assert parsed.sender is None
    assert render_line(parsed, WINDOWS) == line


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("message_id", [*NO_IDS, b"B0000000007", b"B9c0000000007"])
@pytest.mark.parametrize("peer", [b"", b"192.0.2.1", b"mail.example.org "])
def test_every_status_with_every_id_in_every_edition(
    status: bytes, message_id: bytes, peer: bytes
) -> None:
    line = HEAD + b"%b[192.0.2.1], a@b,<%b>,%b" % (peer, message_id, status)
    parsed = parse_line(line)
    has_id = message_id not in NO_IDS
    assert parsed.kind is Kind.VERDICT
    assert parsed.status == status.decode()
    assert parsed.message_id == (message_id.decode() if has_id else None)
    dialect = Dialect(
        peer_gap=b" " if peer.endswith(b" ") else b"", no_id=ZERO_ID if has_id else message_id
    )
    assert render_line(parsed, dialect) == line


def test_auth_user_holding_a_complete_forged_line_leaves_a_head_and_a_tail() -> None:
    """The forged line cannot be told from a true one; what it is torn out of is malformed."""
    forged = verdict(b"ceo@example.jp")
    log = verdict(b"AUTH-PLAIN:x\r\n%b\r\ny [failed]" % forged, ZERO)
    head, middle, tail = (parse_line(line) for line in log.split(b"\r\n"))
    assert head.parse_error is Fault.NO_RESULT
    assert middle == OK._replace(sender="ceo@example.jp")
    assert tail.parse_error is Fault.NO_STAMP


def test_cp932_and_utf8_senders_in_one_file_are_read_the_same() -> None:
    for encoding in ("utf-8", "cp932"):
        assert parse_line(verdict("表示@例え.jp".encode(encoding))).sender == "表示@例え.jp"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        pytest.param(b"plain", "plain", id="ASCII"),
        pytest.param("é".encode(), "é", id="UTF-8"),
        pytest.param(b"\xb1\xb2\xb3", "ｱｲｳ", id="half-width kana"),
        pytest.param(b"\xed\xa0\x81", "\\xed\\xa0\\x81", id="a lone surrogate is escaped"),
        pytest.param(b"a\xffb\x81", "a\\xffb\\x81", id="only what is no ASCII is escaped"),
    ],
)
def test_text_is_decoded_as_its_writer_most_likely_meant_it(text: bytes, meant: str) -> None:
    assert decode_text(text) == meant


DIALECT_CASES = [
    pytest.param(b"", Dialect(), id="nothing to go by"),
    pytest.param(verdict(b"a") + b"\r\n", WINDOWS, id="Windows"),
    pytest.param(HEAD + b"mail [192.0.2.1], a" + TAIL + b"\n", BSD, id="BSD"),
    pytest.param(
        3 * (verdict(b"a", b",<000000000000>,abort") + b"\n") + verdict(b"a", ZERO) + b"\n",
        Dialect(no_id=ZERO_ID_12), id="most ids decide",
    ),
    pytest.param(verdict(b"a", b",<>,abort") + b"\n", Dialect(no_id=b""), id="empty ids"),
    pytest.param(
        2 * (verdict(b"a") + b"\r\n") + 3 * (verdict(b"a") + b"\n"), Dialect(),
        id="most line ends decide",
    ),
    pytest.param(
        HEAD + b"[192.0.2.1]:25, Client accept now.\n" + HEAD + b"mail [192.0.2.1], a" + TAIL,
        BSD, id="accept lines say nothing of gaps",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("head", "dialect"), DIALECT_CASES)
def test_a_dialect_is_told_by_what_prevails(head: bytes, dialect: Dialect) -> None:
    assert Dialect.of(head) == dialect


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_have_a_dialect(head: bytes) -> None:
    dialect = Dialect.of(head)
    assert dialect.line_end in (b"\n", b"\r\n")
    assert dialect.peer_gap in (b"", b" ")
    assert dialect.no_id in NO_IDS


@settings(max_examples=500, deadline=None)
@given(lines(), DIALECTS)
def test_a_line_rendered_says_the_same_again(line: bytes, dialect: Dialect) -> None:
    """Also where text changes its encoding, gaps appear, or an id is written another way."""
    parsed = parse_line(line)
    rendered = render_line(parsed, dialect._replace(peer_gap=b" "))
    assert (rendered is None) == (parsed.kind in (Kind.DEBUG, Kind.MALFORMED))
    if rendered is not None:
        assert parse_line(rendered) == parsed


@settings(max_examples=500, deadline=None)
@given(st.one_of(lines(), st.binary(max_size=200)))
def test_every_line_is_exactly_one_thing(line: bytes) -> None:
    parsed = parse_line(line.replace(b"\n", b""))
    assert (parsed.parse_error is not None) == (parsed.kind is Kind.MALFORMED)
    assert (parsed.ts is not None) == (parsed.kind in (Kind.ACCEPT, Kind.VERDICT))
    assert (parsed.port is not None) == (parsed.tls is not None) == (parsed.kind is Kind.ACCEPT)
    is_verdict = parsed.kind is Kind.VERDICT
    assert (parsed.verdict is not None) == (parsed.status is not None) == is_verdict
    assert (parsed.peer_name is not None) == is_verdict
    is_auth = parsed.auth_mechanism is not None
    assert (parsed.auth_user is not None) == (parsed.auth_success is not None) == is_auth
    is_sentence = parsed.verdict in (Verdict.REJECTED_DNSBL, Verdict.REJECTED_REVERSE_DNS)
    assert (parsed.sender is not None) == (is_verdict and not is_auth and not is_sentence)


@pytest.mark.parametrize(
    ("stamp", "ts"),
    [
        (b"[03/Jun/2026:09:00:01]", TS),
        (b"[29/Feb/2024:00:00:00]", datetime(2024, 2, 29)),
        (b"[01/Jan/0001:00:00:00]", datetime(1, 1, 1)),
        (b"[29/Feb/2023:00:00:00]", None),
        (b"[03/Jun/2026:24:00:00]", None),
    ],
)
def test_a_stamp_and_its_hour_agree(stamp: bytes, ts: datetime | None) -> None:
    assert parse_stamp(stamp) == ts
    hour = seconds_at_hour(stamp[: len("[03/Jun/2026:09:")])
    since = None if ts is None else ts.replace(minute=0, second=0) - datetime(1970, 1, 1)
    assert hour == (None if since is None else since.total_seconds())


@pytest.mark.parametrize(
    "prefix", [b"", b"[03/Jun/2026:09", b"[03/Jun/2026:0a:", b"03/Jun/2026:09:"]
)
def test_what_is_no_hour_has_no_seconds(prefix: bytes) -> None:
    assert seconds_at_hour(prefix) is None
