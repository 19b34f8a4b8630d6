-- grain: date, hour, verdict
-- The rows of connection_to_verdict_latency_hourly for the days at hand.
with latencies as (
    select
        date,
        hour,
        class as verdict,
        latency_s,
        sum(n) as n,
        coalesce(sum(n) filter (where pairing = 'only'), 0) as n_sure
    from hourly_counts
    where subject = 'verdict' and pairing in ('only', 'nearest')
    group by date, hour, class, latency_s
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
        everywhere as (partition by date, hour, verdict),
        up_to_here as (partition by date, hour, verdict order by latency_s)
),

final as (
    select
        date,
        hour,
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
    group by date, hour, verdict
)

select * from final order by date, hour, verdict;
