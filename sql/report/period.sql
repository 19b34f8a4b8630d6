-- grain: one row
-- The days of the lake, and the last thirty of them. All null where there is no log.
--
-- first_date: Day of the first log.
-- last_date: Day of the last log.
-- from_date: First of the thirty days up to last_date, or first_date.
-- hosts: Hosts with a log.
select
    min(date) as first_date,
    max(date) as last_date,
    greatest(min(date), max(date) - 29) as from_date,
    count(distinct host) as hosts
from partitions
where table_name = 'events';
