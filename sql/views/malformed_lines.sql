-- grain: host, date, line_no
-- Lines that could not be read; the lake keeps their bytes.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- line_no: Number of the line in its file, from 1.
-- parse_error: The first rule of the format that the line breaks.
-- raw: The line; bytes that are not printable ASCII as `\xNN`.
create or replace view malformed_lines as
with final as (
    select host, date, line_no, parse_error, printable(raw) as raw
    from events
    -- These are the lines of kind malformed; so row groups without any are skipped.
    where parse_error is not null
)

select * from final order by host, date, line_no;
