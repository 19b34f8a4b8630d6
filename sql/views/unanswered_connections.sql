-- grain: host, date, client_ip
-- Connections that got no verdict: scans, early disconnects, lock-outs. From 4.AN on most of these
-- get an empty verdict, so see scanners, too.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- client_ip: Address of the SMTP client.
-- connections: Connections without a verdict; no row without any.
-- first_seen: The first of them, server-local.
-- last_seen: The last of them, server-local.
create or replace view unanswered_connections as
with final as (
    select
        host,
        date,
        client_ip,
        count(*) as connections,
        min(connected_at) as first_seen,
        max(connected_at) as last_seen
    from connections
    where outcome = 'no_verdict'
    group by host, date, client_ip
)

select * from final order by host, date, connections desc, client_ip;
