-- grain: host, date, line_no
-- Every line of every log file, also those that could not be read. date is the day in the file's
-- name, ts the line's own stamp; the two differ where a server writes past midnight.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
create or replace view events as
select
    cast(host as varchar) as host,
    cast(date as date) as date,
    cast(line_no as bigint) as line_no,
    cast(kind as varchar) as kind,
    cast(ts as timestamp) as ts,
    cast(ts_utc as timestamptz) as ts_utc,
    cast(server_name as varchar) as server_name,
    cast(client_ip as varchar) as client_ip,
    cast(port as integer) as port,
    cast(tls as boolean) as tls,
    cast(peer_name as varchar) as peer_name,
    cast(sender as varchar) as sender,
    cast(auth_mechanism as varchar) as auth_mechanism,
    cast(auth_user as varchar) as auth_user,
    cast(auth_success as boolean) as auth_success,
    cast(message_id as varchar) as message_id,
    cast(status as varchar) as status,
    cast(verdict as varchar) as verdict,
    cast(parse_error as varchar) as parse_error,
    cast(raw as blob) as raw
from $events;
