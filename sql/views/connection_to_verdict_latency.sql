-- grain: host, date, verdict
-- How long clients wait: seconds from the connect to the first MAIL FROM or the last AUTH result.
-- That is the time the log stamps verdicts with; when the verdict itself fell is not in the log.
-- Only the first message of a connection counts: further ones (pairing `continued`) would measure
-- the session, not the wait. Percentiles are exact: the smallest latency that at least this share
-- of the pairs does not exceed.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file of the verdict.
-- verdict: accepted, rejected_dnsbl, rejected_reverse_dns, rejected_auth, rejected_policy,
--   rejected_content or timeout; DNSBL and reverse-DNS refusals always take 0 s.
-- pairs: Verdicts that answer a connection (pairing `only` or `nearest`); no row without any.
-- avg_s: Mean latency.
-- p50_s: Median latency.
-- p90_s: 90th percentile.
-- p95_s: 95th percentile.
-- p99_s: 99th percentile.
-- max_s: Longest latency; pairing looks back 600 s.
-- sure_pairs: Of the pairs, those without a rival (pairing `only`).
-- p95_sure_s: 95th percentile of these. Null = there are none.
create or replace view connection_to_verdict_latency as
select
    cast(host as varchar) as host,
    cast(date as date) as date,
    cast(verdict as varchar) as verdict,
    cast(pairs as bigint) as pairs,
    cast(avg_s as double) as avg_s,
    cast(p50_s as integer) as p50_s,
    cast(p90_s as integer) as p90_s,
    cast(p95_s as integer) as p95_s,
    cast(p99_s as integer) as p99_s,
    cast(max_s as integer) as max_s,
    cast(sure_pairs as bigint) as sure_pairs,
    cast(p95_sure_s as integer) as p95_sure_s
from $connection_to_verdict_latency
order by host, date, verdict;
