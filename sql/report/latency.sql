-- grain: host, date
-- How long clients whose mail was accepted took from the connect to MAIL FROM, day by day.
--
-- host: Computer whose log it is.
-- date: Day, as text, so that no time zone moves it.
-- p95_s: 95th percentile.
select host, strftime(date, '%Y-%m-%d') as date, p95_s
from connection_to_verdict_latency
where verdict = 'accepted'
order by host, date;
