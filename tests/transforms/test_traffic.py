"""The traffic model: the same history each time, and one that a mail server could have seen."""

import datetime as dt
import hashlib
import ipaddress
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from transforms.simulation.cast import Deck, Dice, Role, Spread, cast_for
from transforms.simulation.scribe import chunks
from transforms.simulation.traffic import (
    DAY_MS,
    FATES,
    NEVER,
    SECOND_MS,
    Edition,
    Fate,
    Plan,
    host_lines,
)

PLAN = Plan(first_day=dt.date(2025, 6, 2), days=1, connections_per_day=3_000, seed=7)


def digest(plan: Plan) -> str:
    """Of all bytes and all truths."""
    sha = hashlib.sha256()
    for chunk in chunks(plan, truth=True):
        sha.update(f"{chunk.host} {chunk.file_date}\n".encode() + chunk.data)
        sha.update("\n".join(chunk.truth).encode())
    return sha.hexdigest()


@pytest.mark.parametrize("edition", Edition)
def test_equal_plans_give_equal_bytes(edition: Edition) -> None:
    plan = replace(PLAN, edition=edition, connections_per_day=300, hostility=0.05)
    assert digest(plan) == digest(replace(plan))
    assert digest(plan) != digest(replace(plan, seed=8))


def test_bytes_do_not_depend_on_the_version_of_python_or_numpy() -> None:
    """Whoever changes the model on purpose puts the new digest here."""
    plan = Plan(hosts=("MX1", "MX2"), connections_per_day=200, days=2, hostility=0.05)
    assert digest(plan) == "877ee2e7e68c1a46fee5efed91a08dcebddf1e487d34e1c0f05cb0e5b8cdc9ba"


def test_hosts_have_their_own_traffic() -> None:
    by_host: dict[str, bytes] = {}
    for chunk in chunks(replace(PLAN, hosts=("MX1", "MX2")), truth=False):
        by_host[chunk.host] = by_host.get(chunk.host, b"") + chunk.data
    assert by_host["MX1"].replace(b"mx1", b"mx2")[:1000] != by_host["MX2"][:1000]


