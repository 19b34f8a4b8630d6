"""Views that compare weeks: `rejection_trend_…` and `unusual_days`."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta

from lakes import Logs, opened

from flows.lake import Lake

LAST = date(2026, 6, 30)


def log(day: date, verdicts: Iterable[tuple[str, str, bool]]) -> bytes:
    """A log of connections with one verdict each: client, sender and whether it is accepted."""
    lines = []
    for n, (client, sender, is_accepted) in enumerate(verdicts):
        head = f"[{day:%d/%b/%Y}:{n // 60:02}:{n % 60:02}:00], (mx1), "
        result = "<B0000000001>,ok" if is_accepted else "<B0000000000>,abort"
        lines += [
            f"{head}[{client}]:25, Client accept now.",
            f"{head}{client}[{client}], {sender},{result}",
        ]
    return "".join(f"{line}\n" for line in lines).encode()


def test_trend_compares_the_last_week_with_the_mean_of_the_four_before(
    lake_of: Callable[[Logs], Lake],
) -> None:
    grown = ("192.0.2.1", "a@mail.kita.co.jp", False)
    steady = ("198.51.100.1", "b@minami.example", False)
    new = ("2001:db8::1", "c@[192.0.2.7]", False)
    logs = {("MX1", LAST - timedelta(n)): log(LAST, []) for n in range(36)}
    # Each on one day of its own. The day before the five weeks does not count.
    for days_ago, verdicts in {
        35: [grown] * 9,
        34: [grown] * 2,
        20: [steady] * 4,
        7: [grown] * 2 + [(*grown[:2], True)] * 4,
        6: [grown] * 5,
        1: [steady],
        0: [new] * 3 + [("203.0.113.1", "d@higashi.example", True)],
    }.items():
        day = LAST - timedelta(days_ago)
        logs["MX1", day] = log(day, verdicts)
    with opened(lake_of(logs)) as connection:
        domains = connection.execute("from rejection_trend_domains").fetchall()
        networks = connection.execute("from rejection_trend_networks").fetchall()
    assert domains == [
        ("kita.co.jp", 5, 1.0, 5.0, 1.0, 0.5),
        ("[192.0.2.7]", 3, 0.0, None, 1.0, None),
        ("minami.example", 1, 1.0, 1.0, 1.0, 1.0),
    ]
    assert networks == [
        ("192.0.2.0/24", 5, 1.0, 5.0, 1.0, 0.5),
        ("2001:db8::/64", 3, 0.0, None, 1.0, None),
        ("198.51.100.0/24", 1, 1.0, 1.0, 1.0, 1.0),
    ]


def test_trend_of_a_young_lake_scales_by_the_days_it_has(lake_of: Callable[[Logs], Lake]) -> None:
    verdict = ("192.0.2.1", "a@kita.co.jp", False)
    logs = {("MX1", LAST - timedelta(n)): log(LAST - timedelta(n), [verdict] * 2) for n in range(9)}
    only_week = {key: content for key, content in logs.items() if key[1] > LAST - timedelta(7)}
    with opened(lake_of(only_week)) as connection:
        assert connection.execute("from rejection_trend_domains").fetchall() == [
            ("kita.co.jp", 14, None, None, 1.0, None)
        ]
    with opened(lake_of(logs)) as connection:
        assert connection.execute("from rejection_trend_domains").fetchall() == [
            ("kita.co.jp", 14, 14.0, 1.0, 1.0, 1.0)
        ]


def test_unusual_days_stand_out_from_the_same_weekday_before(
    lake_of: Callable[[Logs], Lake],
) -> None:
    good, bad = ("192.0.2.1", "a@kita.co.jp", True), ("192.0.2.1", "a@kita.co.jp", False)
    logs = {}
    for week in range(8):
        tuesday, sunday = LAST - timedelta(7 * week), LAST - timedelta(7 * week + 2)
        logs["MX1", tuesday] = log(tuesday, [good] * (40 + week % 3) + [bad] * 10)
        logs["MX1", sunday] = log(sunday, [good] * 4 + [bad])
    outage, refusals = LAST - timedelta(7), LAST
    logs["MX1", outage] = log(outage, [good] * 16 + [bad] * 4)
    # The outage a week before does not make this look usual.
    logs["MX1", refusals] = log(refusals, [good] * 10 + [bad] * 40)
    with opened(lake_of(logs)) as connection:
        rows = connection.execute("from unusual_days").fetchall()
    assert [row[:6] for row in rows] == [
        ("MX1", outage, 2, 6, 20, 51.0),
        ("MX1", refusals, 2, 7, 50, 51.0),
    ]
    # MAD of 50, 51 or 52 connections is 1 or less; 5 % of 51 is more.
    assert rows[0][6] == 0.6745 * (20 - 51) / (0.05 * 51)
    assert rows[1][7] == 0.2
    assert rows[1][9] < -3.5
