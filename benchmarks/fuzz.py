"""Millions of lines, many of them nearly well-formed, through the scanner and back.

    python -m benchmarks.fuzz --lines 20000000 --seed 1

Every block of lines is scanned; the table must equal the one that the line parser makes of it
line by line, and rendering it must give back its bytes. Stops with exit code 1 at the first block
for which that is not so, and prints the lines that it takes.

A block is made in bulk: lines are joined from fragments, with here and there a fragment that does
not belong; then single bytes are overwritten, dropped and put in at random places. Lines are hit
by that about once on average, so as many are flawless as are battered.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tests.transforms import reference
from transforms.grammar import MONTHS, NO_IDS, Dialect, Kind
from transforms.render import render
from transforms.scanner import scan
from transforms.spans import PADDING

BLOCK_LINES = 20_000
SMALL_BLOCKS = 20
"""How many blocks of very few lines come with each large one: the ends of a block are delicate."""
ZONES = [ZoneInfo(name) for name in ("Asia/Tokyo", "America/New_York", "Australia/Lord_Howe")]

Fragments = npt.NDArray[np.object_]
Bytes = npt.NDArray[np.uint8]

_EPOCH = np.datetime64("2026-03-01T00:00:00")
_STAMPS = [
    b"[29/Feb/2024:", b"[29/Feb/2023:", b"[30/Nov/2007:", b"[31/Jun/2026:", b"[01/Jan/0000:",
    b"[01/jan/2026:", b"[01/Mai/2026:", b"[01/Jan/0001:", b"[31/Dec/9999:", b"[ 1/Jan/2026:",
]  # fmt: skip
_TIMES = [b"24:00:00]", b"23:60:00]", b"23:59:60]", b"1:00:00]", b"01:00:00", b"01 00 00]"]
_SERVERS = [b", (mx1.example.jp), "] * 30 + [
    b", (MX2), ", b", (), ", b", (%b), " % (b"m" * 255), b", (\x90\xec), ", b", (a [b]), ",
    b", (mx1.example.jp)", b" (mx1), ",
]  # fmt: skip
_PEERS = [
    b"", b" ", b"mail.example.org", b"mail.example.org ", b"host  ", b"a, b) ", b"]", b"[::1]",
    b"\x83\x5b", "郵便 ".encode(), b"\0", b"\r",
]  # fmt: skip
_ADDRESSES = [b"[192.0.2.%d]" % n for n in range(256)] + [b"[2001:db8::%x]" % n for n in range(64)]
_ODD_ADDRESSES = [
    b"[::]", b"[::1]", b"[fe80::1%eth0]", b"[fe80::1%" + b"z" * 90 + b"]", b"[fe80::1%]",
    b"[fe80::1%a,b]", b"[192.0.2.256]", b"[192.0.2.01]",
    b"[]", b"[mail]", b"[::ffff:192.0.2.1]", b"192.0.2.1]", b"[192.0.2.1", b"[\xff]", b"[::1\r]",
]  # fmt: skip
_PORTS = [b":25", b":465 SSL", b":587", b":%d"]
_ODD_PORTS = [b":0", b":025", b":65535", b":65536", b":99999", b":123456", b":", b": SSL",
              b":25 SSL SSL", b":25SSL", b":2x", b":1", b""]  # fmt: skip
_LOCALS = [b"", b"", b"sales", b"bounces+1f", b'"a, b"', b"a b", b"x,<B0000000001>,ok", b"<",
           b"a[1]", b"\x1b[31m", b"\t", "山田".encode(), b"\x8e\x52\x93\x63", b"\x83\x5b", b"\xff",
           b", Client accept now.", b"[31/May/2025:00:00:00], (mx1), [::1]:25", b"l" * 250,
           b"a\rb", b"AUTH-", b"]"]  # fmt: skip
_DOMAINS = [b"", b"@example.org", b"@example.co.jp", b"@EXAMPLE.com.", b"@[192.0.2.1]", b"@", b">"]
_SENTENCES = [b"It was in the ORDB IP.", b'"Revers DNS" was failed.', b"It was in the ORDB IP",
              b'"Revers DNS" was failed. ', b"it was in the ORDB IP."]  # fmt: skip
_METHODS = [b"PLAIN:", b"LOGIN:", b"CRAM-MD5:", b"XAOUTH2:", b"unknown:", b"NTLM:", b":", b"PLAIN"]
_USERS = [b"", b"user", b"user@example.org", b"x [success]", b"a\rb", b"\x83\x5b", b"a,<>,ok",
          b"x\r\n[01/Mar/2026:00:00:00], (m), [::1], a@b,<B0000000001>,ok\r\ny"]  # fmt: skip
_OUTCOMES = [b" [success]", b" [failed]", b"[failed]", b" [success] ", b""]
_NO_IDS = [b",<%b>," % no_id for no_id in NO_IDS]
_ODD_IDS = [b",<B7b0000097586>,", b",<B600000000000>,", b",<B7d0000000001>,", b",<B000000000>,",
            b",<b0000000001>,", b",<00000000000>,", b",<0000000000000>,", b",<B0000000000>",
            b"<B0000000001>,", b",<B000000000:>,", b",<B00000000/0>,", b",<>",
            b",<<>,"]  # fmt: skip
_STATUSES = [b"ok", b"abort", b"connection timeout"]
_ODD_STATUSES = [b"", b"OK", b"timeout", b"abort ", b"okok", b"connection_timeout", b"ok,<>,ok"]
_STRAY = [b"", b"\n", b"\r\n", b"\r", b"\0", b" <B0000000001>, [MAIL], 250 ok\n", b"\n\n", b" \n",
          b" <>, [", b",<", b">,", b"], ", b"), ", b"[", b",<B0000000007>,ok\n"]  # fmt: skip
_SPECIAL = np.frombuffer(
    b"\n\r\0[]()<>,:/# .%@-AB0129:/;aoktSLn\x1b\x7f\x80\x81\x8e\x93\xa0\xc3\xe5\xff", np.uint8
)


def main() -> None:
    """Fuzz until as many lines are done as asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(0 if fuzz(options.lines, options.seed) else 1)


