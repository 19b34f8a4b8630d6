"""Lines of all sorts and what they say: one table for parser, renderer and scanner."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from transforms.grammar import ZERO_ID_12, Dialect, Fault, Kind, Line, Verdict

WINDOWS = Dialect(b"\r\n")
BSD = Dialect(peer_gap=b" ")
TS = datetime(2026, 6, 3, 9, 0, 1)
HEAD = b"[03/Jun/2026:09:00:01], (mx1.example.jp), "
TAIL = b",<B0000000007>,ok"


def verdict(subject: bytes, result: bytes = TAIL) -> bytes:
    """A verdict line of the Windows edition."""
    return HEAD + b"192.0.2.1[192.0.2.1], " + subject + result


def accept(rest: bytes) -> bytes:
    """An accept line from the client's address on."""
    return HEAD + rest


ACCEPTED = Line(Kind.ACCEPT, TS, "mx1.example.jp", client_ip="192.0.2.1", port=25, tls=False)
OK = Line(
    Kind.VERDICT, TS, "mx1.example.jp", client_ip="192.0.2.1", peer_name="192.0.2.1",
    sender="a@example.org", message_id="B0000000007", status="ok", verdict=Verdict.ACCEPTED,
)  # fmt: skip
REFUSED = OK._replace(message_id=None, status="abort", verdict=Verdict.REJECTED_POLICY)
AUTH = OK._replace(sender=None, auth_mechanism="PLAIN", auth_user="user", auth_success=True)


@dataclass(frozen=True)
class Case:
    """A line, what it says, and a dialect in which its fields give it back."""

    line: bytes
    says: Line
    dialect: Dialect | None = field(default=WINDOWS)
    """None = its fields do not hold its bytes in any."""


