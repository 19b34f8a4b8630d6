-- grain: date, verdict
-- What became of the mail of all hosts, day by day.
--
-- date: Day, as text, so that no time zone moves it.
-- verdict: accepted, timeout, or any rejected_… class.
-- verdicts: Verdicts of this class.
with classes as (
    select date, 'accepted' as verdict, accepted as verdicts from acceptance_rate_daily
    union all
    select date, 'timeout' as verdict, timed_out as verdicts from acceptance_rate_daily
    union all
    select date, verdict, verdicts from reject_reasons_daily
),

final as (
    select
        strftime(date, '%Y-%m-%d') as date,
        verdict,
        cast(sum(verdicts) as bigint) as verdicts
    from classes
    group by date, verdict
    having sum(verdicts) > 0
)

select * from final order by date, verdict;
