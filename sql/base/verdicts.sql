-- grain: host, date, line_no
-- Every verdict line, with the connection it most likely answers. The log has no connection id, so
-- the connection is inferred; pairing says how. Receivers before 4.AN log only the last message of
-- a session. After AUTH the sender is never in the log.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
create or replace view verdicts as
select
    cast(host as varchar) as host,
    cast(date as date) as date,
    cast(line_no as bigint) as line_no,
    cast(ts as timestamp) as ts,
    cast(ts_utc as timestamptz) as ts_utc,
    cast(server_name as varchar) as server_name,
    cast(client_ip as varchar) as client_ip,
    cast(peer_name as varchar) as peer_name,
    cast(sender as varchar) as sender,
    cast(auth_mechanism as varchar) as auth_mechanism,
    cast(auth_user as varchar) as auth_user,
    cast(auth_success as boolean) as auth_success,
    cast(message_id as varchar) as message_id,
    cast(status as varchar) as status,
    cast(verdict as varchar) as verdict,
    cast(sender_domain as varchar) as sender_domain,
    cast(sender_registrable_domain as varchar) as sender_registrable_domain,
    cast(connection_id as varchar) as connection_id,
    cast(connected_at as timestamp) as connected_at,
    cast(latency_s as integer) as latency_s,
    cast(pairing as varchar) as pairing
from $verdicts;
