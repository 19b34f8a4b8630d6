-- grain: host, date, hour
-- How much mail is accepted, by hour: 24 rows for every log file in the lake, hours without
-- traffic included. Definitions as in acceptance_rate_daily.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- hour: Hour of the line's own time, 0–23, server-local. Of a verdict that is MAIL FROM's or the
--   last AUTH's. What 4.AN stamps before midnight and writes after it counts in the later file's
--   date, at hour 23.
-- connections: Accepted connections.
-- answered_connections: Of these, the ones with at least one verdict, at whatever hour.
-- verdicts: Verdict lines, also those whose connection is unknown.
-- accepted: Of these, verdict accepted.
-- rejected: Of these, any rejected_… verdict.
-- timed_out: Of these, verdict timeout: neither accepted nor rejected.
-- no_verdict_connections: Connections without a verdict: scans, early disconnects, lock-outs.
-- verdict_acceptance_rate: accepted / verdicts. Null = no verdicts.
-- connection_acceptance_rate: Connections with at least one accepted message /
--   answered_connections. Null = none was answered.
create or replace view acceptance_rate_hourly as
select
    cast(host as varchar) as host,
    cast(date as date) as date,
    cast(hour as integer) as hour,
    cast(connections as bigint) as connections,
    cast(answered_connections as bigint) as answered_connections,
    cast(verdicts as bigint) as verdicts,
    cast(accepted as bigint) as accepted,
    cast(rejected as bigint) as rejected,
    cast(timed_out as bigint) as timed_out,
    cast(no_verdict_connections as bigint) as no_verdict_connections,
    cast(verdict_acceptance_rate as double) as verdict_acceptance_rate,
    cast(connection_acceptance_rate as double) as connection_acceptance_rate
from $acceptance_rate_hourly
order by host, date, hour;
