-- grain: host, hour
-- When a host is busy.
--
-- host: Computer whose log it is.
-- hour: Hour of the day, 0–23, server-local.
-- connections: Mean of a day's connections in that hour.
select host, hour, avg_connections as connections
from load_hourly
order by host, hour;
