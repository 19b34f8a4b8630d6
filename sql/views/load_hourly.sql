-- grain: host, hour
-- When a host is busy: the usual day, by hour, over all log files of the lake. For one day see
-- acceptance_rate_hourly.
--
-- host: Computer whose log it is.
-- hour: Hour of the line's own time, 0–23, server-local.
-- days: Log files, each of which counts for every hour.
-- connections: Accepted connections in that hour, over all days.
-- verdicts: Verdicts stamped in that hour, over all days.
-- avg_connections: Mean of a day's connections in that hour.
-- p50_connections: Median of a day's connections in that hour.
-- p95_connections: 95th percentile of a day's connections in that hour.
-- max_connections: Most connections of a day in that hour.
-- busiest_date: The day of these; the first of several.
create or replace view load_hourly as
with final as (
    select
        host,
        hour,
        count(*) as days,
        cast(sum(connections) as bigint) as connections,
        cast(sum(verdicts) as bigint) as verdicts,
        cast(sum(connections) as double) / count(*) as avg_connections,
        quantile_disc(connections, 0.5) as p50_connections,
        quantile_disc(connections, 0.95) as p95_connections,
        max(connections) as max_connections,
        arg_min(date, (-connections, date)) as busiest_date
    from acceptance_rate_hourly
    group by host, hour
)

select * from final order by host, hour;
