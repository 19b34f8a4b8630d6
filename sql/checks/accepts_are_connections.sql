-- severity: fail
-- Every accept line is exactly one connection.
with accepts as (
    select host, date, count(*) as lines, bit_xor(hash(line_no)) as fingerprint
    from events
    where kind = 'accept' and is_checked(date)
    group by host, date
),

connected as (
    select host, date, count(*) as lines, bit_xor(hash(line_no)) as fingerprint
    from connections
    where is_checked(date)
    group by host, date
),

final as (
    select
        host,
        date,
        coalesce(accepts.lines, 0) as accept_lines,
        coalesce(connected.lines, 0) as connections
    from accepts
    full join connected using (host, date)
    where
        accepts.lines is distinct from connected.lines
        or accepts.fingerprint is distinct from connected.fingerprint
)

select * from final order by host, date;
