-- grain: host, date
-- How much mail is accepted, day by day.
--
-- host: Computer whose log it is.
-- date: Day, as text, so that no time zone moves it.
-- rate: connection_acceptance_rate, which means the same in all editions. Null = nobody was
--   answered.
select host, strftime(date, '%Y-%m-%d') as date, connection_acceptance_rate as rate
from acceptance_rate_daily
order by host, date;
