-- grain: one row
-- The mail of all hosts in the last thirty days.
--
-- connections: Accepted connections.
-- verdicts: Verdict lines.
-- rejected: Of these, any rejected_… verdict.
-- no_verdict_connections: Connections without a verdict.
-- verdict_acceptance_rate: accepted / verdicts. Null = no verdicts.
-- connection_acceptance_rate: Connections with an accepted message / answered ones. Null = there
--   are none.
select
    cast(sum(connections) as bigint) as connections,
    cast(sum(verdicts) as bigint) as verdicts,
    cast(sum(rejected) as bigint) as rejected,
    cast(sum(no_verdict_connections) as bigint) as no_verdict_connections,
    sum(accepted) / nullif(sum(verdicts), 0) as verdict_acceptance_rate,
    sum(connection_acceptance_rate * answered_connections)
        / nullif(sum(answered_connections), 0) as connection_acceptance_rate
from acceptance_rate_daily
where date between $from_date and $to_date;
