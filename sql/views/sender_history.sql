-- grain: host, date
-- Is this sender ever accepted: what became of its mail, day by day; a row only for days on which
-- it was seen. `from sender_history('someone@example.org')`; '' asks for the null reverse-path.
--
-- takes address: Envelope sender, with or without angle brackets; case does not matter.
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- verdicts: Verdicts of this sender.
-- accepted: Of these, verdict accepted.
-- rejected: Of these, any rejected_… verdict.
-- timed_out: Of these, verdict timeout: neither accepted nor rejected.
-- reasons: The different rejected_… verdicts, comma-separated. Null = none.
-- client_ips: Different addresses it came from.
-- first_seen: Earliest stamp of the day's verdicts, server-local.
-- last_seen: Latest stamp of the day's verdicts, server-local.
create or replace macro sender_history(address) as table
with spellings as (
    -- Comparing the domain as it is stored lets row groups without it be skipped.
    select *
    from verdicts
    where
        sender_domain = regexp_replace(
            regexp_extract(lower(trim(address, '<>')), '@([^@]*)$', 1), '\.$', ''
        )
        and lower(sender) = lower(trim(address, '<>'))
    union all
    select *
    from verdicts
    where
        sender_domain is null
        and regexp_extract(address, '@([^@<>]*)>?$', 1) = ''
        and lower(sender) = lower(trim(address, '<>'))
),

final as (
    select
        host,
        date,
        count(*) as verdicts,
        count(*) filter (where verdict = 'accepted') as accepted,
        count(*) filter (where starts_with(verdict, 'rejected_')) as rejected,
        count(*) filter (where verdict = 'timeout') as timed_out,
        string_agg(distinct verdict, ', ' order by verdict) filter (
            where starts_with(verdict, 'rejected_')
        ) as reasons,
        count(distinct client_ip) as client_ips,
        min(ts) as first_seen,
        max(ts) as last_seen
    from spellings
    group by host, date
)

select * from final order by date, host;
