-- grain: network
-- Which client networks take long to get to MAIL FROM or through AUTH, over the whole lake; the
-- slowest first. Definitions as in connection_to_verdict_latency.
--
-- network: /24 of an IPv4 client address, /64 of an IPv6 one.
-- pairs: Verdicts that answer a connection (pairing `only` or `nearest`); no row without any.
-- p50_s: Median latency.
-- p95_s: 95th percentile.
-- p99_s: 99th percentile.
-- max_s: Longest latency; pairing looks back 600 s.
-- sure_pairs: Of the pairs, those without a rival (pairing `only`).
-- p95_sure_s: 95th percentile of these. Null = there are none.
create or replace view latency_tail_by_network as
with by_client as (
    select
        client_ip,
        latency_s,
        count(*) as n,
        count(*) filter (where pairing = 'only') as n_sure
    from verdicts
    where pairing in ('only', 'nearest')
    group by client_ip, latency_s
),

latencies as (
    select
        client_network(client_ip) as network,
        latency_s,
        sum(n) as n,
        sum(n_sure) as n_sure
    from by_client
    group by network, latency_s
),

ranked as (
    select
        *,
        sum(n) over up_to_here as n_up_to_here,
        sum(n) over everywhere as n_everywhere,
        sum(n_sure) over up_to_here as n_sure_up_to_here,
        sum(n_sure) over everywhere as n_sure_everywhere
    from latencies
    window
        everywhere as (partition by network),
        up_to_here as (partition by network order by latency_s)
),

final as (
    select
        network,
        cast(sum(n) as bigint) as pairs,
        min(latency_s) filter (where 100 * n_up_to_here >= 50 * n_everywhere) as p50_s,
        min(latency_s) filter (where 100 * n_up_to_here >= 95 * n_everywhere) as p95_s,
        min(latency_s) filter (where 100 * n_up_to_here >= 99 * n_everywhere) as p99_s,
        max(latency_s) as max_s,
        cast(sum(n_sure) as bigint) as sure_pairs,
        min(latency_s) filter (
            where n_sure_everywhere > 0 and 100 * n_sure_up_to_here >= 95 * n_sure_everywhere
        ) as p95_sure_s
    from ranked
    group by network
)

select * from final order by p95_s desc, pairs desc, network;
