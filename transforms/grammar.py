"""The acceptlog grammar, one line at a time. What this module says a line is, it is.

The receiver of E-POST Mail Server writes three kinds of lines, shown here as it writes them:

    [03/Jun/2026:09:00:01], (mx1.example.jp), [192.0.2.1]:25, Client accept now.
    [03/Jun/2026:09:00:02], (mx1.example.jp), 192.0.2.1[192.0.2.1], a@example.org,<B0000000007>,ok
     <B0000000007>, [MAIL], 250 sender ok

Nothing in them is escaped, and the client chooses the subject (the third line part of the second
example), so a line is read from both ends: stamp, server and address from the left, the result
`,<ID>,STATUS` from the right, and what stands between is the subject, whatever it looks like.

`parse_line` and `render_line` are exact and slow. `transforms.scanner` is fast and proves that it
agrees with them; every literal it looks for is imported from here.
"""

import re
from calendar import timegm
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple

VERSION = 1
"""Raised when some line is read differently than before; `acceptlake replay` goes by it."""

MONTHS = (
    b"Jan",
    b"Feb",
    b"Mar",
    b"Apr",
    b"May",
    b"Jun",
    b"Jul",
    b"Aug",
    b"Sep",
    b"Oct",
    b"Nov",
    b"Dec",
)

ACCEPT = b", Client accept now."
TLS = b" SSL"  # implicit TLS at connect; STARTTLS leaves no trace
DNSBL = b"It was in the ORDB IP."
REVERSE_DNS = b'"Revers DNS" was failed.'
AUTH = b"AUTH-"
SUCCESS = b" [success]"
FAILED = b" [failed]"

MECHANISMS = (b"PLAIN", b"LOGIN", b"CRAM-MD5", b"XAOUTH2", b"unknown")  # XAOUTH2: sic
STATUSES = (b"ok", b"abort", b"connection timeout")

ZERO_ID = b"B0000000000"
ZERO_ID_12 = b"000000000000"
NO_IDS = (ZERO_ID, ZERO_ID_12, b"")
"""The three ways in which builds write "no id was assigned"."""


class Kind(StrEnum):
    """What a line is."""

    ACCEPT = "accept"
    VERDICT = "verdict"
    DEBUG = "debug"
    MALFORMED = "malformed"
    BLANK = "blank"


class Verdict(StrEnum):
    """What became of a message or session: the vendor's classes of abort, and the good cases."""

    ACCEPTED = "accepted"
    REJECTED_DNSBL = "rejected_dnsbl"  # B-3
    REJECTED_REVERSE_DNS = "rejected_reverse_dns"
    REJECTED_AUTH = "rejected_auth"
    REJECTED_POLICY = "rejected_policy"  # B-1: no id was assigned
    REJECTED_CONTENT = "rejected_content"  # B-2: an id was assigned
    TIMEOUT = "timeout"


class Fault(StrEnum):
    """Why a line is malformed: the first rule, read from the left, that it breaks."""

    NUL = "NUL byte in the line"
    CARRIAGE_RETURN = "carriage return inside the line"
    DEBUG = "debug line is not ' <ID>, [text]'"
    NO_STAMP = "no [DD/Mon/YYYY:HH:MM:SS] at the start"
    IMPOSSIBLE_TIME = "no such date or time"
    NO_SERVER = "no (server name) after the timestamp"
    NO_ADDRESS = "no [address] after the server name"
    BAD_ADDRESS = "client address is neither IPv4 nor IPv6"
    ACCEPT_PEER = "peer name before the address of an accept line"
    BAD_PORT = "port is not a number from 1 to 65535"
    NO_ACCEPT = "accept line does not end in 'Client accept now.'"
    NO_SUBJECT = "no subject after the client address"
    NO_RESULT = "no ',<ID>,STATUS' at the end"


class Dialect(NamedTuple):
    """How the server that wrote a file ends lines and fills in what it does not know.

    A line written in its file's dialect can be rebuilt from its columns alone; any other line
    keeps its bytes. So a wrong guess costs space and nothing else.
    """

    line_end: bytes = b"\n"
    """`\\r\\n` (Windows) or `\\n`."""
    peer_gap: bytes = b""
    """What stands between a peer name and `[`: a space in the BSD edition, nothing on Windows."""
    no_id: bytes = ZERO_ID
    """One of `NO_IDS`."""

    @classmethod
    def of(cls, head: bytes) -> "Dialect":
        """The habits that prevail in the first bytes of a file."""
        peers = re.findall(rb"^[^)\n]*\), ([^\[\n]+)\[", head, re.MULTILINE)
        gaps = sum(peer.endswith(b" ") for peer in peers)
        return cls(
            line_end=b"\r\n" if 2 * head.count(b"\r\n") > head.count(b"\n") else b"\n",
            peer_gap=b" " if 2 * gaps > len(peers) else b"",
            no_id=max(NO_IDS, key=lambda no_id: head.count(b",<%b>," % no_id)),
        )


