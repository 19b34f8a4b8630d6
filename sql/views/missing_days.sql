-- grain: host, date
-- Days between a host's first and last log file that have no file. A day on which nobody connects
-- has none; usually the log was off, or the file was moved away before it was ingested.
--
-- host: Computer whose log it is.
-- date: Day without a log file.
create or replace view missing_days as
with days as (
    select host, date
    from partitions
    where table_name = 'events'
),

spans as (
    select host, min(date) as first_date, max(date) as last_date
    from days
    group by host
),

calendar as (
    select host, unnest(generate_series(first_date, last_date, interval 1 day)) as day
    from spans
),

final as (
    select host, cast(day as date) as date
    from calendar
    anti join days on days.host = calendar.host and days.date = calendar.day
)

select * from final order by host, date;
