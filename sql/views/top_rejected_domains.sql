-- grain: domain
-- Domains of envelope senders by rejected verdicts, over the whole lake; only those with at least
-- one. Sub-domains count with the domain that someone registered.
--
-- domain: Registrable domain (public suffix list); where there is none, as in an address literal,
--   all that follows the sender's last @.
-- rejected: Verdicts of any rejected_… class.
-- accepted: Verdicts accepted.
-- rejection_rate: rejected / all verdicts of the domain, timeouts included.
-- senders: Different senders of the domain.
-- client_ips: Different addresses they came from.
-- first_seen: Earliest stamp of any of its verdicts, server-local, of those at most a day off the
--   day of their log file. Null = none.
-- last_seen: Latest such stamp. Null = none.
create or replace view top_rejected_domains as
with final as (
    select
        coalesce(sender_registrable_domain, sender_domain) as domain,
        count(*) filter (where starts_with(verdict, 'rejected_')) as rejected,
        count(*) filter (where verdict = 'accepted') as accepted,
        cast(count(*) filter (where starts_with(verdict, 'rejected_')) as double)
            / count(*) as rejection_rate,
        count(distinct sender) as senders,
        count(distinct client_ip) as client_ips,
        min(ts) filter (where cast(ts as date) between date - 1 and date + 1) as first_seen,
        max(ts) filter (where cast(ts as date) between date - 1 and date + 1) as last_seen
    from verdicts
    where sender_domain is not null
    group by domain
    having count(*) filter (where starts_with(verdict, 'rejected_')) > 0
)

select * from final order by rejected desc, domain;
