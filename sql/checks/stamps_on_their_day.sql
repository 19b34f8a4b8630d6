-- severity: warn
-- Stamps more than a day off the day in the file's name: the server's clock was wrong, the file was
-- renamed, or lines were forged. Such lines are paired only within their own file.
with strays as (
    select host, date, line_no, ts
    from events
    where (ts < date - 1 or ts >= date + 2) and is_checked(date)
),

final as (
    select
        host,
        date,
        count(*) as stray_lines,
        min(line_no) as first_line_no,
        min(ts) as earliest_ts,
        max(ts) as latest_ts
    from strays
    group by host, date
)

select * from final order by host, date;
