"""Lines as hypothesis makes them: well-formed ones, and such as nearly are."""

from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from transforms.grammar import NO_IDS, Dialect

DIALECTS = st.builds(
    Dialect,
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([b"", b" "]),
    st.sampled_from(NO_IDS),
)
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("Asia/Tokyo", "America/New_York", "Australia/Lord_Howe", "UTC")]
)

_STAMPS = st.sampled_from(
    [b"03/Jun/2026:09:00:01", b"03/Jun/2026:09:59:59", b"31/Dec/2025:23:59:59",
     b"29/Feb/2024:00:00:00", b"30/Nov/2007:10:21:32", b"08/Mar/2026:02:30:00",
     b"01/Nov/2026:01:30:00", b"05/Apr/2026:01:45:00", b"01/Jan/0001:00:00:00",
     b"31/Dec/9999:23:59:59", b"31/Dec/1969:23:59:59"]
)  # fmt: skip
_BAD_STAMPS = st.sampled_from(
    [b"29/Feb/2023:00:00:00", b"03/Jun/2026:24:00:00", b"03/Jun/2026:09:60:00",
     b"03/Jun/2026:09:00:60", b"03/Juni/2026:09:00:01", b"03/jun/2026:09:00:01",
     b"01/Jan/0000:00:00:00", b" 3/Jun/2026:09:00:01", b"03/Jun/2026 09:00:01",
     b"03/Jun/2026:09:00:0:", b"03/Jun/2026:0a:00:01", b"03/Jun/2026:09:/0:01", b""]
)  # fmt: skip
_SERVERS = st.sampled_from(
    [b"mx1.example.jp", b"", b"MX1", b"(mx", "郵便".encode(), b"m [x]", b"m" * 255]
)
_ADDRESSES = st.sampled_from(
    [b"192.0.2.1", b"192.0.2.1", b"::", b"2001:db8::7", b"fe80::1%eth0", b"fe80::1%" + b"z" * 90]
)
_BAD_ADDRESSES = st.sampled_from(
    [b"", b"192.0.2.256", b"192.0.2.01", b"mail", b"fe80::1%", b"1::2::3"]
)
_PEERS = st.sampled_from(
    [b"", b" ", b"192.0.2.1", b"mail.example ", b"a, b) ", b"mail  ", b"\x83\x5b "]
)
_PORTS = st.sampled_from([b"25", b"465 SSL", b"587", b"1", b"65535"])
_BAD_PORTS = st.sampled_from(
    [b"0", b"025", b"65536", b"99999", b"123456", b"", b" SSL", b"25SSL", b"25 SSL SSL", b"2:5"]
)
_SENTENCES = st.sampled_from(
    [b"It was in the ORDB IP.", b'"Revers DNS" was failed.', b"It was in the ORDB IP", b'"Revers"']
)
_SENDERS = st.sampled_from(
    [b"", b"a@example.org", b'"a, b"@example.org', b"x,<B0000000001>,ok", b"<>,ok", b",", b"\t",
     b", Client accept now.", b"[192.0.2.9]:25", "山田@例え.jp".encode(), b"\x8e\x52\x93\x63@x.jp",
     b"\x83\x5b@x", b"\xff\xfe", b"\x1b[2J", b"AUTH-", b"#", b"a\rb"]
)  # fmt: skip
_AUTH = st.builds(
    b"%b%b:%b%b".__mod__,
    st.tuples(
        st.sampled_from([b"AUTH-", b"AUTH-", b"AUTH-", b"AUTH"]),
        st.sampled_from([b"PLAIN", b"LOGIN", b"CRAM-MD5", b"XAOUTH2", b"unknown", b"OAUTH", b""]),
        st.sampled_from(
            [b"", b"user", b"a b", b"x [success]", b"x\ry", b" [failed]", b"\xff", b":"]
        ),
        st.sampled_from([b" [success]", b" [failed]", b" [failed]", b"[failed]", b" [SUCCESS]"]),
    ),
)
_IDS = st.sampled_from([*NO_IDS, *NO_IDS, b"B0000000007", b"B7b0000097586", b"B6c0000000000"])
_BAD_IDS = st.sampled_from(
    [b"B", b"B000000000", b"B7d0000097586", b"B700000097586", b"b0000000000", b"B00000000000",
     b"00000000000", b"B7B0000097586", b"B000000000:", b"B000000000/"]
)  # fmt: skip
_STATUSES = st.sampled_from([b"ok", b"abort", b"abort", b"connection timeout"])
_BAD_STATUSES = st.sampled_from(
    [b"", b"OK", b"timeout", b"okay", b"abort ", b"connection  timeout"]
)