def fuzz(lines: int, seed: int) -> bool:
    """Check at least so many lines, with progress on standard output.

    Returns:
        Whether scanner and renderer were right about all of them.
    """
    started = time.monotonic()
    done = malformed = kept = reported = 0
    blame: str | None = None
    for number, (block, dialect, zone) in enumerate(blocks(seed)):
        if done >= lines or blame is not None:
            break
        expected = reference.scanned(block, dialect, zone)
        if not is_exact(block, dialect, zone, expected):
            guilty = culprit(block, dialect, zone)
            blame = f"mismatch in block {number}: {guilty!r}\nwith {dialect} and {zone}"
        done += len(expected)
        malformed += pc.sum(pc.equal(expected["kind"], Kind.MALFORMED)).as_py() or 0
        kept += len(expected) - expected["raw"].null_count
        if done >= reported + 500_000:
            reported = done
            _say(f"{done:,} lines, {time.monotonic() - started:,.0f} s")
    _say(
        f"{done:,} lines in {time.monotonic() - started:,.1f} s:"
        f" {malformed / done:.1%} malformed, {kept / done:.1%} keep their bytes,"
        f" {'no mismatch' if blame is None else blame}"
    )
    return blame is None


def is_exact(
    block: bytes, dialect: Dialect, zone: ZoneInfo, expected: pa.RecordBatch | None = None
) -> bool:
    """Whether a block is scanned as the line parser has it, and rendered as it was."""
    if expected is None:
        expected = reference.scanned(block, dialect, zone)
    try:
        batch = scan(block + PADDING, dialect, zone)
        events = pa.Table.from_batches([batch])
        rendered = render(events, dialect, is_torn=not block.endswith(b"\n"))
    except Exception:  # noqa: BLE001, RUF100 — whatever it is, it is a mismatch
        return False
    return rendered == block and reference.plain(batch).equals(expected)


def culprit(block: bytes, dialect: Dialect, zone: ZoneInfo) -> bytes:
    """The lines of a block that it takes to make it not exact, found by leaving out others."""
    lines = [content + end for content, end in reference.split(block)]
    size = len(lines) // 2
    while size:
        start = 0
        while start < len(lines):
            rest = lines[:start] + lines[start + size :]
            if rest and not is_exact(b"".join(rest), dialect, zone):
                lines = rest
            else:
                start += size
        size //= 2
    return b"".join(lines)


def blocks(seed: int) -> Iterator[tuple[bytes, Dialect, ZoneInfo]]:
    """Endless blocks of lines, none empty, each with the dialect to read it in and a time zone."""
    for number in range(1 << 62):
        dice = np.random.default_rng((seed, number))
        zone = ZONES[number % len(ZONES)]
        dialect = Dialect(
            line_end=(b"\n", b"\r\n")[dice.integers(2)],
            peer_gap=(b"", b" ")[dice.integers(2)],
            no_id=NO_IDS[dice.integers(len(NO_IDS))],
        )
        block = _battered(_lines(dice, dialect), dice)
        start = 0
        for at in range(SMALL_BLOCKS):
            # One in four is torn.
            stop = start + 1 + int(dice.integers(300))
            stop = stop if at % 4 == 0 else block.index(b"\n", stop) + 1
            yield block[start:stop], dialect, zone
            start = stop
        yield block[start:], dialect, zone


