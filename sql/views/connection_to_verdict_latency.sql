-- grain: host, date, verdict
-- How long clients wait: seconds from the connect to the first MAIL FROM or the last AUTH result.
-- That is the time the log stamps verdicts with; when the verdict itself fell is not in the log.
-- Only the first message of a connection counts: further ones (pairing `continued`) would measure
-- the session, not the wait. Percentiles are exact: the smallest latency that at least this share
-- of the pairs does not exceed.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file of the verdict.
-- verdict: accepted, rejected_dnsbl, rejected_reverse_dns, rejected_auth, rejected_policy,
--   rejected_content or timeout; DNSBL and reverse-DNS refusals always take 0 s.
-- pairs: Verdicts that answer a connection (pairing `only` or `nearest`); no row without any.
-- avg_s: Mean latency.
-- p50_s: Median latency.
-- p90_s: 90th percentile.
-- p95_s: 95th percentile.
-- p99_s: 99th percentile.
-- max_s: Longest latency; pairing looks back 600 s.
-- sure_pairs: Of the pairs, those without a rival (pairing `only`).
-- p95_sure_s: 95th percentile of these. Null = there are none.
create or replace view connection_to_verdict_latency as
with latencies as (
    select
        host,
        date,
        class as verdict,
        latency_s,
        sum(n) as n,
        coalesce(sum(n) filter (where pairing = 'only'), 0) as n_sure
    from hourly_counts
    where subject = 'verdict' and pairing in ('only', 'nearest')
    group by host, date, class, latency_s
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
        everywhere as (partition by host, date, verdict),
        up_to_here as (partition by host, date, verdict order by latency_s)
),

final as (
    select
        host,
        date,
        verdict,
        cast(sum(n) as bigint) as pairs,
        cast(sum(n * latency_s) as double) / sum(n) as avg_s,
        min(latency_s) filter (where 100 * n_up_to_here >= 50 * n_everywhere) as p50_s,
        min(latency_s) filter (where 100 * n_up_to_here >= 90 * n_everywhere) as p90_s,
        min(latency_s) filter (where 100 * n_up_to_here >= 95 * n_everywhere) as p95_s,
        min(latency_s) filter (where 100 * n_up_to_here >= 99 * n_everywhere) as p99_s,
        max(latency_s) as max_s,
        cast(sum(n_sure) as bigint) as sure_pairs,
        min(latency_s) filter (
            where n_sure_everywhere > 0 and 100 * n_sure_up_to_here >= 95 * n_sure_everywhere
        ) as p95_sure_s
    from ranked
    group by host, date, verdict
)

select * from final order by host, date, verdict;