class Line(NamedTuple):
    """One parsed line; the fields are columns of `transforms.schemas.EVENTS`. None = has none."""

    kind: Kind
    ts: datetime | None = None
    server_name: str | None = None
    client_ip: str | None = None
    port: int | None = None
    tls: bool | None = None
    peer_name: str | None = None
    sender: str | None = None
    auth_mechanism: str | None = None
    auth_user: str | None = None
    auth_success: bool | None = None
    message_id: str | None = None
    status: str | None = None
    verdict: Verdict | None = None
    parse_error: Fault | None = None


def _any_of(words: tuple[bytes, ...]) -> bytes:
    return b"(?:" + b"|".join(re.escape(word) for word in words) + b")"


def _pattern(source: bytes) -> re.Pattern[bytes]:
    # Fields hold any byte but the one that ends them, so a dot must match all.
    return re.compile(source, re.DOTALL)


_STAMP = _pattern(rb"\[\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d\]")
_SERVER = _pattern(rb", \(([^)]*)\)")
_ADDRESS = _pattern(rb", ([^\[]*)\[([^\]]*)\]")
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = rb"(?:" + _OCTET + rb"\.){3}" + _OCTET
"""A regular expression, for Python and for Arrow."""
_IPV4 = _pattern(IPV4)
_PORT = _pattern(rb":([1-9]\d{0,4})(" + TLS + rb")?(?=, )")

# B and ten digits; year % 10 and the month in hex before the digits; twelve zeros; nothing.
_ID = rb"B\d{10}|B\d[1-9a-c]\d{10}|" + ZERO_ID_12 + rb"|"
# Greedy, so the *last* `,<` that is followed by an id, a status and the end of the line wins.
_RESULT = _pattern(rb", (.*),<(" + _ID + rb")>,(" + _any_of(STATUSES) + rb")")
_AUTH_SUBJECT = _pattern(
    AUTH + rb"(" + _any_of(MECHANISMS) + rb"):(.*)(" + _any_of((SUCCESS, FAILED)) + rb")"
)
_DEBUG = _pattern(rb" <(" + _ID + rb")>, \[.*\](?:, .*)?")


def parse_line(line: bytes) -> Line:
    """What one line says.

    Args:
        line: the line without its line end; any bytes but LF.

    Returns:
        The line's fields; kind `malformed` with a `parse_error` where it breaks the grammar.
    """
    if not line.strip():
        return Line(Kind.BLANK)
    if b"\0" in line:
        return _malformed(Fault.NUL)
    if line.startswith(b" <"):
        return _parse_debug(line)

    if (stamp := _STAMP.match(line)) is None:
        return _malformed(Fault.NO_STAMP)
    if (ts := parse_stamp(line[: stamp.end()])) is None:
        return _malformed(Fault.IMPOSSIBLE_TIME)
    if (server := _SERVER.match(line, stamp.end())) is None:
        return _malformed(Fault.NO_SERVER)
    if (address := _ADDRESS.match(line, server.end())) is None:
        return _malformed(Fault.NO_ADDRESS)
    if not is_address(address[2]):
        return _malformed(Fault.BAD_ADDRESS)
    if b"\r" in line[: address.end()]:
        return _malformed(Fault.CARRIAGE_RETURN)

    head = Line(Kind.ACCEPT, ts, decode_text(server[1]), address[2].decode("ascii"))
    if line.startswith(b":", address.end()):
        return _parse_accept(line, address, head)
    return _parse_verdict(line, address, head)


def _parse_accept(line: bytes, address: re.Match[bytes], head: Line) -> Line:
    if address[1]:
        return _malformed(Fault.ACCEPT_PEER)
    if (port := _PORT.match(line, address.end())) is None or int(port[1]) > 65535:
        return _malformed(Fault.BAD_PORT)
    if line[port.end() :] != ACCEPT:
        return _malformed(Fault.NO_ACCEPT)
    return head._replace(port=int(port[1]), tls=port[2] is not None)


