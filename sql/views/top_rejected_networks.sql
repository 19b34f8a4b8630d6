-- grain: network
-- Client networks by rejected verdicts, over the whole lake; only those with at least one.
--
-- network: /24 of an IPv4 address, /64 of an IPv6 address.
-- rejected: Verdicts of any rejected_… class.
-- accepted: Verdicts accepted.
-- rejection_rate: rejected / all verdicts of the network, timeouts included.
-- dnsbl_rejections: Of the rejected, those for a DNSBL entry (B-3).
-- auth_failures: AUTH that failed, whatever the verdict.
-- client_ips: Different addresses of the network with a verdict.
-- first_seen: Earliest stamp of any of its verdicts, server-local, of those at most a day off the
--   day of their log file. Null = none.
-- last_seen: Latest such stamp. Null = none.
create or replace view top_rejected_networks as
with clients as (
    select
        client_ip,
        count(*) as verdicts,
        count(*) filter (where starts_with(verdict, 'rejected_')) as rejected,
        count(*) filter (where verdict = 'accepted') as accepted,
        count(*) filter (where verdict = 'rejected_dnsbl') as dnsbl_rejections,
        count(*) filter (where not auth_success) as auth_failures,
        min(ts) filter (where cast(ts as date) between date - 1 and date + 1) as first_seen,
        max(ts) filter (where cast(ts as date) between date - 1 and date + 1) as last_seen
    from verdicts
    group by client_ip
),

final as (
    select
        client_network(client_ip) as network,
        cast(sum(rejected) as bigint) as rejected,
        cast(sum(accepted) as bigint) as accepted,
        cast(sum(rejected) as double) / sum(verdicts) as rejection_rate,
        cast(sum(dnsbl_rejections) as bigint) as dnsbl_rejections,
        cast(sum(auth_failures) as bigint) as auth_failures,
        count(*) as client_ips,
        min(first_seen) as first_seen,
        max(last_seen) as last_seen
    from clients
    group by network
    having sum(clients.rejected) > 0
)

select * from final order by rejected desc, network;
