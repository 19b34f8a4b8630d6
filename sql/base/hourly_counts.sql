-- grain: host, date, hour, subject, class, pairing, latency_s
-- The exact rollup: connections and verdicts counted by all that the rates and latencies ask for.
-- Latencies are whole seconds, so percentiles from these counts are exact, at any grouping.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
create or replace view hourly_counts as
select
    cast(host as varchar) as host,
    cast(date as date) as date,
    cast(hour as integer) as hour,
    cast(subject as varchar) as subject,
    cast(class as varchar) as class,
    cast(pairing as varchar) as pairing,
    cast(latency_s as integer) as latency_s,
    cast(n as bigint) as n
from $hourly_counts;
