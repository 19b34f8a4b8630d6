-- severity: warn
-- More than 1 % of a day's lines could not be read: the log is damaged, or written by an edition
-- whose format the parser does not know. See malformed_lines.
with final as (
    select host, date, lines, malformed, cast(malformed as double) / lines as malformed_share
    from ingested_files
    where malformed * 100 > lines and is_checked(date)
)

select * from final order by host, date;
