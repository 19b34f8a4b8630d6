-- grain: domain
-- Did the rejections of a domain's mail change: the last seven days of the lake against the four
-- weeks before them. The last day is the newest in the lake, not today. Domains with a rejection
-- in these five weeks, those that grew most first.
--
-- domain: Registrable domain of the sender, as in top_rejected_domains.
-- rejected_this_week: Verdicts of any rejected_… class in the last seven days.
-- rejected_per_week_before: The same per week over the four weeks before: their daily mean, of
--   days with a log file, times seven. Null = no log file in those weeks.
-- growth: rejected_this_week / rejected_per_week_before. Null = none before.
-- rejection_rate_this_week: rejected_this_week / all its verdicts of the week. Null = none.
-- rejection_rate_before: The same of the four weeks before. Null = no verdicts.
create or replace view rejection_trend_domains as
with last_day as (
    select max(date) as date
    from partitions
    where table_name = 'verdicts'
),

days_before as (
    select count(distinct date) as days
    from partitions
    where
        table_name = 'verdicts'
        and date between (select date - 34 from last_day) and (select date - 7 from last_day)
),

counted as (
    select
        coalesce(sender_registrable_domain, sender_domain) as domain,
        date > (select date - 7 from last_day) as is_this_week,
        count(*) as verdicts,
        count(*) filter (where starts_with(verdict, 'rejected_')) as rejected
    from verdicts
    where sender_domain is not null and date >= (select date - 34 from last_day)
    group by domain, is_this_week
),

compared as (
    select
        domain,
        coalesce(sum(rejected) filter (where is_this_week), 0) as rejected_this_week,
        coalesce(sum(rejected) filter (where not is_this_week), 0) as rejected_before,
        sum(verdicts) filter (where is_this_week) as verdicts_this_week,
        sum(verdicts) filter (where not is_this_week) as verdicts_before
    from counted
    group by domain
    having sum(rejected) > 0
),

final as (
    select
        domain,
        cast(rejected_this_week as bigint) as rejected_this_week,
        cast(rejected_before as double) * 7 / nullif(days, 0) as rejected_per_week_before,
        cast(rejected_this_week as double) * days
            / nullif(rejected_before * 7, 0) as growth,
        cast(rejected_this_week as double) / verdicts_this_week as rejection_rate_this_week,
        cast(rejected_before as double) / verdicts_before as rejection_rate_before
    from compared
    cross join days_before
)

select *
from final
order by rejected_this_week - coalesce(rejected_per_week_before, 0) desc, domain;
