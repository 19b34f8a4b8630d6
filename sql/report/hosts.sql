-- grain: host
-- Whether the logs are whole.
--
-- host: Computer whose logs they are.
-- first_date: Day of its first log.
-- last_date: Day of its last log.
-- days: Logs it has.
-- days_without_log: Days between these without one.
-- lines: Lines of all its logs.
-- malformed: Of these, lines that could not be read; they are kept all the same.
with gaps as (
    select host, count(*) as days_without_log
    from missing_days
    group by host
),

logs as (
    select
        host,
        min(date) as first_date,
        max(date) as last_date,
        count(*) as days,
        cast(sum(lines) as bigint) as lines,
        cast(sum(malformed) as bigint) as malformed
    from ingested_files
    group by host
),

final as (
    select
        logs.host,
        first_date,
        last_date,
        days,
        coalesce(days_without_log, 0) as days_without_log,
        lines,
        malformed
    from logs
    left join gaps on gaps.host = logs.host
)

select * from final order by host;
