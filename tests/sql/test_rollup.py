"""What is read from the rollup equals what verdicts and connections say, on simulated traffic."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from lakes import ingest, opened

from flows.simulate import Edition, Plan, simulate

COUNTS = """
    select
        host,
        date,
        {hour}
        count(*) filter (where subject = 'connection') as connections,
        count(*) filter (where subject = 'connection' and class <> 'no_verdict')
            as answered_connections,
        count(*) filter (where subject = 'verdict') as verdicts,
        count(*) filter (where class = 'accepted' and subject = 'verdict') as accepted,
        count(*) filter (where class like 'rejected\\_%' escape '\\') as rejected,
        count(*) filter (where class = 'timeout') as timed_out,
        count(*) filter (where class = 'no_verdict') as no_verdict_connections,
        count(*) filter (where class = 'accepted' and subject = 'verdict')
            / nullif(count(*) filter (where subject = 'verdict'), 0) as verdict_acceptance_rate,
        count(*) filter (where class in ('accepted', 'mixed') and subject = 'connection')
            / nullif(
                count(*) filter (where subject = 'connection' and class <> 'no_verdict'), 0
            ) as connection_acceptance_rate
    from (
        select host, date, hour(ts) as hour, 'verdict' as subject, verdict as class from verdicts
        union all
        select host, date, hour(connected_at), 'connection', outcome from connections
    )
    group by all
    order by all
"""

LATENCIES = """
    select
        host,
        date,
        {hour}
        verdict,
        count(*) as pairs,
        avg(latency_s) as avg_s,
        quantile_disc(latency_s, 0.5) as p50_s,
        quantile_disc(latency_s, 0.9::decimal(2, 1)) as p90_s,
        quantile_disc(latency_s, 0.95::decimal(3, 2)) as p95_s,
        quantile_disc(latency_s, 0.99::decimal(3, 2)) as p99_s,
        max(latency_s) as max_s,
        count(*) filter (where pairing = 'only') as sure_pairs,
        quantile_disc(latency_s, 0.95::decimal(3, 2)) filter (where pairing = 'only') as p95_sure_s
    from (select *, hour(ts) as hour from verdicts)
    where pairing in ('only', 'nearest')
    group by all
    order by all
"""

BY_NETWORK = """
    select
        client_network(client_ip) as network,
        count(*) as pairs,
        quantile_disc(latency_s, 0.5) as p50_s,
        quantile_disc(latency_s, 0.95::decimal(3, 2)) as p95_s,
        quantile_disc(latency_s, 0.99::decimal(3, 2)) as p99_s,
        max(latency_s) as max_s,
        count(*) filter (where pairing = 'only') as sure_pairs,
        quantile_disc(latency_s, 0.95::decimal(3, 2)) filter (where pairing = 'only') as p95_sure_s
    from verdicts
    where pairing in ('only', 'nearest')
    group by network
    order by p95_s desc, pairs desc, network
"""

REASONS = """
    with rejected as (
        select host, date, verdict, count(*) as verdicts
        from verdicts
        where verdict like 'rejected%'
        group by all
    )
    select *, verdicts / sum(verdicts) over (partition by host, date) as share
    from rejected
    order by host, date, verdict
"""


@pytest.fixture(scope="module", params=Edition)
def simulated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    folder: Path = tmp_path_factory.mktemp("simulated")
    plan = Plan(
        edition=request.param, hosts=("MX1", "MX2"), days=3, connections_per_day=700, seed=5
    )
    simulate(folder / "mail", plan, truth=False)
    with opened(ingest(folder / "mail", folder / "lake")) as connection:
        yield connection


@pytest.mark.parametrize(
    ("view", "from_rows"),
    [
        ("acceptance_rate_daily", COUNTS.format(hour="")),
        ("acceptance_rate_hourly where connections + verdicts > 0", COUNTS.format(hour="hour,")),
        ("connection_to_verdict_latency", LATENCIES.format(hour="")),
        ("connection_to_verdict_latency_hourly", LATENCIES.format(hour="hour,")),
        ("latency_tail_by_network", BY_NETWORK),
        ("reject_reasons_daily", REASONS),
    ],
)
def test_rollup_gives_what_the_rows_give(
    view: str, from_rows: str, simulated: duckdb.DuckDBPyConnection
) -> None:
    answer = simulated.execute(f"from {view}")
    columns = [column[0] for column in answer.description]
    rows = answer.fetchall()
    expected = simulated.execute(from_rows)
    assert [column[0] for column in expected.description] == columns
    assert rows == expected.fetchall()
    assert rows


def test_hours_add_up_to_days(simulated: duckdb.DuckDBPyConnection) -> None:
    counts = "sum(columns('connections|verdicts|accepted|rejected|timed_out'))"
    summed = f"select {counts} from acceptance_rate_{{}} group by host, date order by host, date"
    daily = simulated.execute(summed.format("daily")).fetchall()
    assert simulated.execute(summed.format("hourly")).fetchall() == daily
