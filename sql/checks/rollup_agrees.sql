-- severity: fail
-- The rollup that the rates and latencies are read from says what verdicts and connections say.
with recounted as (
    select
        host,
        date,
        cast(hour(connected_at) as integer) as hour,
        'connection' as subject,
        outcome as class,
        pairing,
        latency_s,
        count(*) as n
    from connections
    where is_checked(date)
    group by all
    union all
    select
        host,
        date,
        cast(hour(ts) as integer) as hour,
        'verdict' as subject,
        verdict as class,
        pairing,
        latency_s,
        count(*) as n
    from verdicts
    where is_checked(date)
    group by all
),

-- Each combination once from here and once from there; what agrees cancels out.
differences as (
    select host, date, hour, subject, class, pairing, latency_s, n as in_rollup, 0 as in_tables
    from hourly_counts
    where is_checked(date)
    union all
    select host, date, hour, subject, class, pairing, latency_s, 0 as in_rollup, n as in_tables
    from recounted
),

final as (
    select
        host,
        date,
        hour,
        subject,
        class,
        pairing,
        latency_s,
        sum(in_rollup) as in_rollup,
        sum(in_tables) as in_tables
    from differences
    group by host, date, hour, subject, class, pairing, latency_s
    having sum(in_rollup) <> sum(in_tables) or count(*) > 2
)

select * from final order by host, date, hour, subject, class, pairing, latency_s;
