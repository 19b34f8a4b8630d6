-- grain: client_ip
-- Addresses that connect and say nothing: at least nine in ten of their connections stayed silent,
-- and none of their mail was ever accepted. Before 4.AN a silent connection has no verdict; from
-- 4.AN on it has an abort with neither sender nor id, which is also what a refused null
-- reverse-path looks like. Connections turned away at once look silent, too.
--
-- client_ip: Address of the SMTP client.
-- connections: Connections, over the whole lake.
-- silent_connections: Of these, the silent ones.
-- hosts: Different hosts it connected to.
-- ports: Different ports of ours it connected to.
-- days: Different days, by the name of the log file.
-- first_seen: First connection, server-local, of those stamped at most a day off the day of their
--   log file. Null = none.
-- last_seen: Last such connection. Null = none.
create or replace view scanners as
with spoke as (
    -- A connection is answered by one verdict; further ones are `continued`.
    select
        client_ip,
        count(*) filter (
            where
                pairing in ('only', 'nearest')
                and not (verdict = 'rejected_policy' and coalesce(sender, 'none') = '')
        ) as connections,
        count(*) filter (where verdict = 'accepted') as accepted
    from verdicts
    group by client_ip
),

connected as (
    select client_ip, count(*) as connections
    from connections
    group by client_ip
),

silent as (
    select
        client_ip,
        connected.connections,
        connected.connections - coalesce(spoke.connections, 0) as silent_connections
    from connected
    left join spoke using (client_ip)
    where
        coalesce(spoke.accepted, 0) = 0
        and 10 * coalesce(spoke.connections, 0) <= connected.connections
),

final as (
    select
        silent.client_ip,
        silent.connections,
        silent.silent_connections,
        count(distinct host) as hosts,
        count(distinct port) as ports,
        count(distinct date) as days,
        min(connected_at) filter (
            where cast(connected_at as date) between date - 1 and date + 1
        ) as first_seen,
        max(connected_at) filter (
            where cast(connected_at as date) between date - 1 and date + 1
        ) as last_seen
    from connections
    join silent using (client_ip)
    group by silent.client_ip, silent.connections, silent.silent_connections
)

select * from final order by silent_connections desc, client_ip;
