-- grain: date, hour
-- The rows of acceptance_rate_hourly for the days at hand.
with hours as (
    select date, cast(hour as integer) as hour
    from days
    cross join range(24) as clock (hour)
),

classes as (
    select date, hour, subject, class, sum(n) as n
    from hourly_counts
    group by date, hour, subject, class
),

counted as (
    select
        date,
        hour,
        sum(n) filter (where subject = 'connection') as connections,
        sum(n) filter (
            where subject = 'connection' and class <> 'no_verdict'
        ) as answered_connections,
        sum(n) filter (
            where subject = 'connection' and class in ('accepted', 'mixed')
        ) as accepted_connections,
        sum(n) filter (where subject = 'verdict') as verdicts,
        sum(n) filter (where subject = 'verdict' and class = 'accepted') as accepted,
        sum(n) filter (where subject = 'verdict' and starts_with(class, 'rejected_')) as rejected,
        sum(n) filter (where subject = 'verdict' and class = 'timeout') as timed_out
    from classes
    group by date, hour
),

final as (
    select
        date,
        hour,
        cast(coalesce(connections, 0) as bigint) as connections,
        cast(coalesce(answered_connections, 0) as bigint) as answered_connections,
        cast(coalesce(verdicts, 0) as bigint) as verdicts,
        cast(coalesce(accepted, 0) as bigint) as accepted,
        cast(coalesce(rejected, 0) as bigint) as rejected,
        cast(coalesce(timed_out, 0) as bigint) as timed_out,
        cast(
            coalesce(connections, 0) - coalesce(answered_connections, 0) as bigint
        ) as no_verdict_connections,
        cast(coalesce(accepted, 0) as double) / nullif(verdicts, 0) as verdict_acceptance_rate,
        cast(coalesce(accepted_connections, 0) as double)
            / nullif(answered_connections, 0) as connection_acceptance_rate
    from hours
    left join counted using (date, hour)
)

select * from final order by date, hour;
