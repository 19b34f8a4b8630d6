-- grain: host, date
-- How much mail is accepted, a row for every log file in the lake, also for an empty one. There are
-- two rates, because before 4.AN a session logs only its last message and from 4.AN on each of
-- them: the one per connection means the same in both editions, the one per verdict does not.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- connections: Accepted connections.
-- answered_connections: Of these, the ones with at least one verdict.
-- verdicts: Verdict lines, also those whose connection is unknown.
-- accepted: Of these, verdict accepted.
-- rejected: Of these, any rejected_… verdict.
-- timed_out: Of these, verdict timeout: neither accepted nor rejected.
-- no_verdict_connections: Connections without a verdict: scans, early disconnects, lock-outs.
-- verdict_acceptance_rate: accepted / verdicts. Null = no verdicts.
-- connection_acceptance_rate: Connections with at least one accepted message /
--   answered_connections. Null = none was answered.
create or replace view acceptance_rate_daily as
select
    cast(host as varchar) as host,
    cast(date as date) as date,
    cast(connections as bigint) as connections,
    cast(answered_connections as bigint) as answered_connections,
    cast(verdicts as bigint) as verdicts,
    cast(accepted as bigint) as accepted,
    cast(rejected as bigint) as rejected,
    cast(timed_out as bigint) as timed_out,
    cast(no_verdict_connections as bigint) as no_verdict_connections,
    cast(verdict_acceptance_rate as double) as verdict_acceptance_rate,
    cast(connection_acceptance_rate as double) as connection_acceptance_rate
from $acceptance_rate_daily
order by host, date;