def test_hostility_damages_lines_but_does_not_change_the_traffic() -> None:
    calm = b"".join(chunk.data for chunk in chunks(replace(PLAN, hostility=0), truth=False))
    rough = b"".join(chunk.data for chunk in chunks(replace(PLAN, hostility=0.1), truth=False))
    lines = set(calm.splitlines())
    same = sum(line in lines for line in rough.splitlines())
    assert same > 0.8 * len(lines)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hosts", ()),
        ("hosts", ("MX1", "mx1")),
        ("hosts", ("../MX1",)),
        ("days", 0),
        ("connections_per_day", 0),
        ("seed", -1),
        ("hostility", 1.1),
        ("first_day", dt.date(1999, 12, 31)),
        ("first_day", dt.date(2099, 12, 31)),
    ],
)
def test_an_impossible_plan_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"must|share|stay"):
        replace(PLAN, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("edition", Edition)
@pytest.mark.parametrize("connections", [1, 3_000, 200_000])
def test_lines_come_in_the_order_they_are_written(edition: Edition, connections: int) -> None:
    plan = replace(PLAN, edition=edition, connections_per_day=connections)
    cast = cast_for(connections)
    lines = np.concatenate(list(host_lines(plan, cast, 0)))
    assert (np.diff(lines["write_ms"]) >= 0).all()
    assert (lines["stamp_s"] <= lines["write_ms"] // SECOND_MS).all()
    accepts = lines[lines["fate"] < 0]
    assert len(np.unique(accepts["session"])) == len(accepts)
    accepted_ms = dict(zip(accepts["session"].tolist(), accepts["write_ms"].tolist(), strict=True))
    for session, write_ms in lines[lines["fate"] >= 0][["session", "write_ms"]].tolist():
        # Sessions of the warm-up have no accept line.
        assert accepted_ms.get(session, -1) < write_ms


@pytest.mark.parametrize("edition", Edition)
def test_message_ids_increase_with_the_time_of_mail_from(edition: Edition) -> None:
    lines = np.concatenate(list(host_lines(replace(PLAN, edition=edition), cast_for(3_000), 0)))
    numbered = lines[lines["id_ms"] != NEVER]
    assert (numbered["message_id"] > 0).all()
    assert (lines[lines["id_ms"] == NEVER]["message_id"] == 0).all()
    numbered = numbered[np.argsort(numbered["message_id"])]
    assert (np.diff(numbered["message_id"]) > 0).all()
    assert (np.diff(numbered["id_ms"]) >= 0).all()


def test_a_connection_has_one_verdict_at_most_before_4an() -> None:
    lines = np.concatenate(list(host_lines(PLAN, cast_for(3_000), 0)))
    verdicts = Counter(lines["session"][lines["fate"] >= 0].tolist())
    assert max(verdicts.values()) == 1


def test_4an_judges_every_message_and_every_silent_session() -> None:
    plan = replace(PLAN, edition=Edition.WIN_4AN)
    lines = np.concatenate(list(host_lines(plan, cast_for(3_000), 0)))
    verdicts = Counter(lines["session"][lines["fate"] >= 0].tolist())
    accepts = (lines["fate"] < 0).sum()
    assert max(verdicts.values()) >= 10
    assert 0.97 < len(verdicts) / accepts < 1.01  # only those refused at once have none


def test_a_day_looks_like_a_day() -> None:
    plan = replace(PLAN, connections_per_day=20_000)
    lines = np.concatenate(list(host_lines(plan, cast_for(20_000), 0)))
    accepts = lines[(lines["fate"] < 0) & (lines["write_ms"] < DAY_MS)]
    assert 18_000 < len(accepts) < 23_000
    hours = np.bincount(accepts["stamp_s"] // 3_600, minlength=24)
    assert hours[9:12].min() > 3 * hours[1:5].max()
    shares = {fate: (lines["fate"] == code).sum() / len(accepts) for code, fate in enumerate(FATES)}
    assert 0.10 < shares[Fate.DNSBL] < 0.25
    assert 0.03 < shares[Fate.AUTH] < 0.20
    assert 0 < shares[Fate.REVERSE_DNS] < 0.01
    assert all(share > 0 for share in shares.values())
    busiest = Counter(accepts["client"].tolist()).most_common(100)
    assert sum(count for _, count in busiest) > 0.3 * len(accepts)
    assert len(set(accepts["client"].tolist())) > 1_000


def test_week_ends_are_quiet() -> None:
    plan = replace(PLAN, first_day=dt.date(2025, 6, 6), days=2)  # Friday and Saturday
    lines = np.concatenate(list(host_lines(plan, cast_for(3_000), 0)))
    friday, saturday = np.bincount(lines["stamp_s"][lines["fate"] < 0] // 86_400)[:2]
    assert saturday < 0.75 * friday


def test_mail_from_usually_follows_the_connect_within_seconds_and_always_within_minutes() -> None:
    lines = np.concatenate(list(host_lines(PLAN, cast_for(3_000), 0)))
    accepts = lines[lines["fate"] < 0]
    accepted_s = dict(zip(accepts["session"].tolist(), accepts["stamp_s"].tolist(), strict=True))
    last = [FATES.index(fate) for fate in (Fate.AUTH, Fate.DNSBL, Fate.POLICY)]
    waits = [
        stamp_s - accepted_s[session]
        for session, stamp_s, fate in lines[["session", "stamp_s", "fate"]].tolist()
        if fate in last and session in accepted_s
    ]
    assert min(waits) == 0
    assert np.percentile(waits, 90) <= 30
    assert max(waits) > 30


def test_clients_have_canonical_addresses_of_both_kinds_that_nobody_owns() -> None:
    cast = cast_for(100_000)
    assert len(set(cast.addresses)) == len(cast.addresses) == len(cast.names)
    parsed = [ipaddress.ip_address(address) for address in cast.addresses]
    assert [str(address) for address in parsed] == list(cast.addresses)
    assert {address.version for address in parsed} == {4, 6}
    assert not any(address.is_global for address in parsed)


def test_a_role_only_picks_its_own_clients() -> None:
    cast = cast_for(1_000)
    picked = [
        set(cast.pick_clients(Dice(1), np.full(5_000, role, np.int64)).tolist()) for role in Role
    ]
    assert all(max(one) < min(other) for one, other in pairwise(picked))
    assert max(picked[-1]) < len(cast.addresses)


def test_odds_must_add_up() -> None:
    with pytest.raises(ValueError, match="1000 permille"):
        Deck({0: 500, 1: 499})


def test_a_spread_stays_within_its_knots() -> None:
    drawn = Spread((0, 10), (900, 20), (1_000, 1_000)).draw(Dice(3), 10_000)
    assert drawn.min() >= 10
    assert drawn.max() < 1_000
    assert 0.88 < (drawn < 20).mean() < 0.92
