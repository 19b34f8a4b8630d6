-- grain: host, date, hour
-- How much mail is accepted, by hour: 24 rows for every log file in the lake, hours without
-- traffic included. Definitions as in acceptance_rate_daily.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- hour: Hour of the line's own time, 0–23, server-local. Of a verdict that is MAIL FROM's or the
--   last AUTH's. What 4.AN stamps before midnight and writes after it counts in the later file's
--   date, at hour 23.
-- connections: Accepted connections.
-- answered_connections: Of these, the ones with at least one verdict, at whatever hour.
-- verdicts: Verdict lines, also those whose connection is unknown.
-- accepted: Of these, verdict accepted.
-- rejected: Of these, any rejected_… verdict.
-- timed_out: Of these, verdict timeout: neither accepted nor rejected.
-- no_verdict_connections: Connections without a verdict: scans, early disconnects, lock-outs.
-- verdict_acceptance_rate: accepted / verdicts. Null = no verdicts.
-- connection_acceptance_rate: Connections with at least one accepted message /
--   answered_connections. Null = none was answered.
create or replace view acceptance_rate_hourly as
with hours as (
    select host, date, cast(hour as integer) as hour
    from partitions
    cross join range(24) as clock (hour)
    where table_name = 'hourly_counts'
),

classes as (
    select host, date, hour, subject, class, sum(n) as n
    from hourly_counts
    group by host, date, hour, subject, class
),

counted as (
    select
        host,
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
    group by host, date, hour
),

final as (
    select
        host,
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
    left join counted using (host, date, hour)
)

select * from final order by host, date, hour;