def _parse_verdict(line: bytes, address: re.Match[bytes], head: Line) -> Line:
    if not line.startswith(b", ", address.end()):
        return _malformed(Fault.NO_SUBJECT)
    if (result := _RESULT.fullmatch(line, address.end())) is None:
        return _malformed(Fault.NO_RESULT)
    subject, message_id, status = result.groups()
    auth = _AUTH_SUBJECT.fullmatch(subject)
    if auth is None and b"\r" in subject:
        return _malformed(Fault.CARRIAGE_RETURN)

    has_id = message_id not in NO_IDS
    refused_at_once = status == b"abort" and not has_id
    is_dnsbl = refused_at_once and subject == DNSBL
    is_reverse_dns = refused_at_once and subject == REVERSE_DNS
    auth_success = auth[3] == SUCCESS if auth else None
    match status:
        case b"ok":
            verdict = Verdict.ACCEPTED
        case b"connection timeout":
            verdict = Verdict.TIMEOUT
        case _ if has_id:
            verdict = Verdict.REJECTED_CONTENT
        case _ if is_dnsbl:
            verdict = Verdict.REJECTED_DNSBL
        case _ if is_reverse_dns:
            verdict = Verdict.REJECTED_REVERSE_DNS
        case _ if auth_success is False:
            verdict = Verdict.REJECTED_AUTH
        case _:
            verdict = Verdict.REJECTED_POLICY
    return head._replace(
        kind=Kind.VERDICT,
        peer_name=decode_text(address[1].removesuffix(b" ")),
        sender=None if auth or is_dnsbl or is_reverse_dns else decode_text(subject),
        auth_mechanism=auth[1].decode("ascii") if auth else None,
        auth_user=decode_text(auth[2]) if auth else None,
        auth_success=auth_success,
        message_id=message_id.decode("ascii") if has_id else None,
        status=status.decode("ascii"),
        verdict=verdict,
    )


def _parse_debug(line: bytes) -> Line:
    if (debug := _DEBUG.fullmatch(line)) is None:
        return _malformed(Fault.DEBUG)
    return Line(Kind.DEBUG, message_id=None if debug[1] in NO_IDS else debug[1].decode("ascii"))


def _malformed(fault: Fault) -> Line:
    return Line(Kind.MALFORMED, parse_error=fault)


def parse_stamp(stamp: bytes) -> datetime | None:
    """The local time in `[DD/Mon/YYYY:HH:MM:SS]`, or None if there is no such date or time."""
    try:
        day, month, year = int(stamp[1:3]), MONTHS.index(stamp[4:7]) + 1, int(stamp[8:12])
        return datetime(year, month, day, int(stamp[13:15]), int(stamp[16:18]), int(stamp[19:21]))
    except ValueError:
        return None


@lru_cache(maxsize=1 << 12)
def seconds_at_hour(prefix: bytes) -> int | None:
    """Seconds from 1970 to the full hour in `[DD/Mon/YYYY:HH:`; None where that is no such hour."""
    stamp = prefix + b"00:00]"
    ts = parse_stamp(stamp) if _STAMP.fullmatch(stamp) else None
    return None if ts is None else timegm(ts.timetuple())


def is_address(text: bytes) -> bool:
    """Whether `text` is an IPv4 address or an IPv6 address, with or without a zone."""
    return _IPV4.fullmatch(text) is not None or _is_ipv6(text)


@lru_cache(maxsize=1 << 16)
def _is_ipv6(text: bytes) -> bool:
    try:
        IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True


def decode_text(text: bytes) -> str:
    """Text as its writer most likely meant it: UTF-8, else CP932, else with `\\xNN` escapes."""
    for encoding in ("utf-8", "cp932"):
        try:
            return text.decode(encoding)
        except UnicodeDecodeError:
            continue
    return text.decode("ascii", "backslashreplace")


def render_line(line: Line, dialect: Dialect) -> bytes | None:
    """The bytes of a line in its file's dialect, without line end, as far as its fields tell.

    None for the kinds whose fields do not hold their text: debug and malformed.
    """
    if line.kind is Kind.BLANK:
        return b""
    if line.ts is None:
        return None
    stamp = b"[%02d/%b/%04d:%02d:%02d:%02d]" % (
        line.ts.day,
        MONTHS[line.ts.month - 1],
        line.ts.year,
        line.ts.hour,
        line.ts.minute,
        line.ts.second,
    )
    head = b"%b, (%b), " % (stamp, _encode(line.server_name))
    if line.kind is Kind.ACCEPT:
        tls = TLS if line.tls else b""
        return b"%b[%b]:%d%b%b" % (head, _encode(line.client_ip), line.port or 0, tls, ACCEPT)
    peer = _encode(line.peer_name) + dialect.peer_gap if line.peer_name else b""
    no_id = dialect.no_id if line.message_id is None else _encode(line.message_id)
    return b"%b%b[%b], %b,<%b>,%b" % (
        head,
        peer,
        _encode(line.client_ip),
        _render_subject(line),
        no_id,
        _encode(line.status),
    )


def _render_subject(line: Line) -> bytes:
    if line.auth_mechanism is not None:
        result = SUCCESS if line.auth_success else FAILED
        return b"%b%b:%b%b" % (AUTH, _encode(line.auth_mechanism), _encode(line.auth_user), result)
    if line.sender is not None:
        return _encode(line.sender)
    return DNSBL if line.verdict is Verdict.REJECTED_DNSBL else REVERSE_DNS


def _encode(text: str | None) -> bytes:
    return (text or "").encode("utf-8")