ZERO = b",<B0000000000>,abort"
CASES = {
    "accept": Case(accept(b"[192.0.2.1]:25, Client accept now."), ACCEPTED),
    "accept with implicit TLS": Case(
        accept(b"[192.0.2.1]:465 SSL, Client accept now."), ACCEPTED._replace(port=465, tls=True)
    ),
    "accept on the submission port": Case(
        accept(b"[192.0.2.1]:587, Client accept now."), ACCEPTED._replace(port=587)
    ),
    "accept of IPv6": Case(
        accept(b"[2001:db8::7]:25, Client accept now."), ACCEPTED._replace(client_ip="2001:db8::7")
    ),
    "accept of IPv6 with a zone": Case(
        accept(b"[fe80::1%eth0]:25, Client accept now."),
        ACCEPTED._replace(client_ip="fe80::1%eth0"),
    ),
    "accept of old IPv6 builds with the client's port": Case(
        accept(b"[::1]:65535, Client accept now."), ACCEPTED._replace(client_ip="::1", port=65535)
    ),
    "lowest port": Case(accept(b"[192.0.2.1]:1, Client accept now."), ACCEPTED._replace(port=1)),
    "empty server name": Case(
        b"[03/Jun/2026:09:00:01], (), [192.0.2.1]:25, Client accept now.",
        ACCEPTED._replace(server_name=""),
    ),
    "server name of 255 bytes": Case(
        b"[03/Jun/2026:09:00:01], (%b), [192.0.2.1]:25, Client accept now." % (b"m" * 255),
        ACCEPTED._replace(server_name="m" * 255),
    ),
    "server name with brackets": Case(
        b"[03/Jun/2026:09:00:01], (mx [a]:1, b), [192.0.2.1]:25, Client accept now.",
        ACCEPTED._replace(server_name="mx [a]:1, b"),
    ),
    "verdict of the Windows edition": Case(verdict(b"a@example.org"), OK),
    "verdict of the BSD edition": Case(
        HEAD + b"mail.example.org [192.0.2.1], a@example.org" + TAIL,
        OK._replace(peer_name="mail.example.org"), BSD,
    ),
    "peer name without a gap": Case(
        HEAD + b"mail.example.org[192.0.2.1], a@example.org" + TAIL,
        OK._replace(peer_name="mail.example.org"),
    ),
    "no peer name": Case(HEAD + b"[192.0.2.1], a@example.org" + TAIL, OK._replace(peer_name="")),
    "no peer name in the BSD edition": Case(
        HEAD + b"[192.0.2.1], a@example.org" + TAIL, OK._replace(peer_name=""), BSD
    ),
    "no peer name, yet a gap": Case(
        HEAD + b" [192.0.2.1], a@example.org" + TAIL, OK._replace(peer_name=""), None
    ),
    "peer name that ends in a space": Case(
        HEAD + b"odd  [192.0.2.1], a@example.org" + TAIL, OK._replace(peer_name="odd "), BSD
    ),
    "peer name with closing brackets and commas": Case(
        HEAD + b"a], (b), c[192.0.2.1], a@example.org" + TAIL, OK._replace(peer_name="a], (b), c")
    ),
    "verdict of IPv6": Case(
        HEAD + b"::1[::1], a@example.org" + TAIL, OK._replace(peer_name="::1", client_ip="::1")
    ),
    "verdict of IPv6 with a zone": Case(
        HEAD + b"fe80::1%2[fe80::1%2], a@example.org" + TAIL,
        OK._replace(peer_name="fe80::1%2", client_ip="fe80::1%2"),
    ),
    "null sender": Case(verdict(b""), OK._replace(sender="")),
    "aborted without an id is policy (B-1)": Case(verdict(b"a@example.org", ZERO), REFUSED),
    "aborted with an id is content (B-2)": Case(
        verdict(b"a@example.org", b",<B0000000007>,abort"),
        OK._replace(status="abort", verdict=Verdict.REJECTED_CONTENT),
    ),
    "timeout with an id": Case(
        verdict(b"a@example.org", b",<B0000000007>,connection timeout"),
        OK._replace(status="connection timeout", verdict=Verdict.TIMEOUT),
    ),
    "timeout without an id": Case(
        verdict(b"", b",<B0000000000>,connection timeout"),
        OK._replace(
            sender="", message_id=None, status="connection timeout", verdict=Verdict.TIMEOUT
        ),
    ),
    "4.AN: nobody sent anything": Case(verdict(b"", ZERO), REFUSED._replace(sender="")),
    "id with year and month": Case(
        verdict(b"a@example.org", b",<B7b0000097586>,ok"), OK._replace(message_id="B7b0000097586")
    ),
    "id with year and month and zeros is an id": Case(
        verdict(b"a@example.org", b",<B610000000000>,ok"), OK._replace(message_id="B610000000000")
    ),
    "no id in twelve zeros": Case(
        verdict(b"a@example.org", b",<000000000000>,abort"), REFUSED,
        WINDOWS._replace(no_id=ZERO_ID_12),
    ),
    "no id in an empty pair of brackets": Case(
        verdict(b"a@example.org", b",<>,abort"), REFUSED, WINDOWS._replace(no_id=b"")
    ),
    "accepted without an id is accepted": Case(
        verdict(b"a@example.org", b",<B0000000000>,ok"), OK._replace(message_id=None)
    ),
    "DNSBL hit (B-3)": Case(
        verdict(b"It was in the ORDB IP.", ZERO),
        REFUSED._replace(sender=None, verdict=Verdict.REJECTED_DNSBL),
    ),
    "DNSBL hit of builds with an empty id": Case(
        verdict(b"It was in the ORDB IP.", b",<>,abort"),
        REFUSED._replace(sender=None, verdict=Verdict.REJECTED_DNSBL),
        WINDOWS._replace(no_id=b""),
    ),
    "failed reverse DNS": Case(
        verdict(b'"Revers DNS" was failed.', ZERO),
        REFUSED._replace(sender=None, verdict=Verdict.REJECTED_REVERSE_DNS),
    ),
    "AUTH succeeded": Case(verdict(b"AUTH-PLAIN:user [success]"), AUTH),
    "AUTH succeeded and the message was refused": Case(
        verdict(b"AUTH-PLAIN:user [success]", ZERO),
        AUTH._replace(message_id=None, status="abort", verdict=Verdict.REJECTED_POLICY),
    ),
    "AUTH failed": Case(
        verdict(b"AUTH-PLAIN:user [failed]", ZERO),
        AUTH._replace(
            auth_success=False, message_id=None, status="abort", verdict=Verdict.REJECTED_AUTH
        ),
    ),
    "AUTH failed but there is an id": Case(
        verdict(b"AUTH-PLAIN:user [failed]", b",<B0000000007>,abort"),
        AUTH._replace(auth_success=False, status="abort", verdict=Verdict.REJECTED_CONTENT),
    ),
    "AUTH failed and the client fell silent": Case(
        verdict(b"AUTH-PLAIN:user [failed]", b",<B0000000000>,connection timeout"),
        AUTH._replace(
            auth_success=False, message_id=None, status="connection timeout",
            verdict=Verdict.TIMEOUT,
        ),
    ),
    "AUTH without a user": Case(verdict(b"AUTH-PLAIN: [success]"), AUTH._replace(auth_user="")),
    "AUTH user of 511 bytes": Case(
        verdict(b"AUTH-PLAIN:%b [success]" % (b"u" * 511)), AUTH._replace(auth_user="u" * 511)
    ),
    "AUTH user that imitates a result": Case(
        verdict(b"AUTH-PLAIN:x [success],<B0000000001>,ok [success]"),
        AUTH._replace(auth_user="x [success],<B0000000001>,ok"),
    ),
    "AUTH user with a carriage return": Case(
        verdict(b"AUTH-PLAIN:x\ry [success]"), AUTH._replace(auth_user="x\ry")
    ),
    "AUTH by an unknown method is a sender": Case(
        verdict(b"AUTH-NTLM:x [success]"), OK._replace(sender="AUTH-NTLM:x [success]")
    ),
    "AUTH without a result is a sender": Case(
        verdict(b"AUTH-PLAIN:x"), OK._replace(sender="AUTH-PLAIN:x")
    ),
    "AUTH method in lower case is a sender": Case(
        verdict(b"AUTH-plain:x [failed]"), OK._replace(sender="AUTH-plain:x [failed]")
    ),
    "debug line": Case(
        b" <B0000000007>, [MAIL FROM:<a@b>], 250 ok",
        Line(Kind.DEBUG, message_id="B0000000007"), None,
    ),
    "debug line with a read status": Case(
        b" <B0000000000>, [Read status = -1]", Line(Kind.DEBUG), None
    ),
    "debug line of a build with an empty id": Case(b" <>, [QUIT], bye", Line(Kind.DEBUG), None),
    "debug line of a build with year and month": Case(
        b" <B7b0000097586>, [], ", Line(Kind.DEBUG, message_id="B7b0000097586"), None
    ),
    "blank line": Case(b"", Line(Kind.BLANK)),
    "blank line of white space": Case(b" \t\r", Line(Kind.BLANK), None),
}  # fmt: skip

