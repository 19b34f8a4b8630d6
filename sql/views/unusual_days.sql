-- grain: host, date
-- Days that look wrong for their weekday. Each day is compared with the same weekday of the same
-- host over the twelve log files of it before; with fewer than four of them nothing is said. The
-- comparison is robust: median and MAD (median of the absolute deviations from the median), so an
-- earlier outage does not hide the next. A score is 0.6745 × (value − median) / MAD, about a
-- standard score on quiet data; a day is unusual if one of its scores is beyond ±3.5. So that
-- weekdays that are always alike do not cry wolf, the MAD counts as at least 5 % of the median
-- and one connection, or 0.01 of acceptance. Days without a file are in missing_days.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- weekday: 1 = Monday to 7 = Sunday.
-- reference_days: Earlier days compared with, 4 to 12.
-- connections: Accepted connections.
-- usual_connections: Median of the reference days.
-- connections_score: How far connections is from it.
-- verdict_acceptance_rate: As in acceptance_rate_daily. Null = no verdicts.
-- usual_verdict_acceptance_rate: Median of the reference days. Null = none had verdicts.
-- verdict_acceptance_score: How far verdict_acceptance_rate is from it. Null = one of them is.
create or replace view unusual_days as
with days as (
    select
        host,
        date,
        cast(isodow(date) as integer) as weekday,
        connections,
        verdict_acceptance_rate
    from acceptance_rate_daily
),

compared as (
    select
        *,
        count(*) over before as reference_days,
        median(cast(connections as double)) over before as usual_connections,
        mad(cast(connections as double)) over before as mad_connections,
        median(verdict_acceptance_rate) over before as usual_verdict_acceptance_rate,
        mad(verdict_acceptance_rate) over before as mad_verdict_acceptance_rate
    from days
    window before as (
        partition by host, weekday order by date rows between 12 preceding and 1 preceding
    )
),

scored as (
    select
        host,
        date,
        weekday,
        reference_days,
        connections,
        usual_connections,
        0.6745 * (connections - usual_connections)
            / greatest(mad_connections, 0.05 * usual_connections, 1) as connections_score,
        verdict_acceptance_rate,
        usual_verdict_acceptance_rate,
        0.6745 * (verdict_acceptance_rate - usual_verdict_acceptance_rate)
            / greatest(mad_verdict_acceptance_rate, 0.01) as verdict_acceptance_score
    from compared
    where reference_days >= 4
),

final as (
    select *
    from scored
    where abs(connections_score) > 3.5 or abs(verdict_acceptance_score) > 3.5
)

select * from final order by host, date;
