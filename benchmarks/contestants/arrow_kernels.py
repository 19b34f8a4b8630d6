"""Arrow's string kernels on blocks of lines, two ways, on all cores.

What the kernels do not prove well-formed is read by `python_re`, line by line.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.contestants import python_re
from benchmarks.contestants.columns import COLUMNS

_BLOCK_BYTES = 4 << 20

_ACCEPT = b", Client accept now."
_NO_IDS = pa.array([b"B0000000000", b"000000000000", b""])
_ID = r"B[0-9]{10}|B[0-9][1-9a-c][0-9]{10}|0{12}|"
_STAMP = r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}"
_PATTERN = (
    rf"(?s)^\[(?P<stamp>{_STAMP})\], \((?P<server>[^)]*)\), (?P<peer>[^\[]*)"
    r"\[(?P<client>[^\]]*)\](?::(?P<port>[1-9][0-9]{0,4})(?P<tls> SSL)?(?P<accept>"
    r", Client accept now\.)|, (?P<subject>.*),<(?P<id>"
    rf"{_ID})>,(?P<status>ok|abort|connection timeout))$"
)
_AUTH = (
    r"(?s)^AUTH-(?P<mechanism>PLAIN|LOGIN|CRAM-MD5|XAOUTH2|unknown):"
    r"(?P<user>.*) \[(?P<outcome>success|failed)\]$"
)

_SHORTEST = len("[03/Jun/2026:09:00:01], (") + len(_ACCEPT)
"""`binary_slice` may fail on shorter ones, and always does without a stop."""

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class _Lines:
    """Some lines of a block, by number, and the pieces found in them so far.

    Each step finds one more piece; a line in which it is not there drops out.
    """

    def __init__(self, rows: Rows, **pieces: pa.Array) -> None:
        self.rows = rows
        self._pieces = pieces

    def __getitem__(self, name: str) -> pa.Array:
        return self._pieces[name]

    def having(self, is_there: pa.Array) -> "_Lines":
        """The lines for which something is true."""
        if pc.all(is_there).as_py():
            return self
        return _Lines(
            self.rows[is_there.to_numpy(zero_copy_only=False)],
            **{name: piece.filter(is_there) for name, piece in self._pieces.items()},
        )

    def adding(self, **pieces: pa.Array) -> "_Lines":
        """The same lines with more pieces, or others in their place."""
        return _Lines(self.rows, **(self._pieces | pieces))

    def split(
        self, name: str, at: bytes, before: str, after: str, *, last: bool = False
    ) -> "_Lines":
        """Cut a piece in two where a text first, or last, stands in it."""
        parts = pc.split_pattern(self[name], at, max_splits=1, reverse=last)
        is_there = pc.equal(pc.list_value_length(parts), 2)
        texts = parts.filter(is_there).flatten()
        even = pa.array(np.arange(0, len(texts), 2))
        pieces = {before: texts.take(even), after: texts.take(pc.add(even, 1))}
        return self.having(is_there).adding(**pieces)


_Finder = Callable[[pa.Array], tuple[_Lines, _Lines]]
"""Finds accepts and verdicts among lines, with their pieces."""


def by_pattern(log: str, out: str) -> dict[str, str]:
    """One regular expression for both kinds of line."""
    return _parse(log, out, _match)


def by_position(log: str, out: str) -> dict[str, str]:
    """Slices and splits."""
    return _parse(log, out, _cut)


def _parse(log: str, out: str, find: _Finder) -> dict[str, str]:
    cores = len(os.sched_getaffinity(0))
    with (
        ThreadPoolExecutor(cores) as pool,
        pq.ParquetWriter(out, COLUMNS, compression="zstd", compression_level=1) as writer,
    ):
        pending: deque[Future[pa.Table]] = deque()
        numbered = 0

        def write(table: pa.Table) -> int:
            numbers = pa.array(np.arange(numbered + 1, numbered + 1 + len(table)))
            writer.write_table(table.add_column(0, "line_no", numbers))
            return numbered + len(table)

        for block in _blocks(log):
            pending.append(pool.submit(_events, block, find))
            if len(pending) > 2 * cores:
                numbered = write(pending.popleft().result())
        while pending:
            numbered = write(pending.popleft().result())
    return {"events": out}


def _blocks(log: str) -> Iterator[bytes]:
    rest = b""
    with Path(log).open("rb", buffering=0) as content:
        while chunk := content.read(_BLOCK_BYTES):
            cut = chunk.rfind(b"\n") + 1
            if cut:
                yield rest + chunk[:cut]
                rest = b""
            rest += chunk[cut:]
    if rest:
        yield rest


def _match(lines: pa.Array) -> tuple[_Lines, _Lines]:
    found = pc.extract_regex(lines, _PATTERN)
    is_found = found.is_valid()
    pieces = dict(zip(found.type.names, found.filter(is_found).flatten(), strict=True))
    pieces |= {"tls": pc.equal(pieces["tls"], b" SSL")}
    both = _Lines(np.flatnonzero(is_found), **pieces)
    is_accept = pc.equal(both["accept"], _ACCEPT)
    accepts = both.having(pc.and_(is_accept, pc.equal(both["peer"], b"")))
    return accepts, both.having(pc.invert(is_accept))


def _cut(lines: pa.Array) -> tuple[_Lines, _Lines]:
    both = _Lines(np.arange(len(lines)), line=lines)
    both = both.having(pc.greater(pc.binary_length(lines), _SHORTEST))
    both = both.having(pc.equal(pc.binary_slice(both["line"], 21, 25), b"], ("))
    both = both.having(pc.starts_with(both["line"], b"["))
    is_accept = pc.ends_with(both["line"], _ACCEPT)

    accepts = both.having(is_accept)
    accepts = accepts.adding(
        stamp=pc.binary_slice(accepts["line"], 1, 21),
        line=pc.binary_slice(accepts["line"], 25, -len(_ACCEPT)),
    )
    accepts = accepts.split("line", b"), [", "server", "line").split(
        "line", b"]:", "client", "port"
    )
    tls = pc.ends_with(accepts["port"], b" SSL")
    port = pc.replace_substring(accepts["port"], b" SSL", b"", max_replacements=1)
    accepts = accepts.adding(tls=tls, port=port)
    accepts = accepts.having(pc.match_substring_regex(port, "^[1-9][0-9]{0,4}$"))

    verdicts = both.having(pc.invert(is_accept))
    verdicts = verdicts.split("line", b",<", "line", "result", last=True)
    verdicts = verdicts.split("result", b">,", "id", "status")
    verdicts = verdicts.having(
        pc.and_(
            pc.is_in(verdicts["status"], pa.array([b"ok", b"abort", b"connection timeout"])),
            pc.match_substring_regex(verdicts["id"], f"^(?:{_ID})$"),
        )
    )
    verdicts = verdicts.having(pc.greater(pc.binary_length(verdicts["line"]), 25))
    verdicts = verdicts.adding(
        stamp=pc.binary_slice(verdicts["line"], 1, 21),
        line=pc.binary_slice(verdicts["line"], 25, 1 << 30),
    )
    verdicts = verdicts.split("line", b"), ", "server", "line")
    verdicts = verdicts.split("line", b"[", "peer", "line").split(
        "line", b"], ", "client", "subject"
    )
    return accepts, verdicts


def _events(block: bytes, find: _Finder) -> pa.Table:
    """The events of a block, without line numbers."""
    lines = pc.split_pattern(pa.array([block], pa.binary()), b"\n").flatten()
    if block.endswith(b"\n"):
        lines = lines.slice(0, len(lines) - 1)
    has_cr = pc.ends_with(lines, b"\r")
    if pc.all(has_cr).as_py():
        lines = pc.binary_slice(lines, 0, -1)
    elif pc.any(has_cr).as_py():
        lines = pc.replace_substring_regex(lines, "\r$", "")
    is_plain = pc.string_is_ascii(lines.view(pa.string()))
    if b"\0" in block or block.count(b"\r") != pc.sum(has_cr).as_py():
        is_odd = pc.or_(pc.match_substring(lines, b"\0"), pc.match_substring(lines, b"\r"))
        is_plain = pc.and_(is_plain, pc.invert(is_odd))
    plain = np.flatnonzero(is_plain)
    accepts, verdicts = map(_checked, find(lines.filter(is_plain)))
    accept_rows, verdict_rows = plain[accepts.rows], plain[verdicts.rows]

    is_read = np.zeros(len(lines), np.bool_)
    is_read[accept_rows] = is_read[verdict_rows] = True
    rest = np.flatnonzero(~is_read)
    texts = lines.take(pa.array(rest)).to_pylist()
    tables = [_accept_table(accepts), _verdict_table(verdicts), _slow_table(texts)]
    order = np.argsort(np.concatenate([accept_rows, verdict_rows, rest]))
    return pa.concat_tables(tables).combine_chunks().take(pa.array(order))


def _checked(found: _Lines) -> _Lines:
    """Those with a possible time, server and address; `ts` is among their pieces."""
    stamps = found["stamp"].dictionary_encode()
    texts = stamps.dictionary.view(pa.string())
    ts = pc.strptime(texts, format="%d/%b/%Y:%H:%M:%S", unit="us", error_is_null=True)
    # It takes 31 February for 3 March.
    is_day = pc.equal(
        pc.cast(pc.day(ts), pa.string()), pc.ascii_ltrim(pc.utf8_slice_codeunits(texts, 0, 2), "0")
    )
    is_stamp = pc.and_(pc.match_substring_regex(texts, f"^{_STAMP}$"), is_day)
    ts = pc.if_else(is_stamp, ts, None)
    servers, clients = (found[name].dictionary_encode() for name in ("server", "client"))
    is_server = pc.invert(pc.match_substring(servers.dictionary, b")"))
    is_client = pa.array(map(python_re.is_address, clients.dictionary.to_pylist()), pa.bool_())
    found = found.adding(ts=ts.take(stamps.indices))
    is_good = pc.and_(found["ts"].is_valid(), is_client.take(clients.indices))
    return found.having(pc.and_(is_good, is_server.take(servers.indices)))


def _accept_table(found: _Lines) -> pa.Table:
    return _table(
        len(found.rows),
        kind=pa.repeat("accept", len(found.rows)),
        ts=found["ts"],
        server_name=found["server"],
        client_ip=found["client"],
        port=found["port"].view(pa.string()).cast(pa.int32()),
        tls=found["tls"],
    )


def _verdict_table(found: _Lines) -> pa.Table:
    subject, status, peer = found["subject"], found["status"], found["peer"]
    has_gap = pc.any(pc.ends_with(peer, b" ")).as_py()
    has_id = pc.invert(pc.is_in(found["id"], _NO_IDS))
    auth = pc.extract_regex(
        pc.if_else(pc.starts_with(subject, b"AUTH-"), subject, pa.scalar(None, pa.binary())), _AUTH
    )
    is_auth = auth.is_valid()
    mechanism, user, outcome = (auth.field(nth) for nth in range(3))
    nothing = pa.scalar(None, pa.binary())
    mechanism, user, outcome = (
        pc.if_else(is_auth, each, nothing) for each in (mechanism, user, outcome)
    )
    is_refused = pc.and_(pc.equal(status, b"abort"), pc.invert(has_id))
    is_dnsbl = pc.and_(is_refused, pc.equal(subject, b"It was in the ORDB IP."))
    is_reverse_dns = pc.and_(is_refused, pc.equal(subject, b'"Revers DNS" was failed.'))
    no_sender = pc.or_(is_auth, pc.or_(is_dnsbl, is_reverse_dns))
    cases = {
        "accepted": pc.equal(status, b"ok"),
        "timeout": pc.equal(status, b"connection timeout"),
        "rejected_content": has_id,
        "rejected_dnsbl": is_dnsbl,
        "rejected_reverse_dns": is_reverse_dns,
        "rejected_auth": pc.fill_null(pc.equal(outcome, b"failed"), fill_value=False),
    }
    return _table(
        len(found.rows),
        kind=pa.repeat("verdict", len(found.rows)),
        ts=found["ts"],
        server_name=found["server"],
        client_ip=found["client"],
        peer_name=pc.replace_substring_regex(peer, " $", "") if has_gap else peer,
        sender=pc.if_else(no_sender, nothing, subject),
        auth_mechanism=mechanism,
        auth_user=user,
        auth_success=pc.equal(outcome, b"success"),
        message_id=pc.if_else(has_id, found["id"], nothing),
        status=status,
        verdict=pc.case_when(
            pc.make_struct(*cases.values(), field_names=list(cases)),
            *map(pa.scalar, cases),
            pa.scalar("rejected_policy"),
        ),
    )


def _slow_table(lines: list[bytes]) -> pa.Table:
    rows = python_re.rows(enumerate(lines, 1))
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    fields = zip(columns, COLUMNS, strict=True)
    return pa.table(
        [pa.array(values, field.type) for values, field in fields], schema=COLUMNS
    ).drop("line_no")


def _table(count: int, **columns: pa.Array) -> pa.Table:
    def column(field: pa.Field) -> pa.Array:
        if field.name not in columns:
            return pa.nulls(count, field.type)
        values = columns[field.name]
        return values.view(pa.string()) if values.type == pa.binary() else values

    return pa.table({field.name: column(field) for field in COLUMNS if field.name != "line_no"})