PITFALLS = {
    "sender that looks like a tail": Case(
        verdict(b"x,<B0000000001>,ok", ZERO), REFUSED._replace(sender="x,<B0000000001>,ok")
    ),
    "sender that looks like a tail without an id": Case(
        verdict(b"x,<>,ok", ZERO), REFUSED._replace(sender="x,<>,ok")
    ),
    "sender that is nothing but a tail": Case(
        verdict(b",<B0000000001>,ok"), OK._replace(sender=",<B0000000001>,ok")
    ),
    "sender equal to the DNSBL sentence, accepted": Case(
        verdict(b"It was in the ORDB IP."), OK._replace(sender="It was in the ORDB IP.")
    ),
    "sender equal to the DNSBL sentence, refused with an id": Case(
        verdict(b"It was in the ORDB IP.", b",<B0000000007>,abort"),
        OK._replace(
            sender="It was in the ORDB IP.", status="abort", verdict=Verdict.REJECTED_CONTENT
        ),
    ),
    "sender equal to the DNSBL sentence, timed out": Case(
        verdict(b"It was in the ORDB IP.", b",<B0000000000>,connection timeout"),
        OK._replace(
            sender="It was in the ORDB IP.", message_id=None, status="connection timeout",
            verdict=Verdict.TIMEOUT,
        ),
    ),
    "sender that only begins with the DNSBL sentence": Case(
        verdict(b"It was in the ORDB IP..", ZERO),
        REFUSED._replace(sender="It was in the ORDB IP.."),
    ),
    "sender equal to the reverse-DNS sentence, accepted": Case(
        verdict(b'"Revers DNS" was failed.'), OK._replace(sender='"Revers DNS" was failed.')
    ),
    "MAIL FROM that imitates AUTH cannot be told from it": Case(
        verdict(b"AUTH-PLAIN:x [success]"), AUTH._replace(auth_user="x")
    ),
    "sender that imitates an accept line": Case(
        verdict(b"y, Client accept now."), OK._replace(sender="y, Client accept now.")
    ),
    "sender that imitates a whole line": Case(
        verdict(b"[01/Jan/2026:00:00:00], (m), ::[::], a" + TAIL),
        OK._replace(sender="[01/Jan/2026:00:00:00], (m), ::[::], a,<B0000000007>,ok"),
    ),
    "sender with commas, quotes, spaces, tabs and brackets": Case(
        verdict(b'"a, [b]\t(c)" <d@example.org'), OK._replace(sender='"a, [b]\t(c)" <d@example.org')
    ),
    "sender with ESC": Case(verdict(b"\x1b[31m"), OK._replace(sender="\x1b[31m")),
    "sender with number signs": Case(
        verdict(b"#,<B##########>,ok"), OK._replace(sender="#,<B##########>,ok")
    ),
    "sender of 260 bytes": Case(verdict(b"x" * 260), OK._replace(sender="x" * 260)),
    "sender of a megabyte": Case(verdict(b",<x" * 350_000), OK._replace(sender=",<x" * 350_000)),
    "UTF-8 sender": Case(verdict("営業@例え.jp".encode()), OK._replace(sender="営業@例え.jp")),
    "CP932 sender": Case(
        verdict("営業@example.jp".encode("cp932")), OK._replace(sender="営業@example.jp"), None
    ),
    "CP932 sender whose second byte is a bracket": Case(
        verdict("サーバー@example.jp".encode("cp932")), OK._replace(sender="サーバー@example.jp"),
        None,
    ),
    "sender that is neither": Case(
        verdict(b"\x81\xff@\x81"), OK._replace(sender="\\x81\\xff@\\x81"), None
    ),
    "30 Nov 2007, the vendor's own example": Case(
        accept(b"[192.0.2.1]:25, Client accept now.").replace(b"03/Jun/2026", b"30/Nov/2007"),
        ACCEPTED._replace(ts=datetime(2007, 11, 30, 9, 0, 1)),
    ),
    "29 Feb of a leap year": Case(
        accept(b"[192.0.2.1]:25, Client accept now.").replace(b"03/Jun/2026", b"29/Feb/2024"),
        ACCEPTED._replace(ts=datetime(2024, 2, 29, 9, 0, 1)),
    ),
    "first and last second of a day": Case(
        accept(b"[192.0.2.1]:25, Client accept now.").replace(b"09:00:01", b"23:59:59"),
        ACCEPTED._replace(ts=datetime(2026, 6, 3, 23, 59, 59)),
    ),
}  # fmt: skip


