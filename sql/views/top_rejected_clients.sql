-- grain: client_ip
-- Client addresses by rejected verdicts, over the whole lake; only those with at least one.
--
-- client_ip: Address of the SMTP client.
-- rejected: Verdicts of any rejected_… class.
-- accepted: Verdicts accepted.
-- rejection_rate: rejected / all verdicts of the address, timeouts included.
-- dnsbl_rejections: Of the rejected, those for a DNSBL entry (B-3).
-- auth_failures: AUTH that failed, whatever the verdict.
-- senders: Different envelope senders used.
-- first_seen: Earliest stamp of any of its verdicts, server-local, of those at most a day off the
--   day of their log file. Null = none.
-- last_seen: Latest such stamp. Null = none.
create or replace view top_rejected_clients as
with final as (
    select
        client_ip,
        count(*) filter (where starts_with(verdict, 'rejected_')) as rejected,
        count(*) filter (where verdict = 'accepted') as accepted,
        cast(count(*) filter (where starts_with(verdict, 'rejected_')) as double)
            / count(*) as rejection_rate,
        count(*) filter (where verdict = 'rejected_dnsbl') as dnsbl_rejections,
        count(*) filter (where not auth_success) as auth_failures,
        count(distinct sender) as senders,
        min(ts) filter (where cast(ts as date) between date - 1 and date + 1) as first_seen,
        max(ts) filter (where cast(ts as date) between date - 1 and date + 1) as last_seen
    from verdicts
    group by client_ip
    having count(*) filter (where starts_with(verdict, 'rejected_')) > 0
)

select * from final order by rejected desc, client_ip;
