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

-- All of a day is what comes up to each reason and what comes from it on, less itself. A sum over
-- the whole partition is the same, but DuckDB 2.0 would open the files of every day for it.
final as (
    select
        host,
        date,
        verdict,
        cast(verdicts as bigint) as verdicts,
        cast(verdicts as double) / (
            sum(verdicts) over (partition by host, date order by verdict)
            + sum(verdicts) over (partition by host, date order by verdict desc)
            - verdicts
        ) as share
    from reasons
)

select * from final order by host, date, verdict;
