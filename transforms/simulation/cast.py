"""The people of a simulation: chance, the clients it picks, and the words they use.

All arithmetic is on integers and all chance comes from the raw bits of PCG64, because NumPy keeps
only those stable: its distributions and the C library's `log` may change between versions and
machines, and then the same plan would no longer give the same bytes.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Dice:
    """Chance as integers. The same seed gives the same throws with any version of NumPy."""

    def __init__(self, *seed: int) -> None:
        """Seeds are 0 or more; each different sequence of them is a different die."""
        self._bits = np.random.PCG64(np.random.SeedSequence(seed))

    def below(self, limit: int, size: int) -> Ints:
        """`size` integers from 0 to `limit` - 1; `limit` is at most 2**31."""
        raw = np.asarray(self._bits.random_raw(size), dtype=np.uint64) >> np.uint64(32)
        return ((raw * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)

    def one_below(self, limit: int) -> int:
        """One integer from 0 to `limit` - 1."""
        return int(self.below(limit, 1)[0])


class Deck:
    """A choice among values with given odds, made by drawing from a thousand cards a row."""

    def __init__(self, *rows: dict[int, int]) -> None:
        """Each row maps values to their permille, which must add up to 1000."""
        for row in rows:
            if sum(row.values()) != 1_000:
                raise ValueError(f"the odds must add up to 1000 permille: {row}")
        self._cards = np.array(
            [np.repeat(list(row), list(row.values())) for row in rows], dtype=np.int64
        )
        self.mean_permille: list[int] = self._cards.sum(axis=1).tolist()
        """A thousand times the mean of each row."""

    def draw(self, dice: Dice, row: Ints) -> Ints:
        """One card for every entry of `row`, taken from that row."""
        card: Ints = self._cards[row, dice.below(1_000, len(row))]
        return card


class Spread:
    """A skewed quantity, given by the values that a permille of draws stays below."""

    def __init__(self, *knots: tuple[int, int]) -> None:
        """Knots are (permille, value), both ascending, from permille 0 to 1000."""
        permille, value = np.array(knots, dtype=np.int64).T
        self._start, self._width = permille[:-1] * 1_000, np.diff(permille) * 1_000
        self._low, self._rise = value[:-1], np.diff(value)

    def draw(self, dice: Dice, size: int) -> Ints:
        """`size` values, evenly spread between neighbouring knots."""
        u = dice.below(1_000_000, size)
        knot = np.searchsorted(self._start, u, side="right") - 1
        value: Ints = (u - self._start[knot]) * self._rise[knot] // self._width[knot]
        value += self._low[knot]
        return value


class Role(IntEnum):
    """What a client is in the habit of doing."""

    PEER = 0  # another mail server
    OFFICE = 1  # a user of ours who submits mail with AUTH
    SPAMMER = 2  # on a DNSBL, mostly
    SCANNER = 3  # connects and leaves
    GUESSER = 4  # tries passwords
    NAMELESS = 5  # has no PTR name


CLIENT_PERMILLE = {  # of the pool of clients
    Role.PEER: 440,
    Role.OFFICE: 150,
    Role.SPAMMER: 330,
    Role.SCANNER: 40,
    Role.GUESSER: 25,
    Role.NAMELESS: 15,
}

DNSBL_SENTENCE = b"It was in the ORDB IP."
REVERSE_DNS_SENTENCE = b'"Revers DNS" was failed.'

# Local parts that are awkward to read but belong to a client's own domain.
ODD_LOCALS = (
    b'"sales, east"',
    b"a,b",
    b'"john doe"',
    b"tab\tbed",
    b"bounce[17]",
    b"[192.0.2.1]:25",
    b'"quo\\"ted"',
    b"\x1b[31mred\x1b[0m",
    "営業".encode(),
    "résumé".encode(),
    "営業".encode("cp932"),
    "サーバー".encode("cp932"),  # the second byte of its last letter is an opening bracket
    "表示".encode("cp932"),  # and here a backslash
    b"half,<open",
    b"o'brien=(x)",
    b"long." + b"x" * 180,
)
# Complete senders that imitate other parts of a line.
TRICK_SENDERS = (
    b"x,<B0000000001>,ok",
    b"x,<B0000000001>,abort",
    b"y, Client accept now.",
    b"comma,",
    b"[31/May/2025:00:00:00], (mx9.example.jp), [192.0.2.9]:25",
)
_GUESSED_USERS = (
    b"admin",
    b"info",
    b"test",
    b"postmaster",
    b"sales",
    b"root",
    b"scanner",
    b"copier",
)
_GIVEN = ("aiko", "ben", "carla", "emi", "fumi", "goro", "ichiro", "jun", "laura", "naoko", "otto")
_FAMILY = ("abe", "brown", "chiba", "doi", "endo", "fischer", "garcia", "ito", "kato", "lee", "ono")
_TRADES = ("acme", "hokuto", "sakura", "nippon", "kita", "minami", "orient", "zenith", "tokai")
_SUFFIXES = ("example.com", "example.net", "example.org", "example.co.jp", "example.jp")


@dataclass(frozen=True)
class Cast:
    """The clients and the words of a simulation; the same for all hosts of a plan."""

    addresses: tuple[str, ...]
    """IP address of each client, canonical text, all different."""
    names: tuple[str, ...]
    """PTR name of each client, '' = it has none."""
    locals: tuple[bytes, ...]
    """Subjects up to their domain: '' first, then ordinary local parts, odd ones, whole senders."""
    domains: tuple[bytes, ...]
    """Domains with their '@', '' first."""
    ordinary: range
    """Which `locals` are ordinary local parts."""
    people: range
    """Which of those are names of people."""
    guessed: range
    """Which `locals` are user names that guessers try; the first of them is empty."""
    odd: range
    """Which `locals` are odd local parts."""
    tricks: range
    """Which `locals` are complete senders that imitate something else."""
    dnsbl: int
    """Which of `locals` is the DNSBL sentence."""
    reverse_dns: int
    """Which of `locals` is the reverse-DNS sentence."""
    reach: Ints
    """Shape (clients,), ascending: where each client's part of its role's range ends; the range of
    a role is from role * 2**32 to 2**32 more."""

    def pick_clients(self, dice: Dice, role: Ints) -> Ints:
        """A client for every entry of `role`, those of low rank far more often (Zipf)."""
        key = (role << 32) + dice.below(1 << 31, len(role)) * 2
        client: Ints = np.searchsorted(self.reach, key, side="right").astype(np.int64)
        return client


def cast_for(connections_per_day: int) -> Cast:
    """A cast that fits the traffic of a host: about 400 clients to 40,000."""
    pool = min(max(connections_per_day // 10, 400), 40_000)
    addresses: list[str] = []
    names: list[str] = []
    reach: list[Ints] = []
    for role in Role:
        size = pool * CLIENT_PERMILLE[role] // 1_000
        for rank in range(size):
            nth = len(addresses)
            addresses.append(_office_address(rank) if role is Role.OFFICE else _address(nth))
            names.append(_ptr_name(role, nth))
        weight = np.cumsum(10**6 // np.arange(1, size + 1, dtype=np.int64))
        reach.append((int(role) << 32) + (weight << 31) // weight[-1] * 2)

    people = [f"{given}.{family}" for family in _FAMILY for given in _GIVEN]
    machines = [f"bounces+{nth * 7_919 % 10**7:07d}-{nth % 89:02x}" for nth in range(4_000)]
    words: list[bytes] = [b""]
    spans = []
    for group in (
        [word.encode() for word in (*people, *machines)],
        [b"", *_GUESSED_USERS],
        ODD_LOCALS,
        (DNSBL_SENTENCE, *TRICK_SENDERS),
        (DNSBL_SENTENCE, REVERSE_DNS_SENTENCE),
    ):
        spans.append(range(len(words), len(words) + len(group)))
        words += group
    return Cast(
        addresses=tuple(addresses),
        names=tuple(names),
        locals=tuple(words),
        domains=(b"", *(f"@{_domain(nth)}".encode() for nth in range(pool))),
        ordinary=spans[0],
        people=spans[0][: len(people)],
        guessed=spans[1],
        odd=spans[2],
        tricks=spans[3],
        dnsbl=spans[4][0],
        reverse_dns=spans[4][1],
        reach=np.concatenate(reach),
    )


def _domain(nth: int) -> str:
    return f"{_TRADES[nth % len(_TRADES)]}{nth}.{_SUFFIXES[nth % len(_SUFFIXES)]}"


def _ptr_name(role: Role, nth: int) -> str:
    if role is Role.NAMELESS:
        return ""
    if role is Role.OFFICE:
        return f"pc{nth}.office.example.jp"
    if role is Role.PEER:
        return f"mail{nth % 7}.{_domain(nth)}"
    return f"host-{nth}.dyn.example.net"


def _office_address(rank: int) -> str:
    return f"10.{rank >> 14 & 255}.{rank >> 7 & 127}.{(rank & 127) + 10}"


def _address(nth: int) -> str:
    """Addresses nobody owns: documentation networks first, then the benchmarking network."""
    if nth % 8 == 5:
        return f"2001:db8:{nth:x}::{nth * 7 % 65_521 + 1:x}"
    if nth < 3 * 250:
        return f"{('192.0.2', '198.51.100', '203.0.113')[nth % 3]}.{nth // 3 + 1}"
    return f"198.{18 + (nth >> 16 & 1)}.{nth >> 8 & 255}.{nth & 255}"