def with_date(stamp: bytes) -> bytes:
    return accept(b"[192.0.2.1]:25, Client accept now.").replace(b"[03/Jun/2026:09:00:01]", stamp)


def with_port(port: bytes) -> bytes:
    return accept(b"[192.0.2.1]:%b, Client accept now." % port)


def with_address(address: bytes) -> bytes:
    return accept(b"[%b]:25, Client accept now." % address)


MALFORMED = [
    pytest.param(Fault.NUL, b"\0", id="a hole in the file"),
    pytest.param(Fault.NUL, verdict(b"a\0b"), id="a NUL in a line that is fine else"),
    pytest.param(Fault.NUL, b" <>, [\0]", id="a NUL in a debug line"),
    pytest.param(Fault.CARRIAGE_RETURN, verdict(b"a\rb"), id="in a sender"),
    pytest.param(
        Fault.CARRIAGE_RETURN, HEAD + b"a\r[192.0.2.1], x" + TAIL, id="in a peer name"
    ),
    pytest.param(
        Fault.CARRIAGE_RETURN, HEAD + "a\r[192.0.2.1], 字".encode() + TAIL,
        id="in a peer name, and beside it UTF-8",
    ),
    pytest.param(
        Fault.CARRIAGE_RETURN, verdict(b"a").replace(b"(mx1", b"(\rmx1"), id="in a server name"
    ),
    pytest.param(Fault.DEBUG, b" <B0000000007>", id="a debug line without text"),
    pytest.param(Fault.DEBUG, b" <B7>, [QUIT], bye", id="a debug line with half an id"),
    pytest.param(Fault.DEBUG, b" <>, [QUIT", id="a debug line that is cut"),
    pytest.param(Fault.DEBUG, b" <>, [QUIT]bye", id="a debug line without a comma"),
    pytest.param(Fault.NO_STAMP, b"junk", id="anything"),
    pytest.param(Fault.NO_STAMP, b"\xef\xbb\xbf" + verdict(b""), id="a byte order mark"),
    pytest.param(Fault.NO_STAMP, b" " + verdict(b""), id="a space before the stamp"),
    pytest.param(Fault.NO_STAMP, verdict(b"")[1:], id="a stamp without its bracket"),
    pytest.param(Fault.NO_STAMP, verdict(b"")[:21], id="half a stamp"),
    pytest.param(Fault.NO_STAMP, with_date(b"[3/Jun/2026:09:00:01]"), id="a day of one digit"),
    pytest.param(
        Fault.NO_STAMP, with_date("[０3/Jun/2026:09:00:01]".encode()), id="a digit of full width"
    ),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[29/Feb/2023:09:00:01]"), id="29 Feb 2023"),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[31/Apr/2026:09:00:01]"), id="31 Apr"),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[00/Jun/2026:09:00:01]"), id="day 0"),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[03/Jun/2026:24:00:00]"), id="hour 24"),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[03/Jun/2026:09:60:00]"), id="minute 60"),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[03/Jun/2026:09:00:60]"), id="a leap second"),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[03/Mai/2026:09:00:01]"), id="unknown month"),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[03/JUN/2026:09:00:01]"), id="month in caps"),
    pytest.param(Fault.IMPOSSIBLE_TIME, with_date(b"[03/Jun/0000:09:00:01]"), id="year 0000"),
    pytest.param(Fault.NO_SERVER, b"[03/Jun/2026:09:00:01]", id="nothing but a stamp"),
    pytest.param(Fault.NO_SERVER, HEAD.replace(b"(", b""), id="a server without brackets"),
    pytest.param(Fault.NO_SERVER, HEAD.replace(b")", b""), id="a server that never ends"),
    pytest.param(Fault.NO_ADDRESS, HEAD, id="cut before the address"),
    pytest.param(Fault.NO_ADDRESS, HEAD + b"[192.0.2.1", id="cut in the address"),
    pytest.param(Fault.NO_ADDRESS, HEAD.replace(b"), ", b") ") + b"[::]", id="no comma before it"),
    pytest.param(Fault.BAD_ADDRESS, with_address(b""), id="empty address"),
    pytest.param(Fault.BAD_ADDRESS, with_address(b"mail.example.org"), id="a name as address"),
    pytest.param(Fault.BAD_ADDRESS, with_address(b"192.0.2.256"), id="address out of range"),
    pytest.param(Fault.BAD_ADDRESS, with_address(b"192.0.2.01"), id="address with a leading zero"),
    pytest.param(Fault.BAD_ADDRESS, with_address(b"192.0.2.1 "), id="address with a space"),
    pytest.param(Fault.BAD_ADDRESS, with_address(b"1::2::3"), id="IPv6 with two gaps"),
    pytest.param(Fault.BAD_ADDRESS, with_address(b"fe80::1%"), id="IPv6 with an empty zone"),
    pytest.param(Fault.BAD_ADDRESS, with_address("١.1.1.1".encode()), id="digits beyond ASCII"),
    pytest.param(Fault.BAD_ADDRESS, HEAD + b"a[b] [::], x" + TAIL, id="brackets in a peer name"),
    pytest.param(
        Fault.ACCEPT_PEER, HEAD + b"mail [192.0.2.1]:25, Client accept now.",
        id="accept line with a peer",
    ),
    pytest.param(
        Fault.ACCEPT_PEER, HEAD + b" [192.0.2.1]:25, Client accept now.", id="accept line and gap"
    ),
    pytest.param(Fault.BAD_PORT, with_port(b"0"), id="port 0"),
    pytest.param(Fault.BAD_PORT, with_port(b"65536"), id="port 65536"),
    pytest.param(Fault.BAD_PORT, with_port(b"99999"), id="port 99999"),
    pytest.param(Fault.BAD_PORT, with_port(b"100025"), id="port of six digits"),
    pytest.param(Fault.BAD_PORT, with_port(b"025"), id="port with a leading zero"),
    pytest.param(Fault.BAD_PORT, with_port(b""), id="no port"),
    pytest.param(Fault.BAD_PORT, with_port(b" SSL"), id="SSL without a port"),
    pytest.param(Fault.BAD_PORT, with_port(b"465SSL"), id="port grown together with SSL"),
    pytest.param(Fault.BAD_PORT, with_port(b"+25"), id="port with a sign"),
    pytest.param(Fault.BAD_PORT, with_port("２５".encode()), id="port of full width"),
    pytest.param(Fault.BAD_PORT, HEAD + b"[192.0.2.1]:25", id="cut after the port"),
    pytest.param(Fault.NO_ACCEPT, HEAD + b"[192.0.2.1]:25, Client accept", id="cut accept line"),
    pytest.param(
        Fault.NO_ACCEPT, with_port(b"25") + b" ", id="something after the end of an accept line"
    ),
    pytest.param(Fault.NO_ACCEPT, with_port(b"25") + b"\r", id="accept line and carriage return"),
    pytest.param(Fault.NO_ACCEPT, with_port(b"25, x"), id="something before the accept sentence"),
    pytest.param(Fault.NO_SUBJECT, HEAD + b"[192.0.2.1]", id="cut after the address"),
    pytest.param(Fault.NO_SUBJECT, HEAD + b"[192.0.2.1],x" + TAIL, id="no space before it"),
    pytest.param(Fault.NO_RESULT, verdict(b"a@example.org", b""), id="cut after the subject"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<B0000000007>,"), id="cut before the status"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", TAIL + b"\r"), id="status and carriage return"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", TAIL + b"ay"), id="unknown status"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<B0000000007>,OK"), id="upper-case status"),
    pytest.param(
        Fault.NO_RESULT, verdict(b"a", b",<B0000000007>,Connection timeout"),
        id="status that only ends like one",
    ),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b"<B0000000007>,ok"), id="no comma before the id"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<B000000000>,ok"), id="id of nine digits"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<B00000000000>,ok"), id="id of eleven digits"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<B7d0000000001>,ok"), id="id of a month 13"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<B700000000001>,ok"), id="id of a month 0"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<B7B0000000001>,ok"), id="id of a month B"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<00000000000>,abort"), id="eleven zeros"),
    pytest.param(Fault.NO_RESULT, verdict(b"a", b",<000000000001>,ok"), id="twelve digits"),
    pytest.param(Fault.NO_RESULT, HEAD + b"[192.0.2.1], ", id="cut before the subject"),
]  # fmt: skip

LINES = {
    **{name: case.line for name, case in (CASES | PITFALLS).items()},
    **{
        f"malformed: {param.id}": line
        for param in MALFORMED
        for line in param.values
        if isinstance(line, bytes)
    },
}
"""All of the above by name."""
