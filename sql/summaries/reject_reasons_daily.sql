-- grain: date, verdict
-- The rows of reject_reasons_daily for the days at hand.
with reasons as (
    select date, class as verdict, sum(n) as verdicts
    from hourly_counts
    where subject = 'verdict' and starts_with(class, 'rejected_')
    group by date, class
),

final as (
    select
        date,
        verdict,
        cast(verdicts as bigint) as verdicts,
        cast(verdicts as double) / sum(verdicts) over (partition by date) as share
    from reasons
)

select * from final order by date, verdict;
