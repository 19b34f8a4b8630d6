-- severity: fail
-- Rates lie between 0 and 1, and verdicts are accepted, rejected or timed out and nothing else.
with hours as (
    select
        host,
        date,
        hour,
        verdicts,
        accepted + rejected + timed_out as classified,
        verdict_acceptance_rate,
        connection_acceptance_rate
    from acceptance_rate_hourly
    where is_checked(date)
),

final as (
    select *
    from hours
    where
        verdicts <> classified
        or not (verdict_acceptance_rate between 0 and 1)
        or not (connection_acceptance_rate between 0 and 1)
)

select * from final order by host, date, hour;
