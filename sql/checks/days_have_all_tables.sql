-- severity: fail
-- Every log file in the lake has its verdicts, connections and counts; one without is not in the
-- rates. The next ingest makes what is missing.
with tables as (
    select
        host,
        date,
        count(*) filter (where table_name = 'events') as events,
        count(*) filter (where table_name = 'verdicts') as verdicts,
        count(*) filter (where table_name = 'connections') as connections,
        count(*) filter (where table_name = 'hourly_counts') as hourly_counts
    from partitions
    group by host, date
),

final as (
    select *
    from tables
    where (events, verdicts, connections, hourly_counts) <> (1, 1, 1, 1)
)

select * from final order by host, date;
