-- severity: warn
-- A host that had log files in the last 30 days has none of yesterday, by its own clock: its log is
-- off, or the file did not get here. (After 30 days it counts as retired.)
with hosts as (
    select host, max(date) as last_date, arg_max(zone, date) as zone
    from ingested_files
    group by host
),

-- The variable is for whoever asks about another night than this one.
clocks as (
    select
        host,
        last_date,
        cast(
            coalesce(cast(getvariable('now') as timestamptz), now()) at time zone zone as date
        ) as today
    from hosts
),

final as (
    select host, last_date, today - 1 as yesterday
    from clocks
    where last_date < today - 1 and last_date >= today - 30
)

select * from final order by host;
