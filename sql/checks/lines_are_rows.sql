-- severity: fail
-- Every line of a log is one row of events, of the kind the ledger counted: nothing lost, nothing
-- twice.
with counted as (
    select
        host,
        date,
        count(*) as rows_found,
        count(*) filter (where kind = 'accept') as accept_rows,
        count(*) filter (where kind = 'verdict') as verdict_rows,
        count(*) filter (where kind = 'debug') as debug_rows,
        count(*) filter (where kind = 'blank') as blank_rows,
        count(*) filter (where kind = 'malformed') as malformed_rows,
        max(line_no) as last_line_no
    from events
    where is_checked(date)
    group by host, date
),

final as (
    select
        host,
        date,
        lines,
        coalesce(rows_found, 0) as rows_found,
        coalesce(last_line_no, 0) as last_line_no,
        accepts,
        coalesce(accept_rows, 0) as accept_rows,
        verdicts,
        coalesce(verdict_rows, 0) as verdict_rows,
        debug,
        coalesce(debug_rows, 0) as debug_rows,
        blank,
        coalesce(blank_rows, 0) as blank_rows,
        malformed,
        coalesce(malformed_rows, 0) as malformed_rows
    from ingested_files
    left join counted using (host, date)
    where is_checked(date)
)

select *
from final
where
    lines <> accepts + verdicts + debug + blank + malformed
    or (lines, lines) <> (rows_found, last_line_no)
    or (accepts, verdicts, debug, blank, malformed)
    <> (accept_rows, verdict_rows, debug_rows, blank_rows, malformed_rows)
order by host, date;
