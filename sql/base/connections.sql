-- grain: host, date, line_no
-- Every accepted connection, with what became of it.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
create or replace view connections as
select
    cast(host as varchar) as host,
    cast(date as date) as date,
    cast(connection_id as varchar) as connection_id,
    cast(line_no as bigint) as line_no,
    cast(connected_at as timestamp) as connected_at,
    cast(connected_at_utc as timestamptz) as connected_at_utc,
    cast(client_ip as varchar) as client_ip,
    cast(port as integer) as port,
    cast(tls as boolean) as tls,
    cast(server_name as varchar) as server_name,
    cast(verdict_count as bigint) as verdict_count,
    cast(accepted_count as bigint) as accepted_count,
    cast(rejected_count as bigint) as rejected_count,
    cast(first_verdict_at as timestamp) as first_verdict_at,
    cast(latency_s as integer) as latency_s,
    cast(outcome as varchar) as outcome,
    cast(pairing as varchar) as pairing
from $connections;