_PIECES = st.sampled_from(
    [b"\n", b"\r\n", b"\r", b"\0", b"[", b"]", b")", b"(", b"<", b">", b",", b" ", b":", b"#",
     b"0", b"9", b"/", b"SSL", b"ok", b", ", b",<", b">,", b",<>,ok", b",<B0000000001>,ok",
     b"\x80", b"\xff", b"\x8e\x52", "字".encode(), b"%", b"] "]
)  # fmt: skip
_ENDS = st.sampled_from([b"\n", b"\n", b"\r\r\n", b"\n\n", b" \n", b"\r\n", b"\r\n"])


def _mostly(
    good: st.SearchStrategy[bytes], bad: st.SearchStrategy[bytes]
) -> st.SearchStrategy[bytes]:
    # The bad is in the middle, since hypothesis is fond of both ends.
    return st.integers(0, 20).flatmap(lambda throw: bad if throw == 8 else good)


_STAMP = _mostly(_STAMPS, _BAD_STAMPS)
_ADDRESS = _mostly(_ADDRESSES, _BAD_ADDRESSES)
_ACCEPTS = st.builds(
    b"[%b], (%b), [%b]:%b, Client accept now.".__mod__,
    st.tuples(_STAMP, _SERVERS, _ADDRESS, _mostly(_PORTS, _BAD_PORTS)),
)
_VERDICTS = st.builds(
    b"[%b], (%b), %b[%b], %b,<%b>,%b".__mod__,
    st.tuples(
        _STAMP,
        _SERVERS,
        st.one_of(st.just(b""), _PEERS, st.just(b"192.0.2.1"), st.just(b"mail.example ")),
        _ADDRESS,
        st.one_of(st.just(b""), _SENDERS, _SENTENCES, _AUTH, st.just(b"a@example.org")),
        _mostly(_IDS, _BAD_IDS),
        _mostly(_STATUSES, _BAD_STATUSES),
    ),
)
_DEBUG = st.builds(
    b" <%b>, [%b]%b".__mod__,
    st.tuples(
        _mostly(_IDS, _BAD_IDS), _SENDERS, st.sampled_from([b"", b", 250 ok", b",250", b" "])
    ),
)
_BLANK = st.sampled_from([b"", b" ", b"\t \x0b", b"\r"])


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """One line without its line end, as a server writes it or with up to three injuries."""
    kinds = [_VERDICTS, _VERDICTS, _VERDICTS, _ACCEPTS, _DEBUG, _BLANK, _ACCEPTS, _VERDICTS]
    line: bytes = draw(st.sampled_from(kinds).flatmap(lambda kind: kind))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 0, 2, 0, 3, 0, 0]))):
        line = _injured(draw, line)
    return line


def _injured(draw: st.DrawFn, line: bytes) -> bytes:
    at = draw(st.integers(0, len(line)))
    to = draw(st.integers(at, min(len(line), at + 30)))
    match draw(st.sampled_from(["flip", "insert", "overwrite", "cut", "drop", "double", "tail"])):
        case "flip":
            flipped = bytes(byte ^ (1 << to % 8) for byte in line[at : at + 1])
            return line[:at] + flipped + line[at + 1 :]
        case "insert":
            piece = draw(_PIECES)
            return line[:at] + piece + line[at:]
        case "overwrite":
            piece = draw(_PIECES)
            return line[:at] + piece + line[at + len(piece) :]
        case "cut":
            return line[:at]
        case "drop":
            return line[:at] + line[to:]
        case "double":
            return line[:to] + line[at:]
        case _:
            return line + line[line.rfind(b",<") :]


BLOCKS = st.builds(
    lambda whole, torn: b"".join(line + end for line, end in whole) + torn,
    _ENDS.flatmap(
        lambda end: st.lists(st.tuples(lines(), _mostly(st.just(end), _ENDS)), max_size=8)
    ),
    st.one_of(st.just(b""), lines(), st.just(b"")),
)
"""Blocks of a few lines, with all sorts of line ends, torn or not."""

ANYTHING = st.one_of(
    st.binary(max_size=300),
    st.lists(_PIECES, max_size=40).map(b"".join),
)
"""Bytes that nobody meant as a log."""
