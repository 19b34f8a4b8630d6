-- severity: fail
-- The daily and hourly views, whose rows are kept ready in summaries, say what the rollup says. The
-- next ingest makes anew what is missing; with --force, all.
with counted as (
    select
        host,
        date,
        sum(n) as lines,
        sum(n) filter (where subject = 'verdict' and pairing in ('only', 'nearest')) as pairs,
        sum(n) filter (where subject = 'verdict' and starts_with(class, 'rejected_')) as rejected
    from hourly_counts
    where is_checked(date)
    group by host, date
),

in_rollup as (
    select 'acceptance_rate_daily' as view, host, date, lines as n from counted
    union all
    select 'acceptance_rate_hourly' as view, host, date, lines as n from counted
    union all
    select 'connection_to_verdict_latency' as view, host, date, pairs as n from counted
    union all
    select 'connection_to_verdict_latency_hourly' as view, host, date, pairs as n from counted
    union all
    select 'reject_reasons_daily' as view, host, date, rejected as n from counted
),

kept as (
    select 'acceptance_rate_daily' as view, host, date, connections + verdicts as n
    from acceptance_rate_daily
    union all
    select 'acceptance_rate_hourly' as view, host, date, connections + verdicts as n
    from acceptance_rate_hourly
    union all
    select 'connection_to_verdict_latency' as view, host, date, pairs as n
    from connection_to_verdict_latency
    union all
    select 'connection_to_verdict_latency_hourly' as view, host, date, pairs as n
    from connection_to_verdict_latency_hourly
    union all
    select 'reject_reasons_daily' as view, host, date, verdicts as n
    from reject_reasons_daily
),

in_summaries as (
    select view, host, date, sum(n) as n
    from kept
    where is_checked(date)
    group by view, host, date
),

final as (
    select
        host,
        date,
        view,
        coalesce(in_rollup.n, 0) as in_rollup,
        coalesce(in_summaries.n, 0) as in_summaries
    from in_rollup
    full join in_summaries using (host, date, view)
    where coalesce(in_rollup.n, 0) <> coalesce(in_summaries.n, 0)
)

select * from final order by host, date, view;
