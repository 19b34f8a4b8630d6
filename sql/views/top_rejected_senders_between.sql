-- grain: sender
-- The first n of top_rejected_senders, counting only some days:
-- `from top_rejected_senders_between('2026-06-01', '2026-06-30', 10)`.
--
-- takes from_date: First day, by the name of the log file.
-- takes to_date: Last day, included.
-- takes n: How many senders.
-- sender: Envelope sender; '' = null reverse-path and, from 4.AN on, clients that never said MAIL.
-- sender_domain: What follows its last @, lower case. Null = no @.
-- rejected: Verdicts of any rejected_… class.
-- accepted: Verdicts accepted.
-- rejection_rate: rejected / all verdicts of the sender, timeouts included.
-- client_ips: Different addresses it came from.
-- first_seen: Earliest stamp of any of its verdicts, server-local, of those at most a day off the
--   day of their log file. Null = none.
-- last_seen: Latest such stamp. Null = none.
create or replace macro top_rejected_senders_between(from_date, to_date, n) as table
with final as (
    select
        sender,
        min(sender_domain) as sender_domain,
        count(*) filter (where starts_with(verdict, 'rejected_')) as rejected,
        count(*) filter (where verdict = 'accepted') as accepted,
        cast(count(*) filter (where starts_with(verdict, 'rejected_')) as double)
            / count(*) as rejection_rate,
        count(distinct client_ip) as client_ips,
        min(ts) filter (where cast(ts as date) between date - 1 and date + 1) as first_seen,
        max(ts) filter (where cast(ts as date) between date - 1 and date + 1) as last_seen
    from verdicts
    where
        sender is not null
        and date between cast(from_date as date) and cast(to_date as date)
    group by sender
    having count(*) filter (where starts_with(verdict, 'rejected_')) > 0
)

select * from final order by rejected desc, sender limit n;