def _lines(dice: np.random.Generator, dialect: Dialect) -> bytes:
    """Lines of all kinds, nearly all of their fragments as a server in that dialect writes them."""
    count = BLOCK_LINES
    is_accept = dice.random(count) < 0.4
    is_auth = dice.random(count) < 0.2
    is_sentence = dice.random(count) < 0.15

    second = dice.integers(0, 300 * 86_400) + np.sort(dice.integers(0, 7_200, count))
    moment = _EPOCH + second.astype("timedelta64[s]")

    def pick(*pools: tuple[float, list[bytes]]) -> Fragments:
        """A fragment for each line, from pools with the given shares."""
        everything = np.array([word for _, pool in pools for word in pool], object)
        odds = np.concatenate([np.full(len(pool), share / len(pool)) for share, pool in pools])
        edges = np.cumsum(odds)
        picked: Fragments = everything[np.searchsorted(edges, dice.random(count) * edges[-1])]
        return picked

    def where(mask: npt.NDArray[np.bool_], yes: Fragments, no: Fragments | bytes) -> Fragments:
        chosen: Fragments = np.where(mask, yes, no)
        return chosen

    def rarely(fragments: Fragments, odd: list[bytes], share: float = 0.01) -> Fragments:
        return where(dice.random(count) < share, pick((1, odd)), fragments)

    address = pick((1, _ADDRESSES))
    gap = dialect.peer_gap
    usual_peer = np.array([text[1:-1] + gap for text in address.tolist()], object)
    ports = [port % dice.integers(1, 70_000) if b"%d" in port else port for port in _PORTS]
    ids = [b",<B%010d>," % number for number in dice.integers(1, 10**6, 500).tolist()]
    sender = _joined(pick((8, _LOCALS[:4]), (2, _LOCALS)), pick((9, _DOMAINS[:4]), (1, _DOMAINS)))
    auth = _joined(
        np.full(count, b"AUTH-", object),
        pick((9, _METHODS[:5]), (1, _METHODS)),
        pick((9, _USERS[:3]), (1, _USERS)),
        pick((9, _OUTCOMES[:2]), (1, _OUTCOMES)),
    )
    subject = where(is_auth, auth, sender)
    subject = where(is_sentence, pick((9, _SENTENCES[:2]), (1, _SENTENCES)), subject)
    message_id = pick((5, ids), (4, [b",<%b>," % dialect.no_id]), (0.4, _NO_IDS), (0.3, _ODD_IDS))
    nothing = np.full(count, b"", object)
    line_end = np.full(count, dialect.line_end, object)
    whole = _joined(
        rarely(nothing, _STRAY),
        rarely(_dates(moment), _STAMPS),
        rarely(_times(moment), _TIMES),
        pick((1, _SERVERS)),
        rarely(where(is_accept, nothing, usual_peer), _PEERS, 0.05),
        rarely(address, _ODD_ADDRESSES, 0.02),
        where(is_accept, pick((29, ports), (1, _ODD_PORTS)), b", "),
        where(is_accept, np.full(count, b", Client accept now.", object), subject),
        where(is_accept, nothing, message_id),
        where(is_accept, nothing, pick((29, _STATUSES), (1, _ODD_STATUSES))),
        rarely(line_end, [b"\n", b"\r\n", b"\r\r\n", b""], 0.04),
    )
    return b"".join(whole.tolist())


def _joined(*fragments: Fragments) -> Fragments:
    whole = fragments[0]
    for more in fragments[1:]:
        whole = whole + more
    return whole


def _dates(moment: npt.NDArray[np.datetime64]) -> Fragments:
    days, index = np.unique(moment.astype("datetime64[D]"), return_inverse=True)
    texts = [
        b"[%02d/%b/%04d:" % (day.day, MONTHS[day.month - 1], day.year) for day in days.tolist()
    ]
    dates: Fragments = np.array(texts, object)[index]
    return dates


def _times(moment: npt.NDArray[np.datetime64]) -> Fragments:
    since_midnight = (moment - moment.astype("datetime64[D]")).astype(int)
    seconds, index = np.unique(since_midnight, return_inverse=True)
    texts = [b"%02d:%02d:%02d]" % (s // 3600, s // 60 % 60, s % 60) for s in seconds.tolist()]
    times: Fragments = np.array(texts, object)[index]
    return times


def _battered(text: bytes, dice: np.random.Generator) -> bytes:
    """A text with single bytes overwritten, dropped, put in and doubled at random places."""
    content = np.frombuffer(text, np.uint8).copy()
    hits = len(content) // 1_500
    anywhere = dice.integers(0, len(content), hits)
    content[anywhere] = dice.integers(0, 256, hits)
    anywhere = dice.integers(0, len(content), 2 * hits)
    content[anywhere] = _special(dice, 2 * hits)
    content = np.delete(content, dice.integers(0, len(content), hits))
    content = np.insert(content, dice.integers(0, len(content), hits), _special(dice, hits))
    # Doubling a byte keeps lines near to what they were: `,,<` or `>>,ok`.
    at = dice.integers(0, len(content), hits)
    return np.insert(content, at, content[at]).tobytes()


def _special(dice: np.random.Generator, count: int) -> Bytes:
    chosen: Bytes = _SPECIAL[dice.integers(0, len(_SPECIAL), count)]
    return chosen


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
