-- grain: sender
-- Envelope senders by rejected verdicts, over the whole lake; only those with at least one. A
-- sender is what the client claimed, spelled as it did. Verdicts without one (AUTH, DNSBL, reverse
-- DNS) are not here: see top_rejected_clients.
--
-- sender: Envelope sender; '' = null reverse-path and, from 4.AN on, clients that never said MAIL.
-- sender_domain: What follows its last @, lower case. Null = no @.
-- rejected: Verdicts of any rejected_… class.
-- accepted: Verdicts accepted.
-- rejection_rate: rejected / all verdicts of the sender, timeouts included.
-- client_ips: Different addresses it came from.
-- first_seen: Earliest stamp of any of its verdicts, server-local, of those at most a day off the
--   day of their log file. Null = none.
-- last_seen: Latest such stamp. Null = none.
create or replace view top_rejected_senders as
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
    where sender is not null
    group by sender
    having count(*) filter (where starts_with(verdict, 'rejected_')) > 0
)

select * from final order by rejected desc, sender;
