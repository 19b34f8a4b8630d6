-- severity: warn
-- Days without a log file between a host's first and last; see missing_days.
with final as (
    select host, date
    from missing_days
)

select * from final order by host, date;
