-- grain: host, date, verdict
-- Why verdicts were rejections, as far as acceptlog tells. These are the vendor's classes: the log
-- does not say whether a policy refusal was an unknown recipient, SMTP AUTH or effect.dat, and a
-- client that hangs up looks like a refusal. Only receivelog has the exact reason.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- verdict: rejected_dnsbl (B-3), rejected_reverse_dns, rejected_auth, rejected_policy (B-1: no id
--   was assigned) or rejected_content (B-2: an id was).
-- verdicts: Verdicts of this class; no row without any.
-- share: verdicts / all rejected verdicts of that host and day.
create or replace view reject_reasons_daily as
with reasons as (
    select host, date, class as verdict, sum(n) as verdicts
    from hourly_counts
    where subject = 'verdict' and starts_with(class, 'rejected_')
    group by host, date, class
),

final as (
    select
        host,
        date,
        verdict,
        cast(verdicts as bigint) as verdicts,
        cast(verdicts as double) / sum(verdicts) over whole_day as share
    from reasons
    -- Ordered, or DuckDB 2.0 makes a join of it and opens the files of every day.
    window whole_day as (
        partition by host, date
        order by verdict
        rows between unbounded preceding and unbounded following
    )
)

select * from final order by host, date, verdict;
