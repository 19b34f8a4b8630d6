"""The scalar macros and `lines`: what they show of an address, of bytes and of a line."""

from collections.abc import Callable
from datetime import date, datetime
from ipaddress import IPv6Address, ip_address, ip_network

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lakes import Logs, opened

from flows import catalog
from flows.lake import Lake
from flows.simulate import Edition, Plan, simulate
from transforms.grammar import decode_text


def shown(macro: str, values: list[str] | list[bytes]) -> list[str]:
    """What a macro makes of each value."""
    with duckdb.connect() as connection:
        catalog.define(connection, "", ())
        each = f"select {macro}(value) from (select unnest(?) as value)"
        return [text for (text,) in connection.execute(each, [values]).fetchall()]


def network_of(address: str) -> str:
    """By the standard library, what `client_network` is to give."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and "." in address:
        parsed = parsed.ipv4_mapped or parsed
    return str(ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))


def gappy(number: int, kept: int) -> IPv6Address:
    """An address some of whose groups are zero."""
    groups = [0xFFFF << 16 * n for n in range(8) if kept >> n & 1]
    return IPv6Address(number & sum(groups))


ADDRESSES = (
    st.ip_addresses(v=4).map(str)
    | st.builds(gappy, st.integers(0, 2**128 - 1), st.integers(0, 255)).flatmap(
        lambda address: st.sampled_from([str(address), address.exploded, str(address).upper()])
    )
    | st.ip_addresses(v=4).map(lambda address: f"::ffff:{address}")
    | st.ip_addresses(v=4).map(lambda address: f"64:ff9b::{address}")
    | st.sampled_from(["::", "::1", "1::", "fe80::1%eth0", "fe80::1%a.b", "::FFFF:192.0.2.1%1"])
    | st.just("1:2::a:b:c:192.0.2.1")
)


@settings(max_examples=20, deadline=None)
@given(st.lists(ADDRESSES, min_size=1, max_size=100))
def test_networks_are_those_of_the_standard_library(addresses: list[str]) -> None:
    assert shown("client_network", addresses) == [network_of(address) for address in addresses]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(), min_size=1, max_size=100))
def test_printable_bytes_are_ascii_and_tell_all(values: list[bytes]) -> None:
    for text, value in zip(shown("printable", values), values, strict=True):
        assert text.isascii()
        assert not text or text.isprintable()
        assert text.encode().decode("unicode_escape").encode("latin-1") == value


@pytest.mark.parametrize("edition", [Edition.WIN, Edition.BSD])
def test_lines_show_what_the_log_says(
    edition: Edition, lake_of: Callable[[Logs], Lake], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = tmp_path_factory.mktemp("mail")
    plan = Plan(edition=edition, days=1, connections_per_day=500, hostility=0.05)
    (log, *_) = simulate(source, plan, truth=False).files
    content = log.read_bytes()
    day = datetime.strptime(log.stem, "%y%m%d").date()
    with opened(lake_of({("MX1", day): content})) as connection:
        rows = connection.execute("""
            select lines.line, events.raw
            from lines
            join events using (host, date, line_no)
            order by line_no
        """).fetchall()
    logged = content.splitlines() if edition is Edition.BSD else content.split(b"\n")[:-1]
    assert len(rows) == len(logged)
    for (line, raw), original in zip(rows, logged, strict=True):
        if raw is not None:
            assert line.isascii()
        else:
            text = decode_text(original.removesuffix(b"\r"))
            assert line == "".join(c if c.isprintable() else "�" for c in text)


def test_control_characters_in_an_auth_user_are_suspect(lake_of: Callable[[Logs], Lake]) -> None:
    log = (
        b"[03/Jun/2026:09:00:00], (mx1), [203.0.113.5]:587, Client accept now.\n"
        b"[03/Jun/2026:09:00:01], (mx1), 203.0.113.5[203.0.113.5], AUTH-PLAIN:a\rb [failed],"
        b"<B0000000000>,abort\n"
    )
    with opened(lake_of({("MX1", date(2026, 6, 3)): log})) as connection:
        rows = connection.execute("select line_no, reason, raw from suspect_lines").fetchall()
    line = (
        "[03/Jun/2026:09:00:01], (mx1), 203.0.113.5[203.0.113.5], AUTH-PLAIN:a�b [failed],"
        "<B0000000000>,abort"
    )
    assert rows == [(2, "control character in the AUTH user", line)]
