-- severity: warn
-- Accept lines are written as they happen, so from each to the next time does not go back, unless
-- someone set the clock or lines were forged. Two seconds are granted to processes that write at
-- the same time.
with steps as (
    -- Windows without order or partition go along with the lines as they lie in their files, and
    -- need to remember one; with either, they would hold all lines of the lake.
    select
        host,
        date,
        line_no,
        ts,
        lag(host) over () as host_before,
        lag(date) over () as date_before,
        lag(ts) over () as ts_before
    from events
    where kind = 'accept'
),

final as (
    select host, date, line_no, ts_before, ts, date_diff('second', ts, ts_before) as back_s
    from steps
    where ts < ts_before - interval 2 seconds and host = host_before and date = date_before
)

select * from final order by host, date, line_no;
