-- severity: fail
-- Every verdict line is exactly one row of verdicts.
with verdict_lines as (
    select host, date, count(*) as lines, bit_xor(hash(line_no)) as fingerprint
    from events
    where kind = 'verdict' and is_checked(date)
    group by host, date
),

paired as (
    select host, date, count(*) as lines, bit_xor(hash(line_no)) as fingerprint
    from verdicts
    where is_checked(date)
    group by host, date
),

final as (
    select
        host,
        date,
        coalesce(verdict_lines.lines, 0) as verdict_lines,
        coalesce(paired.lines, 0) as verdicts
    from verdict_lines
    full join paired using (host, date)
    where
        verdict_lines.lines is distinct from paired.lines
        or verdict_lines.fingerprint is distinct from paired.fingerprint
)

select * from final order by host, date;
