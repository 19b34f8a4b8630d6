-- grain: client_ip
-- Addresses that connect but never send mail: none of their connections led to more than silence.
-- Before 4.AN silence is a connection without a verdict; from 4.AN on it is an abort with neither
-- sender nor id, which a refused null reverse-path looks like, too. Monitoring systems are here.
--
-- client_ip: Address of the SMTP client.
-- connections: Connections, over the whole lake.
-- hosts: Different hosts it connected to.
-- ports: Different ports of ours it connected to.
-- days: Different days, by the name of the log file.
-- first_seen: First connection, server-local.
-- last_seen: Last connection, server-local.
create or replace view scanners as
with talkers as (
    select distinct client_ip
    from verdicts
    where not (verdict = 'rejected_policy' and sender = '') or sender is null
),

final as (
    select
        client_ip,
        count(*) as connections,
        count(distinct host) as hosts,
        count(distinct port) as ports,
        count(distinct date) as days,
        min(connected_at) as first_seen,
        max(connected_at) as last_seen
    from connections
    anti join talkers using (client_ip)
    group by client_ip
)

select * from final order by connections desc, client_ip;
